//! Epochs: producers are told what exists, and send the rest again after a crash; each row comes once.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::testing::{Machine, Peer, Told, data, hello, options, rows};
use super::*;
use crate::format::FrameHello;
use crate::limits::FRAME_RETURN_NS_MAX;
use crate::source::watermark::testing::delayed;

fn durable() -> FrameSourceOptions {
    FrameSourceOptions { acknowledge: Acknowledge::Committed, ..options() }
}

/// Steps until so many rows have been pushed.
#[track_caller]
fn until_pushed(machine: &mut Machine, count: usize) {
    machine.until(|machine| (machine.numbers().len() == count).then_some(()));
}

/// Of an acknowledgement.
fn sequence_of(told: &Told) -> Option<u64> {
    match told {
        Told::Ack(ack) => Some(ack.sequence),
        _ => None,
    }
}

#[test]
fn what_an_epoch_has_is_acknowledged_when_it_exists() {
    let mut machine = Machine::new(&durable(), 2);
    let (mut peer, taken) = Peer::join(&mut machine, &hello("a", 1));
    assert_eq!(taken, 0);
    let early = [data(1, &rows(0..10)), data(2, &rows(10..20))];
    peer.send(&mut machine, &early.concat());
    until_pushed(&mut machine, 20);
    // It has more credit, and nothing else.
    let credit = peer.ack(&mut machine);
    assert_eq!((credit.sequence, credit.durable), (0, 0));
    machine.end_epoch(1);
    peer.send(&mut machine, &data(3, &rows(20..30)));
    until_pushed(&mut machine, 30);
    machine.steps_for(Duration::from_millis(5));
    while let Some(told) = peer.try_told() {
        assert_eq!(sequence_of(&told), Some(0), "{told:?}");
    }
    machine.commit(1);
    let ack = peer.ack(&mut machine);
    assert_eq!((ack.sequence, ack.durable), (2, 2));
    machine.end_epoch(2);
    machine.commit(2);
    assert_eq!(peer.ack(&mut machine).sequence, 3);
}

#[test]
fn an_end_is_answered_when_an_epoch_has_it() {
    let mut machine = Machine::new(&durable(), 2);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    peer.send(&mut machine, &data(1, &rows(0..10)));
    until_pushed(&mut machine, 10);
    machine.end_epoch(1);
    peer.end(&mut machine, 1);
    machine.steps_for(Duration::from_millis(5));
    machine.commit(1);
    peer.until_taken(&mut machine, 1);
    machine.steps_for(Duration::from_millis(5));
    // More credit, perhaps: the epoch has its rows, but not its end.
    while let Some(told) = peer.try_told() {
        assert_eq!(sequence_of(&told), Some(1), "{told:?}");
    }
    let positions = machine.end_epoch(2);
    machine.commit(2);
    peer.until_ended(&mut machine, 1);
    drop(peer);
    machine.finish();
    // A crash before it was known that the producer had gone: it may not know, and is waited for.
    let mut again = Machine::resumed(&durable(), 1, &positions);
    let (mut back, taken) = Peer::join(&mut again, &hello("a", 1));
    assert_eq!(taken, 1);
    back.end(&mut again, 1);
    again.steps_for(Duration::from_millis(10));
    again.end_epoch(3);
    again.commit(3);
    back.until_ended(&mut again, 1);
    drop(back);
    again.finish();
    assert!(again.numbers().is_empty());
}

#[test]
fn without_durability_an_end_is_answered_at_once() {
    let mut machine = Machine::new(&options(), 2);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    peer.send(&mut machine, &data(1, &rows(0..10)));
    peer.until_taken(&mut machine, 1);
    peer.end(&mut machine, 1);
    peer.until_ended(&mut machine, 1);
}

/// What is behind the epoch that is left comes again, and nothing else; sessions are known as before.
#[test]
fn after_a_crash_producers_go_on_behind_the_epoch() {
    for core_count in [1, 2, 5] {
        let mut machine = Machine::new(&durable(), 2);
        let (mut first, _) = Peer::join(&mut machine, &hello("a", 7));
        let (mut second, _) = Peer::join(&mut machine, &hello("b", 7));
        first.send(&mut machine, &data(1, &rows(0..10)));
        second.send(&mut machine, &data(1, &rows(100..110)));
        until_pushed(&mut machine, 20);
        let positions = machine.end_epoch(1);
        first.send(&mut machine, &data(2, &rows(10..20)));
        until_pushed(&mut machine, 30);
        machine.commit(1);
        machine = Machine::resumed(&durable(), core_count, &positions);
        let mut stale = Peer::greet(&mut machine, &hello("a", 6));
        assert_eq!(stale.error(&mut machine).0, 12);
        let (mut third, taken) = Peer::join(&mut machine, &hello("a", 7));
        assert_eq!(taken, 1);
        // It sends everything again, and cuts what is new otherwise.
        let again = [data(1, &rows(0..10)), data(2, &rows(10..15)), data(3, &rows(15..20))];
        third.send(&mut machine, &again.concat());
        third.send(&mut machine, &data(5, &rows(0..1)));
        assert_eq!(third.error(&mut machine).0, 10);
        let mut fourth = Peer::greet(&mut machine, &hello("b", 8));
        assert_eq!(fourth.ack(&mut machine).sequence, 1);
        fourth.end(&mut machine, 1);
        machine.steps_for(Duration::from_millis(10));
        machine.end_epoch(2);
        machine.commit(2);
        fourth.until_ended(&mut machine, 1);
        assert!(machine.numbers().into_iter().eq(10..20), "{core_count} cores");
        let mut fifth = Peer::greet(&mut machine, &hello("a", 7));
        assert_eq!(fifth.ack(&mut machine).sequence, 3);
    }
}

#[test]
fn who_connects_again_is_answered_when_what_was_taken_exists() {
    let mut machine = Machine::new(&durable(), 1);
    let (mut first, _) = Peer::join(&mut machine, &hello("a", 1));
    first.send(&mut machine, &data(1, &rows(0..10)));
    until_pushed(&mut machine, 10);
    drop(first);
    machine.until_closed();
    let mut second = Peer::greet(&mut machine, &hello("a", 1));
    machine.steps_for(Duration::from_millis(10));
    assert_eq!(second.try_told(), None);
    machine.end_epoch(1);
    machine.steps_for(Duration::from_millis(10));
    assert_eq!(second.try_told(), None);
    machine.commit(1);
    assert_eq!(second.ack(&mut machine).sequence, 1);
    second.send(&mut machine, &data(2, &rows(10..20)));
    until_pushed(&mut machine, 20);
}

#[test]
fn a_frame_is_in_one_epoch() {
    let mut machine = Machine::new(&durable(), 1);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    let (mut other, _) = Peer::join(&mut machine, &hello("b", 1));
    machine.cores[0].out.room_rows = 1_000;
    peer.send(&mut machine, &data(1, &rows(0..50_000)));
    until_pushed(&mut machine, 1_000);
    other.send(&mut machine, &data(1, &rows(100_000..100_010)));
    machine.steps_for(Duration::from_millis(10));
    assert!(!machine.cores[0].source.reach_barrier());
    machine.cores[0].out.room_rows = 60_000;
    let positions = machine.end_epoch(1);
    // The rest of the frame came before the barrier, and another's did not.
    assert!(machine.numbers().into_iter().eq(0..50_000));
    until_pushed(&mut machine, 50_010);
    let mut again = Machine::resumed(&durable(), 1, &positions);
    assert_eq!(Peer::join(&mut again, &hello("a", 1)).1, 1);
    assert_eq!(Peer::join(&mut again, &hello("b", 1)).1, 0);
}

#[test]
fn a_stop_says_goodbye_when_everything_exists() {
    let mut machine = Machine::new(&durable(), 2);
    let (mut idle, _) = Peer::join(&mut machine, &hello("idle", 1));
    let (mut busy, _) = Peer::join(&mut machine, &hello("busy", 1));
    busy.send(&mut machine, &data(1, &rows(0..10)));
    until_pushed(&mut machine, 10);
    machine.cores.iter_mut().for_each(|core| core.source.stop(&mut core.io));
    assert_eq!(idle.error(&mut machine).0, 15);
    machine.finish();
    machine.steps_for(Duration::from_millis(5));
    while let Some(told) = busy.try_told() {
        assert_eq!(sequence_of(&told), Some(0), "{told:?}");
    }
    machine.end_epoch(1);
    machine.commit(1);
    assert_eq!(busy.ack(&mut machine).sequence, 1);
    assert_eq!(busy.error(&mut machine).0, 15);
}

#[test]
fn a_source_that_had_ended_has_ended_after_a_restart() {
    let mut machine = Machine::new(&durable(), 2);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    peer.send(&mut machine, &data(1, &rows(0..10)));
    peer.end(&mut machine, 1);
    until_pushed(&mut machine, 10);
    machine.end_epoch(1);
    machine.commit(1);
    peer.until_taken(&mut machine, 1);
    drop(peer);
    machine.finish();
    let positions = machine.end_epoch(2);
    for core_count in [1, 2, 3] {
        let mut again = Machine::resumed(&durable(), core_count, &positions);
        again.finish();
        assert!(again.notices.is_empty(), "{:?}", again.notices);
        // So it is once more.
        let then = again.end_epoch(3);
        Machine::resumed(&durable(), 1, &then).finish();
    }
}

/// With `end_on_disconnect` too, those that were cut off by the crash are waited for, all of them.
#[test]
fn a_source_does_not_end_before_those_that_were_connected_are_back() {
    for end_on_disconnect in [false, true] {
        let options = FrameSourceOptions { end_on_disconnect, ..durable() };
        let mut machine = Machine::new(&options, 2);
        let names = ["a", "b", "c"];
        let mut peers = names.map(|name| Peer::join(&mut machine, &hello(name, 1)).0);
        // One of them has ended already.
        peers[0].end(&mut machine, 0);
        machine.steps_for(Duration::from_millis(10));
        let positions = machine.end_epoch(1);
        machine = Machine::resumed(&options, 3, &positions);
        for name in names {
            assert!(machine.cores.iter().all(|core| !core.is_finished));
            let (mut peer, _) = Peer::join(&mut machine, &hello(name, 1));
            peer.end(&mut machine, 0);
            machine.steps_for(Duration::from_millis(10));
            drop(peer);
            machine.steps_for(Duration::from_millis(10));
        }
        machine.finish();
    }
}

/// A connection that has said nothing yet when its core's barrier goes out, and of which core 0 knows.
#[test]
fn a_source_does_not_end_while_somebody_unknown_may_come_back() {
    let mut machine = Machine::new(&durable(), 1);
    let (mut peer, _) = Peer::join(&mut machine, &hello("a", 1));
    peer.end(&mut machine, 0);
    machine.steps_for(Duration::from_millis(10));
    drop(peer);
    let stranger = Peer::connect(&machine);
    machine.steps_for(Duration::from_millis(10));
    let positions = machine.end_epoch(1);
    drop(stranger);
    machine = Machine::resumed(&durable(), 1, &positions);
    machine.steps_for(Duration::from_millis(20));
    assert!(!machine.cores[0].is_finished);
    give_up(&mut machine);
    machine.finish();
}

/// Lets the time pass in which producers may come back.
fn give_up(machine: &mut Machine) {
    let sources = machine.cores.iter_mut().map(|core| &mut core.source);
    sources.filter(|source| source.await_until_ns.is_some()).for_each(|source| {
        let began_ns = source.await_until_ns.unwrap() - FRAME_RETURN_NS_MAX;
        source.await_until_ns = Some(began_ns);
    });
}

/// One column, the time of the row in ms.
fn times(times: &[i64]) -> RecordBatch {
    let field = Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true);
    let column = TimestampMillisecondArray::from(times.to_vec());
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(column)]).unwrap()
}

fn timed() -> FrameSourceOptions {
    let event_time = EventTimeOptions { rules: delayed(0), idle_timeout_ns: None };
    FrameSourceOptions {
        schema: times(&[]).schema(),
        projection: vec![0],
        event_time: Some(event_time),
        ..durable()
    }
}

fn timed_hello(name: &str) -> FrameHello {
    FrameHello { schema: times(&[]).schema(), ..hello(name, 1) }
}

/// Watermarks of the rows of the last batch pushed, and what the core says.
fn watermarks(machine: &mut Machine) -> (Vec<i64>, Option<Watermark>) {
    let core = &mut machine.cores[0];
    let last =
        core.out.batches.last().map_or(vec![], |batch| {
            batch.tags.watermarks.as_ref().unwrap().iter().copied().collect()
        });
    (last, core.source.watermark())
}

fn at(millis: i64) -> Watermark {
    Watermark::At(Timestamp::from_millis(millis))
}

/// Sends one frame with these times and waits until it has been pushed.
fn send_times(machine: &mut Machine, peer: &mut Peer, sequence: u64, of: &[i64]) {
    let before = machine.total(|counters| counters.rows_out);
    peer.send(machine, &data(sequence, &times(of)));
    let after = before + of.len() as u64;
    machine.until(|machine| (machine.total(|counters| counters.rows_out) == after).then_some(()));
}

/// Two producers of which one is slow: it is not late after a crash because the other one is back first.
#[test]
fn event_time_goes_on_where_it_was() {
    let mut machine = Machine::new(&timed(), 1);
    let [mut fast, mut slow, _silent] =
        ["fast", "slow", "silent"].map(|name| Peer::join(&mut machine, &timed_hello(name)).0);
    send_times(&mut machine, &mut fast, 1, &[5, 100]);
    send_times(&mut machine, &mut slow, 1, &[50, 30]);
    assert_eq!(watermarks(&mut machine).1, Some(at(50)));
    let positions = machine.end_epoch(1);
    machine = Machine::resumed(&timed(), 1, &positions);
    assert_eq!(watermarks(&mut machine).1, Some(at(50)));
    let held = machine.cores[0].source.holding_back().unwrap();
    assert_eq!((&*held.origin, held.watermark), ("s:slow", Timestamp::from_millis(50)));
    fast = Peer::join(&mut machine, &timed_hello("fast")).0;
    send_times(&mut machine, &mut fast, 2, &[90, 120]);
    // What it had come to counts as if it had never been away.
    assert_eq!(watermarks(&mut machine), (vec![100, 100], Some(at(50))));
    let (mut silent, _) = Peer::join(&mut machine, &timed_hello("silent"));
    send_times(&mut machine, &mut silent, 1, &[60]);
    assert_eq!(watermarks(&mut machine), (vec![50], Some(at(50))));
    slow = Peer::join(&mut machine, &timed_hello("slow")).0;
    send_times(&mut machine, &mut slow, 2, &[55, 70]);
    assert_eq!(watermarks(&mut machine), (vec![50, 55], Some(at(60))));
}

#[test]
fn a_producer_that_does_not_come_back_holds_nothing_for_ever() {
    let mut machine = Machine::new(&timed(), 1);
    let (mut fast, _) = Peer::join(&mut machine, &timed_hello("fast"));
    let (mut slow, _) = Peer::join(&mut machine, &timed_hello("slow"));
    send_times(&mut machine, &mut fast, 1, &[100]);
    send_times(&mut machine, &mut slow, 1, &[50]);
    let mut positions = machine.end_epoch(1);
    machine = Machine::resumed(&timed(), 1, &positions);
    fast = Peer::join(&mut machine, &timed_hello("fast")).0;
    send_times(&mut machine, &mut fast, 2, &[110]);
    assert_eq!(watermarks(&mut machine).1, Some(at(50)));
    // A stop and another start in the meantime change nothing.
    positions = machine.end_epoch(2);
    machine = Machine::resumed(&timed(), 1, &positions);
    fast = Peer::join(&mut machine, &timed_hello("fast")).0;
    send_times(&mut machine, &mut fast, 3, &[120]);
    assert_eq!(watermarks(&mut machine).1, Some(at(50)));
    give_up(&mut machine);
    machine.step();
    assert_eq!(watermarks(&mut machine).1, Some(at(120)));
    let told = "source s: producer \"slow\" has not come back within 30 s of the start, and will not \
                be waited for";
    assert_eq!(machine.notices.last().unwrap(), told);
    // It is late then, as one that comes for the first time.
    slow = Peer::join(&mut machine, &timed_hello("slow")).0;
    send_times(&mut machine, &mut slow, 2, &[60]);
    assert_eq!(watermarks(&mut machine), (vec![120], Some(at(120))));
}

#[test]
fn positions_of_something_else_are_refused() {
    let machine = |core_count| Machine::new(&durable(), core_count).end_epoch(1);
    let resume = |positions: &[&[u8]]| FrameSource::new(durable()).resume(positions);
    let two = machine(2);
    assert_eq!(resume(&[&two[0], &two[1]]), Ok(()));
    let error = resume(&[&two[0]]).unwrap_err();
    assert!(error.0.starts_with("source s: where it was cannot be taken up again: "), "{error}");
    assert!(resume(&[&two[1], &two[0]]).is_err());
    assert!(resume(&[&two[0], &[]]).is_err());
}

/// A producer of the random test, which knows of every frame number how many rows came up to it.
struct Sender {
    name: String,
    rows: Range<i64>,
    /// Rows before the frame behind the one with this number.
    ends: Vec<i64>,
    peer: Option<Peer>,
    is_welcome: bool,
    /// `end` has been sent on this connection.
    is_ending: bool,
    confirmed: u64,
    has_ended: bool,
}

/// The job, as far as it is known to a user of it.
struct Life {
    rng: fastrand::Rng,
    machine: Machine,
    epoch: u64,
    /// Ended and not known to exist: its positions, and the batches that each core had pushed.
    pending: Option<(Vec<Vec<u8>>, Vec<usize>)>,
    /// Of the last epoch that exists.
    positions: Option<Vec<Vec<u8>>>,
    /// Rows of epochs that exist: of runs before, and by core of this one.
    kept: Vec<i64>,
    in_run: usize,
}

impl Life {
    fn committed(&self) -> &[i64] {
        &self.kept
    }

    /// An epoch ends, or exists.
    fn advance_epoch(&mut self) {
        match self.pending.take() {
            None => {
                self.epoch += 1;
                let mut counts = vec![];
                // Cores have their barriers one after the other.
                let positions = self.machine.end_epoch_noting(self.epoch, &mut counts);
                self.pending = Some((positions, counts));
            }
            Some((positions, counts)) => {
                self.kept.truncate(self.kept.len() - self.in_run);
                let of_run: Vec<i64> = self.machine.numbers_of(&counts);
                self.in_run = of_run.len();
                self.kept.extend(of_run);
                self.positions = Some(positions);
                self.machine.commit(self.epoch);
            }
        }
    }

    /// Nothing is left but what the last epoch has.
    fn crash(&mut self, senders: &mut [Sender]) {
        let core_count = self.rng.u16(1..4);
        self.machine = match &self.positions {
            Some(positions) => Machine::resumed(&durable(), core_count, positions),
            None => Machine::new(&durable(), core_count),
        };
        (self.pending, self.in_run) = (None, 0);
        senders.iter_mut().for_each(|sender| sender.peer = None);
    }
}

impl Sender {
    fn new(number: i64, rows: i64) -> Sender {
        Sender {
            name: format!("sender {number}"),
            rows: number * 1_000_000..number * 1_000_000 + rows,
            ends: vec![0],
            peer: None,
            is_welcome: false,
            is_ending: false,
            confirmed: 0,
            has_ended: false,
        }
    }

    /// Connects, listens, and sends a frame, of whatever length, or `end`.
    fn act(&mut self, life: &mut Life) {
        let Some(peer) = &mut self.peer else {
            if !self.has_ended {
                self.peer = Some(Peer::greet(&mut life.machine, &hello(&self.name, 1)));
                (self.is_welcome, self.is_ending) = (false, false);
            }
            return;
        };
        let mut is_gone = false;
        while let Some(told) = peer.try_told() {
            match told {
                Told::Ack(ack) => {
                    assert!(ack.sequence >= self.confirmed, "{}: it went back", self.name);
                    self.confirmed = ack.sequence;
                    if !std::mem::replace(&mut self.is_welcome, true) {
                        let frames = usize::try_from(ack.sequence).unwrap();
                        self.ends.truncate(frames + 1);
                        assert_eq!(self.ends.len(), frames + 1, "{}: it never sent it", self.name);
                    }
                    let end = self.ends[usize::try_from(ack.sequence).unwrap()];
                    let of_this = |row: &&i64| self.rows.contains(*row);
                    let exist = life.committed().iter().filter(of_this).count();
                    assert!(
                        exist >= usize::try_from(end).unwrap(),
                        "{}: told too early",
                        self.name
                    );
                }
                Told::Ended(_) => (self.has_ended, is_gone) = (true, true),
                Told::Error(..) | Told::End => is_gone = true,
            }
        }
        if is_gone || life.rng.u8(..) < 3 {
            self.peer = None;
        } else if self.is_welcome && !self.is_ending {
            self.send(life);
        }
    }

    fn send(&mut self, life: &mut Life) {
        let first = self.rows.start + self.ends[self.ends.len() - 1];
        let sequence = self.ends.len() as u64;
        let peer = self.peer.as_mut().unwrap();
        if first == self.rows.end {
            peer.end(&mut life.machine, sequence - 1);
            self.is_ending = true;
            return;
        }
        let longest = [3, 100, 3_000][life.rng.usize(..3)];
        let end = (first + life.rng.i64(1..=longest)).min(self.rows.end);
        peer.send(&mut life.machine, &data(sequence, &rows(first..end)));
        self.ends.push(end - self.rows.start);
    }
}

fn live(seed: u64, crashes: &mut u32) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let machine = Machine::new(&durable(), rng.u16(1..4));
    let mut senders: Vec<Sender> =
        (0..4).map(|number| Sender::new(number, rng.i64(1..6_000))).collect();
    let kept = vec![];
    let mut life = Life { rng, machine, epoch: 0, pending: None, positions: None, kept, in_run: 0 };
    while senders.iter().any(|sender| !sender.has_ended) {
        for core in &mut life.machine.cores {
            core.out.room_rows = life.rng.usize(0..2_000);
        }
        life.machine.step();
        let sender = life.rng.usize(..senders.len());
        senders[sender].act(&mut life);
        match life.rng.u8(..) {
            0..25 => life.advance_epoch(),
            25..32 => {
                life.crash(&mut senders);
                *crashes += 1;
            }
            _ => {}
        }
    }
    let expected = senders.into_iter().flat_map(|sender| sender.rows);
    life.machine.cores.iter_mut().for_each(|core| core.out.room_rows = usize::MAX);
    // One that was told that its end is known may still be waited for.
    give_up(&mut life.machine);
    life.machine.finish();
    life.kept.sort_unstable();
    assert!(life.kept.into_iter().eq(expected), "seed {seed}: not each row once");
}

/// Producers that are cut off and come back, cores that crash and are others, barriers at any time.
#[test]
fn each_row_comes_once_whatever_happens() {
    let mut crashes = 0;
    for seed in 1..=30 {
        live(seed, &mut crashes);
    }
    assert!(crashes > 60, "{crashes} crashes");
}
