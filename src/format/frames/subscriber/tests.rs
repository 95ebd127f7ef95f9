//! What a subscriber makes of what a sink says.

use super::*;
use crate::format::frames::encode::write_frame;
use crate::format::frames::{write_empty, write_end_of_epoch, write_gap};
use crate::limits::{FRAME_BUFFER_BYTES, FRAME_BUFFERS_MAX, FRAME_LARGE_BYTES_MAX};
use crate::record::{FrameWriter, PoolLimits};
use arrow::array::Int64Array;

const POOL_LIMITS: PoolLimits = PoolLimits {
    buffer_bytes: FRAME_BUFFER_BYTES,
    small_buffers_max: FRAME_BUFFERS_MAX,
    large_bytes_max: FRAME_LARGE_BYTES_MAX,
};

/// `L:E.S`: frame S of epoch E in lane L; lane 0 if none is named.
fn position(text: &str) -> LanePosition {
    let (lane, numbers) = text.split_once(':').unwrap_or(("0", text));
    let (epoch, sequence) = numbers.split_once('.').unwrap();
    let number = |digits: &str| digits.parse().unwrap();
    let frame = FramePosition { epoch: number(epoch), sequence: number(sequence) };
    LanePosition { lane: lane.parse().unwrap(), frame }
}

fn rows(count: u64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(0..i64::try_from(count).unwrap());
    RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap()
}

/// What a sink says: `output` (its hello), `data P` (with as many rows as its number), `end P` (of an
/// epoch), `gap P ROWS`, `end`.
fn say(script: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for message in script.split(", ") {
        let words: Vec<&str> = message.split(' ').collect();
        match words[..] {
            ["output", output] => FrameHello {
                role: FrameRole::Sink,
                name: "k".into(),
                session: output.parse().unwrap(),
                heartbeat_ms: 0,
                schema: rows(0).schema(),
            }
            .write(&mut out),
            ["data", at] => {
                let LanePosition { lane, frame: FramePosition { epoch, sequence } } = position(at);
                let header = FrameHeader::new(FrameKind::Data);
                let header = FrameHeader { lane, epoch, sequence, ..header };
                write_frame(&mut FrameWriter::new(), &rows(sequence), header, &mut out);
            }
            ["end", at] => write_end_of_epoch(position(at), &mut out),
            ["gap", at, rows] => write_gap(position(at), rows.parse().unwrap(), &mut out),
            ["end"] => write_empty(FrameHeader::new(FrameKind::End), &mut out),
            _ => panic!("{message}"),
        }
    }
    out
}

/// What a subscriber makes of it, what it acknowledges then, and how far it says that it is.
fn hear(options: SubscriberOptions, script: &str) -> (String, String, OutputPosition) {
    let mut subscriber = FrameSubscriber::resuming(options);
    let (mut pool, mut said) = (BufferPool::new(POOL_LIMITS), Vec::new());
    let mut rest = &say(script)[..];
    while !rest.is_empty() {
        let (mut memory, bytes_max) = subscriber.prepare(&mut pool).unwrap();
        let (now, later) = rest.split_at(rest.len().min(bytes_max).min(100));
        memory.extend_from_slice(now);
        rest = later;
        subscriber.filled(memory, now.len()).unwrap();
        loop {
            match subscriber.take_delivery() {
                Ok(Some(Delivery::Rows(rows))) => said.push(rows.num_rows().to_string()),
                Ok(Some(Delivery::EndOfEpoch(epoch))) => said.push(format!("end-of-{epoch}")),
                Ok(Some(Delivery::Gap { rows })) => said.push(format!("gap-of-{rows}")),
                Ok(None) => break,
                Err(refusal) => {
                    said.push(refusal.to_string());
                    rest = &[];
                    break;
                }
            }
        }
    }
    let mut acks = Vec::new();
    assert_eq!(subscriber.acknowledge(&mut acks), !acks.is_empty());
    assert!(!subscriber.acknowledge(&mut acks), "no news");
    let mut stream = crate::format::FrameStream::new(1 << 10);
    stream.feed(&acks);
    let mut acknowledged = Vec::new();
    while let Some(message) = stream.take().unwrap() {
        let LanePosition { lane, frame } = message.header.position();
        acknowledged.push(format!("{lane}:{}.{}", frame.epoch, frame.sequence));
    }
    (said.join(" "), acknowledged.join(" "), subscriber.position())
}

#[track_caller]
fn check(script: &str, expected: &str, acknowledged: &str) {
    let options = SubscriberOptions { name: "s".into(), ..SubscriberOptions::default() };
    let (said, acks, _) = hear(options, script);
    assert_eq!((&*said, &*acks), (expected, acknowledged), "{script}");
}

/// One with a session, that goes on behind `after` of output 5.
#[track_caller]
fn check_resumed(after: &[&str], script: &str, expected: &str, acknowledged: &str) {
    let known = after.iter().map(|text| position(text)).collect();
    let resumed = OutputPosition { output: 5, lanes: known };
    let options = SubscriberOptions { name: "s".into(), session: 1, after: resumed };
    let (said, acks, at) = hear(options, script);
    assert_eq!((&*said, &*acks), (expected, acknowledged), "{script}");
    let lanes =
        at.lanes.iter().map(|at| format!("{}:{}.{}", at.lane, at.frame.epoch, at.frame.sequence));
    assert_eq!(lanes.collect::<Vec<_>>().join(" "), acknowledged, "{script}");
}

const SEQUENCE: &str = "the peer does not keep to the protocol: sequence";

#[test]
fn without_epochs_frames_are_one_series_from_where_it_came_in() {
    check("output 0, data 0.7, data 0.8, end", "7 8", "0:0.8");
    check("output 0, data 0.7, data 0.9", &format!("7 {SEQUENCE} 9 where 8 is the next"), "0:0.7");
    check("output 0, data 0.7, data 0.7", &format!("7 {SEQUENCE} 7 where 8 is the next"), "0:0.7");
}

#[test]
fn frames_are_counted_in_every_epoch() {
    check(
        "output 5, data 3.2, data 3.3, end 3.3, data 6.1, end 6.1, end",
        "2 3 end-of-3 1 end-of-6",
        "0:6.1",
    );
    check("output 5, data 3.2, data 4.2", &format!("2 {SEQUENCE} 2 where 1 is the next"), "0:3.2");
    check("output 5, data 3.1, data 2.2", &format!("1 {SEQUENCE} 2 where 2 is the next"), "0:3.1");
    check("output 5, data 3.1, end 3.2", &format!("1 {SEQUENCE} 2 where 1 is the next"), "0:3.1");
    // Sent at once: the epoch is known to exist when the next one has long begun.
    check("output 5, data 3.1, data 4.1, end 3.1, data 4.2", "1 1 end-of-3 2", "0:4.2");
    check("output 5, end 3.9, data 4.1", "end-of-3 1", "0:4.1");
}

#[test]
fn every_lane_counts_for_itself() {
    check(
        "output 5, data 3.1, data 1:3.1, data 1:3.2, end 1:3.2, data 1:4.1, data 3.2",
        "1 1 2 end-of-3 1 2",
        "0:3.2 1:4.1",
    );
}

#[test]
fn who_resumes_gets_nothing_twice() {
    let script = "output 5, data 3.1, data 3.2, end 3.2, data 4.1, end 4.1";
    check_resumed(&[], script, "1 2 end-of-3 1 end-of-4", "0:4.1");
    check_resumed(&["3.1"], script, "2 end-of-3 1 end-of-4", "0:4.1");
    check_resumed(&["3.2"], script, "end-of-3 1 end-of-4", "0:4.1");
    check_resumed(&["4.1", "2:9.9"], script, "end-of-3 end-of-4", "0:4.1 2:9.9");
    // Another output begins anew, whatever its numbers are.
    let other = "output 6, data 3.1, end 3.1";
    check_resumed(&["3.2"], other, "1 end-of-3", "0:3.1");
}

#[test]
fn what_was_not_kept_is_told_of() {
    let script = "output 5, data 3.1, gap 7.4 100, data 7.5, data 8.1";
    check_resumed(&["2.9"], script, "1 gap-of-100 5 1", "0:8.1");
    check_resumed(&["7.4"], script, "5 1", "0:8.1");
    check_resumed(
        &["2.9"],
        "output 5, gap 7.4 100, data 7.6",
        &format!("gap-of-100 {SEQUENCE} 6 where 5 is the next"),
        "0:7.4",
    );
}
