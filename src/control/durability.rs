//! What a run keeps on disk: found at its start, read by all cores, written by each.
//!
//! In:  the job's directory, which this process holds.
//! Out: for every core its journal, and its worker with what it had.
//!
//! No core acts before all have read what they need: see [`StartGate`].

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::connect::{OutputSide, held_sinks};
use super::prepare::Prepared;
use super::{ErrorClass, JobError, log};
use crate::checkpoint::{
    CaptureLimits, CheckpointPorts, EpochContents, JournalLog, RecoveredJournals, Restore,
    RestoreError,
};
use crate::config::{DurabilityMode, Job};
use crate::journal::{
    Directory, Files, JournalError, JournalId, JournalOptions, JournalStart, Kind, Recovered,
    RecoveryRequest, SideStart, SideWriter, Supply, Writer, examine, recover, start_supply,
};
use crate::limits::{
    JOURNAL_BUFFER_BYTES, JOURNAL_BUFFERS_MAX, JOURNAL_POPULATE_BYTES, JOURNAL_SEGMENT_BYTES,
};
use crate::reactor::{Clock, SystemClock, ThreadBell, Wake};
use crate::record::{Epoch, KeyHasher};
use crate::sink::OutputEpochs;
use crate::stdx::{CoreId, Failure};
use crate::worker::{CheckpointSetup, Worker};

const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: JOURNAL_SEGMENT_BYTES,
    populate_bytes: JOURNAL_POPULATE_BYTES,
    buffer_bytes: JOURNAL_BUFFER_BYTES,
    buffers_max: JOURNAL_BUFFERS_MAX,
};

/// The journals of a job, as its start finds them.
pub(super) struct Durability {
    recovered: Arc<Recovered<Files>>,
    /// The newest epoch; `None` when there is none.
    contents: Option<Arc<EpochContents>>,
    interval_ns: u64,
    /// When recovery began: monotonic ns.
    began_ns: u64,
}

/// One core's part. Made before the cores start.
pub(super) struct CoreDurability {
    recovered: Arc<Recovered<Files>>,
    contents: Option<Arc<EpochContents>>,
    interval_ns: u64,
    log: JournalLog,
    output: Option<Output>,
    ports: CheckpointPorts,
    sources: Vec<String>,
    sinks: Vec<String>,
    hasher: KeyHasher,
    gate: Gate,
}

/// An output journal that is to be written.
struct Output {
    writer: Writer,
    /// Sinks that share it.
    users: usize,
    start: SideStart,
}

impl Durability {
    /// Reads what there is, and prepares it for the run that `directory` has begun. `None` where the job
    /// keeps nothing.
    pub(super) fn recover(
        job: &Job,
        directory: &Directory,
        fresh: bool,
    ) -> Result<Option<Durability>, JobError> {
        let began_ns = SystemClock.monotonic_ns();
        let files = Files::new(directory.path());
        let is_off = job.durability.mode == DurabilityMode::Off;
        if is_off && !fresh {
            refuse_to_ignore(directory, &files)?;
            return Ok(None);
        }
        let request = RecoveryRequest { run: directory.run(), fresh, new_id: random_number() };
        let recovered = recover(&files, request)?;
        if is_off {
            return Ok(None);
        }
        let contents = match RecoveredJournals::new(&recovered) {
            Some(journals) => Some(Restore::open(&journals)?.contents()),
            None => None,
        };
        let interval = job.durability.checkpoint_interval;
        Ok(Some(Durability {
            recovered: Arc::new(recovered),
            contents,
            interval_ns: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            began_ns,
        }))
    }

    /// The epoch that the run goes on from.
    pub(super) fn epoch(&self) -> Option<&EpochContents> {
        self.contents.as_deref()
    }

    /// What sinks say of epochs.
    pub(super) fn output_epochs(&self) -> OutputEpochs {
        let first = Epoch::new(self.recovered.next_epoch());
        OutputEpochs { first, output: self.recovered.directory_id().max(1) }
    }

    /// The part of every core, in order; `wakers[i]` wakes core `i`. Starts the thread that supplies
    /// segments, beside the cores' CPUs.
    pub(super) fn for_cores(
        self,
        prepared: &Prepared,
        cpus: &[usize],
        wakers: &[Arc<dyn Wake>],
        directory: &Path,
    ) -> Result<(StartGate, Vec<CoreDurability>), JobError> {
        let files = Files::new(directory);
        let core_count = u16::try_from(wakers.len()).expect("limits::CORES_MAX cores at most");
        let (mut supply, bell) = (Supply::default(), Arc::new(ThreadBell::default()));
        let epoch = self.contents.as_ref().map(|_| self.recovered.epoch());
        let (start_gate, gates) = StartGate::new(wakers.len(), epoch, self.began_ns);
        let held = held_sinks(prepared).len();
        let mut cores = Vec::new();
        let all_ports = CheckpointPorts::for_all_cores(wakers);
        for ((ports, waker), gate) in all_ports.into_iter().zip(wakers).zip(gates) {
            let journal = JournalId { kind: Kind::State, core: ports.core() };
            let start = self.recovered.start(journal, Kind::ALL.len() * wakers.len());
            let mut add = |at: &JournalStart| {
                let supply_wake: Arc<dyn Wake> = bell.clone();
                supply.add(&files, at, OPTIONS, (Arc::clone(waker), supply_wake))
            };
            let writer = add(&start);
            // Rows of sinks that hold them are all on core 0.
            let output = (ports.core() == CoreId::ZERO && held > 0).then(|| {
                let side = JournalId { kind: Kind::Output, core: ports.core() };
                let start_of_side = self.recovered.start(side, Kind::ALL.len() * wakers.len());
                let writer_of_side = add(&start_of_side);
                Output {
                    writer: writer_of_side,
                    users: held,
                    start: self.recovered.side_start(side, core_count),
                }
            });
            let range = self.recovered.commit().range(journal);
            cores.push(CoreDurability {
                recovered: Arc::clone(&self.recovered),
                contents: self.contents.clone(),
                interval_ns: self.interval_ns,
                log: JournalLog::new(writer, core_count, range, OPTIONS.segment_bytes),
                output,
                ports,
                sources: prepared.sources.iter().map(|it| it.planned.name.clone()).collect(),
                sinks: prepared.sinks.iter().map(|it| it.planned.name.clone()).collect(),
                hasher: prepared.graph.hasher,
                gate,
            });
        }
        start_supply(supply, bell, cpus).map_err(|error| {
            let what = format!("cannot start the thread that supplies segments: {error}");
            JobError::new(ErrorClass::Environment, what)
        })?;
        Ok((start_gate, cores))
    }
}

impl CoreDurability {
    /// The journal that the core's sinks share, where they do: made on the core.
    pub(super) fn output(&mut self) -> Option<OutputSide> {
        let Output { writer, users, start } = self.output.take()?;
        let first = Epoch::new(self.recovered.next_epoch());
        Some(Rc::new(RefCell::new(SideWriter::new(writer, users, first, start))))
    }

    /// Gives a worker what this core had, on the core; its sinks have `output`. Returns when all cores have
    /// theirs; false when the job does not begin.
    pub(super) fn restore(self, worker: &mut Worker, output: Option<OutputSide>) -> bool {
        let setup = CheckpointSetup {
            ports: self.ports,
            log: Box::new(self.log),
            sides: output.into_iter().collect(),
            interval_ns: self.interval_ns,
            sources: self.sources,
            sinks: self.sinks,
            first: Epoch::new(self.recovered.next_epoch()),
            hasher: self.hasher,
            limits: CaptureLimits::default(),
        };
        let journals = RecoveredJournals::new(&self.recovered);
        let restore = match (&journals, self.contents) {
            (Some(journals), Some(contents)) => Some(Restore::of(journals, contents)),
            _ => None,
        };
        let restored = worker.set_epochs(setup, restore.as_ref());
        self.gate.pass(restored.map_err(Failure::from))
    }
}

/// Where the start waits until all cores have read what they need; none acts before.
pub(super) struct StartGate {
    read: mpsc::Receiver<Result<(), Failure>>,
    cores: Vec<mpsc::Sender<()>>,
    /// The epoch that is read, and since when: monotonic ns.
    epoch: Option<u64>,
    began_ns: u64,
}

/// One core's side of it.
struct Gate {
    read: mpsc::Sender<Result<(), Failure>>,
    opened: mpsc::Receiver<()>,
}

impl StartGate {
    fn new(cores: usize, epoch: Option<u64>, began_ns: u64) -> (StartGate, Vec<Gate>) {
        let (sender, read) = mpsc::channel();
        let gate = |_| {
            let (open, opened) = mpsc::channel();
            (open, Gate { read: sender.clone(), opened })
        };
        let (cores, gates) = (0..cores).map(gate).unzip();
        (StartGate { read, cores, epoch, began_ns }, gates)
    }

    /// Waits for all cores, and lets them begin.
    ///
    /// # Errors
    /// Why one of them cannot; none begins then.
    pub(super) fn open(self) -> Result<(), Failure> {
        for _ in &self.cores {
            let died = |_| Failure::environment("a core ended before it began".into());
            self.read.recv().map_err(died)??;
        }
        if let Some(epoch) = self.epoch {
            let took = Duration::from_nanos(SystemClock.monotonic_ns() - self.began_ns);
            log::note(&format!("going on from epoch {epoch}, read in {:.3} s", took.as_secs_f64()));
        }
        for core in &self.cores {
            // A core that is gone again already has a reason, which its end tells.
            let _ = core.send(());
        }
        Ok(())
    }
}

impl Gate {
    /// Says how this core's start went, and waits for those of all others; true when it may begin.
    fn pass(&self, read: Result<(), Failure>) -> bool {
        self.read.send(read).is_ok() && self.opened.recv().is_ok()
    }
}

/// A number that nobody can foresee.
pub(super) fn random_number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Without journals a run would leave them behind: the next one with them would begin with what was
/// before this one.
fn refuse_to_ignore(directory: &Directory, files: &Files) -> Result<(), JobError> {
    let Some(found) = examine(files)? else { return Ok(()) };
    if found.commit().epoch == 0 {
        return Ok(());
    }
    let dir = directory.path().display();
    let what = format!(
        "{dir} holds the state of epoch {}, and durability.mode is \"off\": set it to \"on\" to go on \
         from there, or start over with --fresh",
        found.commit().epoch
    );
    Err(JobError::configuration(vec![what]))
}

impl From<JournalError> for JobError {
    fn from(error: JournalError) -> JobError {
        error.failure().into()
    }
}

impl From<RestoreError> for JobError {
    fn from(error: RestoreError) -> JobError {
        error.failure.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::spawn_thread;

    #[track_caller]
    fn check(reads: [Option<&str>; 3], expected: Option<&str>) {
        let (start_gate, gates) = StartGate::new(3, None, 0);
        let read = |why: Option<&str>| why.map_or(Ok(()), |why| Err(Failure::data(why.into())));
        let begin = |(gate, why): (Gate, Option<&str>)| {
            let read = read(why);
            spawn_thread("core", &[], move || gate.pass(read)).unwrap()
        };
        let cores: Vec<_> = gates.into_iter().zip(reads).map(begin).collect();
        let failure = start_gate.open().err().map(|failure| failure.message);
        assert_eq!(failure.as_deref(), expected);
        for core in cores {
            assert_eq!(core.join().expect("it does not panic"), expected.is_none());
        }
    }

    #[test]
    fn no_core_begins_before_all_can() {
        check([None, None, None], None);
        check([Some("a"), None, None], Some("a"));
        check([None, None, Some("c")], Some("c"));
    }

    #[test]
    fn numbers_differ() {
        assert_ne!(random_number(), random_number());
    }
}
