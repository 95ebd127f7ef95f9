//! One run: cores that append, a supply, a coordinator that ends and commits epochs. Who does what next
//! is the seed's choice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::disk::{SimCore, SimDisk, SimFiles, SimMemory};
use super::Model;
use super::model::Written;
use crate::journal::{
    CommitRecord, EpochRange, JournalError, JournalId, JournalOptions, JournalRange, Kind, NoRoom,
    Position, Recovered, RecoveryRequest, Supply, SupplyTurn, Writer, recover,
};
use crate::reactor::Wake;
use crate::stdx::{CoreId, Failure, FailureClass};

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) cores: u16,
    pub(super) segment_bytes: u64,
    /// Longest payload.
    pub(super) payload_max: usize,
}

/// Why a run has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It has reported as many epochs as it should.
    Done,
    /// The power is off.
    Off,
    /// The disk failed, and the process ended itself.
    Failed(FailureClass),
}

pub(super) struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

struct Core {
    io: SimCore,
    writers: Vec<Writer<SimMemory>>,
    /// The epoch it appends to.
    epoch: u64,
}

/// What the coordinator does.
enum Phase {
    /// Until so many ticks have passed.
    Idle { ticks: u32 },
    /// Cores end the epoch, one after the other.
    Ending { ended: Vec<EpochRange> },
    /// All have ended it; their ranges are not durable yet.
    Syncing { ended: Vec<EpochRange> },
    /// Copies are to be appended to these cores' state journals, or were and are not durable yet.
    Committing { record: CommitRecord, to_append: Vec<usize>, appended: Vec<(usize, Position)> },
}

/// One run.
pub(super) struct Life {
    disk: SimDisk,
    rng: fastrand::Rng,
    shape: Shape,
    cores: Vec<Core>,
    supply: Supply<SimFiles>,
    phase: Phase,
    /// The epoch that is ending, or will.
    epoch: u64,
    /// Where epochs begin that may still be needed, of every journal there is.
    history: BTreeMap<JournalId, VecDeque<Position>>,
    /// Journals of cores that are no more, and for how many epochs they are needed.
    old: Vec<(JournalRange, u32)>,
    /// Epochs reported in this run.
    pub(super) reports: u32,
    /// Why appends found no room, when the disk had no space.
    pub(super) no_space_seen: bool,
}

/// Starts the process.
pub(super) fn begin(
    model: &mut Model,
    disk: &SimDisk,
    shape: Shape,
    seed: u64,
) -> Result<Life, JournalError> {
    model.run += 1;
    let files = SimFiles::new(disk, "/j");
    let request = RecoveryRequest { run: model.run, fresh: false, new_id: 77 };
    let recovered = recover(&files, request)?;
    model.check(&recovered)?;
    model.go_on(&recovered)?;
    Ok(Life::new(disk, &recovered, shape, seed))
}

impl Life {
    fn new(disk: &SimDisk, recovered: &Recovered<SimFiles>, shape: Shape, seed: u64) -> Life {
        let files = SimFiles::new(disk, "/j");
        let options = JournalOptions {
            segment_bytes: shape.segment_bytes,
            populate_bytes: 8192,
            buffer_bytes: 8192,
            buffers_max: 3,
        };
        let mut supply = Supply::default();
        let mut history = BTreeMap::new();
        let mut cores = Vec::new();
        let journals = Kind::ALL.len() * usize::from(shape.cores);
        for core in CoreId::all(shape.cores) {
            let writers = Kind::ALL.map(|kind| {
                let journal = JournalId { kind, core };
                let start = recovered.start(journal, journals);
                let from = recovered.commit().range(journal).map(|range| range.from);
                history.insert(journal, VecDeque::from_iter(from));
                supply.add(&files, &start, options, (Arc::new(Awake), Arc::new(Awake)))
            });
            let io = SimCore::new(disk, seed * 16 + u64::from(core.number()));
            cores.push(Core { io, writers: writers.into(), epoch: recovered.next_epoch() });
        }
        let ranges = recovered.commit().ranges.iter();
        let old = ranges.filter(|range| range.journal.core.number() >= shape.cores);
        Life {
            disk: disk.clone(),
            rng: fastrand::Rng::with_seed(seed),
            shape,
            cores,
            supply,
            phase: Phase::Idle { ticks: 0 },
            epoch: recovered.next_epoch(),
            history,
            old: old.map(|range| (*range, 2)).collect(),
            reports: 0,
            no_space_seen: false,
        }
    }

    /// Runs until so many epochs were reported, or something ends it.
    pub(super) fn run(&mut self, model: &mut Model, reports: u32) -> Ended {
        for _ in 0..100_000 {
            if self.disk.is_off() {
                return Ended::Off;
            }
            if self.reports >= reports {
                return Ended::Done;
            }
            if let Err(failure) = self.tick(model) {
                return if self.disk.is_off() { Ended::Off } else { Ended::Failed(failure.class) };
            }
        }
        panic!("no progress: {} epochs reported of {reports}", self.reports);
    }

    /// So many ticks more, whatever comes of them.
    pub(super) fn go_on(&mut self, model: &mut Model, ticks: u32) {
        for _ in 0..ticks {
            self.tick(model).expect("nothing disturbs it");
        }
    }

    fn tick(&mut self, model: &mut Model) -> Result<(), Failure> {
        let core = self.rng.usize(..self.cores.len());
        match self.rng.u32(..16) {
            0..4 => {
                if self.supply.step() == SupplyTurn::Full && self.rng.u32(..8) == 0 {
                    self.supply.retry();
                }
            }
            4..9 => {
                let Core { io, writers, .. } = &mut self.cores[core];
                for writer in writers {
                    self.no_space_seen |= writer.no_space().is_some();
                    writer.poll(io)?;
                }
            }
            9..13 => self.append(model, core),
            _ => self.coordinate(model, core),
        }
        Ok(())
    }

    fn append(&mut self, model: &mut Model, core: usize) {
        let Core { writers, epoch, .. } = &mut self.cores[core];
        let writer = &mut writers[self.rng.usize(..Kind::ALL.len())];
        let longest = self.shape.payload_max.min(writer.payload_bytes_max());
        let length = match self.rng.u32(..8) {
            0 => longest,
            1 => 0,
            _ => self.rng.usize(..=longest / 4),
        };
        let payload: Vec<u8> = std::iter::repeat_with(|| self.rng.u8(..)).take(length).collect();
        let (first, second) = payload.split_at(length / 3);
        let tag = self.rng.u32(..);
        if let Ok(position) = writer.append(tag, *epoch, &[first, second]) {
            let written = Written { position, epoch: *epoch, tag, payload };
            model.entries.entry(writer.journal()).or_default().push(written);
            model.epoch_used = model.epoch_used.max(*epoch);
        }
    }

    fn coordinate(&mut self, model: &mut Model, core: usize) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Idle { ticks: 0 }) {
            Phase::Idle { ticks } if ticks < 6 => Phase::Idle { ticks: ticks + 1 },
            Phase::Idle { .. } => Phase::Ending { ended: Vec::new() },
            Phase::Ending { ended } => self.end_on(core, ended),
            Phase::Syncing { ended } => self.commit_if_durable(model, ended),
            Phase::Committing { record, to_append, appended } => {
                self.copy_if_room(model, (record, to_append, appended))
            }
        };
    }

    /// A barrier has reached a core.
    fn end_on(&mut self, core: usize, mut ended: Vec<EpochRange>) -> Phase {
        let Core { io, writers, epoch } = &mut self.cores[core];
        if *epoch == self.epoch {
            for writer in writers {
                ended.push(writer.end_epoch(*epoch));
                writer.sync(io);
            }
            *epoch += 1;
        }
        if ended.len() == self.cores.len() * Kind::ALL.len() {
            Phase::Syncing { ended }
        } else {
            Phase::Ending { ended }
        }
    }

    fn commit_if_durable(&mut self, model: &mut Model, ended: Vec<EpochRange>) -> Phase {
        let is_durable = |range: &EpochRange| {
            let core = &self.cores[range.journal.core.index()];
            let writer = core.writers.iter().find(|writer| writer.journal() == range.journal);
            writer.is_some_and(|writer| writer.durable() >= range.to)
        };
        if !ended.iter().all(is_durable) {
            return Phase::Syncing { ended };
        }
        let mut ranges: Vec<JournalRange> = Vec::new();
        for range in &ended {
            let history = self.history.get_mut(&range.journal).expect("of this run");
            history.push_back(range.from);
            while history.len() > 1 && self.rng.u32(..3) > 0 {
                history.pop_front();
            }
            ranges.push(range.needed_from(history[0]));
        }
        self.old.retain_mut(|(_, epochs)| {
            *epochs = epochs.saturating_sub(1);
            *epochs > 0
        });
        ranges.extend(self.old.iter().map(|(range, _)| *range));
        ranges.sort_by_key(|range| range.journal);
        let record = CommitRecord { epoch: self.epoch, ranges };
        model.commits.insert(self.epoch, record.clone());
        let to_append = if self.cores.len() == 1 { vec![0, 0] } else { vec![0, 1] };
        Phase::Committing { record, to_append, appended: Vec::new() }
    }

    fn copy_if_room(
        &mut self,
        model: &mut Model,
        (record, mut to_append, mut appended): (CommitRecord, Vec<usize>, Vec<(usize, Position)>),
    ) -> Phase {
        if let Some(core) = to_append.pop() {
            // Copies for the same core may share a sync.
            let is_double = to_append.first() == Some(&core) && self.rng.bool();
            let Core { io, writers, .. } = &mut self.cores[core];
            let state = &mut writers[0];
            assert_eq!(state.journal().kind, Kind::State);
            if state.append_commit(&record) == Err(NoRoom) {
                to_append.push(core);
            } else if is_double && state.append_commit(&record).is_ok() {
                to_append.pop();
            }
            state.sync(io);
            appended.push((core, state.position()));
            return Phase::Committing { record, to_append, appended };
        }
        let is_durable =
            |(core, to): &(usize, Position)| self.cores[*core].writers[0].durable() >= *to;
        if !appended.iter().all(is_durable) {
            return Phase::Committing { record, to_append, appended };
        }
        model.reported = record.epoch;
        self.reports += 1;
        self.epoch += 1;
        for writer in self.cores.iter_mut().flat_map(|core| &mut core.writers) {
            writer.note_committed(record.epoch);
            let range = record.range(writer.journal()).expect("of this run");
            // Where nothing is needed, any place is before what is.
            let is_empty = range.from == range.to;
            writer.recycle_before(if is_empty { writer.position() } else { range.from });
        }
        Phase::Idle { ticks: 0 }
    }

    /// Files the cores have open.
    pub(super) fn open_files(&self) -> usize {
        self.cores.iter().map(|core| core.io.open_files()).sum()
    }
}
