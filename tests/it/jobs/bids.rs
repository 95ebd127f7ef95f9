//! Random bids in files, and what windows over them must give: every window tried for every row.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::support::Directory;

/// Behind the highest time seen, in ms: the jobs say `ts - INTERVAL '2' SECOND`.
const DELAY_MS: i64 = 2_000;

/// The first rows' time, in ms of the day.
const START_MS: i64 = 3_600_000;

/// Columns and watermark of every source of bids.
pub(super) const SCHEMA: &str =
    "k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND";

/// The files of one source, read in this order.
pub(super) struct Bids {
    source: &'static str,
    files: Vec<Vec<Record>>,
}

/// One line of a file.
#[derive(Clone)]
struct Record {
    line: String,
    meaning: Result<Bid, &'static str>,
}

#[derive(Clone)]
struct Bid {
    key: Option<&'static str>,
    value: Option<i64>,
    time_ms: i64,
}

/// What a window holds: the values of its rows.
pub(super) type Pane = Vec<Option<i64>>;

/// What must come of bids.
#[derive(Default)]
pub(super) struct Model {
    /// By the window's end in ms and the key.
    pub(super) windows: BTreeMap<(i64, Option<&'static str>), Pane>,
    /// Lines of the sinks for late and rejected records.
    pub(super) late: Vec<String>,
    pub(super) rejected: Vec<String>,
}

impl Bids {
    /// Times that mostly ascend, with jumps back up to far behind the watermark; duplicates, NULL
    /// keys, values and times, and lines that are no bids.
    pub(super) fn random(source: &'static str, seed: u64) -> Bids {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut time_ms = START_MS;
        let files = (0..3)
            .map(|_| {
                let mut records: Vec<Record> = Vec::new();
                for _ in 0..700 {
                    time_ms += random.i64(0..150);
                    let record = match random.u8(0..40) {
                        0 => records
                            .last()
                            .cloned()
                            .unwrap_or_else(|| random_bid(&mut random, time_ms)),
                        1 => Record::rejected(
                            "no bid",
                            "not a JSON object: an object is missing at byte 0",
                        ),
                        2 => Record::rejected(
                            r#"{"k":"a","v":"x","ts":"2020-01-01 00:00:00"}"#,
                            r#"column "v": "x" is not a BIGINT"#,
                        ),
                        3 => Record::rejected(r#"{"k":"a","v":1}"#, r#"rowtime "ts" is NULL"#),
                        4..10 => {
                            let back_ms = random.i64(0..15_000);
                            random_bid(&mut random, time_ms - back_ms)
                        }
                        _ => random_bid(&mut random, time_ms),
                    };
                    records.push(record);
                }
                records
            })
            .collect();
        Bids { source, files }
    }

    /// Writes the files into the directory of the source's name.
    pub(super) fn write(&self, directory: &Directory) {
        for (number, records) in self.files.iter().enumerate() {
            let text: String = records.iter().map(|record| record.line.clone() + "\n").collect();
            directory.write(&format!("{}/{number}.json", self.source), &text);
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.files.iter().map(|records| records.len() as u64).sum()
    }

    /// Adds what windows of `size_ms`, one every `slide_ms`, must make of these bids.
    pub(super) fn add_to(&self, model: &mut Model, slide_ms: i64, size_ms: i64) {
        let mut watermark_ms = i64::MIN;
        for (number, records) in self.files.iter().enumerate() {
            let mut offset = 0;
            for record in records {
                let place = Place { source: self.source, number, offset, line: &record.line };
                offset += record.line.len() + 1;
                let bid = match &record.meaning {
                    Ok(bid) => bid,
                    Err(reason) => {
                        model.rejected.push(place.line_because(reason));
                        continue;
                    }
                };
                let last = bid.time_ms - bid.time_ms.rem_euclid(slide_ms) + size_ms;
                for end in (0..size_ms / slide_ms).map(|before| last - before * slide_ms) {
                    if end - 1 > watermark_ms {
                        model.windows.entry((end, bid.key)).or_default().push(bid.value);
                    }
                }
                if last - 1 <= watermark_ms {
                    let (start, end) = (instant(last - size_ms), instant(last));
                    let watermark = instant(watermark_ms);
                    let why =
                        format!("window [{start}, {end}) was complete at watermark {watermark}");
                    model.late.push(place.line_because(&why));
                }
                watermark_ms = watermark_ms.max(bid.time_ms - DELAY_MS);
            }
        }
    }
}

impl Record {
    fn rejected(line: &str, reason: &'static str) -> Record {
        Record { line: line.to_owned(), meaning: Err(reason) }
    }
}

fn random_bid(random: &mut fastrand::Rng, time_ms: i64) -> Record {
    let key = [None, Some(""), Some("a"), Some("b"), Some("é")][random.usize(0..5)];
    let value = (random.u8(0..5) > 0).then(|| random.i64(-9..10));
    let mut line = String::from("{");
    // A NULL is written, or its field is left out.
    if let Some(key) = key {
        write!(line, "\"k\":\"{key}\",").expect("writing to memory cannot fail");
    }
    let value_text = value.map_or("null".into(), |value| value.to_string());
    write!(line, "\"v\":{value_text},\"ts\":\"{}\"}}", instant(time_ms))
        .expect("writing to memory cannot fail");
    Record { line, meaning: Ok(Bid { key, value, time_ms }) }
}

/// Where a record stands.
struct Place<'a> {
    source: &'a str,
    number: usize,
    offset: usize,
    line: &'a str,
}

impl Place<'_> {
    /// The record's line in a sink of late or rejected records.
    fn line_because(&self, reason: &str) -> String {
        let Place { source, number, offset, line } = self;
        let quoted = |text: &str| serde_json::to_string(text).expect("texts can be quoted");
        format!(
            "{{\"source\":\"{source}:{number}.json\",\"offset\":{offset},\"reason\":{},\"record\":{}}}",
            quoted(reason),
            quoted(line)
        )
    }
}

/// A time of the day with all its digits.
fn instant(ms: i64) -> String {
    format!("{}.{:03}", second(ms), ms.rem_euclid(1_000))
}

/// A whole second of the day, as JSON shows it.
pub(super) fn second(ms: i64) -> String {
    let seconds = ms.div_euclid(1_000);
    let (hours, minutes) = (seconds.div_euclid(3_600), seconds.div_euclid(60).rem_euclid(60));
    assert!((0..24).contains(&hours), "{ms} ms is another day");
    format!("2020-01-01 {hours:02}:{minutes:02}:{:02}", seconds.rem_euclid(60))
}

/// A key as JSON shows it.
pub(super) fn key_text(key: Option<&str>) -> String {
    key.map_or("null".into(), |key| format!("\"{key}\""))
}
