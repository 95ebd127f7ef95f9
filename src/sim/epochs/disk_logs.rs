//! The real journals, on a disk whose power can be cut: what is stored, synced and found again is theirs.
//!
//! In:  what participants append; turns of the helper thread; cuts and kills.
//! Out: what recovery finds.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::cluster::NoWake;
use super::super::disk::{SimCore, SimDisk, SimFiles, SimMemory};
use super::journaled::{OutputEntry, OutputStart};
use super::logs::{KeptLogs, Sides};
use super::received::{Received, Receiver};
use crate::checkpoint::{
    Appended, CoreRanges, EntryTag, JournalLog, LogRange, RecoveredJournals, RecoveredLogs,
    StateLog,
};
use crate::journal::{
    JournalId, JournalOptions, JournalRange, Kind, NoRoom, Position, Recovered, RecoveryRequest,
    SideJournal, SideWriter, Supply, Writer, recover,
};
use crate::reactor::{Disk, Io, Wake};
use crate::record::Epoch;
use crate::stdx::{CoreId, Failure};

/// Small, so that segments are left often.
const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 64 * 1024,
    populate_bytes: 8192,
    buffer_bytes: 8192,
    buffers_max: 3,
};

/// Sinks of the simulated job.
const OUTPUT_USERS: usize = 3;

/// See the module.
pub(super) struct DiskLogs {
    disk: SimDisk,
    run: u32,
    recovered: Recovered<SimFiles>,
    supply: RefCell<Supply<SimFiles>>,
    received: Rc<RefCell<Received>>,
}

impl DiskLogs {
    pub(super) fn new(seed: u64) -> DiskLogs {
        let disk = SimDisk::new(seed);
        let recovered = find(&disk, 1);
        let received = Rc::new(RefCell::new(Received::default()));
        DiskLogs { disk, run: 1, recovered, supply: RefCell::default(), received }
    }

    fn writer(&self, journal: JournalId, core_count: u16) -> Writer<SimMemory> {
        let start = self.recovered.start(journal, Kind::ALL.len() * usize::from(core_count));
        let files = SimFiles::new(&self.disk, "/j");
        let wakers: (Arc<dyn Wake>, Arc<dyn Wake>) = (Arc::new(NoWake), Arc::new(NoWake));
        self.supply.borrow_mut().add(&files, &start, OPTIONS, wakers)
    }

    /// What was found of the output journals that `core` has now.
    fn output_entries(&self, own: JournalId, core_count: u16) -> Vec<OutputEntry> {
        let start = self.recovered.side_start(own, core_count);
        let mut found = Vec::new();
        for range in start.own.iter().chain(&start.adopted) {
            let mut entries = self.recovered.entries(range.journal).expect("it was found");
            while let Some(entry) = entries.next_entry().expect("nothing is damaged") {
                found.push(OutputEntry {
                    sink: entry.tag,
                    epoch: Epoch::new(entry.epoch),
                    journal: range.journal,
                    position: entry.position,
                    payload: entry.payload.to_vec(),
                });
            }
        }
        found
    }

    /// Where they are.
    pub(super) fn disk(&self) -> SimDisk {
        self.disk.clone()
    }
}

fn find(disk: &SimDisk, run: u32) -> Recovered<SimFiles> {
    let request = RecoveryRequest { run, fresh: false, new_id: 5 };
    recover(&SimFiles::new(disk, "/j"), request).expect("nothing but the power fails")
}

impl KeptLogs for DiskLogs {
    fn next_epoch(&self) -> Epoch {
        Epoch::new(self.recovered.next_epoch())
    }

    fn begin(&self) {
        *self.supply.borrow_mut() = Supply::default();
    }

    fn open(&self, core: CoreId, core_count: u16, seed: u64) -> Box<dyn StateLog> {
        let journal = JournalId { kind: Kind::State, core };
        let writer = self.writer(journal, core_count);
        let range = self.recovered.commit().range(journal);
        let log = JournalLog::new(writer, core_count, range, OPTIONS.segment_bytes);
        Box::new(CoreLog { log, core: SimCore::new(&self.disk, seed >> 40) })
    }

    fn open_sides(&self, core: CoreId, core_count: u16, seed: u64) -> Option<Sides> {
        let epoch = Epoch::new(self.recovered.epoch());
        let open = |kind, users| {
            let own = JournalId { kind, core };
            let start = self.recovered.side_start(own, core_count);
            let is_ingest = kind == Kind::Ingest;
            let receiver = is_ingest.then(|| Receiver::new(&self.received, own, &start, seed));
            let writer = self.writer(own, core_count);
            let side = SideWriter::new(writer, users, self.next_epoch(), start);
            let way = (seed >> 40) ^ if is_ingest { 1 } else { 2 };
            let io = SimCore::new(&self.disk, way);
            Rc::new(RefCell::new(CoreSide { side, io, receiver }))
        };
        let (ingest, output) = (open(Kind::Ingest, 1), open(Kind::Output, OUTPUT_USERS));
        let entries = self.output_entries(JournalId { kind: Kind::Output, core }, core_count);
        let start = OutputStart { journal: output.clone(), epoch, entries };
        Some(Sides { journals: vec![ingest, output], output: start })
    }

    fn step(&self) {
        let _ = self.supply.borrow_mut().step();
    }

    fn crash(&mut self, rng: &mut fastrand::Rng) {
        *self.supply.borrow_mut() = Supply::default();
        match rng.u8(..4) {
            0 => self.disk.kill(),
            _ => self.disk.cut_power(),
        }
        let before = self.recovered.epoch();
        self.run += 1;
        self.recovered = find(&self.disk, self.run);
        assert!(before <= self.recovered.epoch(), "an older epoch was recovered");
        self.received.borrow_mut().check(&self.recovered);
    }

    fn found(&self) -> Option<Box<dyn RecoveredLogs + '_>> {
        let found = RecoveredJournals::new(&self.recovered)?;
        Some(Box::new(found))
    }
}

/// A journal with its own way to the disk.
struct CoreLog {
    log: JournalLog<SimMemory>,
    core: SimCore,
}

impl StateLog for CoreLog {
    fn append(&mut self, tag: EntryTag, epoch: Epoch, payload: &[u8]) -> Appended {
        self.log.append(tag, epoch, payload)
    }

    fn end_epoch(&mut self, epoch: Epoch, needed: Epoch) -> LogRange {
        self.log.end_epoch(epoch, needed)
    }

    fn sync(&mut self, _: &mut dyn Io) {
        self.log.sync_on(&mut self.core);
    }

    fn poll(&mut self, _: &mut dyn Io) -> Option<Failure> {
        self.log.poll_on(&mut self.core)
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        self.log.is_durable(epoch)
    }

    fn append_commit(&mut self, epoch: Epoch, cores: &[CoreRanges]) -> Appended {
        self.log.append_commit(epoch, cores)
    }

    fn is_commit_durable(&self, epoch: Epoch) -> bool {
        self.log.is_commit_durable(epoch)
    }

    fn committed(&mut self, epoch: Epoch, needed: Epoch) {
        self.log.committed(epoch, needed);
    }

    fn bytes_since(&self, epoch: Epoch) -> u64 {
        self.log.bytes_since(epoch)
    }
}

/// A side journal with its own way to the disk, and where there is no source, who uses it.
struct CoreSide {
    side: SideWriter<SimMemory>,
    io: SimCore,
    receiver: Option<Receiver>,
}

impl SideJournal for CoreSide {
    fn journal(&self) -> JournalId {
        self.side.journal()
    }

    fn open_epoch(&self) -> Epoch {
        self.side.open_epoch()
    }

    fn payload_bytes_max(&self) -> usize {
        self.side.payload_bytes_max()
    }

    fn append(&mut self, epoch: Epoch, tag: u32, payload: &[&[u8]]) -> Result<Position, NoRoom> {
        self.side.append(epoch, tag, payload)
    }

    fn need_from(&mut self, user: usize, journal: JournalId, position: Option<Position>) {
        self.side.need_from(user, journal, position);
    }

    fn hold(&mut self, user: usize, is_held: bool) {
        self.side.hold(user, is_held);
    }

    fn position(&self) -> Position {
        self.side.position()
    }

    fn durable(&self) -> Position {
        self.side.durable()
    }

    fn sync(&mut self, _: &mut dyn Disk) {
        self.side.sync(&mut self.io);
    }

    fn segment_after(&self, segment: u64) -> Option<u64> {
        self.side.segment_after(segment)
    }

    fn sealed_at(&self, segment: u64) -> Option<u64> {
        self.side.sealed_at(segment)
    }

    fn no_space(&self) -> Option<&str> {
        self.side.no_space()
    }

    fn has_changed(&self) -> bool {
        self.side.has_changed()
    }

    fn can_end(&self) -> bool {
        self.side.can_end()
    }

    fn end_epoch(&mut self, epoch: Epoch, _: &mut dyn Disk) -> Vec<JournalRange> {
        if let Some(receiver) = &mut self.receiver {
            receiver.end_epoch(epoch, &mut self.side);
        }
        self.side.end_epoch(epoch, &mut self.io)
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        self.side.is_durable(epoch)
    }

    fn committed(&mut self, epoch: Epoch) {
        self.side.committed(epoch);
    }

    fn poll(&mut self, _: &mut dyn Disk) -> Result<bool, Failure> {
        let moved = self.side.poll(&mut self.io)?;
        if let Some(receiver) = &mut self.receiver {
            receiver.turn(&mut self.side, &mut self.io);
        }
        Ok(moved)
    }
}
