//! A producer: sends rows to a source with `format = "rkyv"` and says how fast they were taken.
//!
//!     cargo run --release --example producer -- 127.0.0.1:9000 10000000
//!
//! The table is `auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra
//! STRING`, about 200 bytes a row; a third argument is the number of rows in a frame.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for the terminal")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use pelton::client::{Producer, ProducerOptions};

fn rows(first: i64, count: i64) -> Result<RecordBatch, Box<dyn Error>> {
    let numbers = || first..first + count;
    let of = |number: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers().map(number)))
    };
    let texts = |text: fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(numbers().map(text)))
    };
    let times = numbers().map(|n| 1_600_000_000_000 + n / 100);
    Ok(RecordBatch::try_from_iter([
        ("auction", of(|n| 1_000 + n * 7 % 1_000)),
        ("bidder", of(|n| 2_000 + n * 11 % 5_000)),
        ("price", of(|n| 100 + n * 13 % 10_000)),
        ("channel", texts(|n| format!("channel-{}", n % 20))),
        ("url", texts(|n| format!("https://www.example.com/item.htm?query={:08}", n % 1_000_000))),
        ("ts", Arc::new(TimestampMillisecondArray::from_iter_values(times)) as ArrayRef),
        ("extra", texts(|n| format!("{:080}", n))),
    ])?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9000".into());
    let wanted: i64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let frame_rows: i64 = arguments.next().map_or(Ok(4_096), |text| text.parse())?;
    // Made before: this measures the way, not the making.
    let made: Vec<RecordBatch> =
        (0..16).map(|part| rows(part * frame_rows, frame_rows)).collect::<Result<_, _>>()?;
    let session = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let options = ProducerOptions { name: "example".into(), session };
    let mut producer = Producer::connect(&*address, &options, &made[0].schema())?;
    let started = Instant::now();
    let (mut sent, mut next) = (0, made.iter().cycle());
    while sent < wanted
        && let Some(part) = next.next()
    {
        producer.send(part)?;
        sent += frame_rows;
    }
    producer.end()?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{sent} rows taken in {seconds:.3} s: {:.0} rows/s", sent as f64 / seconds);
    Ok(())
}
