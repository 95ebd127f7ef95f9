//! The real journals, on a disk whose power can be cut: what is stored, synced and found again is theirs.
//!
//! In:  what participants append; turns of the helper thread; cuts and kills.
//! Out: what recovery finds.

use std::cell::RefCell;
use std::sync::Arc;

use super::super::cluster::NoWake;
use super::super::disk::{SimCore, SimDisk, SimFiles, SimMemory};
use super::logs::KeptLogs;
use crate::checkpoint::{
    Appended, EntryTag, JournalLog, LogRange, RecoveredJournals, RecoveredLogs, StateLog,
};
use crate::journal::{
    JournalId, JournalOptions, Kind, Recovered, RecoveryRequest, Supply, recover,
};
use crate::reactor::{Io, Wake};
use crate::record::Epoch;
use crate::stdx::{CoreId, Failure};

/// Small, so that segments are left often.
const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 64 * 1024,
    populate_bytes: 8192,
    buffer_bytes: 8192,
    buffers_max: 3,
};

/// See the module.
pub(super) struct DiskLogs {
    disk: SimDisk,
    run: u32,
    recovered: Recovered<SimFiles>,
    supply: RefCell<Supply<SimFiles>>,
}

impl DiskLogs {
    pub(super) fn new(seed: u64) -> DiskLogs {
        let disk = SimDisk::new(seed);
        let recovered = find(&disk, 1);
        DiskLogs { disk, run: 1, recovered, supply: RefCell::default() }
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
        let start = self.recovered.start(journal, usize::from(core_count));
        let files = SimFiles::new(&self.disk, "/j");
        let wakers: (Arc<dyn Wake>, Arc<dyn Wake>) = (Arc::new(NoWake), Arc::new(NoWake));
        let writer = self.supply.borrow_mut().add(&files, &start, OPTIONS, wakers);
        let range = self.recovered.commit().range(journal);
        let log = JournalLog::new(writer, core_count, range, OPTIONS.segment_bytes);
        Box::new(CoreLog { log, core: SimCore::new(&self.disk, seed >> 40) })
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

    fn append_commit(&mut self, epoch: Epoch, ranges: &[LogRange]) -> Appended {
        self.log.append_commit(epoch, ranges)
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
