//! Subscribers that do not read: cut off, or waited for, as the job says.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::job;
use super::sockets::NUMBERS;
use crate::support::{Directory, LineReader, Running, closed_by_peer, connect, until_subscribed};

/// Far more than the job and the kernel keep for a subscriber that does not read.
const LINES_MAX: u64 = 400_000;

/// A row's text: 1 KB, so that buffers are full soon.
const WORD_BYTES: usize = 1_000;

/// How long a write must not have got on for it to be called stuck. Never asserted: a machine that
/// is slow makes the test less strict.
const STUCK: Duration = Duration::from_secs(1);

fn start(slow_subscriber: &str) -> (Directory, Running) {
    let sink = format!(
        "[sinks.out]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
         slow_subscriber = \"{slow_subscriber}\"\n"
    );
    let sql = "INSERT INTO out SELECT n, word FROM numbers";
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{sink}"), sql));
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let running = directory.start(&arguments);
    (directory, running)
}

/// Counts `0,www…` and up, to the end; returns how many lines came.
fn count_in_order(mut subscriber: LineReader) -> u64 {
    let mut expected = 0;
    while let Some(line) = subscriber.next() {
        let (number, _) = line.split_once(',').expect("two columns");
        // What was sent until all had subscribed is not counted.
        if number != "-1" {
            assert_eq!(number, expected.to_string());
            expected += 1;
        }
    }
    expected
}

fn line(number: u64) -> String {
    format!("{number},{}\n", "w".repeat(WORD_BYTES))
}

#[test]
fn a_slow_subscriber_is_cut_and_the_others_get_everything() {
    let (directory, mut running) = start("disconnect");
    let (source, sink) = running.addresses();
    let mut producer = connect(source);
    let mut slow = connect(sink);
    let mut quick = [LineReader::new(connect(sink))];
    until_subscribed(&mut producer, "-1,w\n", &mut quick);
    let [mut quick] = quick;
    let cut = format!("{} missed", slow.local_addr().expect("it is connected"));
    let mut sent = 0;
    while !running.has_said(&cut) {
        assert!(sent < LINES_MAX, "nobody cuts the slow subscriber");
        let text: String = (sent..sent + 100).map(line).collect();
        producer.write_all(text.as_bytes()).expect("the job reads");
        sent += 100;
        // So that the quick one is quick on any machine, it is never more than this behind.
        for number in sent - 100..sent {
            let rows = std::iter::from_fn(|| quick.next());
            let row = rows.skip_while(|row| row.starts_with("-1,")).take(1).collect::<String>();
            assert_eq!(row, line(number).trim_end());
        }
    }
    running.expect_message("it was too slow");
    closed_by_peer(&mut slow);
    producer.write_all(line(sent).as_bytes()).expect("the job goes on");
    drop(producer);
    assert_eq!(quick.rest(), [line(sent).trim_end()]);
    running.wait().expect_code(0);
    assert_eq!(directory.report().text("outcome"), "finished");
}

#[test]
fn a_job_waits_for_a_slow_subscriber() {
    let (directory, mut running) = start("backpressure");
    let (source, sink) = running.addresses();
    let mut producer = connect(source);
    let mut slow = [LineReader::new(connect(sink))];
    until_subscribed(&mut producer, "-1,w\n", &mut slow);
    producer.set_write_timeout(Some(STUCK)).expect("the time is not zero");
    let (mut sent, mut rest) = (0, Vec::new());
    while rest.is_empty() {
        assert!(sent < LINES_MAX, "nothing holds the producer back");
        rest = write_until_stuck(&mut producer, line(sent).into_bytes());
        sent += 1;
    }
    // All the way back from the subscriber; as it reads, everything moves on.
    let [slow] = slow;
    let reader = std::thread::spawn(move || count_in_order(slow));
    producer.set_write_timeout(None).expect("no time is a time");
    producer.write_all(&rest).expect("the job reads");
    producer.write_all(line(sent).as_bytes()).expect("the job reads");
    drop(producer);
    assert_eq!(reader.join().expect("the lines are in order"), sent + 1);
    running.wait().expect_code(0);
    assert_eq!(directory.report().count("sources/numbers/rejected"), 0);
}

/// Writes what it can; returns what is left when nobody takes it.
fn write_until_stuck(producer: &mut TcpStream, mut bytes: Vec<u8>) -> Vec<u8> {
    while !bytes.is_empty() {
        match producer.write(&bytes) {
            Ok(written) => drop(bytes.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return bytes,
            Err(error) => panic!("the job closed the connection: {error}"),
        }
    }
    bytes
}

#[test]
fn subscribers_beyond_the_limit_are_refused() {
    let sink = "[sinks.out]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                connections_max = 1\n";
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{sink}"), sql));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let (from, to) = running.addresses();
    let mut producer = connect(from);
    let mut first = [LineReader::new(connect(to))];
    until_subscribed(&mut producer, "-1,w\n", &mut first);
    closed_by_peer(&mut connect(to));
    running.expect_message("1 subscribers already");
    producer.write_all(b"7,w\n").expect("the job reads");
    drop(producer);
    let [mut first] = first;
    assert_eq!(first.rest().last().map(String::as_str), Some("7"));
    running.wait().expect_code(0);
}
