//! Jobs that are killed, again and again, under subscribers: rows that leave with their checkpoint.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use pelton::client::{ClientError, Delivery, OutputPosition, Subscriber, SubscriberOptions};

use crate::support::{Directory, Running, until};

/// Runs that are killed before one may come to its end.
const KILLS: u64 = 6;

const ROWS: i64 = 150_000;

/// Some 1.5 s of numbers, to a sink with these keys.
fn job(sink: &str) -> Directory {
    Directory::with_job(&format!(
        "name = \"j\"\n[durability]\ncheckpoint_interval = \"10ms\"\n[http]\nlisten = \"off\"\n\
         [sources.made]\nconnector = \"datagen\"\nrows_per_second = 100000\n\
         schema = \"id BIGINT\"\n[sources.made.fields]\n\
         id = {{ kind = \"sequence\", start = 1, end = {ROWS} }}\n\
         [sinks.out]\nconnector = \"tcp\"\n{sink}\n\
         [query]\nsql = \"INSERT INTO out SELECT id FROM made\"\n"
    ))
}

/// Kills the job after some time, unless it may come to its end.
fn kill_soon(running: &Running, kill: u64) {
    if kill >= KILLS {
        return;
    }
    let (pid, after_ms) = (running.pid(), fastrand::u64(50..400));
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(after_ms));
        let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        assert!(killed.is_ok());
    });
}

/// A subscriber, and what it keeps over its own crashes: rows, and the position behind them.
#[derive(Default)]
struct Ledger {
    rows: Vec<i64>,
    position: OutputPosition,
    session: u64,
}

impl Ledger {
    /// Reads until the sink has ended, or the job has gone: false then.
    fn read_all(&mut self, running: &mut Running) -> bool {
        let Some(address) = running.address_unless_ended("sink out") else { return false };
        loop {
            if self.read(address) {
                return true;
            }
            if !running.is_running() {
                return false;
            }
        }
    }

    /// One connection; true when the sink has ended.
    fn read(&mut self, address: SocketAddr) -> bool {
        self.session += 1;
        let options = SubscriberOptions {
            name: "ledger".into(),
            session: self.session,
            after: self.position.clone(),
        };
        let ended = self.take(Subscriber::resume(address, options));
        match ended {
            Ok(()) => true,
            Err(ClientError::Io(_) | ClientError::Closed) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn take(&mut self, connected: Result<Subscriber, ClientError>) -> Result<(), ClientError> {
        let (mut subscriber, mut pending) = (connected?, Vec::new());
        while let Some(delivery) = subscriber.next_delivery()? {
            match delivery {
                Delivery::Rows(rows) => {
                    pending.extend(rows.column(0).as_primitive::<Int64Type>().values());
                }
                Delivery::EndOfEpoch(_) => {
                    self.rows.append(&mut pending);
                    self.position = subscriber.position();
                    // Now and then it goes before it can say so.
                    if fastrand::u8(..) < 2 {
                        return Err(ClientError::Closed);
                    }
                    if fastrand::bool() {
                        subscriber.acknowledge()?;
                    }
                }
                Delivery::Gap { rows } => panic!("{rows} rows are missing"),
            }
        }
        assert!(pending.is_empty(), "the end comes behind that of the last epoch");
        subscriber.acknowledge()
    }
}

#[test]
fn a_subscriber_keeps_every_row_once_over_kills() {
    let sink = "listen = \"127.0.0.1:0\"\nformat = \"rkyv\"\nwait_for = [\"ledger\"]\n";
    let (directory, mut ledger, mut kill) = (job(sink), Ledger::default(), 0);
    loop {
        let cores = (1 + kill % 3).to_string();
        let arguments = ["run", "job.toml", "--cores", &cores, "--report", "report.json"];
        let mut running = directory.start(&arguments);
        kill_soon(&running, kill);
        let has_ended = ledger.read_all(&mut running);
        let outcome = running.wait();
        if has_ended {
            outcome.expect_code(0);
            break;
        }
        assert_eq!(outcome.code, None, "{}", outcome.stderr);
        kill += 1;
    }
    let expected: BTreeSet<i64> = (1..=ROWS).collect();
    let found: BTreeSet<i64> = ledger.rows.iter().copied().collect();
    assert_eq!((ledger.rows.len(), found == expected), (expected.len(), true));
    let report = directory.report();
    let count = |what: &str| report.count(&format!("sinks/out/{what}"));
    assert_eq!(count("rows_in"), count("rows_out") + count("rows_discarded"));
    directory.pelton(&["run", "job.toml"]).expect_message("nothing to do");
}

#[test]
fn lines_come_at_least_once_over_kills() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let directory = job(&format!("connect = \"{address}\"\nformat = \"json\"\n"));
    listener.set_nonblocking(true).expect("a socket can be told not to wait");
    let (mut found, mut kill) = (BTreeSet::new(), 0);
    loop {
        let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
        kill_soon(&running, kill);
        // It may be killed before it has connected.
        let accepted = until("a connection, or the end", || match listener.accept() {
            Ok((stream, _)) => Some(Some(stream)),
            Err(_) => (!running.is_running()).then_some(None),
        });
        if let Some(stream) = accepted {
            stream.set_nonblocking(false).expect("a socket can be told to wait");
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                // The last one may be cut.
                let text = String::from_utf8_lossy(&line);
                let number = text.strip_prefix("{\"id\":").and_then(|rest| rest.strip_suffix('}'));
                found.extend(number.and_then(|number| number.parse::<i64>().ok()));
            }
        }
        if running.wait().code == Some(0) {
            break;
        }
        kill += 1;
    }
    assert!(found.into_iter().eq(1..=ROWS), "rows are missing");
}

#[test]
fn a_stop_keeps_what_nobody_came_for() {
    let sink = "listen = \"127.0.0.1:0\"\nformat = \"rkyv\"\nwait_for = [\"ledger\"]\n";
    let directory = job(sink);
    let mut running = directory.start(&["run", "job.toml", "--report", "report.json"]);
    running.expect_message("listening on");
    thread::sleep(Duration::from_millis(300));
    running.stop().expect_code(0);
    let kept = directory.report().count("sinks/out/rows_kept");
    assert!(kept > 0);
    let mut again = directory.start(&["run", "job.toml"]);
    let mut ledger = Ledger::default();
    assert!(ledger.read_all(&mut again));
    again.wait().expect_code(0);
    ledger.rows.sort_unstable();
    assert!(ledger.rows.into_iter().eq(1..=ROWS));
}
