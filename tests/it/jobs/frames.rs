//! Frames: producers and subscribers of the library, one written by hand, files, and job to job.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use pelton::client::{ClientError, Delivery, Producer, ProducerOptions, Subscriber};

use super::{job, json_sink};
use crate::support::{Directory, Running, expect_same, sorted};

const NUMBERS: &str = "\
[sources.numbers]
connector = \"tcp\"
listen = \"127.0.0.1:0\"
format = \"rkyv\"
schema = \"n BIGINT NOT NULL, word STRING\"
";

const SUBSCRIBED: &str = "\
[sinks.out]
connector = \"tcp\"
listen = \"127.0.0.1:0\"
format = \"rkyv\"
";

/// Rows with these numbers; words follow from them.
fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let words: StringArray =
        numbers.clone().map(|n| (n % 3 > 0).then(|| format!("word {n}"))).collect();
    let fields =
        vec![Field::new("n", DataType::Int64, false), Field::new("word", DataType::Utf8, true)];
    let columns: Vec<Arc<dyn Array>> =
        vec![Arc::new(Int64Array::from_iter_values(numbers)), Arc::new(words)];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the columns fit")
}

fn json(n: i64) -> String {
    match n % 3 > 0 {
        true => format!("{{\"n\":{n},\"word\":\"word {n}\"}}"),
        false => format!("{{\"n\":{n},\"word\":null}}"),
    }
}

fn producer(name: &str) -> ProducerOptions {
    ProducerOptions { reconnect_for: Duration::ZERO, ..ProducerOptions::new(name, 1) }
}

fn start(directory: &Directory, cores: &str) -> Running {
    directory.start(&["run", "job.toml", "--cores", cores, "--report", "report.json"])
}

/// Rows up to the sink's end, which comes behind that of the last epoch.
fn read_all(subscriber: &mut Subscriber) -> Vec<(i64, Option<String>)> {
    let (mut found, mut ended) = (Vec::new(), 0);
    while let Some(delivery) = subscriber.next_delivery().expect("the sink keeps to the protocol") {
        match delivery {
            Delivery::Rows(rows) => {
                let numbers = rows.column(0).as_primitive::<Int64Type>().values().iter().copied();
                let words = rows.column(1).as_string::<i32>().iter();
                found.extend(numbers.zip(words.map(|word| word.map(str::to_owned))));
            }
            Delivery::EndOfEpoch(epoch) => {
                assert!(ended < epoch, "epoch {epoch} ends behind {ended}");
                ended = epoch;
            }
            Delivery::Gap { rows } => panic!("{rows} rows are missing"),
        }
    }
    assert_eq!(subscriber.position().lanes[0].frame.epoch, ended);
    found
}

/// Three producers, of which one comes twice; two subscribers, who both get everything.
#[test]
fn rows_of_producers_reach_subscribers() {
    let sql = "INSERT INTO out SELECT n * 2 AS n, UPPER(word) AS word FROM numbers WHERE n >= 0";
    for cores in ["1", "3"] {
        let directory = Directory::with_job(&job(&format!("{NUMBERS}{SUBSCRIBED}"), sql));
        let mut running = start(&directory, cores);
        let (source, sink) = running.addresses();
        let mut subscribers =
            ["a", "b"].map(|name| Subscriber::connect(sink, name).expect("the job listens"));
        assert_eq!(subscribers[0].schema().field(1).name(), "word");
        let schema = rows(0..0).schema();
        let mut producers = ["x", "y", "z"].map(|name| {
            Producer::connect(source, &producer(name), &schema).expect("the job listens")
        });
        for round in 0..20 {
            for (index, producer) in (0..).zip(&mut producers) {
                let first = index * 10_000 + round * 100;
                producer.send(&rows(first..first + 100)).expect("the job reads");
            }
        }
        let [mut x, y, z] = producers;
        x.wait().expect("the job reads");
        drop(x);
        let mut again = Producer::connect(source, &producer("x"), &schema).expect("it comes again");
        assert_eq!(again.taken(), 20);
        again.send(&rows(-5..1)).expect("the job reads");
        for producer in [again, y, z] {
            producer.end().expect("the job reads");
        }
        let mut expected: Vec<(i64, Option<String>)> = Vec::new();
        for index in 0..3 {
            let numbers = index * 10_000..index * 10_000 + 2_000;
            let word = |n: i64| (n % 3 > 0).then(|| format!("WORD {n}"));
            expected.extend(numbers.map(|n| (n * 2, word(n))));
        }
        expected.push((0, None));
        expected.sort();
        for subscriber in &mut subscribers {
            let mut found = read_all(subscriber);
            found.sort();
            assert!(found == expected, "{cores} cores: {} of {}", found.len(), expected.len());
        }
        running.wait().expect_code(0);
        let report = directory.report();
        assert_eq!(report.count("sources/numbers/records_in"), 6_006);
        assert_eq!(report.count("sources/numbers/frames_in"), 61);
        assert_eq!(report.count("sinks/out/rows_out"), 6_001);
    }
}

/// The producer of `bench/clients`, written from the page of the protocol alone.
#[test]
fn a_producer_written_by_hand_is_understood() {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        return;
    }
    let tables = format!(
        "[sources.made]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"rkyv\"\n\
         schema = \"id BIGINT, price DOUBLE, word STRING, ts TIMESTAMP(3), extra INT\"\n{}",
        json_sink("out")
    );
    let sql = "INSERT INTO out SELECT id, price, word, ts, extra FROM made WHERE id >= 2990";
    let directory = Directory::with_job(&job(&tables, sql));
    let mut running = start(&directory, "2");
    let address = running.address("source made").to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/clients/producer.py");
    let output = Command::new("python3").args([script, &address, "--rows", "3000"]).output();
    let output = output.expect("it was there just now");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"3000 rows taken\n");
    running.wait().expect_code(0);
    let row = |id: i64| {
        let price = match id % 5 {
            4 => "null".to_owned(),
            _ => format!("{:?}", f64::from(i32::try_from(id).expect("a small number")) / 4.0),
        };
        let word = match id % 3 {
            2 => "null".to_owned(),
            _ => format!("\"word-{}é\"", id % 7),
        };
        let ts = format!("2020-09-13 12:26:42.{:03}", id % 1000);
        let ts = ts.trim_end_matches('0');
        format!("{{\"id\":{id},\"price\":{price},\"word\":{word},\"ts\":\"{ts}\",\"extra\":null}}")
    };
    expect_same(&directory.rows("out"), &sorted((2990..3000).map(row).collect()), "by hand");
    assert_eq!(directory.report().count("sources/made/records_in"), 3_000);
}

#[test]
fn a_producer_is_told_why_it_is_refused() {
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{}", json_sink("out")), sql));
    let mut running = start(&directory, "2");
    let source = running.address("source numbers");
    let wrong = Arc::new(Schema::new(vec![Field::new("n", DataType::Utf8, true)]));
    let refused = Producer::connect(source, &producer("x"), &wrong).expect_err("another type");
    let expected = "error 9: column \"n\" is STRING in hello and BIGINT in the table";
    assert_eq!(refused.to_string(), expected);
    running.expect_message("producer \"x\": column \"n\" is STRING in hello");
    let stranger = Subscriber::connect(source, "lost").expect_err("it is a source");
    assert!(matches!(stranger, ClientError::Refused(_)), "{stranger}");
    // A stop says so, too.
    let schema = rows(0..0).schema();
    let mut stopped = Producer::connect(source, &producer("y"), &schema).expect("it listens");
    stopped.send(&rows(0..10)).expect("it reads");
    stopped.wait().expect("it reads");
    running.stop().expect_code(0);
    let error = stopped.wait().and_then(|()| stopped.send(&rows(0..1)).map(drop));
    let error = error.and_then(|()| stopped.wait()).expect_err("nobody reads any more");
    assert_eq!(error.to_string(), "error 15: the job reads no more");
    assert_eq!(directory.lines("out").len(), 10);
}

/// Written by one job as frames, read by another on any number of cores.
#[test]
fn files_of_frames_are_read_as_they_were_written() {
    let made = "[sources.made]\nconnector = \"datagen\"\nrows = 20000\n\
                schema = \"n BIGINT, word STRING\"\n";
    let frames = "[sinks.frames]\nconnector = \"file\"\npath = \"frames\"\nformat = \"rkyv\"\n\
                  part_bytes = \"200KiB\"\n";
    let tables = format!("{made}{frames}{}", json_sink("direct"));
    let sql =
        "INSERT INTO frames SELECT n, word FROM made; INSERT INTO direct SELECT n, word FROM made";
    let directory = Directory::with_job(&job(&tables, sql));
    directory.pelton(&["run", "job.toml", "--cores", "2"]).expect_code(0);
    let parts = directory.parts("frames");
    assert!(parts.len() >= 2, "{parts:?}");
    assert!(parts.iter().all(|part| part.extension().is_some_and(|name| name == "frames")));
    let expected = directory.rows("direct");
    assert_eq!(expected.len(), 20_000);
    for cores in ["1", "3"] {
        let reading = format!(
            "[sources.read]\nconnector = \"file\"\npath = \"frames/*.frames\"\nformat = \"rkyv\"\n\
             schema = \"word STRING, n BIGINT\"\n{}",
            json_sink(&format!("out{cores}"))
        );
        let copy = format!("INSERT INTO out{cores} SELECT n, word FROM `read`");
        directory.write("job.toml", &job(&reading, &copy));
        let arguments = ["run", "job.toml", "--fresh", "--cores", cores, "--report", "report.json"];
        directory.pelton(&arguments).expect_code(0);
        expect_same(&directory.rows(&format!("out{cores}")), &expected, cores);
        assert_eq!(directory.report().count("sources/read/bytes_copied"), 0);
    }
    // Cut in the middle, it is refused before anything is read.
    let bytes = std::fs::read(&parts[0]).expect("it is there");
    std::fs::write(&parts[0], &bytes[..bytes.len() - 64]).expect("it can be written");
    let outcome = directory.pelton(&["run", "job.toml", "--fresh"]);
    outcome.expect_code(5);
    assert!(outcome.stderr.contains("cut: at least 64 bytes are missing"), "{}", outcome.stderr);
}

/// A sink that connects is a producer: what a job that has ended has not taken, the next one gets.
#[test]
fn a_job_feeds_another() {
    let second = job(
        &format!("{NUMBERS}{}", json_sink("out")),
        "INSERT INTO out SELECT n, word FROM numbers",
    );
    let behind = Directory::with_job(&second);
    let mut reading = start(&behind, "2");
    let address = reading.address("source numbers");
    let sink =
        format!("[sinks.next]\nconnector = \"tcp\"\nconnect = \"{address}\"\nformat = \"rkyv\"\n");
    let first = job(&format!("{NUMBERS}{sink}"), "INSERT INTO next SELECT n, word FROM numbers");
    let before = Directory::with_job(&first);
    let mut writing = start(&before, "2");
    let source = writing.address("source numbers");
    let mut made =
        Producer::connect(source, &producer("x"), &rows(0..0).schema()).expect("it listens");
    for round in 0..50 {
        made.send(&rows(round * 100..round * 100 + 100)).expect("it reads");
    }
    made.end().expect("it reads");
    writing.wait().expect_code(0);
    reading.wait().expect_code(0);
    let expected: Vec<String> = (0..5_000).map(json).collect();
    expect_same(&behind.rows("out"), &sorted(expected), "two jobs");
    assert_eq!(before.report().count("sinks/next/rows_out"), 5_000);
}
