//! Running a job: start order, supervision by this thread, and the end.
//!
//! Start order: parse and plan → lock the directory → find the newest epoch → find files and
//! directories, complete the output that epoch has → start the cores, which bind and read. This thread
//! then is the housekeeping thread: it waits for reports and signals and prints progress.

use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::audience::Audience;
use super::connect::{Connectors, Start};
use super::definition::{definition_hash, query_lines};
use super::durability::{CoreDurability, Durability, StartGate, random_number};
use super::http::{Listen, Question, Server};
use super::live::{Live, RunIdentity};
use super::log::{self, Log, LogFormat};
use super::names::Names;
use super::prepare::{Prepared, PreparedSink, prepare};
use super::report::{Report, RunFacts};
use super::screen;
use super::signals::StopSignals;
use super::totals::Totals;
use super::{ErrorClass, JobError, ledger};
use crate::config::{CoreChoice, DurabilityMode, HttpListen, Job, SinkConnector, Spin};
use crate::journal::{Directory, Finished};
use crate::limits::{HTTP_PORT, PROGRESS_INTERVAL};
use crate::reactor::{self, Clock, Cores, CoresRequest, ReactorOptions, SystemClock, TaskFactory};
use crate::record::KeyHasher;
use crate::state::Tracking;
use crate::stdx::CoreId;
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
    /// Lines instead of the live screen, on a terminal too.
    pub plain: bool,
    /// How messages are written.
    pub log: LogFormat,
}

/// How long stopping may take before the user reads what it waits for, and how often again.
const STOPPING_PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(job: &Job, options: &RunOptions, log: &Log) -> Result<(), JobError> {
    let began_ns = SystemClock.monotonic_ns();
    let (cpus, crowded) = resolve_cpus(job)?;
    if let Some(note) = crowded {
        log::note(&note);
    }
    let core_count = u16::try_from(cpus.len()).expect("limits::CORES_MAX cores at most");
    let mut prepared = prepare(job, core_count)?;
    for note in &prepared.notes {
        log::note(note);
    }
    if let Some(obstacle) = reactor::probe().into_iter().next() {
        return Err(obstacle.into());
    }
    let mut directory =
        Directory::open(&job.durability.dir, &job.name, options.fresh, random_number())?;
    let definition = definition_hash(job, &prepared);
    if let Some(finished) = directory.finished()? {
        return already_finished(job, &finished, definition);
    }
    if job.durability.mode == DurabilityMode::On {
        prepared.graph.tracking = Tracking::On;
    }
    prepared.graph.hasher = KeyHasher::new(directory.key_seed());
    directory.begin_run(query_lines(&prepared))?;
    let run = directory.run();
    let durability = Durability::recover(job, &directory, options.fresh)?;
    let start = Start {
        core_count,
        run,
        is_durable: durability.is_some(),
        epochs: durability.as_ref().map(Durability::output_epochs),
        epoch: durability.as_ref().and_then(Durability::epoch),
    };
    let connectors = Connectors::open(job, &prepared, start)?;
    let identity = RunIdentity {
        job: job.name.clone(),
        directory: absolute(&job.durability.dir).display().to_string(),
        run,
        began_ns,
        cpus,
    };
    let parts = (connectors, durability);
    let mut running = Running::start(job, &prepared, parts, identity, (options, log))?;
    let ended = running.supervise(&prepared, began_ns);
    let ended = ended.and_then(|()| running.end());
    let totals = running.totals();
    let violations = || ledger::violations(prepared.stages(), &prepared.diversions, &totals);
    let facts = RunFacts {
        job,
        prepared: &prepared,
        run,
        outcome: ended.as_ref().map_or("failed", |outcome| outcome.word()),
        error: ended.as_ref().err().map(|error| error.lines.join("\n")),
        cores: core_count,
        wall_seconds: seconds(SystemClock.monotonic_ns() - began_ns),
        latencies: running.live.latencies().collect(),
        violations: ended.is_ok().then(violations),
    };
    let report = Report::new(facts, &totals);
    if conclude(ended, &report, options.report.as_deref())? == Outcome::Finished {
        let at = crate::record::Timestamp::from_millis(SystemClock.wall_ms()).to_string();
        directory.set_finished(&Finished { definition, run, at })?;
    }
    Ok(())
}

/// Reports a run, however it ended. A ledger that does not balance is an error.
fn conclude(
    ended: Result<Outcome, JobError>,
    report: &Report,
    path: Option<&Path>,
) -> Result<Outcome, JobError> {
    report.tell_summary();
    let written = path.map_or(Ok(()), |path| {
        std::fs::write(path, report.to_json()).map_err(|error| {
            JobError::new(ErrorClass::Io, format!("cannot write {}: {error}", path.display()))
        })
    });
    // What ended the job is said first.
    let outcome = ended?;
    written?;
    let lines = report.violations().iter().map(|line| format!("ledger: {line}; this is a bug"));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return Ok(outcome);
    }
    Err(JobError { class: ErrorClass::DataIntegrity, lines })
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

impl From<JobCommand> for Outcome {
    fn from(ended_by: JobCommand) -> Outcome {
        match ended_by {
            JobCommand::Run => Outcome::Finished,
            JobCommand::Stop => Outcome::Stopped,
            JobCommand::Drain => Outcome::Drained,
        }
    }
}

/// Cores that run, and their newest reports.
struct Running<'a> {
    cores: Option<reactor::RunningCores>,
    stop: StopSignals,
    news: mpsc::Receiver<News>,
    live: Live,
    audience: Audience<'a>,
}

/// What the housekeeping thread waits for.
enum News {
    Report(Box<CoreReport>),
    Question(Question),
}

impl<'a> Running<'a> {
    /// Once it returns, a signal is obeyed: windows that are open are fired first if `drain`.
    fn start(
        job: &Job,
        prepared: &Prepared,
        (connectors, durability): (Connectors, Option<Durability>),
        identity: RunIdentity,
        (options, log): (&RunOptions, &'a Log),
    ) -> Result<Running<'a>, JobError> {
        let cpus = identity.cpus.clone();
        let live = Live::new(identity, Names::of(prepared));
        let spin = match job.reactor.spin {
            Spin::Always => reactor::Spin::Always,
            Spin::For(time) => reactor::Spin::For(time),
        };
        let cores = Cores::prepare(ReactorOptions { cpus: cpus.clone(), spin })?;
        let wakers = cores.wakers();
        let graph = Arc::new(prepared.graph.clone());
        let connectors = Arc::new(connectors);
        let signal = JobSignal::default();
        let (sender, news) = mpsc::channel();
        serve_http(job, &cpus, sender.clone())?;
        let wirings = Wiring::for_all_cores(&graph, job.limits.edge_elements_max, &wakers);
        let (gate, durability) = match durability {
            Some(durability) => {
                let directory = &job.durability.dir;
                let (gate, parts) = durability.for_cores(prepared, &cpus, &wakers, directory)?;
                (Some(gate), parts)
            }
            None => (None, Vec::new()),
        };
        let durability = durability.into_iter().map(Some).chain(iter::repeat_with(|| None));
        let factories = wirings.into_iter().zip(durability).map(|(wiring, own)| -> TaskFactory {
            let (graph, connectors) = (Arc::clone(&graph), Arc::clone(&connectors));
            let (signal, sender) = (signal.clone(), sender.clone());
            Box::new(move |core: CoreId| {
                let mut own = own;
                let output = own.as_mut().and_then(CoreDurability::output);
                let sources = connectors.sources(core);
                let sinks = connectors.sinks(core, output.as_ref());
                let reporter = Reporter::new(core, move |report| {
                    // Nobody listens any more: the job has ended.
                    let _ = sender.send(News::Report(Box::new(report)));
                });
                let mut worker = Worker::build(&graph, wiring, sources, sinks, signal, reporter);
                if own.is_none_or(|own| own.restore(&mut worker, output)) {
                    return Box::new(worker);
                }
                Box::new(worker.refuse())
            })
        });
        let factories = factories.collect();
        let command = if options.drain { JobCommand::Drain } else { JobCommand::Stop };
        let stop = move || {
            signal.set(command);
            wakers.iter().for_each(|waker| waker.wake());
        };
        let stop = StopSignals::watch(&cpus, stop, screen::restore);
        let stop = stop.map_err(|error| {
            JobError::new(ErrorClass::Environment, format!("cannot watch for signals: {error}"))
        })?;
        let cores = cores.start(factories)?;
        gate.map_or(Ok(()), StartGate::open)?;
        // Where it fails this thread shares a core's CPU, which is slower and not wrong.
        let _ = reactor::leave_core_cpus(&cpus);
        let prints = |sink: &PreparedSink| matches!(sink.config.connector, SinkConnector::Print);
        let prints = prepared.sinks.iter().any(prints);
        let wants_screen = !options.plain && screen::is_possible(prints);
        let audience = Audience::gather(log, &cpus, wants_screen);
        Ok(Running { cores: Some(cores), stop, news, live, audience })
    }

    /// Until every core has sent its last report.
    fn supervise(&mut self, prepared: &Prepared, began_ns: u64) -> Result<(), JobError> {
        let ended = self.watch(prepared, began_ns);
        self.audience.end(self.stop.is_requested());
        ended
    }

    fn watch(&mut self, prepared: &Prepared, began_ns: u64) -> Result<(), JobError> {
        let interval_ns = nanos(PROGRESS_INTERVAL);
        let (mut printed_ns, mut stopping_ns) = (began_ns, None);
        while !self.live.all_final() {
            let due_ns = printed_ns + interval_ns;
            let next_ns = due_ns.min(self.audience.due_ns());
            let left_ns = next_ns.saturating_sub(SystemClock.monotonic_ns());
            match self.news.recv_timeout(Duration::from_nanos(left_ns)) {
                Ok(News::Report(report)) => self.take(*report)?,
                Ok(News::Question(question)) => {
                    let answer = self.live.answer(question.page, self.stop.is_requested());
                    // Who asked may have gone.
                    let _ = question.answer.try_send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.core_lost()),
            }
            let now_ns = SystemClock.monotonic_ns();
            self.audience.often(&self.live, now_ns, self.stop.is_requested());
            if now_ns < due_ns {
                continue;
            }
            let totals = self.totals();
            let times = (seconds(now_ns - began_ns), seconds(now_ns - printed_ns));
            self.audience.regularly(&self.live, &totals, times, self.stop.is_requested());
            printed_ns = now_ns;
            reactor::return_freed_memory();
            if self.stop.is_requested() {
                let since_ns = stopping_ns.get_or_insert(now_ns);
                if now_ns - *since_ns >= nanos(STOPPING_PATIENCE) {
                    *since_ns = now_ns;
                    log::state(&what_stopping_waits_for(prepared, &totals));
                }
            }
        }
        Ok(())
    }

    /// Keeps the newest report. A core that gave up ends the job: the others are not waited for,
    /// because what they have in flight towards it can go nowhere.
    fn take(&mut self, mut report: CoreReport) -> Result<(), JobError> {
        for notice in report.notices.drain(..) {
            log::note(&notice);
            self.live.note(notice);
        }
        if let Some(failure) = report.failure {
            return Err(failure.into());
        }
        self.live.take(report);
        Ok(())
    }

    fn totals(&self) -> Totals {
        self.live.totals()
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

    /// Waits for the threads of cores that have sent their last reports.
    fn end(&mut self) -> Result<Outcome, JobError> {
        for ended in self.cores.take().map(reactor::RunningCores::join).unwrap_or_default() {
            ended.map_err(|error| JobError::new(ErrorClass::Environment, error.to_string()))?;
        }
        let ended_by = self.live.reports().map(|report| report.ended_by).max();
        Ok(ended_by.unwrap_or(JobCommand::Run).into())
    }
}

/// HTTP, where the job wants it. Without a free port a job runs all the same, unless it names one.
fn serve_http(job: &Job, cpus: &[usize], sender: mpsc::Sender<News>) -> Result<(), JobError> {
    let Some(listen) = listen(job) else { return Ok(()) };
    let started = Server::start(listen, cpus, move |question| {
        // The job has ended.
        let _ = sender.send(News::Question(question));
    });
    match (started, listen) {
        (Ok(server), _) => log::note(&format!("http://{}/status", server.address)),
        (Err(error), Listen::From(_)) => log::warning(&error.to_string()),
        (Err(error), Listen::At(_)) => return Err(error),
    }
    Ok(())
}

/// Where a job's HTTP is.
pub(super) fn listen(job: &Job) -> Option<Listen> {
    match job.http.listen {
        HttpListen::Off => None,
        HttpListen::FirstFree => {
            Some(Listen::From(SocketAddr::from((Ipv4Addr::LOCALHOST, HTTP_PORT))))
        }
        HttpListen::At(address) => Some(Listen::At(address)),
    }
}

/// A job is told from others by its directory, wherever one asks from.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn what_stopping_waits_for(prepared: &Prepared, totals: &Totals) -> String {
    let held = prepared.sinks.iter().zip(&totals.sinks).filter_map(|(sink, counters)| {
        let settled = counters.rows_out + counters.rows_discarded + counters.rows_kept;
        let rows = counters.rows_in.saturating_sub(settled);
        let name = &sink.planned.name;
        (rows > 0).then(|| format!("sink {name} holds {rows} rows that were not taken"))
    });
    let held: Vec<String> = held.collect();
    let what = if held.is_empty() { "work is still in flight".into() } else { held.join(", ") };
    format!("still stopping: {what}; a second signal ends the process at once")
}

/// The CPU of each core, and what is to be said when they are too few.
pub(super) fn resolve_cpus(job: &Job) -> Result<(Vec<usize>, Option<String>), JobError> {
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
    let (cores, count) = (cpus.len(), allowed.len());
    let crowded = || format!("{cores} cores share {count} CPUs; latency will suffer");
    Ok((cpus, (cores > count).then(crowded)))
}

/// A finished job has nothing to do; an edited one may not silently count as the same.
fn already_finished(job: &Job, finished: &Finished, definition: u64) -> Result<(), JobError> {
    let Finished { run, at, .. } = finished;
    let dir = job.durability.dir.display();
    if finished.definition == definition {
        log::state(&format!(
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a few seconds")
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}
