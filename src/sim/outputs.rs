//! An output journal, and the epochs it is a part of: what a sink on one core has under it.
//!
//! In:  what a sink appends; ends and commits of epochs; cuts of power.
//! Out: what a start finds.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::cluster::NoWake;
use super::disk::{SimCore, SimDisk, SimFiles, SimMemory};
use crate::journal::{
    CommitRecord, JournalId, JournalOptions, JournalRange, Kind, Recovered, RecoveryRequest,
    SideJournal, SideWriter, Supply, Writer, recover,
};
use crate::record::Epoch;
use crate::stdx::CoreId;

/// Small, so that segments are left often.
const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 64 * 1024,
    populate_bytes: 8192,
    buffer_bytes: 8192,
    buffers_max: 3,
};

const DIRECTORY: &str = "/j";

/// One run of one core: a state journal, which has positions of sinks alone, and an output journal.
pub(crate) struct OutputRun {
    pub(crate) side: Rc<RefCell<SideWriter<SimMemory>>>,
    /// The core's way to the disk.
    pub(crate) core: SimCore,
    /// The epoch that is open.
    pub(crate) epoch: Epoch,
    recovered: Recovered<SimFiles>,
    supply: Supply<SimFiles>,
    state: Writer<SimMemory>,
    /// What the epoch that ended last needs.
    ended: Option<(Epoch, Vec<JournalRange>)>,
}

impl OutputRun {
    /// The run of this number, on what earlier ones have left; `users` share the journal.
    pub(crate) fn begin(disk: &SimDisk, run: u32, users: usize) -> OutputRun {
        let files = SimFiles::new(disk, DIRECTORY);
        let request = RecoveryRequest { run, fresh: false, new_id: 7 };
        let recovered = recover(&files, request).expect("nothing but the power fails");
        let mut supply = Supply::default();
        let mut writer = |kind| {
            let start = recovered.start(JournalId { kind, core: CoreId::ZERO }, 2);
            supply.add(&files, &start, OPTIONS, (Arc::new(NoWake), Arc::new(NoWake)))
        };
        let (state, output) = (writer(Kind::State), writer(Kind::Output));
        let epoch = Epoch::new(recovered.next_epoch());
        let start = recovered.side_start(output.journal(), 1);
        let side = Rc::new(RefCell::new(SideWriter::new(output, users, epoch, start)));
        let core = SimCore::new(disk, u64::from(run));
        OutputRun { side, core, epoch, recovered, supply, state, ended: None }
    }

    /// Where the journals lie.
    pub(crate) fn directory() -> PathBuf {
        DIRECTORY.into()
    }

    /// The newest epoch that was found; 0 for none.
    pub(crate) fn found_epoch(&self) -> u64 {
        self.recovered.epoch()
    }

    /// What the sinks said of themselves when that ended.
    pub(crate) fn found(&self) -> Option<Vec<u8>> {
        let journal = JournalId { kind: Kind::State, core: CoreId::ZERO };
        let mut entries = self.recovered.entries(journal)?;
        let mut last = None;
        while let Some(entry) = entries.next_entry().expect("what is committed is whole") {
            last = Some(entry.payload.to_vec());
        }
        last
    }

    /// A step of everybody but the sinks.
    pub(crate) fn turn(&mut self) {
        let _ = self.supply.step();
        self.state.poll(&mut self.core).expect("the disk does not fail");
        self.side.borrow_mut().poll(&mut self.core).expect("the disk does not fail");
    }

    #[track_caller]
    fn until<T>(&mut self, mut act: impl FnMut(&mut OutputRun) -> Option<T>) -> T {
        for _ in 0..10_000 {
            if let Some(done) = act(self) {
                return done;
            }
            self.turn();
        }
        panic!("it never happened");
    }

    /// The open epoch ends, of which the sinks say this, and becomes durable; false while it is held.
    pub(crate) fn end_epoch(&mut self, positions: &[u8]) -> bool {
        if !self.side.borrow().can_end() {
            return false;
        }
        let epoch = self.epoch;
        self.until(|run| run.state.append(1, epoch.number(), &[positions]).ok());
        let state = self.state.end_epoch(epoch.number());
        self.state.sync(&mut self.core);
        let mut ranges = vec![state.needed_from(state.from)];
        ranges.extend(self.side.borrow_mut().end_epoch(epoch, &mut self.core));
        self.until(|run| {
            let is_durable = run.side.borrow().is_durable(epoch);
            (is_durable && run.state.durable() >= state.to).then_some(())
        });
        self.ended = Some((epoch, ranges));
        self.epoch = epoch.next();
        true
    }

    /// The epoch that ended last exists from now on.
    pub(crate) fn commit(&mut self) -> Epoch {
        let (epoch, ranges) = self.ended.take().expect("an epoch has ended");
        let record = CommitRecord { epoch: epoch.number(), ranges };
        for _ in 0..2 {
            self.until(|run| run.state.append_commit(&record).ok());
        }
        self.state.sync(&mut self.core);
        let end = self.state.position();
        self.until(|run| (run.state.durable() == end).then_some(()));
        self.state.note_committed(epoch.number());
        self.state.recycle_before(record.ranges[0].from);
        self.side.borrow_mut().committed(epoch);
        epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Followed, Follower, Position};

    /// What is in the journal: begin, end, epoch, tag, payload.
    type Known = Vec<(Position, Position, u64, u32, Vec<u8>)>;

    fn append(run: &mut OutputRun, rng: &mut fastrand::Rng, known: &mut Known) {
        let length = if rng.u8(..20) == 0 { 20_000 } else { rng.usize(..600) };
        let payload: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
        let (tag, epoch) = (rng.u32(..3), run.epoch);
        let (begin, end) = run.until(|run| {
            let mut side = run.side.borrow_mut();
            let begin = side.append(epoch, tag, &[&payload[..length / 3], &payload[length / 3..]]);
            begin.ok().map(|begin| (begin, side.position()))
        });
        known.push((begin, end, epoch.number(), tag, payload));
    }

    /// Everything from entry `first` up to `until` is read as it was written.
    fn check(
        run: &mut OutputRun,
        follower: &mut Follower,
        known: &Known,
        first: usize,
        until: usize,
    ) {
        let side = Rc::clone(&run.side);
        let from = if first == 0 { Position::BEGINNING } else { known[first - 1].1 };
        follower.seek(from);
        let end = known[until - 1].1;
        for (begin, end_of_entry, epoch, tag, payload) in &known[first..until] {
            let entry = run.until(|run| {
                match follower.next_entry(end, &*side.borrow(), &mut run.core).unwrap() {
                    Followed::Entry(entry) => Some(entry),
                    Followed::Waits => None,
                    Followed::End => panic!("entry {begin} is missing"),
                }
            });
            let found = (entry.begin, entry.end, entry.epoch, entry.tag);
            assert_eq!(found, (*begin, *end_of_entry, *epoch, *tag));
            assert!(follower.payload(&entry) == payload, "entry {begin}");
        }
        let last = follower.next_entry(end, &*side.borrow(), &mut run.core).unwrap();
        assert_eq!(last, Followed::End);
    }

    #[test]
    fn entries_are_read_back_while_the_journal_goes_on_and_over_runs() {
        for seed in 0..20 {
            let (disk, mut rng) = (SimDisk::new(seed), fastrand::Rng::with_seed(seed));
            let mut known = Known::new();
            for number in 1..5 {
                let mut run = OutputRun::begin(&disk, number, 1);
                known.retain(|(_, _, epoch, ..)| *epoch <= run.found_epoch());
                assert_eq!(run.found(), (number > 1).then(|| known.len().to_le_bytes().to_vec()));
                let directory = OutputRun::directory();
                let mut follower = Follower::new(directory, run.side.borrow().journal());
                for _ in 0..rng.u32(1..4) {
                    for _ in 0..rng.u32(1..60) {
                        append(&mut run, &mut rng, &mut known);
                    }
                    assert!(run.end_epoch(&known.len().to_le_bytes()));
                    run.commit();
                    let first = rng.usize(..known.len());
                    check(&mut run, &mut follower, &known, first, known.len());
                    let until = rng.usize(..known.len()) + 1;
                    check(&mut run, &mut follower, &known, rng.usize(..until), until);
                    if rng.bool() {
                        follower.rest(&mut run.core);
                    }
                }
                // Never committed: it is not there when the next run comes to it.
                for _ in 0..rng.u32(..30) {
                    append(&mut run, &mut rng, &mut known);
                }
                run.side.borrow_mut().sync(&mut run.core);
                (0..rng.u32(..50)).for_each(|_| run.turn());
                drop(run);
                if rng.bool() { disk.cut_power() } else { disk.kill() }
            }
        }
    }

    #[test]
    fn damage_is_named() {
        let disk = SimDisk::new(1);
        let (mut run, mut known) = (OutputRun::begin(&disk, 1, 1), Known::new());
        append(&mut run, &mut fastrand::Rng::with_seed(7), &mut known);
        assert!(run.end_epoch(b""));
        run.commit();
        let path = disk.paths().into_iter().find(|path| path.contains("output-000-0")).unwrap();
        let mut bytes = disk.bytes(&path);
        bytes[4096 + 64 + 3] ^= 1;
        disk.put(&path, &bytes);
        let side = Rc::clone(&run.side);
        let mut follower = Follower::new(OutputRun::directory(), side.borrow().journal());
        let failure = run.until(|run| {
            let end = side.borrow().position();
            follower.next_entry(end, &*side.borrow(), &mut run.core).err()
        });
        let expected = format!("{path}: damaged at offset 4096: the entry's checksum is wrong");
        assert!(failure.message.starts_with(&expected), "{failure:?}");
    }
}
