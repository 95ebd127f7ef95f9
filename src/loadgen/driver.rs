//! Driver: the one thread that sends a load and receives its results, polling.
//!
//! In:  a target's addresses, what to send, how fast.
//! Out: latencies from the planned send times, what came back, and the driver's own faults.
//!
//! Invariants
//! - Nothing blocks: a socket that takes no more leaves the rest in a bounded buffer, and results go
//!   on being read, so that job and generator cannot wait for each other.
//! - A record's latency begins when it was due, whether it could be sent then or not.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::error::{BenchError, BenchErrorKind};
use super::options::LoadOptions;
use super::pacing::Pacing;
use super::script::{Author, Script};
use super::trace::{Flow, add_at};
use super::verify::{Arrival, Findings, Verifier};
use super::wire::{FrameRecords, RecordWriter, ResultReader, ResultRow, WireFormat};
use crate::metrics::LatencyHistogram;
use crate::reactor::{self, Clock, SystemClock};
use crate::workload::Keys;

/// Bytes a connection may hold that its socket did not take. Records that are due beyond stay unwritten,
/// and late all the same.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one read of what a job says to a producer of frames.
const ANSWER_BYTES: usize = 1024;

/// Bytes of one read of results.
const READ_BYTES: usize = 256 * 1024;

/// Intervals of a run that are told apart, at most.
const INTERVALS_MAX: u32 = 64;

/// How long a target may take to listen, and the way through it to open.
const OPENING_TIME_MAX: Duration = Duration::from_secs(10);

/// Between two attempts at either.
const OPENING_PAUSE: Duration = Duration::from_millis(10);

/// Looks at the queue of one run, at most.
const QUEUE_LOOKS_MAX: u32 = 1_000;

/// Shortest time between two looks at the queue.
const QUEUE_LOOK_TIME_MIN: Duration = Duration::from_millis(5);

/// After the last result, how long results that come twice are waited for.
const AFTERMATH: Duration = Duration::from_millis(100);

/// Where records go and results come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub(super) input: SocketAddr,
    pub(super) output: SocketAddr,
}

/// What another thread may see of a run, and tell it.
#[derive(Clone, Default, Debug)]
pub(super) struct Live {
    /// Records sent so far.
    pub(super) sent: Arc<AtomicU64>,
    /// Results so far.
    pub(super) received: Arc<AtomicU64>,
    /// Set: send no more.
    pub(super) stop: Arc<AtomicBool>,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// From the planned send time to the arrival, by interval of planned time; without the warm-up.
    pub(super) intervals: Vec<LatencyHistogram>,
    pub(super) interval: Duration,
    /// From a record's planned time to its being written, where the job was not to blame.
    pub(super) lateness: LatencyHistogram,
    pub(super) findings: Findings,
    /// Records that were due and had no result, at times since the beginning in seconds; without the
    /// warm-up.
    pub(super) queue: Vec<(f64, f64)>,
    /// By interval of the time in which it was sent or came.
    pub(super) flow: Flow,
    pub(super) sent: u64,
    /// Until the last record was sent and its gap had passed.
    pub(super) send_time: Duration,
    /// Of it, without the warm-up.
    pub(super) measured_time: Duration,
    pub(super) cpu: Duration,
    pub(super) interrupted: bool,
}

impl Measured {
    /// All intervals together.
    pub(super) fn latencies(&self) -> LatencyHistogram {
        let mut all = LatencyHistogram::new();
        self.intervals.iter().for_each(|interval| all.merge(interval));
        all
    }

    /// Records per second that were in fact sent.
    pub(super) fn achieved_rate(&self) -> f64 {
        self.sent as f64 / self.send_time.as_secs_f64().max(f64::EPSILON)
    }
}

/// Sends a load at `rate` records per second to `target` and receives its results.
///
/// # Errors
/// When a connection cannot be made or fails, or no results come at all.
pub(super) fn drive(
    target: Target,
    load: &LoadOptions,
    rate: u64,
    live: &Live,
) -> Result<Measured, BenchError> {
    let output = connect(target.output, "results")?;
    let inputs = (0..load.connections).map(|_| connect(target.input, "records"));
    let inputs: Vec<TcpStream> = inputs.collect::<Result<_, _>>()?;
    let mut driver = Driver::new(inputs, output, load, rate, live.clone());
    driver.open_the_way()?;
    driver.run(load.patience)
}

fn connect(address: SocketAddr, what: &str) -> Result<TcpStream, BenchError> {
    let began_ns = SystemClock.monotonic_ns();
    loop {
        let error = match TcpStream::connect(address).and_then(polled) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if elapsed(began_ns) > OPENING_TIME_MAX {
            let what = format!("connection for {what} to {address}; is the job running?");
            return Err(BenchError::io(&what, &error));
        }
        reactor::sleep(OPENING_PAUSE);
    }
}

/// The stream, made for polling.
pub(super) fn polled(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn elapsed(since_ns: u64) -> Duration {
    Duration::from_nanos(SystemClock.monotonic_ns() - since_ns)
}

/// A connection to the job's source.
#[derive(Debug)]
struct Input {
    stream: TcpStream,
    unsent: Vec<u8>,
    /// Of `unsent`, what the socket has taken.
    taken: usize,
    /// Of a load in frames.
    frames: Option<FrameRecords>,
}

impl Input {
    /// Hands over what the socket takes.
    fn flush(&mut self) -> Result<(), BenchError> {
        while self.taken < self.unsent.len() {
            match self.stream.write(&self.unsent[self.taken..]) {
                Ok(bytes) => self.taken += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.forget_taken();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(BenchError::io("sending records", &error)),
            }
        }
        self.unsent.clear();
        self.taken = 0;
        Ok(())
    }

    /// Keeps the buffer bounded when it is never empty, with a copy once per megabyte.
    fn forget_taken(&mut self) {
        if self.taken >= UNSENT_BYTES_MAX {
            self.unsent.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn is_full(&self) -> bool {
        let waits = self.frames.as_ref().is_some_and(|frames| !frames.may_send());
        waits || self.unsent.len() - self.taken >= UNSENT_BYTES_MAX
    }

    /// Writes down what is due, of a load in frames.
    fn write_staged(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.write_staged(&mut self.unsent);
        }
    }

    /// Takes what the job says to a producer of frames.
    fn listen(&mut self) -> Result<(), BenchError> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let mut bytes = [0; ANSWER_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => {
                let line = "the job closed a connection for records";
                Err(BenchError::new(BenchErrorKind::Io, line))
            }
            Ok(count) => frames.receive(&bytes[..count]).map_err(|refusal| {
                let line = format!("the job refused a connection for records: {refusal}");
                BenchError::new(BenchErrorKind::Io, line)
            }),
            Err(error) if is_nothing(&error) => Ok(()),
            Err(error) => Err(BenchError::io("receiving acknowledgements", &error)),
        }
    }
}

struct Driver {
    inputs: Vec<Input>,
    output: TcpStream,
    reader: ResultReader,
    buffer: Vec<u8>,
    pacing: Pacing,
    author: Author,
    writer: RecordWriter,
    verifier: Verifier,
    live: Live,
    began_ns: u64,
    warm_up_ns: u64,
    interval_ns: u64,
    intervals: Vec<LatencyHistogram>,
    flow: Flow,
    lateness: LatencyHistogram,
    sent: u64,
    last_sent_ns: u64,
    last_arrival_ns: u64,
    /// The sockets, not this loop, keep due records from being written.
    held_back: bool,
    gap_ns: u64,
    queue: Vec<(f64, f64)>,
    queue_step_ns: u64,
    queue_looked_ns: u64,
    /// Connections whose probe has come back.
    opened: Vec<bool>,
}

impl Driver {
    fn new(
        inputs: Vec<TcpStream>,
        output: TcpStream,
        load: &LoadOptions,
        rate: u64,
        live: Live,
    ) -> Driver {
        let keys = Keys::new(load.keys, load.distribution);
        let script = Script { seed: load.seed, keys, unwanted_every: load.unwanted_every };
        let session = u64::try_from(SystemClock.wall_ms()).unwrap_or(0);
        let input = |(number, stream)| {
            let is_in_frames = load.format == WireFormat::Rkyv;
            let frames =
                is_in_frames.then(|| FrameRecords::new(number, session, load.record_bytes));
            let mut input = Input { stream, unsent: Vec::new(), taken: 0, frames };
            if let Some(records) = &mut input.frames {
                records.begin(&mut input.unsent);
            }
            input
        };
        let inputs: Vec<Input> = inputs.into_iter().enumerate().map(input).collect();
        let interval = (load.duration / INTERVALS_MAX).max(Duration::from_secs(1));
        let count = load.duration.as_nanos().div_ceil(interval.as_nanos());
        let count = usize::try_from(count).expect("INTERVALS_MAX and a rest at most");
        Driver {
            opened: vec![false; inputs.len()],
            inputs,
            output,
            reader: ResultReader::new(load.format),
            buffer: vec![0; READ_BYTES],
            pacing: Pacing::new(load.shape, rate, load.warm_up + load.duration, load.seed),
            author: Author::new(script.clone()),
            writer: RecordWriter::new(load.format, load.record_bytes),
            verifier: Verifier::new(script, load.verify),
            live,
            began_ns: 0,
            warm_up_ns: nanos(load.warm_up),
            interval_ns: nanos(interval),
            intervals: vec![LatencyHistogram::new(); count],
            flow: Flow::new(count),
            lateness: LatencyHistogram::new(),
            sent: 0,
            last_sent_ns: 0,
            last_arrival_ns: 0,
            held_back: false,
            gap_ns: (1_000_000_000 / rate).max(1),
            queue: Vec::new(),
            queue_step_ns: nanos((load.duration / QUEUE_LOOKS_MAX).max(QUEUE_LOOK_TIME_MIN)),
            queue_looked_ns: 0,
        }
    }

    /// Sends probes until one came back from every connection: a subscriber gets rows only from the
    /// moment the job has taken its connection.
    fn open_the_way(&mut self) -> Result<(), BenchError> {
        self.began_ns = SystemClock.monotonic_ns();
        let begin = self.reader.begin();
        let sent = self.output.write_all(&begin);
        sent.map_err(|error| BenchError::io("asking for results", &error))?;
        let mut probed_ns = None;
        while self.opened.contains(&false) {
            let now_ns = SystemClock.monotonic_ns() - self.began_ns;
            if now_ns > nanos(OPENING_TIME_MAX) {
                return Err(BenchError::new(
                    BenchErrorKind::Configuration,
                    format!(
                        "no result of a record came in {} s: the job must pass on the column id of \
                         records like this one, and more than one connection if asked to: {}",
                        OPENING_TIME_MAX.as_secs(),
                        self.probe_text()
                    ),
                ));
            }
            if probed_ns.is_none_or(|probed_ns| now_ns - probed_ns > nanos(OPENING_PAUSE)) {
                probed_ns = Some(now_ns);
                let waiting = self.inputs.iter_mut().zip(&self.opened).zip(0..);
                for ((input, _), number) in waiting.filter(|((_, opened), _)| !**opened) {
                    input.listen()?;
                    match &mut input.frames {
                        None => self.writer.write_probe(number, &mut input.unsent),
                        Some(frames) if frames.may_send() => frames.add_probe(number),
                        Some(_) => {}
                    }
                    input.write_staged();
                    input.flush()?;
                }
            }
            self.receive()?;
        }
        Ok(())
    }

    fn probe_text(&self) -> String {
        let mut probe = Vec::new();
        self.writer.write_probe(0, &mut probe);
        String::from_utf8_lossy(&probe).trim_end().to_owned()
    }

    fn run(mut self, patience: Duration) -> Result<Measured, BenchError> {
        let cpu_before = reactor::thread_cpu();
        self.began_ns = SystemClock.monotonic_ns();
        let mut interrupted = false;
        loop {
            let now_ns = SystemClock.monotonic_ns() - self.began_ns;
            let all_sent = interrupted || self.pacing.next_due_ns().is_none();
            if !all_sent {
                self.send_due(now_ns)?;
                interrupted = self.live.stop.load(Ordering::Relaxed);
            }
            let mut unsent = false;
            for input in &mut self.inputs {
                input.listen()?;
                input.flush()?;
                unsent |= !input.unsent.is_empty();
            }
            self.receive()?;
            if !all_sent {
                self.look_at_queue(now_ns);
            }
            if all_sent && self.is_over(now_ns, unsent, patience) {
                break;
            }
        }
        let send_time_ns = self.last_sent_ns + self.gap_ns;
        Ok(Measured {
            intervals: self.intervals,
            interval: Duration::from_nanos(self.interval_ns),
            lateness: self.lateness,
            queue: self.queue,
            findings: self.verifier.finish(self.sent),
            sent: self.sent,
            flow: self.flow,
            send_time: Duration::from_nanos(send_time_ns),
            measured_time: Duration::from_nanos(send_time_ns.saturating_sub(self.warm_up_ns)),
            cpu: reactor::thread_cpu() - cpu_before,
            interrupted,
        })
    }

    /// Writes down what is due, and hands it to the sockets.
    fn send_due(&mut self, now_ns: u64) -> Result<(), BenchError> {
        let before = self.sent;
        while let Some(due_ns) = self.pacing.next_due_ns().filter(|due_ns| *due_ns <= now_ns) {
            if self.inputs.iter().any(Input::is_full) {
                self.held_back = true;
                break;
            }
            let record = self.author.next(due_ns);
            self.verifier.sent(record.amount);
            let connections = self.inputs.len() as u64;
            let place = usize::try_from(record.key % connections).expect("below a length");
            let input = &mut self.inputs[place];
            match &mut input.frames {
                None => self.writer.write(&record, &mut input.unsent),
                Some(frames) => frames.add(&record),
            }
            if !self.held_back && due_ns >= self.warm_up_ns {
                self.lateness.record(now_ns - due_ns, 1);
            }
            self.sent += 1;
            self.pacing.advance();
        }
        self.inputs.iter_mut().for_each(Input::write_staged);
        if self.pacing.next_due_ns().is_none_or(|due_ns| due_ns > now_ns) {
            self.held_back = false;
        }
        if self.sent > before {
            self.last_sent_ns = now_ns;
            let measured_ns = now_ns.checked_sub(self.warm_up_ns);
            add_at(&mut self.flow.sent, measured_ns, self.interval_ns, self.sent - before);
            self.live.sent.store(self.sent, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Now and then: records in the job, in sockets, and due but not written.
    fn look_at_queue(&mut self, now_ns: u64) {
        if now_ns < self.warm_up_ns || now_ns < self.queue_looked_ns + self.queue_step_ns {
            return;
        }
        self.queue_looked_ns = now_ns;
        let late_ns = self.pacing.next_due_ns().map_or(0, |due_ns| now_ns.saturating_sub(due_ns));
        let unwritten = late_ns / self.gap_ns;
        let queued = self.verifier.missing() + unwritten;
        self.queue.push((Duration::from_nanos(now_ns).as_secs_f64(), queued as f64));
    }

    /// Takes what has come.
    fn receive(&mut self) -> Result<(), BenchError> {
        let bytes = match self.output.read(&mut self.buffer) {
            Ok(0) => {
                let line = "the job closed the connection for results before all had come";
                return Err(BenchError::new(BenchErrorKind::Io, line));
            }
            Ok(bytes) => bytes,
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err(BenchError::io("receiving results", &error)),
        };
        let now_ns = SystemClock.monotonic_ns() - self.began_ns;
        self.last_arrival_ns = now_ns;
        let before = self.verifier.received();
        let Driver { reader, buffer, verifier, intervals, opened, .. } = self;
        let (sent, warm_up_ns, interval_ns) = (self.sent, self.warm_up_ns, self.interval_ns);
        reader.feed(&buffer[..bytes], |row| match row {
            Err(fault) => verifier.unreadable(fault),
            Ok(ResultRow { id: Some(id), .. }) if id < 0 => open(opened, id),
            Ok(row) => {
                let Arrival::First { due_ns } = verifier.arrived(&row, sent, now_ns) else {
                    return;
                };
                if let Some(measured_ns) = due_ns.checked_sub(warm_up_ns) {
                    let place = usize::try_from(measured_ns / interval_ns).unwrap_or(usize::MAX);
                    let last = intervals.len() - 1;
                    intervals[place.min(last)].record(now_ns - due_ns, 1);
                }
            }
        });
        let received = self.verifier.received();
        let measured_ns = now_ns.checked_sub(warm_up_ns);
        add_at(&mut self.flow.received, measured_ns, interval_ns, received - before);
        self.live.received.store(received, Ordering::Relaxed);
        Ok(())
    }

    /// Everything has come and a while has passed, or nothing has come for too long.
    fn is_over(&self, now_ns: u64, unsent: bool, patience: Duration) -> bool {
        let silent_ns = now_ns.saturating_sub(self.last_arrival_ns.max(self.last_sent_ns));
        let complete = !unsent && self.verifier.missing() == 0;
        silent_ns > nanos(if complete { AFTERMATH } else { patience })
    }
}

/// The probe of a connection has come back. What is no probe's number opens nothing.
fn open(opened: &mut [bool], id: i64) {
    let number = usize::try_from(-1 - id).unwrap_or(usize::MAX);
    if let Some(opened) = opened.get_mut(number) {
        *opened = true;
    }
}

fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("less than 500 years")
}
