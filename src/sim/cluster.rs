//! A cluster: the workers of all cores over files in memory, turned in an order the seed chooses.
//!
//! In:  a job's SQL, input files, a seed, sizes of everything that can be cut differently.
//! Out: what stands in the output directories at the end, and the cores' last reports.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use crate::config::Job;
use crate::dataflow::{SinkIndex, fuse};
use crate::format::{self, FormatOptions};
use crate::reactor::testing::{TestFiles, TestIo};
use crate::reactor::{FileStatus, Task, Turn, Wake};
use crate::record::KeyHasher;
use crate::sink::{FileSink, FileSinkOptions, PartRelease, Sink};
use crate::source::{
    CutOptions, EventTimeOptions, EventTimeRules, FilePlan, FileSource, FileSourceOptions, Source,
};
use crate::sql::{self, Plan, PlanOptions, PlannedSource};
use crate::state::Tracking;
use crate::stdx::CoreId;
use crate::worker::{
    CoreReport, DIVERSION_SCHEMA, DiversionSpec, JobGraph, JobSignal, Reporter, Wiring, Worker,
};

/// Turns after which a run that has not ended counts as stuck.
const TURNS_MAX: u32 = 2_000_000;

/// What can differ between two runs that must give the same answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) core_count: u16,
    pub(crate) chunk_bytes: u64,
    pub(crate) edge_elements_max: usize,
    pub(crate) turn_rows_max: usize,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Lines of the sink, sorted.
    pub(super) rows: Vec<String>,
    /// Lines of the late sink, sorted.
    pub(super) late: Vec<String>,
    /// Lines of the rejected sink, sorted.
    pub(super) rejected: Vec<String>,
    /// Last report of each core.
    pub(super) reports: Vec<CoreReport>,
}

pub(super) struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// Runs a job with one JSON source named `input` over `files` and one sink.
pub(super) fn run(job: &Job, files: &[(&str, String)], shape: Shape) -> Outcome {
    let options = PlanOptions { time_zone: job.time_zone.name().to_owned() };
    let plan = sql::plan(&job.query, &job.tables, &options).expect("the tests' SQL is valid");
    assert_eq!((plan.sources.len(), plan.sinks.len()), (1, 1));
    let schemas =
        [plan.sinks[0].schema.clone(), DIVERSION_SCHEMA.clone(), DIVERSION_SCHEMA.clone()];
    let sinks = |core| {
        let sinks = ["/out", "/late", "/rejected"].iter().zip(&schemas);
        sinks.map(|(directory, schema)| sink(directory, schema, core)).collect()
    };
    let (disk, reports) = run_plan(plan, &[files], &sinks, shape);
    Outcome {
        rows: lines(&disk, "/out/"),
        late: lines(&disk, "/late/"),
        rejected: lines(&disk, "/rejected/"),
        reports,
    }
}

/// Runs a plan to its end: `files[i]` are what source `i` reads, as JSON; `sinks` makes a core's
/// sinks: the plan's, then one for late and one for rejected rows.
pub(crate) fn run_plan(
    plan: Plan,
    files: &[&[(&str, String)]],
    sinks: &dyn Fn(CoreId) -> Vec<Box<dyn Sink>>,
    shape: Shape,
) -> (TestFiles, Vec<CoreReport>) {
    let graph = job_graph(&plan, KeyHasher::new(shape.seed), Tracking::Off, shape);
    let disk = TestFiles::default();
    let file_plans: Vec<Arc<FilePlan>> =
        files.iter().map(|files| Arc::new(file_plan(put(&disk, files), false, shape))).collect();
    let wakers: Vec<Arc<dyn Wake>> =
        (0..shape.core_count).map(|_| Arc::new(NoWake) as Arc<dyn Wake>).collect();
    let (sender, receiver) = mpsc::channel();
    let signal = JobSignal::default();
    let wirings = Wiring::for_all_cores(&graph, shape.edge_elements_max, &wakers);
    let mut cores: Vec<(Worker, TestIo)> = Vec::new();
    for (core, wiring) in CoreId::all(shape.core_count).zip(wirings) {
        let sources = plan.sources.iter().zip(&file_plans);
        let sources = sources.map(|(planned, cut)| source(planned, cut, core, shape)).collect();
        let sender = sender.clone();
        let reporter = Reporter::new(core, move |report| {
            let _ = sender.send(report);
        });
        let worker = Worker::build(&graph, wiring, sources, sinks(core), signal.clone(), reporter);
        cores.push((worker, TestIo::new(&disk, shape.seed + core.index() as u64, 3)));
    }
    turn_until_finished(cores, shape);
    let reports: Vec<CoreReport> = receiver.try_iter().filter(|report| report.is_final).collect();
    assert_eq!(reports.len(), usize::from(shape.core_count), "{shape:?}");
    (disk, reports)
}

/// What every core builds its part of a plan from: the plan's sinks, and two for late and rejected rows.
pub(super) fn job_graph(
    plan: &Plan,
    hasher: KeyHasher,
    tracking: Tracking,
    shape: Shape,
) -> JobGraph {
    let sink_count = plan.sinks.len() + 2;
    let (late, rejected) = (SinkIndex(sink_count - 2), SinkIndex(sink_count - 1));
    let diverted: Vec<SinkIndex> = plan.sources.iter().flat_map(|_| [late, rejected]).collect();
    let (stages, outlets) = fuse(&plan.graph, |_| false, &diverted);
    let mut outlets = outlets.into_iter();
    let diversion =
        |_| DiversionSpec { late: outlets.next(), rejected: outlets.next(), fails: false };
    JobGraph {
        graph: plan.graph.clone(),
        stages,
        diversions: plan.sources.iter().map(diversion).collect(),
        sinks: sink_count,
        hasher,
        tracking,
        turn_rows_max: shape.turn_rows_max,
        read_clock: || 0,
    }
}

/// Puts files on a disk that does not have them.
fn put(disk: &TestFiles, files: &[(&str, String)]) -> Vec<(PathBuf, FileStatus)> {
    let put = |(name, text): &(&str, String)| {
        disk.put(name, text.as_bytes());
        (PathBuf::from(name), disk.status(name))
    };
    files.iter().map(put).collect()
}

pub(super) fn file_plan(
    listed: Vec<(PathBuf, FileStatus)>,
    resumable: bool,
    shape: Shape,
) -> FilePlan {
    let cut = CutOptions {
        core_count: shape.core_count,
        resumable,
        chunk_bytes: shape.chunk_bytes,
        lines: true,
    };
    FilePlan::of(listed, cut)
}

pub(super) fn source(
    planned: &PlannedSource,
    files: &Arc<FilePlan>,
    core: CoreId,
    shape: Shape,
) -> Box<dyn Source> {
    let decoder = format::DecoderOptions {
        format: FormatOptions::Json(format::JsonOptions { iso_timestamps: false }),
        schema: planned.schema.clone(),
        projection: planned.projection.clone(),
        line_bytes_max: 4096,
        keep_provenance: None,
        start_offset: 0,
    };
    let options = FileSourceOptions {
        name: "input".into(),
        core,
        core_count: shape.core_count,
        decoder,
        make_decoder: Arc::new(|options| format::decoder(&options).expect("the types are plain")),
        metadata: None,
        event_time: planned.watermark.clone().map(|spec| EventTimeOptions {
            rules: EventTimeRules { spec, max_future_ms: None },
            idle_timeout_ns: None,
        }),
        keep_provenance: true,
    };
    Box::new(FileSource::new(Arc::clone(files), options))
}

fn sink(directory: &str, schema: &arrow::datatypes::SchemaRef, core: CoreId) -> Box<dyn Sink> {
    let json = FormatOptions::Json(format::JsonOptions { iso_timestamps: false });
    Box::new(FileSink::new(FileSinkOptions {
        directory: directory.into(),
        run: 1,
        core,
        extension: "json".into(),
        encoder: format::encoder(&json, schema).expect("the types are plain"),
        part_bytes_max: 1 << 20,
        part_age_ns_max: u64::MAX,
        release: PartRelease::Immediate,
    }))
}

/// Gives turns to cores in an order of the seed's choosing until all have finished.
fn turn_until_finished(mut cores: Vec<(Worker, TestIo)>, shape: Shape) {
    let mut rng = fastrand::Rng::with_seed(shape.seed);
    for _ in 0..TURNS_MAX {
        if cores.is_empty() {
            return;
        }
        let index = rng.usize(..cores.len());
        let (worker, io) = &mut cores[index];
        io.clock.advance_ms(rng.u64(0..2));
        if worker.turn(io) == Turn::Finished {
            cores.swap_remove(index);
        }
    }
    panic!("{} of {} cores are stuck: {shape:?}", cores.len(), shape.core_count);
}

fn lines(disk: &TestFiles, directory: &str) -> Vec<String> {
    let names = disk.names().into_iter().filter(|name| name.starts_with(directory));
    let mut lines: Vec<String> = names
        .map(|name| String::from_utf8(disk.bytes(&name)).expect("JSON is UTF-8"))
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines
}
