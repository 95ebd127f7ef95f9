//! Side journals, step by step: what an epoch needs of them, and how long journals of cores that are no
//! more are kept.

use std::sync::Arc;

use super::super::disk::{SimCore, SimDisk, SimFiles, SimMemory};
use super::life::Awake;
use crate::journal::{
    CommitRecord, JournalId, JournalOptions, JournalRange, Kind, NoRoom, Position, Recovered,
    RecoveryRequest, SideJournal, SideWriter, Supply, Writer, recover,
};
use crate::record::Epoch;
use crate::stdx::CoreId;

const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 32 * 1024,
    populate_bytes: 8192,
    buffer_bytes: 8192,
    buffers_max: 3,
};

fn id(kind: Kind, core: u16) -> JournalId {
    JournalId { kind, core: CoreId::new(core) }
}

/// One run: a state journal on core 0, and an ingest journal on each core, with two users.
struct Run {
    disk: SimDisk,
    recovered: Recovered<SimFiles>,
    supply: Supply<SimFiles>,
    io: SimCore,
    state: Writer<SimMemory>,
    sides: Vec<SideWriter<SimMemory>>,
    epoch: Epoch,
}

impl Run {
    fn begin(disk: &SimDisk, run: u32, cores: u16) -> Run {
        let files = SimFiles::new(disk, "/j");
        let request = RecoveryRequest { run, fresh: false, new_id: 7 };
        let recovered = recover(&files, request).unwrap();
        let mut supply = Supply::default();
        let mut writer = |journal| {
            let start = recovered.start(journal, 1 + usize::from(cores));
            supply.add(&files, &start, OPTIONS, (Arc::new(Awake), Arc::new(Awake)))
        };
        let state = writer(id(Kind::State, 0));
        let epoch = Epoch::new(recovered.next_epoch());
        let side = |core: CoreId| {
            let own = id(Kind::Ingest, core.number());
            SideWriter::new(writer(own), 2, epoch, recovered.side_start(own, cores))
        };
        let sides = CoreId::all(cores).map(side).collect();
        let (disk, io) = (disk.clone(), SimCore::new(disk, u64::from(run)));
        Run { disk, recovered, supply, io, state, sides, epoch }
    }

    /// Everything goes on until `act` gives something.
    #[track_caller]
    fn until<T>(&mut self, mut act: impl FnMut(&mut Run) -> Option<T>) -> T {
        for _ in 0..10_000 {
            if let Some(done) = act(self) {
                return done;
            }
            let _ = self.supply.step();
            self.state.poll(&mut self.io).unwrap();
            for side in &mut self.sides {
                side.poll(&mut self.io).unwrap();
            }
        }
        panic!("it never happened");
    }

    /// Appends an entry of 10,000 bytes to the epoch that is open.
    fn append(&mut self, core: usize) -> Position {
        self.until(|run| {
            let epoch = run.sides[core].open_epoch();
            run.sides[core].append(epoch, 1, &[&[7; 10_000]]).ok()
        })
    }

    /// The epoch ends in all side journals; what it needs of them.
    fn end(&mut self) -> Vec<JournalRange> {
        let Run { sides, io, epoch, .. } = self;
        let ended = sides.iter_mut().flat_map(|side| side.end_epoch(*epoch, io));
        let mut ranges: Vec<JournalRange> = ended.collect();
        ranges.sort_by_key(|range| range.journal);
        ranges
    }

    /// The epoch that has ended is committed.
    fn commit(&mut self, sides: &[JournalRange]) {
        let epoch = self.epoch;
        self.until(|run| run.sides.iter().all(|side| side.is_durable(epoch)).then_some(()));
        let state = self.state.end_epoch(epoch.number());
        let mut ranges = vec![state.needed_from(state.to)];
        ranges.extend_from_slice(sides);
        let record = CommitRecord { epoch: epoch.number(), ranges };
        for _ in 0..2 {
            self.until(|run| run.state.append_commit(&record).ok());
        }
        self.state.sync(&mut self.io);
        let end = self.state.position();
        self.until(|run| (run.state.durable() == end).then_some(()));
        self.state.note_committed(epoch.number());
        self.sides.iter_mut().for_each(|side| side.committed(epoch));
        self.epoch = Epoch::new(epoch.number() + 1);
    }

    /// Segments of a journal on the disk, once nothing more happens.
    fn segments(&mut self, journal: JournalId) -> usize {
        let mut turns = 0;
        self.until(|_| {
            turns += 1;
            (turns > 200).then_some(())
        });
        let prefix = format!("/j/{}-{:03}", journal.kind.name(), journal.core.number());
        self.disk.paths().iter().filter(|path| path.starts_with(&prefix)).count()
    }
}

#[test]
fn an_epoch_needs_what_some_user_needs() {
    let mut run = Run::begin(&SimDisk::new(1), 1, 1);
    let own = id(Kind::Ingest, 0);
    let first = run.append(0);
    let second = run.append(0);
    let all = run.end();
    assert_eq!((all.len(), all[0].from), (1, Position::BEGINNING), "nobody said otherwise");
    run.commit(&all);
    run.sides[0].need_from(0, own, Some(second));
    run.sides[0].need_from(1, own, Some(first));
    let some = run.end();
    assert_eq!(some[0].from, first);
    run.commit(&some);
    // What comes after somebody needs nothing is needed.
    run.sides[0].need_from(0, own, None);
    run.sides[0].need_from(1, own, None);
    let third = run.append(0);
    let last = run.end()[0];
    assert!(second < last.from && last.from <= third && third < last.to);
}

#[test]
fn an_epoch_ends_when_nobody_holds_it_and_the_next_one_waits_until_then() {
    let mut run = Run::begin(&SimDisk::new(2), 1, 1);
    run.append(0);
    let next = Epoch::new(run.epoch.number() + 1);
    let side = &mut run.sides[0];
    side.hold(1, true);
    assert!(!side.can_end() && side.has_changed());
    assert_eq!(side.append(next, 1, &[b"ahead"]), Err(NoRoom));
    side.hold(1, false);
    assert!(side.can_end());
    let ranges = run.end();
    assert!(!run.sides[0].has_changed());
    let ahead = run.until(|run| run.sides[0].append(next, 1, &[b"ahead"]).ok());
    assert!(ranges[0].to <= ahead, "it is no part of what has ended");
    assert!(run.sides[0].has_changed());
}

#[test]
fn segments_are_recycled_when_the_epoch_exists_that_does_not_need_them() {
    let mut run = Run::begin(&SimDisk::new(3), 1, 1);
    let own = id(Kind::Ingest, 0);
    for _ in 0..12 {
        run.append(0);
    }
    let before = run.segments(own);
    run.sides[0].need_from(0, own, None);
    run.sides[0].need_from(1, own, None);
    let ranges = run.end();
    assert!(run.segments(own) >= before, "the epoch does not exist yet");
    run.commit(&ranges);
    // The one in use, and the next.
    assert_eq!((before > 4, run.segments(own)), (true, 2));
}

#[test]
fn journals_of_cores_that_are_no_more_are_named_until_nobody_needs_them() {
    let disk = SimDisk::new(4);
    let mut five = Run::begin(&disk, 1, 5);
    let appended: Vec<Position> = (0..5).map(|core| five.append(core)).collect();
    let all = five.end();
    five.commit(&all);
    // Received after the epoch, and synced.
    let later = five.append(4);
    five.sides[4].sync(&mut five.io);
    five.until(|run| (run.sides[4].durable() > later).then_some(()));
    disk.cut_power();

    let mut two = Run::begin(&disk, 2, 2);
    let adopted = |core| -> Vec<u16> {
        let start = two.recovered.side_start(id(Kind::Ingest, core), 2);
        start.adopted.iter().map(|range| range.journal.core.number()).collect()
    };
    assert_eq!((adopted(0), adopted(1)), (vec![2, 4], vec![3]));
    // One user is done with everything, the other with one journal and a part of another.
    for (core, journals) in [(0, [0, 2, 4]), (1, [1, 3, 3])] {
        for journal in journals {
            two.sides[core].need_from(0, id(Kind::Ingest, journal), None);
        }
    }
    two.sides[0].need_from(1, id(Kind::Ingest, 2), None);
    two.sides[0].need_from(1, id(Kind::Ingest, 4), Some(later));
    let needed = two.end();
    let named: Vec<(u16, Position)> =
        needed.iter().map(|range| (range.journal.core.number(), range.from)).collect();
    let begin = Position::BEGINNING;
    assert_eq!(named, [(0, begin), (1, begin), (3, begin), (4, later)]);
    assert!(appended[4] < later && later < needed[3].to);
    two.commit(&needed);
    disk.cut_power();

    let last = Run::begin(&disk, 3, 5);
    assert!(last.recovered.kept(id(Kind::Ingest, 2)).is_none(), "nobody needs it");
    let mut entries = last.recovered.entries(id(Kind::Ingest, 4)).unwrap();
    assert_eq!(entries.next_entry().unwrap().unwrap().position, later);
    assert!(entries.next_entry().unwrap().is_none());
}
