//! Subscriber: rows from a sink, over a connection that is waited for.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ClientError;
use crate::format::{Delivery, FrameSubscriber, OutputPosition, SubscriberOptions};
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
    /// What has been given out is acknowledged without being asked.
    acknowledges: bool,
    out: Vec<u8>,
}

impl Subscriber {
    /// Connects, and waits for the sink's columns. Every row that is released from then on comes, for as
    /// long as the connection lasts.
    ///
    /// # Errors
    /// The operating system's, or the sink's.
    pub fn connect(address: impl ToSocketAddrs, name: &str) -> Result<Subscriber, ClientError> {
        let options = SubscriberOptions { name: name.to_owned(), ..SubscriberOptions::default() };
        Subscriber::resume(address, options)
    }

    /// Connects, and waits for the sink's columns. With a session, every row comes that has not been
    /// acknowledged under this name, but for those up to the position: see [`Subscriber::acknowledge`].
    ///
    /// # Errors
    /// The operating system's, or the sink's: that a later session is there, that it keeps no output.
    pub fn resume(
        address: impl ToSocketAddrs,
        options: SubscriberOptions,
    ) -> Result<Subscriber, ClientError> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let acknowledges = options.session == 0;
        let mut protocol = FrameSubscriber::resuming(options);
        let (mut out, mut pool) = (Vec::new(), BufferPool::new(POOL_LIMITS));
        protocol.begin(&mut out);
        (&socket).write_all(&out)?;
        let schema = loop {
            receive(&socket, &mut protocol, &mut pool)?;
            if let Some(schema) = protocol.schema()? {
                break SchemaRef::clone(schema);
            }
        };
        let mut subscriber = Subscriber { socket, protocol, pool, schema, acknowledges, out };
        // What it has from before need not be sent again.
        subscriber.acknowledge()?;
        Ok(subscriber)
    }

    /// The sink's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Waits for the next rows, whatever comes between; `None` when the sink has ended.
    ///
    /// # Errors
    /// [`ClientError::Gap`], behind which it goes on; otherwise the connection is over, and the sink's end
    /// was not said.
    pub fn next_rows(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        loop {
            match self.next_delivery()? {
                Some(Delivery::Rows(rows)) => return Ok(Some(rows)),
                Some(Delivery::EndOfEpoch(_)) => {}
                Some(Delivery::Gap { rows }) => return Err(ClientError::Gap(rows)),
                None => return Ok(None),
            }
        }
    }

    /// Waits for what comes next: rows, the end of an epoch, a gap; `None` when the sink has ended.
    ///
    /// # Errors
    /// The connection is over, and the sink's end was not said.
    pub fn next_delivery(&mut self) -> Result<Option<Delivery>, ClientError> {
        loop {
            if let Some(delivery) = self.protocol.take_delivery()? {
                return Ok(Some(delivery));
            }
            if self.protocol.has_ended() {
                return Ok(None);
            }
            if self.acknowledges {
                self.acknowledge()?;
            }
            receive(&self.socket, &mut self.protocol, &mut self.pool)?;
        }
    }

    /// Number of the last frame whose rows were given out, in its epoch.
    pub fn sequence(&self) -> u64 {
        self.protocol.sequence()
    }

    /// What has been given out: what another connection resumes behind.
    pub fn position(&self) -> OutputPosition {
        self.protocol.position()
    }

    /// Tells the sink that nothing that has been given out need be sent again, or kept. Without a session
    /// this is done by itself.
    ///
    /// # Errors
    /// The operating system's: the connection is over.
    pub fn acknowledge(&mut self) -> Result<(), ClientError> {
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
