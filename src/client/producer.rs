//! Producer: rows to a source, over connections that are waited for.
//!
//! Invariants
//! - A frame is kept until the source has acknowledged it; what it has not when a connection ends is sent
//!   again on the next.
//! - What is kept is bounded: beyond it `send` waits.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ClientError;
use crate::format::{FrameProducer, FrameRefusal, ProtocolFault};
use crate::record::check_frame_type;

/// Bytes of what a source says that are read at once.
const READ_BYTES: usize = 16 * 1024;

/// Memory of acknowledged frames that is used again.
const SPARE_MAX: usize = 16;

/// Between two attempts to connect again: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// Who a producer is, and how patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerOptions {
    /// The same after a restart; 1 to 255 bytes. Frames are counted by it.
    pub name: String,
    /// Of two producers with one name the one with the higher session sends: count it up at every
    /// start, or take the time.
    pub session: u64,
    /// Bytes of frames that are kept, from which on `send` waits for acknowledgements: a source with
    /// durability sends them once per checkpoint.
    pub kept_bytes_max: usize,
    /// How long to try to connect again when a connection is lost, or the job is stopped; zero for not at
    /// all.
    pub reconnect_for: Duration,
}

impl ProducerOptions {
    /// With 64 MiB and 30 s.
    pub fn new(name: impl Into<String>, session: u64) -> ProducerOptions {
        ProducerOptions {
            name: name.into(),
            session,
            kept_bytes_max: 64 * 1024 * 1024,
            reconnect_for: Duration::from_secs(30),
        }
    }
}

/// Rows that were sent together, and are not acknowledged.
#[derive(Debug)]
struct Kept {
    /// Of its last frame.
    sequence: u64,
    frames: usize,
    bytes: Vec<u8>,
}

/// A connection to a source with `format = "rkyv"`, and the next one when it is lost.
#[derive(Debug)]
pub struct Producer {
    options: ProducerOptions,
    addresses: Vec<SocketAddr>,
    /// `None` when it is lost.
    socket: Option<TcpStream>,
    /// Why it is, when that came up behind something that was done all the same.
    lost: Option<ClientError>,
    protocol: FrameProducer,
    schema: SchemaRef,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// Of those kept, how many this connection has been given.
    given: usize,
    has_ended: bool,
    /// This connection has been given `end`.
    end_is_given: bool,
    spare: Vec<Vec<u8>>,
    incoming: Vec<u8>,
}

impl Producer {
    /// Connects, and waits until the source has answered hello. [`Producer::taken`] then says how many
    /// frames of this name it has from earlier sessions: rows behind those are to be sent.
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
        let mut producer = Producer {
            addresses: address.to_socket_addrs()?.collect(),
            socket: None,
            lost: None,
            protocol: FrameProducer::new(&options.name, options.session, 0, schema),
            schema: SchemaRef::clone(schema),
            options: options.clone(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            given: 0,
            has_ended: false,
            end_is_given: false,
            spare: Vec::new(),
            incoming: vec![0; READ_BYTES],
        };
        producer.attempt()?;
        Ok(producer)
    }

    /// Sends `rows` as the next frames, once the source's credit allows it. The source has them, whatever
    /// happens to the connection, when [`Producer::taken`] has reached the number that is returned; whatever
    /// happens to the job, if that has durability. Until then they are kept here.
    ///
    /// # Errors
    /// Rows with other columns, or one too long for a frame; otherwise there is no connection any more.
    pub fn send(&mut self, rows: &RecordBatch) -> Result<u64, ClientError> {
        if rows.schema_ref() != &self.schema {
            return Err(ClientError::Rows("the rows have other columns than hello".into()));
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        let before = self.protocol.sequence();
        let written = self.protocol.write(rows, &mut bytes);
        let sequence = self.protocol.sequence();
        let frames = usize::try_from(sequence - before).expect("they are in memory");
        self.kept_bytes += bytes.len();
        self.kept.push_back(Kept { sequence, frames, bytes });
        self.advance(|producer| {
            producer.given == producer.kept.len()
                && producer.kept_bytes < producer.options.kept_bytes_max.max(1)
        })?;
        written.map_err(ClientError::Rows)?;
        Ok(sequence)
    }

    /// Number of the last frame that the source is known to have.
    pub fn taken(&self) -> u64 {
        self.protocol.taken()
    }

    /// Bytes of frames that are kept because the source is not known to have them.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Waits until every frame sent has been acknowledged.
    ///
    /// # Errors
    /// There is no connection any more.
    pub fn wait(&mut self) -> Result<(), ClientError> {
        self.advance(|producer| producer.kept.is_empty())
    }

    /// Says that nothing more will come, and waits until everything has been acknowledged, that as well.
    ///
    /// # Errors
    /// There is no connection any more.
    pub fn end(mut self) -> Result<(), ClientError> {
        self.has_ended = true;
        self.advance(|producer| producer.kept.is_empty() && producer.protocol.end_is_known())
    }

    /// Sends what is to be sent and listens until `is_done`, over as many connections as it takes.
    fn advance(&mut self, is_done: fn(&Producer) -> bool) -> Result<(), ClientError> {
        loop {
            let advanced = match self.socket {
                Some(_) => self.advance_here(is_done),
                None if is_done(self) => return Ok(()),
                None => Err(self.lost.take().unwrap_or(ClientError::Closed)),
            };
            let Err(error) = advanced else { return Ok(()) };
            (self.socket, self.given) = (None, 0);
            if !is_passing(&error) {
                return Err(error);
            }
            self.reconnect(error)?;
        }
    }

    /// The same over this connection.
    fn advance_here(&mut self, is_done: fn(&Producer) -> bool) -> Result<(), ClientError> {
        loop {
            self.give()?;
            let received = self.receive_what_came();
            if is_done(self) {
                if let Err(error) = received {
                    (self.socket, self.given, self.lost) = (None, 0, Some(error));
                }
                return Ok(());
            }
            received?;
            self.receive()?;
        }
    }

    /// Gives this connection what is kept and it has not been given, by its credit.
    fn give(&mut self) -> Result<(), ClientError> {
        while self.protocol.may_send()
            && let Some(kept) = self.kept.get(self.given)
        {
            self.given += 1;
            self.protocol.sent(kept.frames, kept.bytes.len());
            let written = self.socket.as_ref().ok_or(ClientError::Closed)?.write_all(&kept.bytes);
            self.why_not_written(written)?;
        }
        if self.has_ended && !self.end_is_given && self.given == self.kept.len() {
            self.end_is_given = true;
            let mut end = Vec::new();
            self.protocol.end(&mut end);
            let written = self.socket.as_ref().ok_or(ClientError::Closed)?.write_all(&end);
            self.why_not_written(written)?;
        }
        Ok(())
    }

    /// What the source said before it closed says why.
    fn why_not_written(&mut self, written: std::io::Result<()>) -> Result<(), ClientError> {
        let Err(error) = written else { return Ok(()) };
        loop {
            match self.receive() {
                Ok(()) => {}
                Err(ClientError::Refused(refusal)) => return Err(refusal.into()),
                Err(_) => return Err(error.into()),
            }
        }
    }

    /// Waits for what the source says next.
    fn receive(&mut self) -> Result<(), ClientError> {
        let mut socket = self.socket.as_ref().ok_or(ClientError::Closed)?;
        let count = socket.read(&mut self.incoming)?;
        if count == 0 {
            return Err(ClientError::Closed);
        }
        self.protocol.receive(&self.incoming[..count])?;
        self.let_go();
        Ok(())
    }

    /// Takes what the source has said, without waiting.
    fn receive_what_came(&mut self) -> Result<(), ClientError> {
        self.socket.as_ref().ok_or(ClientError::Closed)?.set_nonblocking(true)?;
        let received = self.receive();
        self.socket.as_ref().ok_or(ClientError::Closed)?.set_nonblocking(false)?;
        match received {
            Err(ClientError::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// What is acknowledged need not be kept.
    fn let_go(&mut self) {
        let taken = self.protocol.taken();
        while let Some(mut kept) = self.kept.pop_front_if(|kept| kept.sequence <= taken) {
            self.kept_bytes -= kept.bytes.len();
            self.given = self.given.saturating_sub(1);
            if self.spare.len() < SPARE_MAX {
                kept.bytes.clear();
                self.spare.push(kept.bytes);
            }
        }
    }

    /// Connects again, as often as patience allows; else there is what went wrong.
    #[expect(clippy::disallowed_methods, reason = "a program that waits, outside of any reactor")]
    fn reconnect(&mut self, lost: ClientError) -> Result<(), ClientError> {
        let (began, mut pause, mut error) = (Instant::now(), PAUSE_MIN, lost);
        while began.elapsed() < self.options.reconnect_for {
            match self.attempt() {
                Ok(()) => return Ok(()),
                Err(again) if is_passing(&again) => error = again,
                Err(other) => return Err(other),
            }
            std::thread::sleep(pause);
            pause = PAUSE_MAX.min(2 * pause);
        }
        Err(error)
    }

    /// Connects, and waits for the answer.
    fn attempt(&mut self) -> Result<(), ClientError> {
        let mut error = ErrorKind::AddrNotAvailable.into();
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, ATTEMPT_MAX) {
                Ok(socket) => return self.begin(socket),
                Err(refused) => error = refused,
            }
        }
        Err(ClientError::Io(error))
    }

    fn begin(&mut self, socket: TcpStream) -> Result<(), ClientError> {
        socket.set_nodelay(true)?;
        let mut hello = Vec::new();
        self.protocol.begin(&mut hello);
        (&socket).write_all(&hello)?;
        (self.socket, self.given, self.end_is_given) = (Some(socket), 0, false);
        let is_first = self.protocol.sequence() == 0;
        let sequence = self.protocol.sequence();
        let first =
            self.kept.front().map_or(sequence + 1, |kept| kept.sequence - kept.frames as u64 + 1);
        while !self.protocol.is_welcome() {
            if let Err(error) = self.receive() {
                self.socket = None;
                return Err(error);
            }
        }
        let taken = self.protocol.taken();
        let fault = if is_first {
            None
        } else if taken > sequence {
            // Somebody else sends under this name.
            let fault = ProtocolFault::Sequence { found: taken, expected: sequence };
            Some(FrameRefusal::Fault(fault).into())
        } else {
            (taken + 1 < first).then(|| ClientError::Forgotten { frames: first - taken - 1 })
        };
        match fault {
            None => Ok(()),
            Some(fault) => {
                self.socket = None;
                Err(fault)
            }
        }
    }
}

/// What another connection may not meet.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Io(_) | ClientError::Closed => true,
        ClientError::Refused(FrameRefusal::Refused { code, .. }) => {
            *code == u32::from(ProtocolFault::Stopping.code())
        }
        ClientError::Refused(FrameRefusal::Fault(_))
        | ClientError::Forgotten { .. }
        | ClientError::Gap(_)
        | ClientError::Rows(_) => false,
    }
}
