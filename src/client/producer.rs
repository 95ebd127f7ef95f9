//! Producer: rows to a source, over a connection that is waited for.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ClientError;
use crate::format::FrameProducer;
use crate::record::check_frame_type;

/// Bytes of what a source says that are read at once.
const READ_BYTES: usize = 16 * 1024;

/// Who a producer is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerOptions {
    /// The same after a restart; 1 to 255 bytes. Frames are counted by it.
    pub name: String,
    /// Of two producers with one name the one with the higher session sends: count it up at every
    /// start, or take the time.
    pub session: u64,
}

/// A connection to a source with `format = "rkyv"`.
#[derive(Debug)]
pub struct Producer {
    socket: TcpStream,
    protocol: FrameProducer,
    schema: SchemaRef,
    /// Kept for their memory.
    out: Vec<u8>,
    incoming: Vec<u8>,
}

impl Producer {
    /// Connects, and waits until the source has answered hello. [`Producer::taken`] then says how many
    /// frames of this name it has taken from earlier sessions: rows behind those are to be sent.
    ///
    /// # Errors
    /// The operating system's; the source's, such as columns that are not the table's; a type that
    /// frames do not carry.
    pub fn connect(
        address: impl ToSocketAddrs,
        options: &ProducerOptions,
        schema: &SchemaRef,
    ) -> Result<Producer, ClientError> {
        check_frame_type(schema).map_err(|error| ClientError::Rows(error.to_string()))?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let mut producer = Producer {
            socket,
            protocol: FrameProducer::new(&options.name, options.session, 0, schema),
            schema: SchemaRef::clone(schema),
            out: Vec::new(),
            incoming: vec![0; READ_BYTES],
        };
        producer.protocol.begin(&mut producer.out);
        producer.flush_out()?;
        while !producer.protocol.is_welcome() {
            producer.receive()?;
        }
        Ok(producer)
    }

    /// Sends `rows` as the next frames, once the source's credit allows it. They are taken when
    /// [`Producer::taken`] has reached the number that is returned.
    ///
    /// # Errors
    /// Rows with other columns, or one too long for a frame; otherwise the connection is over.
    pub fn send(&mut self, rows: &RecordBatch) -> Result<u64, ClientError> {
        if rows.schema_ref() != &self.schema {
            return Err(ClientError::Rows("the rows have other columns than hello".into()));
        }
        while !self.protocol.may_send() {
            self.receive()?;
        }
        let before = self.protocol.sequence();
        let written = self.protocol.write(rows, &mut self.out);
        let frames =
            usize::try_from(self.protocol.sequence() - before).expect("they are in memory");
        self.protocol.sent(frames, self.out.len());
        self.flush_out()?;
        written.map_err(ClientError::Rows)?;
        self.receive_what_came()?;
        Ok(self.protocol.sequence())
    }

    /// Number of the last frame that the source is known to have taken.
    pub fn taken(&self) -> u64 {
        self.protocol.taken()
    }

    /// Waits until every frame sent has been taken.
    ///
    /// # Errors
    /// The connection is over.
    pub fn wait(&mut self) -> Result<(), ClientError> {
        while self.protocol.taken() < self.protocol.sequence() {
            self.receive()?;
        }
        Ok(())
    }

    /// Says that nothing more will come, and waits until everything has been taken.
    ///
    /// # Errors
    /// The connection is over.
    pub fn end(mut self) -> Result<(), ClientError> {
        self.protocol.end(&mut self.out);
        self.flush_out()?;
        self.wait()
    }

    fn flush_out(&mut self) -> Result<(), ClientError> {
        let sent = self.socket.write_all(&self.out);
        self.out.clear();
        match sent {
            Ok(()) => Ok(()),
            // What the source said before it closed says why.
            Err(error) => match self.receive() {
                Err(ClientError::Refused(refusal)) => Err(refusal.into()),
                _ => Err(error.into()),
            },
        }
    }

    /// Waits for what the source says next.
    fn receive(&mut self) -> Result<(), ClientError> {
        let count = self.socket.read(&mut self.incoming)?;
        if count == 0 {
            return Err(ClientError::Closed);
        }
        Ok(self.protocol.receive(&self.incoming[..count])?)
    }

    /// Takes what the source has said, without waiting.
    fn receive_what_came(&mut self) -> Result<(), ClientError> {
        self.socket.set_nonblocking(true)?;
        let received = self.receive();
        self.socket.set_nonblocking(false)?;
        match received {
            Err(ClientError::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }
}
