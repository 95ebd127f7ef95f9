//! Subscriber: rows from a sink, over a connection that is waited for.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ClientError;
use crate::format::FrameSubscriber;
use crate::limits::FRAME_BUFFER_BYTES;
use crate::record::{BufferPool, PoolLimits};

/// A program holds as many rows as it likes.
const POOL_LIMITS: PoolLimits = PoolLimits {
    buffer_bytes: FRAME_BUFFER_BYTES,
    small_buffers_max: 1 << 30,
    large_bytes_max: usize::MAX / 2,
};

/// A connection to a sink with `format = "rkyv"`.
#[derive(Debug)]
pub struct Subscriber {
    socket: TcpStream,
    protocol: FrameSubscriber,
    pool: BufferPool,
    schema: SchemaRef,
    out: Vec<u8>,
}

impl Subscriber {
    /// Connects, and waits for the sink's columns. Every row that is written from then on comes.
    ///
    /// # Errors
    /// The operating system's, or the sink's.
    pub fn connect(address: impl ToSocketAddrs, name: &str) -> Result<Subscriber, ClientError> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let mut protocol = FrameSubscriber::new(name);
        let (mut out, mut pool) = (Vec::new(), BufferPool::new(POOL_LIMITS));
        protocol.begin(&mut out);
        (&socket).write_all(&out)?;
        let schema = loop {
            receive(&socket, &mut protocol, &mut pool)?;
            if let Some(schema) = protocol.schema()? {
                break SchemaRef::clone(schema);
            }
        };
        out.clear();
        Ok(Subscriber { socket, protocol, pool, schema, out })
    }

    /// The sink's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Waits for the next rows; `None` when the sink has ended.
    ///
    /// # Errors
    /// The connection is over, and the sink's end was not said.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        loop {
            if let Some(rows) = self.protocol.take()? {
                return Ok(Some(rows));
            }
            if self.protocol.has_ended() {
                return Ok(None);
            }
            self.acknowledge()?;
            receive(&self.socket, &mut self.protocol, &mut self.pool)?;
        }
    }

    /// Number of the last frame whose rows were given out.
    pub fn sequence(&self) -> u64 {
        self.protocol.sequence()
    }

    /// Tells the sink what has been given out, when that is news.
    fn acknowledge(&mut self) -> Result<(), ClientError> {
        self.out.clear();
        if self.protocol.acknowledge(&mut self.out) {
            self.socket.write_all(&self.out)?;
        }
        Ok(())
    }
}

/// Waits for the next bytes.
fn receive(
    mut socket: &TcpStream,
    protocol: &mut FrameSubscriber,
    pool: &mut BufferPool,
) -> Result<(), ClientError> {
    let (mut memory, bytes_max) = protocol.prepare(pool).expect("the pool has no bounds");
    let begin = memory.len();
    memory.resize(begin + bytes_max, 0);
    let received = socket.read(&mut memory[begin..]);
    let count = *received.as_ref().unwrap_or(&0);
    memory.truncate(begin + count);
    protocol.filled(memory, count)?;
    match received? {
        0 => Err(ClientError::Closed),
        _ => Ok(()),
    }
}
