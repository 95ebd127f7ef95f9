//! Epochs under crashes: the answer is that of a run that nothing ever happened to.
//!
//! A job runs on some number of cores over simulated files, clock, mesh and journals, is cut off at any
//! turn, and begins again, on another number of cores, with what recovery finds; until it comes to its
//! end. Sinks keep rows by epoch, and lose those of epochs that do not exist; or they are file sinks.
//!
//! Checked
//! - Rows, late rows and rejected rows are those of one run on one core, each exactly once.
//! - What is restored on 1, 2, 3 and 8 cores is the same state.
//! - Every operator accounts for every row, restored ones included.
//! - Recovery never finds an older epoch than before, nor one of which something is missing.
//!
//! A failing seed says how to run it alone.
//!
//! Read: this file · `logs` (state journals in memory, which a crash cuts) · `disk_logs` (the real ones, on a
//! disk whose power can be cut) · `file_sinks` (the real ones, on such a disk) · `journaled` (a sink with an
//! output journal) · `received` (ingest journals).

mod disk_logs;
mod file_sinks;
mod journaled;
mod logs;
mod received;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use arrow::datatypes::SchemaRef;

use super::answers::{input, job};
use super::cluster::{self, NoWake, Shape, file_plan, job_graph};
use super::disk::{SimDisk, SimFiles, SimIo};
use crate::checkpoint::{CaptureLimits, CheckpointPorts, KeptLimits, RecoveredJournals, Restore};
use crate::format::{self, Encoder, FormatOptions};
use crate::journal::examine;
use crate::metrics::SinkCounters;
use crate::reactor::{FileStatus, Io, Task, Turn, Wake};
use crate::record::{Batch, Epoch, KeyHasher};
use crate::sink::{PartFiles, Sink};
use crate::sql::{self, Plan, PlanOptions};
use crate::state::{Record, Slice, SliceWriter, StateKey, Stateful, Tracking, Value};
use crate::stdx::{CoreId, Failure};
use crate::worker::{
    CheckpointSetup, CoreReport, DIVERSION_SCHEMA, JobSignal, Reporter, Wiring, Worker,
};
use disk_logs::DiskLogs;
use file_sinks::FileSinks;
use journaled::{JournaledSink, OutputStart, Published};
use logs::{KeptLogs, MemoryLogs};

/// Seeds per scenario in an ordinary run of the tests.
const SEEDS: u64 = 40;

/// Runs after which a job is no longer cut off.
const RUNS_MAX: u32 = 8;

/// Turns between two looks at what file sinks show.
const CHECKED_TURNS: u32 = 20;

/// Turns after which a run that has not ended counts as stuck.
const TURNS_MAX: u32 = 1_000_000;

const CORE_COUNTS: [u16; 4] = [1, 2, 3, 8];

/// Runs one seed alone when it is set: the number that a failure has printed.
const SEED_VARIABLE: &str = "PELTON_SIM_SEED";

/// Lines by sink and epoch.
type Output = Rc<RefCell<Vec<BTreeMap<Epoch, Vec<String>>>>>;

/// A sink whose rows are there once their epoch is.
struct EpochSink {
    number: usize,
    schema: SchemaRef,
    encoder: Box<dyn Encoder>,
    /// Of the epoch that has not ended.
    current: Vec<String>,
    output: Output,
    counters: SinkCounters,
}

impl Sink for EpochSink {
    fn write(&mut self, batch: &Batch, _: &mut dyn Io) {
        let mut bytes = Vec::new();
        self.encoder.encode(&batch.rows, &mut bytes);
        let text = String::from_utf8(bytes).expect("JSON is UTF-8");
        self.current.extend(text.lines().map(str::to_owned));
        self.counters.rows_in += batch.len() as u64;
        self.counters.rows_out += batch.len() as u64;
    }

    fn is_full(&self) -> bool {
        false
    }

    fn poll(&mut self, _: &mut dyn Io) -> bool {
        false
    }

    fn end_epoch(&mut self, epoch: Epoch, _: &mut dyn Io) {
        let lines = std::mem::take(&mut self.current);
        self.output.borrow_mut()[self.number].entry(epoch).or_default().extend(lines);
    }

    fn finish(&mut self, _: &mut dyn Io) -> bool {
        self.current.is_empty()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        None
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}

/// A job that is run again and again.
struct Simulation<'a> {
    plan: &'a Plan,
    files: &'a [(&'static str, String)],
    hasher: KeyHasher,
    chunk_bytes: u64,
    disk: SimDisk,
    /// In place of those in memory.
    file_sinks: Option<FileSinks>,
    logs: Box<dyn KeptLogs>,
    output: Output,
    published: Published,
    /// The seed's choice where there is none.
    limits: Option<CaptureLimits>,
    rng: fastrand::Rng,
}

/// One run of it.
struct Run {
    cores: Vec<(Worker, SimIo)>,
    reports: mpsc::Receiver<CoreReport>,
}

impl Simulation<'_> {
    fn shape(&mut self) -> Shape {
        Shape {
            seed: self.rng.u64(..1 << 32),
            core_count: CORE_COUNTS[self.rng.usize(..CORE_COUNTS.len())],
            chunk_bytes: self.chunk_bytes,
            edge_elements_max: self.rng.usize(2..6),
            turn_rows_max: self.rng.usize(1..40),
        }
    }

    /// The cores of a run, with what was found of the one before.
    fn begin(&mut self, shape: Shape) -> Run {
        let graph = job_graph(self.plan, self.hasher, Tracking::On, shape);
        let files = Arc::new(file_plan(self.listed(), true, shape));
        let wakers: Vec<Arc<dyn Wake>> =
            (0..shape.core_count).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
        let wirings = Wiring::for_all_cores(&graph, shape.edge_elements_max, &wakers);
        let ports = CheckpointPorts::for_all_cores(&wakers);
        let (sender, reports) = mpsc::channel();
        let seeds: Vec<u64> = wakers.iter().map(|_| self.rng.u64(..)).collect();
        let limits: Vec<CaptureLimits> = wakers.iter().map(|_| self.limits()).collect();
        let interval_ns = self.rng.u64(..5_000_000);
        let found = self.logs.found();
        let restore =
            found.as_deref().map(|epoch| Restore::open(epoch).expect("the epoch can be read"));
        let first = self.logs.next_epoch();
        self.logs.begin();
        self.file_sinks.iter_mut().for_each(FileSinks::begin);
        let mut cores = Vec::new();
        for ((core, wiring), own) in CoreId::all(shape.core_count).zip(wirings).zip(ports) {
            let sender = sender.clone();
            let reporter = Reporter::new(core, move |report| {
                let _ = sender.send(report);
            });
            let source = cluster::source(&self.plan.sources[0], &files, core, shape);
            let seed = seeds[core.index()];
            let log = self.logs.open(core, shape.core_count, seed);
            let sides = self.logs.open_sides(core, shape.core_count, seed);
            let output = sides.as_ref().map(|sides| &sides.output);
            let sinks = self.sinks(core, seed, output);
            let signal = JobSignal::default();
            let mut worker = Worker::build(&graph, wiring, vec![source], sinks, signal, reporter);
            let setup = CheckpointSetup {
                log,
                sides: sides.map(|sides| sides.journals).unwrap_or_default(),
                ports: own,
                interval_ns,
                sources: vec!["input".into()],
                sinks: file_sinks::NAMES.map(String::from).to_vec(),
                first,
                hasher: self.hasher,
                limits: limits[core.index()],
            };
            worker.set_epochs(setup, restore.as_ref()).expect("it is the same job");
            cores.push((worker, SimIo::new(&self.disk, shape.seed + core.index() as u64)));
        }
        Run { cores, reports }
    }

    /// The input, as it lies on the disk.
    fn listed(&self) -> Vec<(PathBuf, FileStatus)> {
        let listed = |(name, _): &(&str, String)| {
            let status = self.disk.status(Path::new(name)).expect("it can be asked for");
            (PathBuf::from(name), status.expect("it was put there"))
        };
        self.files.iter().map(listed).collect()
    }

    fn sinks(&self, core: CoreId, seed: u64, output: Option<&OutputStart>) -> Vec<Box<dyn Sink>> {
        let json = FormatOptions::Json(format::JsonOptions { iso_timestamps: false });
        let own = &self.plan.sinks[0].schema;
        let schemas = [own, &*DIVERSION_SCHEMA, &*DIVERSION_SCHEMA];
        let mut rng = fastrand::Rng::with_seed(seed);
        let sink = |(number, schema): (usize, &SchemaRef)| -> Box<dyn Sink> {
            let encoder = format::encoder(&json, schema).expect("the types are plain");
            if let (Some(start), None) = (output, &self.file_sinks) {
                return Box::new(JournaledSink::new(number, encoder, start, &self.published));
            }
            let sink = EpochSink {
                number,
                schema: Arc::clone(schema),
                encoder,
                current: Vec::new(),
                output: Rc::clone(&self.output),
                counters: SinkCounters::default(),
            };
            match &self.file_sinks {
                Some(files) => files.sink(sink, core, &mut rng),
                None => Box::new(sink),
            }
        };
        schemas.into_iter().enumerate().map(sink).collect()
    }

    /// So little at once that everything takes many turns, and bases are often due.
    fn limits(&mut self) -> CaptureLimits {
        if let Some(limits) = self.limits {
            return limits;
        }
        CaptureLimits {
            turn_bytes: self.rng.usize(1..2_000),
            slice_bytes: self.rng.usize(40..500),
            part_bytes: self.rng.usize(20..300),
            kept: KeptLimits { percent_max: 0, bytes_min: self.rng.u64(200..8_000) },
        }
    }

    /// Turns until all cores have finished, or so many; true when they have.
    fn turn(&mut self, run: &mut Run, turns: u32) -> bool {
        for turn in 0..turns {
            if run.cores.is_empty() {
                return true;
            }
            if self.rng.u8(..4) == 0 {
                self.logs.step();
            }
            let index = self.rng.usize(..run.cores.len());
            let (worker, io) = &mut run.cores[index];
            io.clock.advance_ms(self.rng.u64(..2));
            if worker.turn(io) == Turn::Finished {
                run.cores.swap_remove(index);
            }
            if turn % CHECKED_TURNS == 0 {
                self.file_sinks.iter().for_each(|files| files.check(&self.output));
            }
        }
        run.cores.is_empty()
    }

    /// Power goes. What a sink has of epochs that do not exist is gone.
    fn crash(&mut self, run: Run) -> Option<Epoch> {
        drop(run);
        self.logs.crash(&mut self.rng);
        match self.rng.u8(..4) {
            0 => self.disk.kill(),
            _ => self.disk.cut_power(),
        }
        let found = self.logs.found();
        let last = found.as_ref().map(|found| found.epoch());
        for sink in self.output.borrow_mut().iter_mut() {
            sink.retain(|epoch, _| Some(*epoch) <= last);
        }
        if let Some(files) = &self.file_sinks {
            let contents = found
                .as_deref()
                .map(|epoch| Restore::open(epoch).expect("the epoch can be read").contents());
            files.recover(contents.as_deref(), last, &self.output, &mut self.rng);
        }
        last
    }

    /// What would be restored on each number of cores must be the same.
    fn check_digests(&mut self, compares_first: bool) {
        let digest = |simulation: &mut Self, core_count| {
            let shape = Shape { core_count, ..simulation.shape() };
            let mut run = simulation.begin(shape);
            digest(&mut run.cores, compares_first)
        };
        let one = digest(self, 1);
        for core_count in [2, 3, 8] {
            let other = digest(self, core_count);
            assert!(one == other, "{core_count} cores hold\n{other:#?}\nand one core\n{one:#?}");
        }
    }

    fn lines(&self, sink: usize) -> Vec<String> {
        let output = self.output.borrow();
        let published = self.published.borrow();
        let published = published.iter().filter(|((number, _), _)| *number == sink);
        let published = published.flat_map(|(_, lines)| lines);
        let mut lines: Vec<String> =
            output[sink].values().flatten().chain(published).cloned().collect();
        lines.sort();
        lines
    }
}

/// Everything the operators of all cores keep, in an order that does not depend on the cores. HOP windows
/// that have fired in part are named by the next one (`compares_first`: what they are named by is equal);
/// a core that has not come as far keeps two of them apart where another has them in one, so that their
/// values, which are sums, are added up.
fn digest(cores: &mut [(Worker, SimIo)], compares_first: bool) -> Vec<String> {
    let mut lines = Vec::new();
    // Input rows that panes stand for are kept by core, not by key.
    let mut rows_of: BTreeMap<(StateKey, i64), u64> = BTreeMap::new();
    let mut sums: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (worker, _) in cores {
        let mut operators: Vec<(StateKey, &mut dyn Stateful)> = Vec::new();
        worker.stages.iter_mut().for_each(|stage| stage.tree.stateful(&mut operators));
        for (key, operator) in operators {
            let mut writer = SliceWriter::default();
            operator.begin_base();
            let mut is_last = false;
            while !is_last {
                writer.begin(key, 0, 1 << 20);
                is_last = operator.write_base(&(0..4096), &mut writer);
                let Some(bytes) = writer.finish() else { continue };
                let mut slice = Slice::parse(bytes).expect("just written");
                while let Some(record) = slice.next_record().expect("just written") {
                    let mut section = match record {
                        Record::Entries(section) => section,
                        Record::PaneNote { pane: [end, _], rows } => {
                            *rows_of.entry((key, end)).or_default() += rows;
                            continue;
                        }
                        Record::OperatorNote(_) | Record::PaneDropped(_) => continue,
                    };
                    let [end, first] = section.pane;
                    let first = if compares_first { first } else { 0 };
                    while let Some(entry) = section.next_entry().expect("just written") {
                        let values: Vec<Value<'_>> = section.values(&entry).collect();
                        let name = format!(
                            "{key:?} pane {end} {first} table {} key {:?} {:?}",
                            section.table, entry.key, entry.member
                        );
                        if compares_first {
                            lines.push(format!("{name} {values:?}"));
                            continue;
                        }
                        let sum = sums.entry(name).or_insert_with(|| vec![0; values.len()]);
                        for (so_far, value) in sum.iter_mut().zip(&values) {
                            let Value::Word(word) = value else { panic!("no sum: {value:?}") };
                            *so_far = so_far.wrapping_add(*word);
                        }
                    }
                }
            }
        }
    }
    let rows_of = rows_of.into_iter().filter(|(_, rows)| *rows > 0);
    lines.extend(sums.into_iter().map(|(name, sum)| format!("{name} {sum:?}")));
    lines.extend(rows_of.map(|((key, end), rows)| format!("{key:?} pane {end}: {rows} rows")));
    lines.sort();
    lines
}

/// Says which seed failed.
struct Seed<'a> {
    scenario: &'a str,
    seed: u64,
}

impl Drop for Seed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Seed { scenario, seed } = self;
            eprintln!("seed {seed} failed: {SEED_VARIABLE}={seed} cargo test --lib {scenario}");
        }
    }
}

/// What came about in all runs of a scenario.
#[derive(Clone, Copy, Default, Debug)]
struct Coverage {
    crashes: u64,
    restored: u64,
    epochs: u64,
    base_bytes: u64,
    turns_without_room: u64,
    /// Recoveries that completed parts.
    completed: u64,
}

fn simulate(plan: &Plan, scenario: &Scenario, seed: u64, coverage: &mut Coverage) {
    let Scenario { compares_first, sql, on_disk, has_file_sinks, .. } = *scenario;
    let mut rng = fastrand::Rng::with_seed(seed);
    let files = input(rng.u64(..), rng.u64(100..800));
    let plain = Shape {
        seed,
        core_count: 1,
        chunk_bytes: 1 << 20,
        edge_elements_max: 16,
        turn_rows_max: 8192,
    };
    let expected = cluster::run(&job(sql), &files, plain);
    let disk = SimDisk::new(seed);
    files.iter().for_each(|(name, text)| disk.put(name, text.as_bytes()));
    let mut simulation = Simulation {
        plan,
        files: &files,
        file_sinks: has_file_sinks.then(|| FileSinks::new(&disk)),
        disk,
        hasher: KeyHasher::new(seed),
        chunk_bytes: rng.u64(100..5_000),
        logs: match on_disk {
            true => Box::new(DiskLogs::new(seed)),
            false => Box::new(MemoryLogs::default()),
        },
        output: Rc::new(RefCell::new(vec![BTreeMap::new(); 3])),
        published: Published::default(),
        limits: None,
        rng,
    };
    for number in 1.. {
        let shape = simulation.shape();
        let mut run = simulation.begin(shape);
        let is_last = number == RUNS_MAX;
        let most = [30, 100, 300, 1000][simulation.rng.usize(..4)];
        let turns = if is_last { TURNS_MAX } else { simulation.rng.u32(..most) };
        if simulation.turn(&mut run, turns) {
            check_end(&run, shape, coverage);
            break;
        }
        assert!(!is_last, "the cores are stuck: {shape:?}");
        for (worker, io) in &mut run.cores {
            let _ = worker.turn(io);
        }
        coverage.crashes += 1;
        if simulation.crash(run).is_some() {
            coverage.restored += 1;
            simulation.check_digests(compares_first);
        }
    }
    if let Some(sinks) = &simulation.file_sinks {
        sinks.check_all(&simulation.output);
        coverage.completed += sinks.completed();
    }
    assert_eq!(simulation.lines(0), expected.rows);
    assert_eq!(simulation.lines(1), expected.late);
    assert_eq!(simulation.lines(2), expected.rejected);
}

/// A job that was killed a few times, for those who look at what it left.
pub(crate) struct KilledJob {
    pub(crate) disk: SimDisk,
    pub(crate) hasher: KeyHasher,
    /// Its last epoch.
    pub(crate) epoch: u64,
    /// What a restore on one core finds, a line per entry.
    pub(crate) digest: Vec<String>,
}

/// Runs a tumbling window once on each of `core_counts` cores, and kills each run.
pub(crate) fn killed_job(core_counts: &[u16], seed: u64) -> KilledJob {
    let job = job(TUMBLE);
    let options = PlanOptions { time_zone: job.time_zone.name().to_owned() };
    let plan = sql::plan(&job.query, &job.tables, &options).expect("the tests' SQL is valid");
    let logs = DiskLogs::new(seed);
    let disk = logs.disk();
    let hasher = KeyHasher::new(seed);
    let kept = KeptLimits { percent_max: 0, bytes_min: 8_000 };
    let limits = CaptureLimits { turn_bytes: 4_000, slice_bytes: 500, part_bytes: 300, kept };
    let files = input(seed, 20_000);
    let inputs = SimDisk::new(seed);
    files.iter().for_each(|(name, text)| inputs.put(name, text.as_bytes()));
    let mut simulation = Simulation {
        plan: &plan,
        files: &files,
        hasher,
        chunk_bytes: 2_000,
        disk: inputs,
        file_sinks: None,
        logs: Box::new(logs),
        output: Rc::new(RefCell::new(vec![BTreeMap::new(); 3])),
        published: Published::default(),
        limits: Some(limits),
        rng: fastrand::Rng::with_seed(seed),
    };
    let mut last = 0;
    for &core_count in core_counts {
        let shape = Shape { core_count, turn_rows_max: 3, ..simulation.shape() };
        let mut run = simulation.begin(shape);
        let enough = last + 3;
        loop {
            let (epoch, panes) = committed(&disk);
            if epoch >= enough && panes > 0 {
                break;
            }
            assert!(!simulation.turn(&mut run, 20), "it is over too soon");
        }
        last = simulation.crash(run).expect("epochs were committed").number();
    }
    let found = disk.copy(0);
    let shape = Shape { core_count: 1, ..simulation.shape() };
    let digest = digest(&mut simulation.begin(shape).cores, true);
    KilledJob { disk: found, hasher, epoch: last, digest }
}

/// The last epoch on a disk that a start would find, and how many panes have entries.
fn committed(disk: &SimDisk) -> (u64, usize) {
    let examined = examine(&SimFiles::new(disk, "/j")).expect("nothing is damaged");
    let Some(examined) = examined else { return (0, 0) };
    let Some(journals) = RecoveredJournals::new(examined.recovered()) else { return (0, 0) };
    let restore = Restore::open(&journals).expect("the epoch can be read");
    let mut panes = BTreeSet::new();
    for manifest in restore.contents().manifests() {
        let note = &mut |_, record: Record<'_>| {
            match record {
                Record::Entries(section) => drop(panes.insert(section.pane)),
                Record::PaneDropped(pane) => drop(panes.remove(&pane)),
                Record::PaneNote { .. } | Record::OperatorNote(_) => {}
            }
            Ok(())
        };
        restore.records(manifest, note).expect("nothing is damaged");
    }
    (restore.epoch().number(), panes.len())
}

/// A run that came to its end.
fn check_end(run: &Run, shape: Shape, coverage: &mut Coverage) {
    let reports: Vec<CoreReport> = run.reports.try_iter().filter(|it| it.is_final).collect();
    assert_eq!(reports.len(), usize::from(shape.core_count), "{shape:?}");
    for report in &reports {
        for status in &report.operators {
            assert_eq!(status.counters.imbalance(), None, "{:?} {shape:?}", status.spec);
            assert_eq!(status.counters.held, 0, "{:?} {shape:?}", status.spec);
        }
        let checkpoint = report.checkpoint.expect("the job has epochs");
        coverage.base_bytes += checkpoint.capture.base_bytes;
        coverage.turns_without_room += checkpoint.capture.turns_without_room;
        coverage.epochs += checkpoint.epochs.map_or(0, |epochs| epochs.epochs);
    }
}

/// A job, and what its journals are.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    /// Of the test.
    name: &'static str,
    /// Panes are named alike on any number of cores.
    compares_first: bool,
    /// It keeps something that bases can be written of.
    keeps: bool,
    /// The journals are real.
    on_disk: bool,
    /// The sinks are.
    has_file_sinks: bool,
    sql: &'static str,
}

const fn scenario(name: &'static str, sql: &'static str) -> Scenario {
    let (compares_first, keeps, on_disk, has_file_sinks) = (true, true, false, false);
    Scenario { name, compares_first, keeps, on_disk, has_file_sinks, sql }
}

/// Runs a scenario with `seeds` seeds, or with the one that the environment names.
#[track_caller]
fn check(scenario: &Scenario, seeds: u64) {
    let job = job(scenario.sql);
    let options = PlanOptions { time_zone: job.time_zone.name().to_owned() };
    let plan = sql::plan(&job.query, &job.tables, &options).expect("the tests' SQL is valid");
    let mut coverage = Coverage::default();
    let alone: Option<u64> = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    let run = alone.map_or(1..=seeds, |seed| seed..=seed);
    for number in run {
        let seed = Seed { scenario: scenario.name, seed: number };
        simulate(&plan, scenario, seed.seed, &mut coverage);
    }
    if alone.is_none() {
        // The scenario is one in which something happens.
        let Coverage { crashes, restored, epochs, base_bytes, turns_without_room, completed } =
            coverage;
        let is_enough = crashes > seeds
            && restored > seeds / 2
            && epochs > seeds
            && turns_without_room > seeds
            && (base_bytes > 0 || !scenario.keeps)
            && (completed > seeds / 2 || !scenario.has_file_sinks);
        assert!(is_enough, "{}, {seeds} seeds: {coverage:?}", scenario.name);
    }
}

const PROJECTION: &str =
    "INSERT INTO output SELECT k, UPPER(s) AS s, v * 2 AS v, ts FROM input WHERE v > 0";

const TUMBLE: &str = "INSERT INTO output SELECT k, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS low, \
     MAX(s) AS high, COUNT(DISTINCT v) FILTER (WHERE v > 0) AS d, window_start, window_end \
     FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '5' SECOND)) \
     GROUP BY k, window_start, window_end";

const HOP: &str = "INSERT INTO output SELECT s, COUNT(DISTINCT k) AS ks, AVG(v) AS mean, \
     COUNT(*) AS n, window_end FROM TABLE(HOP(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND, \
     INTERVAL '5' SECOND)) GROUP BY s, window_start, window_end";

const ORDERED: &str = "INSERT INTO output SELECT k, FIRST_VALUE(s) AS a, LAST_VALUE(v) AS b, \
     LISTAGG(s, '|') AS c, COLLECT(s) AS f, window_end FROM TABLE(TUMBLE(TABLE input, \
     DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end";

const CASCADE: &str = "CREATE VIEW per_key AS SELECT k, COUNT(*) AS n, window_time AS moment \
     FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '2' SECOND)) \
     GROUP BY k, window_start, window_end, window_time; \
     INSERT INTO output SELECT MAX(n) AS most, COUNT(*) AS ks, window_start, window_end \
     FROM TABLE(TUMBLE(TABLE per_key, DESCRIPTOR(moment), INTERVAL '10' SECOND)) \
     GROUP BY window_start, window_end";

const UNION: &str = "CREATE VIEW either AS SELECT k, ts FROM input WHERE v > 0 UNION ALL \
     SELECT k, ts FROM input WHERE s = 's1'; \
     INSERT INTO output SELECT k, COUNT(*) AS n, window_end FROM TABLE(TUMBLE(TABLE either, \
     DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end";

const TWO_WRITERS: &str = "INSERT INTO output SELECT k, v AS n, ts FROM input WHERE v > 500 \
     UNION ALL SELECT k, SUM(v) AS n, window_time AS ts FROM TABLE(TUMBLE(TABLE input, \
     DESCRIPTOR(ts), INTERVAL '3' SECOND)) GROUP BY k, window_start, window_end, window_time";

const PROJECTION_SURVIVES: Scenario =
    Scenario { keeps: false, ..scenario("a_projection_survives", PROJECTION) };
const TUMBLE_SURVIVES: Scenario = scenario("a_tumbling_window_survives", TUMBLE);
const HOP_SURVIVES: Scenario =
    Scenario { compares_first: false, ..scenario("a_hopping_window_survives", HOP) };
const ORDERED_SURVIVES: Scenario = scenario("values_in_order_survive", ORDERED);
const CASCADE_SURVIVES: Scenario = scenario("a_window_over_a_window_survives", CASCADE);
const UNION_SURVIVES: Scenario = scenario("a_union_survives", UNION);
const TWO_WRITERS_SURVIVE: Scenario = scenario("two_writers_of_one_sink_survive", TWO_WRITERS);
const REAL_JOURNALS_SURVIVE: Scenario =
    Scenario { on_disk: true, compares_first: false, ..scenario("real_journals_survive", HOP) };
const FILE_SINKS_SURVIVE: Scenario =
    Scenario { has_file_sinks: true, compares_first: false, ..scenario("file_sinks_survive", HOP) };
const REAL_FILES_SURVIVE: Scenario = Scenario {
    on_disk: true,
    has_file_sinks: true,
    keeps: false,
    ..scenario("real_files_survive", PROJECTION)
};

#[test]
fn a_projection_survives() {
    check(&PROJECTION_SURVIVES, SEEDS);
}

#[test]
fn a_tumbling_window_survives() {
    check(&TUMBLE_SURVIVES, 2 * SEEDS);
}

#[test]
fn a_hopping_window_survives() {
    check(&HOP_SURVIVES, 2 * SEEDS);
}

#[test]
fn values_in_order_survive() {
    check(&ORDERED_SURVIVES, SEEDS);
}

#[test]
fn a_window_over_a_window_survives() {
    check(&CASCADE_SURVIVES, SEEDS);
}

#[test]
fn a_union_survives() {
    check(&UNION_SURVIVES, SEEDS);
}

#[test]
fn two_writers_of_one_sink_survive() {
    check(&TWO_WRITERS_SURVIVE, SEEDS);
}

#[test]
fn real_journals_survive() {
    check(&REAL_JOURNALS_SURVIVE, SEEDS);
}

#[test]
fn file_sinks_survive() {
    check(&FILE_SINKS_SURVIVE, 2 * SEEDS);
}

#[test]
fn real_files_survive() {
    check(&REAL_FILES_SURVIVE, 2 * SEEDS);
}

/// `PELTON_SIM_SEEDS` says how many; 2,000 of each scenario otherwise.
#[test]
#[ignore = "takes minutes"]
fn many_seeds_survive() {
    let seeds = std::env::var("PELTON_SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = seeds.unwrap_or(2_000);
    for scenario in [
        PROJECTION_SURVIVES,
        TUMBLE_SURVIVES,
        HOP_SURVIVES,
        ORDERED_SURVIVES,
        CASCADE_SURVIVES,
        UNION_SURVIVES,
        TWO_WRITERS_SURVIVE,
        REAL_JOURNALS_SURVIVE,
        FILE_SINKS_SURVIVE,
        REAL_FILES_SURVIVE,
    ] {
        check(&scenario, seeds);
    }
}
