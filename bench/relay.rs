//! Line latency against the floor: TCP line → filter, projection → TCP line, open loop.
//!
//! One polling generator thread on the first CPU sends lines at planned times and receives the
//! results; on the second CPU a bare polling relay and a Pelton job take turns. A latency counts from
//! the *planned* send time, so a stall of the generator or the job is not omitted.
//!
//! `cargo bench --bench relay -- [--rate 50000] [--seconds 10] [--runs 15]`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring client from outside: it reads the clock and prints its result"
)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Longest latency told apart: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What a run measures at.
#[derive(Clone, Copy)]
struct Load {
    rate: u64,
    seconds: u64,
    runs: usize,
}

/// Percentiles of one run, microseconds.
#[derive(Clone, Copy)]
struct Figures {
    p50: f64,
    p99: f64,
    p999: f64,
    sent: u64,
    received: u64,
}

fn main() {
    let load = Load {
        rate: option("--rate", 50_000),
        seconds: option("--seconds", 10),
        runs: usize::try_from(option("--runs", 15)).expect("a small number"),
    };
    let (mut floor, mut job) = (Vec::new(), Vec::new());
    println!("{} lines/s, {} s a run; microseconds", load.rate, load.seconds);
    println!("run  relay p50  p99  p99.9 | pelton p50  p99  p99.9 | received");
    for run in 1..=load.runs {
        let relay = Relay::start();
        floor.push(on_first_cpu(|| measure(relay.input, relay.output, load)));
        relay.stop();
        let pelton = Pelton::start();
        job.push(on_first_cpu(|| measure(pelton.input, pelton.output, load)));
        pelton.stop();
        let (a, b) = (floor[run - 1], job[run - 1]);
        println!(
            "{run:3} {:9.1} {:7.1} {:8.1} | {:9.1} {:7.1} {:8.1} | {} of {}, {} of {}",
            a.p50, a.p99, a.p999, b.p50, b.p99, b.p999, a.received, a.sent, b.received, b.sent
        );
    }
    summary("p50", &floor, &job, |figures| figures.p50);
    summary("p99", &floor, &job, |figures| figures.p99);
    summary("p99.9", &floor, &job, |figures| figures.p999);
}

fn summary(name: &str, floor: &[Figures], job: &[Figures], pick: impl Fn(&Figures) -> f64) {
    let median = |figures: &[Figures]| {
        let mut values: Vec<f64> = figures.iter().map(&pick).collect();
        values.sort_by(f64::total_cmp);
        (values[0], values[values.len() / 2], values[values.len() - 1])
    };
    let (a, b) = (median(floor), median(job));
    println!(
        "{name}: relay median {:.1} ({:.1} to {:.1}), pelton median {:.1} ({:.1} to {:.1}), ratio {:.2}",
        a.1,
        a.0,
        a.2,
        b.1,
        b.0,
        b.2,
        b.1 / a.1
    );
}

/// Sends at planned times and times what comes back. Every tenth line is filtered out by the job
/// and ignored by the relay's reader, so that both are judged on the same lines.
fn measure(input: SocketAddr, output: SocketAddr, load: Load) -> Figures {
    let mut results = connect(output);
    let mut lines = connect(input);
    thread::sleep(Duration::from_millis(100));
    let total = load.rate * load.seconds;
    // With bounds: one that grows would be held to its first few nanoseconds by `saturating_record`.
    let mut histogram = Histogram::<u64>::new_with_bounds(1, LATENCY_NS_MAX, 3)
        .expect("the bounds are in order, and three digits are allowed");
    let (mut sent, mut received) = (0, 0);
    let mut reader = ResultReader::default();
    let began = Instant::now();
    let planned = |id: u64| Duration::from_nanos(id * 1_000_000_000 / load.rate);
    let mut line = Vec::new();
    let give_up = planned(total) + Duration::from_secs(2);
    let expected = total - total.div_ceil(10);
    while received < expected && began.elapsed() < give_up {
        if sent < total && began.elapsed() >= planned(sent) {
            line.clear();
            let value = if sent.is_multiple_of(10) { 5 } else { 500 };
            writeln!(line, "{{\"id\":{sent},\"name\":\"abcdefgh\",\"value\":{value}}}")
                .expect("writing to memory cannot fail");
            write_all(&mut lines, &line);
            sent += 1;
        }
        reader.read(&mut results, |id| {
            if !id.is_multiple_of(10) {
                let latency = began.elapsed().saturating_sub(planned(id));
                histogram.saturating_record(u64::try_from(latency.as_nanos()).expect("seconds"));
                received += 1;
            }
        });
    }
    assert!(histogram.value_at_quantile(0.5) > 1000, "no loopback takes less than a microsecond");
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Figures { p50: at(0.5), p99: at(0.99), p999: at(0.999), sent, received }
}

fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("sending a line: {error}"),
        }
    }
}

/// Cuts result lines and finds their `"id":`.
#[derive(Default)]
struct ResultReader {
    pending: Vec<u8>,
}

impl ResultReader {
    fn read(&mut self, stream: &mut TcpStream, mut emit: impl FnMut(u64)) {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("receiving results: {error}"),
        }
        let mut start = 0;
        while let Some(end) = self.pending[start..].iter().position(|&byte| byte == b'\n') {
            emit(id_of(&self.pending[start..start + end]));
            start += end + 1;
        }
        self.pending.drain(..start);
    }
}

fn id_of(line: &[u8]) -> u64 {
    let text = std::str::from_utf8(line).expect("results are text");
    let digits = text.split_once("\"id\":").expect("results have an id").1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).expect("a comma or brace follows");
    digits[..end].parse().expect("ids are numbers")
}

/// The floor: bytes from one connection to another, polled on the second CPU.
struct Relay {
    input: SocketAddr,
    output: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Relay {
    fn start() -> Relay {
        let inputs = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let outputs = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
        let (input, output) = (address(&inputs), address(&outputs));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            pin(1);
            let accept = |listener: TcpListener| {
                let (stream, _) = listener.accept().expect("the generator connects");
                stream.set_nonblocking(true).expect("sockets can be polled");
                stream.set_nodelay(true).expect("TCP has this option");
                stream
            };
            let mut to = accept(outputs);
            let mut from = accept(inputs);
            let mut buffer = vec![0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                match from.read(&mut buffer) {
                    Ok(count) => write_all(&mut to, &buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
        Relay { input, output, stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the relay does not panic");
    }
}

/// The built binary, running the same work as SQL on the second CPU.
struct Pelton {
    input: SocketAddr,
    output: SocketAddr,
    process: Child,
    directory: tempfile::TempDir,
}

impl Pelton {
    fn start() -> Pelton {
        let directory = tempfile::tempdir().expect("there is a temporary folder");
        let free = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
            listener.local_addr().expect("it is bound")
        };
        let (input, output) = (free(), free());
        let job = directory.path().join("relay.toml");
        fs::write(&job, job_text(input, output)).expect("the temporary folder can be written");
        let process = Command::new(env!("CARGO_BIN_EXE_pelton"))
            .arg("run")
            .arg(&job)
            .stderr(Stdio::from(fs::File::create(log(directory.path())).expect("as above")))
            .spawn()
            .expect("the binary was built beside this benchmark");
        Pelton { input, output, process, directory }
    }

    fn stop(mut self) {
        self.process.kill().expect("it is still running");
        self.process.wait().expect("it was started here");
        drop(self.directory);
    }
}

fn log(directory: &Path) -> std::path::PathBuf {
    directory.join("stderr")
}

fn job_text(input: SocketAddr, output: SocketAddr) -> String {
    format!(
        r#"
name = "relay"

[reactor]
cores = [1]
spin = "always"

[durability]
mode = "off"

[sources.lines]
connector = "tcp"
listen = "{input}"
format = "json"
schema = "id BIGINT, name STRING, `value` BIGINT"

[sinks.results]
connector = "tcp"
listen = "{output}"
format = "json"
release = "immediate"

[query]
sql = "INSERT INTO results SELECT id, UPPER(name) AS name, `value` * 2 AS doubled FROM lines WHERE `value` > 10"
"#
    )
}

fn connect(address: SocketAddr) -> TcpStream {
    for _ in 0..500 {
        if let Ok(stream) = TcpStream::connect(address) {
            stream.set_nonblocking(true).expect("sockets can be polled");
            stream.set_nodelay(true).expect("TCP has this option");
            return stream;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody listens on {address}");
}

/// On a thread of its own: a process started by a pinned thread would be held to that thread's CPU.
fn on_first_cpu<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let pinned = || {
        pin(0);
        body()
    };
    thread::scope(|scope| scope.spawn(pinned).join()).expect("the generator does not panic")
}

fn pin(cpu: usize) {
    let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    assert!(pinned, "CPU {cpu} is not there: this benchmark needs two");
}

fn option(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    match arguments.nth(1) {
        Some(value) => value.parse().unwrap_or_else(|_| panic!("{name} takes a whole number")),
        None => default,
    }
}
