//! Frames with durability: producers are told what a checkpoint has, and send the rest again.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use pelton::client::{Producer, ProducerOptions};

use super::json_sink;
use crate::support::{Directory, Running, expect_same, sorted, until};

/// Groups of the query.
const KEYS: i64 = 7;

/// Shows every number, and counts them in one window, which is complete when the source is at its end.
const SQL: &str = "INSERT INTO copy SELECT n FROM numbers; \
                   INSERT INTO out SELECT k, COUNT(*) AS c, SUM(n) AS s, COUNT(DISTINCT n) AS d \
                   FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), INTERVAL '1' DAY)) \
                   GROUP BY k, window_start, window_end";

/// Rows with these numbers, all on one day.
fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let column = |of: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers.clone().map(of)))
    };
    let times = numbers.clone().map(|n| 1_600_000_000_000 + n % 1_000);
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(times));
    let columns = [("k", column(|n| n % KEYS)), ("n", column(|n| n)), ("ts", times)];
    RecordBatch::try_from_iter(columns).expect("the columns are of one length")
}

/// What the job has written of so many numbers, from 0 on, is right.
#[track_caller]
fn check(directory: &Directory, count: i64, what: &str) {
    expect_same(&directory.rows("out"), &counted(count), what);
    let all = (0..count).map(|n| format!("{{\"n\":{n}}}")).collect();
    expect_same(&directory.rows("copy"), &sorted(all), what);
}

/// What the window makes of them.
fn counted(count: i64) -> Vec<String> {
    let line = |key: i64| {
        let numbers: Vec<i64> = (0..count).filter(|n| n % KEYS == key).collect();
        let (rows, sum) = (numbers.len(), numbers.iter().sum::<i64>());
        format!("{{\"k\":{key},\"c\":{rows},\"s\":{sum},\"d\":{rows}}}")
    };
    sorted((0..KEYS).map(line).collect())
}

/// A job with a checkpoint every so often, whose source listens at `address`.
fn durable_job(address: SocketAddr, interval: &str) -> Directory {
    let text = format!(
        "name = \"j\"\n[durability]\ncheckpoint_interval = \"{interval}\"\n\
         [sources.numbers]\nconnector = \"tcp\"\nlisten = \"{address}\"\nformat = \"rkyv\"\n\
         schema = \"k BIGINT, n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n\
         {}{}part_age = \"100ms\"\n[query]\nsql = '''\n{SQL}\n'''\n",
        json_sink("out"),
        json_sink("copy")
    );
    Directory::with_job(&text)
}

/// An address that nobody uses now, for a job that comes back to it.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    listener.local_addr().expect("it is bound")
}

fn start(directory: &Directory, cores: &str) -> Running {
    directory.start(&["run", "job.toml", "--cores", cores, "--report", "report.json"])
}

fn producer(address: SocketAddr, name: &str) -> Producer {
    let options = ProducerOptions::new(name, 1);
    Producer::connect(address, &options, &rows(0..0).schema()).expect("the job listens")
}

/// Nothing else comes, and still they are told.
#[test]
fn frames_of_an_idle_job_are_acknowledged() {
    let directory = durable_job("127.0.0.1:0".parse().expect("it is one"), "50ms");
    let mut running = start(&directory, "2");
    let address = running.address("source numbers");
    let mut first = producer(address, "a");
    for part in 0..3 {
        let sequence = first.send(&rows(part * 100..part * 100 + 100)).expect("the job reads");
        assert!(first.taken() < sequence, "not before a checkpoint has it");
        first.wait().expect("the job reads");
        assert_eq!((first.taken(), first.kept_bytes()), (sequence, 0));
    }
    // One that never sent anything has an end, too.
    let second = producer(address, "b");
    second.end().expect("the job reads");
    first.end().expect("the job reads");
    running.wait().expect_code(0);
    check(&directory, 300, "an idle job");
}

#[test]
fn a_stop_says_goodbye_when_a_checkpoint_has_everything() {
    let address = free_address();
    let directory = durable_job(address, "50ms");
    let mut running = start(&directory, "2");
    running.expect_message("source numbers: listening");
    let mut patient = producer(address, "a");
    patient.send(&rows(0..100)).expect("the job reads");
    running.stop().expect_code(0);
    let before = directory.report().count("sources/numbers/records_in");
    // The next one knows what the first had.
    running = start(&directory, "1");
    running.expect_message("going on from epoch");
    patient.send(&rows(100..200)).expect("it is back");
    patient.end().expect("it is back");
    running.wait().expect_code(0);
    check(&directory, 200, "a stop");
    let after = directory.report().count("sources/numbers/records_in");
    assert_eq!(before + after, 200, "what the first one read, the second one did not");
}

/// Killed again and again, on other numbers of cores: each row is in the state once, and in files.
#[test]
fn each_row_comes_once_whatever_happens_to_the_job() {
    const PRODUCERS: i64 = 3;
    const FRAMES: i64 = 200;
    const FRAME_ROWS: i64 = 50;
    // Frames acknowledged between two kills, at least.
    const PROGRESS: u64 = 60;
    let address = free_address();
    let directory = durable_job(address, "20ms");
    let mut running = start(&directory, "2");
    running.expect_message("source numbers: listening");
    let acknowledged = Arc::new(AtomicU64::new(0));
    let body = |number: i64| {
        let acknowledged = Arc::clone(&acknowledged);
        move || {
            let (mut producer, mut known) = (producer(address, &format!("producer {number}")), 0);
            for frame in 0..FRAMES {
                let first = (number * FRAMES + frame) * FRAME_ROWS;
                producer.send(&rows(first..first + FRAME_ROWS)).expect("the job comes back");
                let taken = producer.taken();
                acknowledged.fetch_add(taken - known, Ordering::Relaxed);
                known = taken;
                std::thread::sleep(Duration::from_millis(5));
            }
            producer.end().expect("the job comes back");
        }
    };
    let producers: Vec<_> = (0..PRODUCERS).map(|number| std::thread::spawn(body(number))).collect();
    let has_finished = || producers.iter().any(|producer| producer.is_finished());
    let mut kills = 0;
    loop {
        let aim = acknowledged.load(Ordering::Relaxed) + PROGRESS;
        until("acknowledgements, or an end", || {
            (has_finished() || acknowledged.load(Ordering::Relaxed) >= aim).then_some(())
        });
        std::thread::sleep(Duration::from_millis(kills % 3 * 10));
        if has_finished() {
            break;
        }
        drop(running);
        kills += 1;
        running = start(&directory, ["1", "2", "3"][usize::try_from(kills % 3).expect("small")]);
        running.expect_message("going on from epoch");
    }
    for producer in producers {
        producer.join().expect("it was served to its end");
    }
    running.wait().expect_code(0);
    assert!(kills >= 3, "{kills} kills");
    check(&directory, PRODUCERS * FRAMES * FRAME_ROWS, "kills");
}
