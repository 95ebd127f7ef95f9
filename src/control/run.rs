//! Running a job: start order, supervision by this thread, and the end.
//!
//! Start order: parse and plan → lock the directory → find files and directories → start the
//! cores, which bind and read. This thread then is the housekeeping thread: it waits for reports
//! and signals and prints progress.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::connect::Connectors;
use super::definition::definition_hash;
use super::prepare::{Prepared, prepare};
use super::progress::{Progress, say};
use super::report::{Report, RunFacts};
use super::signals::StopRequest;
use super::totals::Totals;
use super::{ErrorClass, JobError, ledger};
use crate::config::{CoreChoice, DurabilityMode, Job, Spin};
use crate::journal::{Directory, Finished};
use crate::limits::PROGRESS_INTERVAL;
use crate::reactor::{self, Clock, Cores, CoresRequest, ReactorOptions, SystemClock, TaskFactory};
use crate::stdx::{CoreId, FailureClass};
use crate::worker::{CoreReport, JobCommand, JobSignal, Reporter, Wiring, Worker};

/// How a job is run, besides what its file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunOptions {
    /// Where the report goes at the end.
    pub report: Option<PathBuf>,
    /// On SIGTERM or SIGINT, fire open windows as at the end of input.
    pub drain: bool,
    /// Start over, even when the job has finished before.
    pub fresh: bool,
}

/// How often this thread looks for signals.
const SIGNAL_LOOK_INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(job: &Job, options: &RunOptions) -> Result<(), JobError> {
    let began_ns = SystemClock.monotonic_ns();
    let cpus = resolve_cpus(job)?;
    let core_count = u16::try_from(cpus.len()).expect("limits::CORES_MAX cores at most");
    let prepared = prepare(job, core_count)?;
    for note in &prepared.notes {
        say(&format!("note: {note}"));
    }
    if job.durability.mode == DurabilityMode::On {
        say(
            "note: journals are not built yet: running with durability mode \"off\" and immediate \
             release; a crash loses open windows",
        );
    }
    if let Some(obstacle) = reactor::probe().into_iter().next() {
        return Err(obstacle.into());
    }
    let directory = Directory::open(&job.durability.dir, &job.name, options.fresh)?;
    let definition = definition_hash(job, &prepared);
    if let Some(finished) = directory.finished()? {
        return already_finished(job, &finished, definition);
    }
    let connectors = Connectors::open(job, &prepared, core_count)?;
    let stop = StopRequest::install().map_err(|error| {
        JobError::new(ErrorClass::Environment, format!("cannot watch for signals: {error}"))
    })?;
    let mut running = Running::start(job, &prepared, connectors, cpus)?;
    let outcome = running.supervise(&stop, options, began_ns)?;
    let wall_seconds = seconds(SystemClock.monotonic_ns() - began_ns);
    let totals = running.end()?;
    let violations = ledger::violations(prepared.stages(), &prepared.diversions, &totals);
    let run = directory.run();
    let facts = facts(job, &prepared, outcome, run, (core_count, wall_seconds), &violations);
    let report = Report::new(facts, &totals);
    say(&report.summary());
    if let Some(path) = &options.report {
        std::fs::write(path, report.to_json()).map_err(|error| {
            JobError::new(ErrorClass::Io, format!("cannot write {}: {error}", path.display()))
        })?;
    }
    if !violations.is_empty() {
        let lines =
            violations.iter().map(|line| format!("ledger: {line}; this is a bug")).collect();
        return Err(JobError { class: ErrorClass::DataIntegrity, lines });
    }
    if outcome == Outcome::Finished {
        let at = crate::record::Timestamp::from_millis(SystemClock.wall_ms()).to_string();
        directory.set_finished(&Finished { definition, run, at })?;
    }
    Ok(())
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Finished,
    Stopped,
    Drained,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Finished => "finished",
            Outcome::Stopped => "stopped",
            Outcome::Drained => "drained",
        }
    }
}

/// Cores that run, and their newest reports.
struct Running {
    cores: Option<reactor::RunningCores>,
    wakers: Vec<Arc<dyn reactor::Wake>>,
    signal: JobSignal,
    reports: mpsc::Receiver<CoreReport>,
    newest: Vec<Option<CoreReport>>,
}

impl Running {
    fn start(
        job: &Job,
        prepared: &Prepared,
        connectors: Connectors,
        cpus: Vec<usize>,
    ) -> Result<Running, JobError> {
        let core_count = cpus.len();
        let spin = match job.reactor.spin {
            Spin::Always => reactor::Spin::Always,
            Spin::For(time) => reactor::Spin::For(time),
        };
        let cores = Cores::prepare(ReactorOptions { cpus, spin })?;
        let wakers = cores.wakers();
        let graph = Arc::new(prepared.graph.clone());
        let connectors = Arc::new(connectors);
        let signal = JobSignal::default();
        let (sender, reports) = mpsc::channel();
        let wirings = Wiring::for_all_cores(&graph, job.limits.edge_elements_max, &wakers);
        let factories = wirings.into_iter().map(|wiring| -> TaskFactory {
            let (graph, connectors) = (Arc::clone(&graph), Arc::clone(&connectors));
            let (signal, sender) = (signal.clone(), sender.clone());
            Box::new(move |core: CoreId| {
                let (sources, sinks) = (connectors.sources(core), connectors.sinks(core));
                let reporter = Reporter::new(core, sender);
                Box::new(Worker::build(&graph, wiring, sources, sinks, signal, reporter))
            })
        });
        let cores = cores.start(factories.collect())?;
        let newest = (0..core_count).map(|_| None).collect();
        Ok(Running { cores: Some(cores), wakers, signal, reports, newest })
    }

    /// Until every core has sent its last report.
    fn supervise(
        &mut self,
        stop: &StopRequest,
        options: &RunOptions,
        began_ns: u64,
    ) -> Result<Outcome, JobError> {
        let mut outcome = Outcome::Finished;
        let mut progress = Progress::default();
        let mut printed_ns = began_ns;
        while !self.all_final() {
            if stop.is_set() && outcome == Outcome::Finished {
                outcome = if options.drain { Outcome::Drained } else { Outcome::Stopped };
                say("stopping: reading has ended, what is in flight is being finished");
                self.command(if options.drain { JobCommand::Drain } else { JobCommand::Stop });
            }
            match self.reports.recv_timeout(SIGNAL_LOOK_INTERVAL) {
                Ok(report) => self.take(report)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.core_lost()),
            }
            let now_ns = SystemClock.monotonic_ns();
            if now_ns - printed_ns >= u64::try_from(PROGRESS_INTERVAL.as_nanos()).expect("seconds")
            {
                let interval = seconds(now_ns - printed_ns);
                progress.print(&self.totals(), seconds(now_ns - began_ns), interval);
                printed_ns = now_ns;
            }
        }
        Ok(outcome)
    }

    /// Keeps the newest report. A core that gave up ends the job: the others are not waited for,
    /// because what they have in flight towards it can go nowhere.
    fn take(&mut self, mut report: CoreReport) -> Result<(), JobError> {
        for notice in report.notices.drain(..) {
            say(&format!("note: {notice}"));
        }
        if let Some(failure) = report.failure {
            let class = match failure.class {
                FailureClass::Environment => ErrorClass::Environment,
                FailureClass::Data => ErrorClass::DataIntegrity,
                FailureClass::Io => ErrorClass::Io,
            };
            return Err(JobError::new(class, failure.message));
        }
        let slot = &mut self.newest[report.core.index()];
        *slot = Some(report);
        Ok(())
    }

    fn command(&self, command: JobCommand) {
        self.signal.set(command);
        for waker in &self.wakers {
            waker.wake();
        }
    }

    fn all_final(&self) -> bool {
        self.newest.iter().all(|report| report.as_ref().is_some_and(|report| report.is_final))
    }

    fn totals(&self) -> Totals {
        Totals::of(self.newest.iter().flatten())
    }

    /// Every core dropped its line without a last report.
    fn core_lost(&mut self) -> JobError {
        let ended = self.cores.take().map(reactor::RunningCores::join).unwrap_or_default();
        let failures: Vec<String> = ended
            .into_iter()
            .filter_map(|core| core.err())
            .map(|error| error.to_string())
            .collect();
        JobError::new(ErrorClass::Environment, format!("a core ended: {}", failures.join("; ")))
    }

    /// Waits for the threads.
    fn end(mut self) -> Result<Totals, JobError> {
        let totals = self.totals();
        for ended in self.cores.take().map(reactor::RunningCores::join).unwrap_or_default() {
            ended.map_err(|error| JobError::new(ErrorClass::Environment, error.to_string()))?;
        }
        Ok(totals)
    }
}

fn resolve_cpus(job: &Job) -> Result<Vec<usize>, JobError> {
    let environment = |line: String| JobError::new(ErrorClass::Environment, line);
    let allowed = reactor::allowed_cpus()
        .map_err(|error| environment(format!("cannot ask for this process's CPUs: {error}")))?;
    let request = match &job.reactor.cores {
        CoreChoice::All => CoresRequest::All,
        CoreChoice::Count(count) => CoresRequest::Count(*count),
        CoreChoice::Cpus(cpus) => {
            CoresRequest::List(cpus.iter().map(|&cpu| usize::from(cpu)).collect())
        }
    };
    let cpus = reactor::resolve_cores(&request, &allowed)
        .map_err(|error| environment(format!("reactor.cores: {error}")))?;
    if cpus.len() > allowed.len() {
        let (cores, cpus) = (cpus.len(), allowed.len());
        say(&format!("note: {cores} cores share {cpus} CPUs; latency will suffer"));
    }
    Ok(cpus)
}

/// A finished job has nothing to do; an edited one may not silently count as the same.
fn already_finished(job: &Job, finished: &Finished, definition: u64) -> Result<(), JobError> {
    let Finished { run, at, .. } = finished;
    let dir = job.durability.dir.display();
    if finished.definition == definition {
        say(&format!(
            "{}: finished at {at} in run {run}; nothing to do. --fresh starts over",
            job.name
        ));
        return Ok(());
    }
    Err(JobError::configuration(vec![format!(
        "{}: the job was edited after it had finished at {at} (run {run}, directory {dir}); \
         --fresh starts over, or give it a durability.dir of its own",
        job.job_file.display()
    )]))
}

fn facts<'a>(
    job: &'a Job,
    prepared: &'a Prepared,
    outcome: Outcome,
    run: u32,
    (cores, wall_seconds): (u16, f64),
    violations: &[String],
) -> RunFacts<'a> {
    let usage = reactor::process_usage();
    RunFacts {
        job: &job.name,
        run,
        outcome: outcome.word(),
        cores,
        wall_seconds,
        cpu_seconds: usage.cpu.as_secs_f64(),
        memory_peak_bytes: usage.memory_peak_bytes,
        source_names: prepared.sources.iter().map(|it| it.planned.name.clone()).collect(),
        sink_names: prepared.sinks.iter().map(|it| it.planned.name.clone()).collect(),
        graph: &prepared.graph.graph,
        violations: violations.to_vec(),
    }
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}
