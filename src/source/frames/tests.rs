//! Real connections: producers that keep to the protocol, and some that do not.

use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

use super::testing::{Machine, Peer, Told, data, hello, options, rows};
use super::*;
use crate::format::{FrameHeader, FrameHello, FrameKind, write_empty};
use crate::limits::FRAME_CREDIT_BYTES;

/// Frames of `size` rows each, numbered from 1.
fn frames(count: i64, size: i64) -> Vec<Vec<u8>> {
    let frame = |index: i64| {
        data(u64::try_from(index).unwrap() + 1, &rows(index * size..(index + 1) * size))
    };
    (0..count).map(frame).collect()
}

#[test]
fn rows_come_once_in_order_whatever_their_frames() {
    for core_count in 1..=3 {
        for (count, size) in [(300, 1), (50, 100), (3, 200_000)] {
            let mut machine = Machine::new(&options(), core_count);
            let (mut peer, taken) = Peer::join(&mut machine, &hello("a", 1));
            assert_eq!(taken, 0);
            peer.send(&mut machine, &frames(count, size).concat());
            let last = u64::try_from(count).unwrap();
            peer.end(&mut machine, last);
            peer.until_taken(&mut machine, last);
            drop(peer);
            machine.finish();
            assert!(machine.numbers().into_iter().eq(0..count * size));
            let total = u64::try_from(count * size).unwrap();
            assert_eq!(machine.total(|counters| counters.records_in), total);
            assert_eq!(machine.total(|counters| counters.rows_out), total);
            assert_eq!(machine.total(|counters| counters.frames_in), last);
            let batch = &machine.cores.iter().flat_map(|core| &core.out.batches).next().unwrap();
            let provenance = batch.tags.provenance.as_ref().unwrap();
            assert_eq!((&*provenance.origin, provenance.offsets.value(0)), ("s:a", 0));
            assert!(batch.rows.column(1).as_string::<i32>().is_null(0));
        }
    }
}

#[test]
fn large_frames_are_hardly_copied() {
    let mut machine = Machine::new(&options(), 1);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    let sent = frames(8, 100_000).concat();
    peer.send(&mut machine, &sent);
    peer.until_taken(&mut machine, 8);
    assert!(machine.total(|counters| counters.bytes_in) >= sent.len() as u64);
    let copied = machine.total(|counters| counters.bytes_copied);
    assert!(copied < sent.len() as u64 / 20, "{copied} of {} bytes", sent.len());
    // Of small ones that come together, what the end of a buffer cuts.
    let small =
        (9..2_009).map(|sequence| data(sequence, &rows(0..100))).collect::<Vec<_>>().concat();
    peer.send(&mut machine, &small);
    peer.until_taken(&mut machine, 2_008);
    let copied_then = machine.total(|counters| counters.bytes_copied) - copied;
    assert!((1..small.len() as u64 / 5).contains(&copied_then), "{copied_then} of {}", small.len());
}

#[test]
fn producers_are_dealt_by_name_and_the_source_ends_with_the_last() {
    let mut machine = Machine::new(&options(), 3);
    let mut peers: Vec<Peer> =
        (0..30).map(|n| Peer::join(&mut machine, &hello(&format!("producer {n}"), 1)).0).collect();
    for (n, peer) in (0..).zip(&mut peers) {
        peer.send(&mut machine, &data(1, &rows(n * 10..n * 10 + 10)));
    }
    let mut last = peers.pop().unwrap();
    for mut peer in peers {
        peer.end(&mut machine, 1);
        peer.until_taken(&mut machine, 1);
    }
    machine.steps_for(Duration::from_millis(20));
    assert!(!machine.cores[0].is_finished, "one has not ended");
    for core in &machine.cores {
        assert!(core.source.counters().splits_opened >= 4);
    }
    // It goes without an end, and is waited for.
    last.until_taken(&mut machine, 1);
    drop(last);
    machine.steps_for(Duration::from_millis(20));
    assert!(!machine.cores[0].is_finished);
    let (mut again, taken) = Peer::join(&mut machine, &hello("producer 29", 1));
    assert_eq!(taken, 1);
    again.end(&mut machine, 1);
    drop(again);
    machine.finish();
    let mut numbers = machine.numbers();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..300));
}

#[test]
fn a_source_may_end_with_its_last_connection() {
    let mut machine = Machine::new(&FrameSourceOptions { end_on_disconnect: true, ..options() }, 2);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    peer.send(&mut machine, &data(1, &rows(0..5)));
    drop(peer);
    machine.finish();
    assert_eq!(machine.numbers().len(), 5);
}

#[test]
fn repeated_frames_are_dropped_and_a_gap_is_an_error() {
    let mut machine = Machine::new(&options(), 1);
    let all = frames(3, 10);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    peer.send(&mut machine, &[all[0].clone(), all[1].clone()].concat());
    peer.until_taken(&mut machine, 2);
    drop(peer);
    // It does not know what was taken, and sends everything again.
    let (mut again, taken) = Peer::join(&mut machine, &hello("a", 1));
    assert_eq!(taken, 2);
    again.send(&mut machine, &all.concat());
    again.until_taken(&mut machine, 3);
    assert!(machine.numbers().into_iter().eq(0..30));
    again.send(&mut machine, &data(5, &rows(0..1)));
    let (code, text) = again.error(&mut machine);
    assert_eq!((code, &*text), (10, "sequence 5 where 4 is the next"));
    assert_eq!(machine.total(|counters| counters.connections_failed), 1);
    let notice = "producer \"a\": sequence 5 where 4 is the next";
    assert!(machine.notices.last().unwrap().ends_with(notice), "{:?}", machine.notices);
}

#[test]
fn a_later_session_fences_the_earlier_when_its_rows_are_pushed() {
    let mut machine = Machine::new(&options(), 1);
    let (mut old, _) = Peer::join(&mut machine, &hello("a", 1));
    machine.cores[0].out.room_rows = 15;
    old.send(&mut machine, &frames(3, 10).concat());
    machine.until(|machine| (machine.numbers().len() == 15).then_some(()));
    machine.steps_for(Duration::from_millis(10));
    // The second frame is half pushed; the third waits.
    let mut new = Peer::greet(&mut machine, &hello("a", 2));
    assert_eq!(old.error(&mut machine), (12, fenced()));
    machine.steps_for(Duration::from_millis(10));
    assert_eq!(new.try_told(), None, "not before everything accepted has been pushed");
    let mut late = Peer::greet(&mut machine, &hello("a", 1));
    assert_eq!(late.error(&mut machine), (12, fenced()));
    machine.cores[0].out.room_rows = usize::MAX;
    assert_eq!(new.ack(&mut machine).sequence, 3);
    new.send(&mut machine, &data(4, &rows(30..40)));
    new.until_taken(&mut machine, 4);
    assert!(machine.numbers().into_iter().eq(0..40));
}

fn fenced() -> String {
    "a later session of \"a\" has taken over".into()
}

#[test]
fn without_room_nothing_is_received_and_the_pool_bounds_it() {
    let mut machine = Machine::new(&options(), 1);
    machine.cores[0].out.room_rows = 1_000;
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    let sent = frames(200, 10_000).concat();
    let mut rest = &sent[..];
    // As much as the kernel takes without the machine.
    let mut sent_bytes = 0;
    while sent_bytes < 2_000_000 {
        peer.send(&mut machine, &rest[..10_000]);
        rest = &rest[10_000..];
        sent_bytes += 10_000;
    }
    machine.steps_for(Duration::from_millis(50));
    let received = machine.total(|counters| counters.bytes_in);
    machine.steps_for(Duration::from_millis(50));
    assert_eq!(machine.total(|counters| counters.bytes_in), received);
    assert!(received < 1_000_000, "{received} bytes were received although there is no room");
    let mut rng = fastrand::Rng::with_seed(1);
    machine.until(|machine| {
        machine.cores[0].out.room_rows = rng.usize(1..20_000);
        if rest.is_empty() {
            return (machine.numbers().len() == 2_000_000).then_some(());
        }
        let piece = rest.len().min(100_000);
        let (now, later) = rest.split_at(piece);
        rest = later;
        peer.send(machine, now);
        None
    });
    assert!(machine.numbers().into_iter().eq(0..2_000_000));
}

/// The columns of a producer, and what it is told.
#[track_caller]
fn check_columns(columns: Vec<Field>, expected: Result<Vec<&str>, &str>) {
    let mut machine = Machine::new(&options(), 2);
    let schema = Arc::new(Schema::new(columns));
    let hello = FrameHello { schema: Arc::clone(&schema), ..hello("a", 1) };
    let mut peer = Peer::greet(&mut machine, &hello);
    match (peer.told(&mut machine), expected) {
        (Told::Ack(_), Ok(notices)) => {
            let told: Vec<&str> =
                machine.notices[1..].iter().map(|notice| &notice["source s: ".len()..]).collect();
            assert_eq!(told, notices);
        }
        (Told::Error(code, text), Err(expected)) => assert_eq!((code, &*text), (9, expected)),
        (told, expected) => panic!("{told:?}; {expected:?}"),
    }
}

#[test]
fn columns_are_matched_by_name() {
    let n = || Field::new("n", DataType::Int64, false);
    check_columns(vec![n()], Ok(vec![]));
    let other = Field::new("other", DataType::Int8, true);
    let unknown = "producer \"a\" sends columns the table lacks: other";
    check_columns(vec![other.clone(), n()], Ok(vec![unknown]));
    let missing = "column \"n\" is NOT NULL in the table, and is not among the columns of hello";
    check_columns(vec![other], Err(missing));
    let wrong = Field::new("word", DataType::Int64, true);
    let named = "column \"word\" is BIGINT in hello and STRING in the table";
    check_columns(vec![n(), wrong], Err(named));
}

#[test]
fn a_null_that_is_not_allowed_rejects_its_row() {
    let mut machine = Machine::new(&options(), 1);
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let hello = FrameHello { schema: Arc::clone(&schema), ..hello("a", 1) };
    let (mut peer, _) = Peer::join(&mut machine, &hello);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let batch = RecordBatch::try_new(schema, vec![column]).unwrap();
    peer.send(&mut machine, &[data(1, &batch), data(2, &batch)].concat());
    peer.until_taken(&mut machine, 2);
    assert_eq!(machine.numbers(), [1, 3, 1, 3]);
    let out = &machine.cores[0].out;
    let rejected: Vec<_> = out.rejected.iter().map(|it| (it.offset, &*it.reason)).collect();
    let reason = "column \"n\" is NULL, but declared NOT NULL";
    assert_eq!(rejected, [(1, reason), (4, reason)]);
    let places = out.batches[1].tags.provenance.as_ref().unwrap().offsets.values().to_vec();
    assert_eq!(places, [3, 5]);
    assert_eq!(machine.total(|counters| counters.records_in), 6);
    assert_eq!(machine.total(|counters| counters.rejected), 2);
}

/// Everything that a peer may do wrong is an error that says so, and ends its connection alone.
#[test]
fn every_fault_ends_its_connection_alone() {
    let mut machine = Machine::new(&options(), 2);
    let (mut good, _) = Peer::join(&mut machine, &hello("good", 1));
    let message = |kind: FrameKind, sequence: u64| {
        let mut out = Vec::new();
        write_empty(FrameHeader { sequence, ..FrameHeader::new(kind) }, &mut out);
        out
    };
    let frame = data(1, &rows(0..3));
    let damaged = |at: usize| {
        let mut frame = frame.clone();
        frame[at] ^= 1;
        frame
    };
    let cases: Vec<(Vec<u8>, u32)> = vec![
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody who is lost\r\n\r\n"
                .to_vec(),
            1,
        ),
        (damaged(0), 1),
        (damaged(4), 2),
        (damaged(7), 3),
        (damaged(8), 4),
        (damaged(12), 5),
        (damaged(100), 5),
        (damaged(40), 6),
        (damaged(50), 7),
        (data(2, &rows(0..3)), 10),
        (message(FrameKind::End, 3), 10),
        (message(FrameKind::Ack, 0), 16),
        (message(FrameKind::EndOfEpoch, 0), 16),
        ([message(FrameKind::End, 0), frame.clone()].concat(), 16),
    ];
    for (index, (bytes, code)) in cases.into_iter().enumerate() {
        let (mut bad, _) = Peer::join(&mut machine, &hello(&format!("bad {index}"), 1));
        bad.send(&mut machine, &bytes);
        assert_eq!(bad.error(&mut machine).0, code, "case {index}");
        // Before hello, the same bytes are refused as well.
        let mut stranger = Peer::connect(&machine);
        stranger.send(&mut machine, &bytes);
        let (found, text) = stranger.error(&mut machine);
        assert!([code, 16].contains(&found), "case {index}: {text}");
    }
    for sequence in 1..=3 {
        good.send(&mut machine, &data(sequence, &rows(0..10)));
        good.until_taken(&mut machine, sequence);
    }
    assert_eq!(machine.numbers().len(), 30);
    assert!(machine.total(|counters| counters.connections_failed) == 28);
}

#[test]
fn hello_alone_comes_before_its_answer() {
    let mut machine = Machine::new(&options(), 1);
    let mut eager = Peer::connect(&machine);
    let mut bytes = Vec::new();
    hello("a", 1).write(&mut bytes);
    bytes.extend(data(1, &rows(0..3)));
    eager.send(&mut machine, &bytes);
    assert_eq!(eager.error(&mut machine).0, 13);
    let subscriber = FrameHello {
        role: crate::format::FrameRole::Subscriber,
        schema: Arc::new(Schema::empty()),
        ..hello("a", 1)
    };
    let mut lost = Peer::greet(&mut machine, &subscriber);
    let told = "hello is not that of a producer, and this is a source";
    assert_eq!(lost.error(&mut machine), (8, told.into()));
    assert!(machine.numbers().is_empty());
}

/// A producer that is cut after every byte in turn, and comes again.
#[test]
fn a_cut_at_every_byte_applies_no_frame_by_half() {
    let mut machine = Machine::new(&options(), 2);
    let sent = [data(1, &rows(0..7)), data(2, &rows(7..20))];
    let bytes = sent.concat();
    for cut in 0..=bytes.len() {
        let name = format!("producer {cut}");
        let before = machine.numbers().len();
        let (mut peer, _) = Peer::join(&mut machine, &hello(&name, 1));
        peer.send(&mut machine, &bytes[..cut]);
        drop(peer);
        machine.until_closed();
        let (mut again, taken) = Peer::join(&mut machine, &hello(&name, 2));
        let complete = [sent[0].len(), bytes.len()].iter().filter(|end| **end <= cut).count();
        assert_eq!(taken, complete as u64, "cut at {cut}");
        again.send(&mut machine, &sent[complete..].concat());
        if complete < 2 {
            again.until_taken(&mut machine, 2);
        }
        drop(again);
        machine.until_closed();
        assert_eq!(machine.numbers().len() - before, 20, "cut at {cut}");
    }
}

/// Bits of a stream flipped at random: what comes before is taken, and nothing of what is wrong.
#[test]
fn damaged_streams_are_refused_and_others_are_served() {
    let mut machine = Machine::new(&options(), 2);
    let (mut good, _) = Peer::join(&mut machine, &hello("good", 1));
    let mut rng = fastrand::Rng::with_seed(7);
    for case in 0..200 {
        let sent = [data(1, &rows(0..7)), data(2, &rows(7..20)), data(3, &rows(20..500))];
        let mut bytes = sent.concat();
        let at = rng.usize(0..bytes.len());
        bytes[at] ^= 1 << rng.u8(0..8);
        let before = machine.numbers().len();
        let (mut bad, _) = Peer::join(&mut machine, &hello(&format!("bad {case}"), 1));
        bad.send(&mut machine, &bytes);
        // A length that has become greater leaves it waiting for the rest.
        let is_length = (8..12).contains(&(at % 64));
        drop_or_error(&mut machine, bad, is_length);
        let (mut untouched, mut end) = (0, 0);
        for (frame, count) in sent.iter().zip([7, 13, 480]) {
            end += frame.len();
            if end > at {
                break;
            }
            untouched += count;
        }
        assert_eq!(machine.numbers().len() - before, untouched, "case {case}, byte {at}");
        let sequence = case + 1;
        good.send(&mut machine, &data(sequence, &rows(0..1)));
        good.until_taken(&mut machine, sequence);
    }
}

/// Waits for the error, or goes away when there may be none.
fn drop_or_error(machine: &mut Machine, mut peer: Peer, may_wait: bool) {
    if may_wait {
        machine.steps_for(Duration::from_millis(5));
        drop(peer);
        machine.steps_for(Duration::from_millis(5));
    } else {
        peer.error(machine);
    }
}

#[test]
fn heartbeats_are_answered_and_silence_is_the_end() {
    let mut machine = Machine::new(&options(), 1);
    let promising = FrameHello { heartbeat_ms: 50, ..hello("a", 1) };
    let (mut talking, _) = Peer::join(&mut machine, &promising);
    let (mut silent, _) =
        Peer::join(&mut machine, &FrameHello { name: "b".into(), ..promising.clone() });
    let (mut patient, _) = Peer::join(&mut machine, &hello("c", 1));
    let mut heartbeat = Vec::new();
    write_empty(FrameHeader::new(FrameKind::Heartbeat), &mut heartbeat);
    for _ in 0..10 {
        talking.send(&mut machine, &heartbeat);
        assert_eq!(talking.ack(&mut machine).sequence, 0);
        machine.steps_for(Duration::from_millis(30));
    }
    assert_eq!(silent.error(&mut machine), (17, "nothing came for too long".into()));
    patient.send(&mut machine, &data(1, &rows(0..1)));
    patient.until_taken(&mut machine, 1);
}

#[test]
fn a_connection_may_be_closed_for_being_idle() {
    let idle = FrameSourceOptions { connection_idle_ns_max: Some(50_000_000), ..options() };
    let mut machine = Machine::new(&idle, 1);
    let (mut silent, _) = Peer::join(&mut machine, &hello("a", 1));
    assert_eq!(silent.error(&mut machine).0, 17);
}

#[test]
fn acknowledgements_nobody_reads_do_not_pile_up() {
    let mut machine = Machine::new(&options(), 1);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    for sequence in 1..=20_000 {
        peer.send(&mut machine, &data(sequence, &rows(0..1)));
    }
    machine.until(|machine| (machine.numbers().len() == 20_000).then_some(()));
    peer.until_taken(&mut machine, 20_000);
}

/// One that is told of no more credit, and sends on.
#[test]
fn a_producer_that_exceeds_its_credit_is_told_so() {
    let mut machine = Machine::new(&options(), 1);
    let (mut other, _) = Peer::join(&mut machine, &hello("other", 1));
    let (mut eager, _) = Peer::join(&mut machine, &hello("eager", 1));
    // As if an acknowledgement were on its way all the time.
    let all = machine.cores[0].source.connections.values_mut();
    all.filter(|served| &*served.name == "eager").for_each(|served| served.flow.is_owed = true);
    let (mut sequence, mut sent_bytes) = (0, 0);
    while sent_bytes < FRAME_CREDIT_BYTES {
        sequence += 1;
        let frame = data(sequence, &rows(0..20_000));
        sent_bytes += (frame.len() - 64) as u64;
        eager.send(&mut machine, &frame);
    }
    let pushed = usize::try_from(sequence).unwrap() * 20_000;
    machine.until(|machine| (machine.numbers().len() == pushed).then_some(()));
    machine.steps_for(Duration::from_millis(10));
    // The last one may go beyond it; the next may not begin.
    assert_eq!(eager.try_told(), None);
    eager.send(&mut machine, &data(sequence + 1, &rows(0..1)));
    let (code, text) = eager.error(&mut machine);
    assert_eq!(code, 13);
    assert!(text.contains(&sent_bytes.to_string()), "{text}");
    assert!(text.contains(&FRAME_CREDIT_BYTES.to_string()), "{text}");
    assert_eq!(machine.numbers().len(), pushed);
    let notice = machine.notices.last().unwrap();
    assert!(notice.contains("producer \"eager\""), "{notice}");
    // What was taken counts, and another is served.
    let (_again, taken) = Peer::join(&mut machine, &hello("eager", 1));
    assert_eq!(taken, sequence);
    other.send(&mut machine, &data(1, &rows(0..1)));
    other.until_taken(&mut machine, 1);
}

#[test]
fn too_many_connections_are_told_so() {
    let mut machine = Machine::new(&FrameSourceOptions { connections_max: 2, ..options() }, 2);
    let (first, _) = Peer::join(&mut machine, &hello("a", 1));
    let (_second, _) = Peer::join(&mut machine, &hello("b", 1));
    let mut third = Peer::connect(&machine);
    assert_eq!(third.error(&mut machine), (14, "2 connections are served already".into()));
    drop(first);
    machine.steps_for(Duration::from_millis(20));
    Peer::join(&mut machine, &hello("c", 1));
    assert_eq!(machine.total(|counters| counters.connections_refused), 1);
}

#[test]
fn a_stop_pushes_what_was_accepted_and_says_so() {
    let mut machine = Machine::new(&options(), 2);
    let (mut idle, _) = Peer::join(&mut machine, &hello("idle", 1));
    let (mut busy, _) = Peer::join(&mut machine, &hello("busy", 1));
    machine.cores.iter_mut().for_each(|core| core.out.room_rows = 5);
    busy.send(&mut machine, &frames(3, 10).concat());
    machine.until(|machine| (machine.numbers().len() == 5).then_some(()));
    machine.steps_for(Duration::from_millis(10));
    for core in &mut machine.cores {
        core.source.stop(&mut core.io);
    }
    assert_eq!(idle.error(&mut machine), (15, "the job reads no more".into()));
    machine.steps_for(Duration::from_millis(5));
    machine.cores.iter_mut().for_each(|core| core.out.room_rows = usize::MAX);
    machine.finish();
    let mut taken = 0;
    loop {
        match busy.told(&mut machine) {
            Told::Ack(ack) => taken = ack.sequence,
            Told::Ended(_) => panic!("it has not ended"),
            Told::Error(code, _) => break assert_eq!((code, taken), (15, 3)),
            Told::End => panic!("it was not said why"),
        }
    }
    assert!(machine.numbers().into_iter().eq(0..30));
    assert!(std::net::TcpStream::connect(machine.address()).is_err());
}
