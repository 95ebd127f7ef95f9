//! A producer: sends rows to a source with `format = "rkyv"` and says how fast they were taken.
//!
//!     cargo run --release --example producer -- 127.0.0.1:9000 --rows 10000000
//!
//! The table is `auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra
//! STRING`, some 200 bytes a row, or with `--narrow` `auction BIGINT, bidder BIGINT, price BIGINT, ts TIMESTAMP(3)`, 32
//! bytes. `--frame-rows` is the number of rows in a frame, `--connections` that of producers, who take turns;
//! `--hold` has them stay for so many seconds before they send.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for the terminal")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use pelton::client::{Producer, ProducerOptions};

struct Arguments {
    address: String,
    rows: i64,
    frame_rows: i64,
    narrow: bool,
    connections: usize,
    hold: Duration,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut given = Arguments {
        address: "127.0.0.1:9000".into(),
        rows: 1_000_000,
        frame_rows: 4_096,
        narrow: false,
        connections: 1,
        hold: Duration::ZERO,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--rows" => given.rows = value()?.parse()?,
            "--frame-rows" => given.frame_rows = value()?.parse()?,
            "--connections" => given.connections = value()?.parse()?,
            "--hold" => given.hold = Duration::from_secs(value()?.parse()?),
            "--narrow" => given.narrow = true,
            address if !address.starts_with("--") => given.address = address.into(),
            other => return Err(format!("{other} is unknown").into()),
        }
    }
    Ok(given)
}

fn rows(first: i64, count: i64, narrow: bool) -> Result<RecordBatch, Box<dyn Error>> {
    let numbers = || first..first + count;
    let of = |number: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers().map(number)))
    };
    let texts = |text: fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(numbers().map(text)))
    };
    let times = numbers().map(|n| 1_600_000_000_000 + n / 100);
    let mut columns = vec![
        ("auction", of(|n| 1_000 + n * 7 % 1_000)),
        ("bidder", of(|n| 2_000 + n * 11 % 5_000)),
        ("price", of(|n| 100 + n * 13 % 10_000)),
        ("ts", Arc::new(TimestampMillisecondArray::from_iter_values(times)) as ArrayRef),
    ];
    if !narrow {
        columns.push(("channel", texts(|n| format!("channel-{}", n % 20))));
        columns.push(("url", texts(|n| format!("https://www.example.com/item?query={n:08}"))));
        columns.push(("extra", texts(|n| format!("{n:080}"))));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let given = arguments()?;
    // Made before: this measures the way, not the making.
    let made: Vec<RecordBatch> = (0..16)
        .map(|part| rows(part * given.frame_rows, given.frame_rows, given.narrow))
        .collect::<Result<_, _>>()?;
    let session = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let connect = |number: usize| {
        let options = ProducerOptions::new(format!("example-{number}"), session);
        Producer::connect(&*given.address, &options, &made[0].schema())
    };
    let mut producers = (0..given.connections).map(connect).collect::<Result<Vec<_>, _>>()?;
    if given.hold > Duration::ZERO {
        println!("{} connections", producers.len());
        std::thread::sleep(given.hold);
    }
    let started = Instant::now();
    let (mut sent, mut turn) = (0, 0);
    while sent < given.rows {
        let place = turn % producers.len();
        producers[place].send(&made[turn % made.len()])?;
        sent += given.frame_rows;
        turn += 1;
    }
    for producer in producers {
        producer.end()?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{sent} rows taken in {seconds:.3} s: {:.0} rows/s", sent as f64 / seconds);
    Ok(())
}
