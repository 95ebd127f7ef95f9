//! From a resolved job to something that can be built: SQL planned, tables matched with their
//! connectors, the graph cut into stages. Changes nothing outside the process.

use std::path::Path;
use std::time::Duration;

use super::JobError;
use super::ledger::DiversionSinks;
use crate::config::{Job, OnError, SinkConfig, SinkConnector, SourceConfig};
use crate::dataflow::{SinkIndex, Stages, check_windows, fuse};
use crate::format::{self, FormatOptions};
use crate::record::KeyHasher;
use crate::source::{EventTimeOptions, EventTimeRules};
use crate::sql::{self, PlanOptions, PlannedSink, PlannedSource, TableOrigin};
use crate::worker::{DIVERSION_SCHEMA, DiversionSpec, JobGraph};

/// A job, ready to be built.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) sources: Vec<PreparedSource>,
    pub(super) sinks: Vec<PreparedSink>,
    pub(super) graph: JobGraph,
    pub(super) diversions: Vec<DiversionSinks>,
    /// For the user: what was accepted and has no effect.
    pub(super) notes: Vec<String>,
}

/// A source of the plan with its connector.
#[derive(Debug)]
pub(super) struct PreparedSource {
    pub(super) planned: PlannedSource,
    pub(super) config: SourceConfig,
}

/// A sink of the plan (or of late and rejected rows) with its connector.
#[derive(Debug)]
pub(super) struct PreparedSink {
    pub(super) planned: PlannedSink,
    pub(super) config: SinkConfig,
}

impl PreparedSink {
    /// How its records are written; asked of sinks that write records.
    pub(super) fn format(&self) -> &FormatOptions {
        self.config.format.as_ref().expect("only print and blackhole do without a format")
    }

    /// Its connections are on core 0.
    pub(super) fn is_gathered(&self) -> bool {
        matches!(self.config.connector, SinkConnector::Tcp(_) | SinkConnector::Print)
    }
}

/// Plans `job` for `core_count` cores.
pub(super) fn prepare(job: &Job, core_count: u16) -> Result<Prepared, JobError> {
    let options = PlanOptions { time_zone: job.time_zone.name().to_owned() };
    let plan = sql::plan(&job.query, &job.tables, &options).map_err(|errors| {
        JobError::configuration(errors.iter().map(ToString::to_string).collect())
    })?;
    let mut notes = plan.notes;
    let mut sources = match_sources(job, plan.sources, &mut notes)?;
    for source in &mut sources {
        let session = plan.idle_timeout_ms.map(Duration::from_millis);
        source.config.idle_timeout = source.config.idle_timeout.or(session);
    }
    let mut sinks = match_sinks(job, plan.sinks, &mut notes)?;
    let diversions = sources
        .iter()
        .map(|source| diversion_sinks(job, source, &mut sinks))
        .collect::<Result<Vec<_>, _>>()?;
    check_formats(&sources, &sinks)?;
    let windows = check_windows(&plan.graph);
    if !windows.is_empty() {
        return Err(JobError::configuration(windows));
    }
    let gathered: Vec<bool> =
        sinks.iter().map(|sink| core_count > 1 && sink.is_gathered()).collect();
    let wanted: Vec<SinkIndex> =
        diversions.iter().flat_map(|named| [named.late, named.rejected]).flatten().collect();
    let (stages, outlets) = fuse(&plan.graph, |sink| gathered[sink.0], &wanted);
    let mut outlets = outlets.into_iter();
    let specs = sources.iter().zip(&diversions).map(|(source, named)| DiversionSpec {
        late: named.late.and_then(|_| outlets.next()),
        rejected: named.rejected.and_then(|_| outlets.next()),
        fails: source.config.on_error == OnError::Fail,
    });
    let specs = specs.collect();
    let graph = JobGraph {
        graph: plan.graph,
        stages,
        diversions: specs,
        sinks: sinks.len(),
        hasher: KeyHasher::new(random_seed()),
        turn_rows_max: job.limits.turn_rows_max,
    };
    Ok(Prepared { sources, sinks, graph, diversions, notes })
}

fn match_sources(
    job: &Job,
    all: Vec<PlannedSource>,
    notes: &mut Vec<String>,
) -> Result<Vec<PreparedSource>, JobError> {
    let mut sources = Vec::new();
    for planned in all {
        let config = match &planned.origin {
            TableOrigin::Declared => job.sources[&planned.name].clone(),
            TableOrigin::Statement(options) => {
                let resolved = job.source_from_options(&planned.name, options, statement_file(job));
                let (config, more) = resolved.map_err(JobError::from)?;
                notes.extend(more);
                config
            }
        };
        sources.push(PreparedSource { planned, config });
    }
    Ok(sources)
}

fn match_sinks(
    job: &Job,
    all: Vec<PlannedSink>,
    notes: &mut Vec<String>,
) -> Result<Vec<PreparedSink>, JobError> {
    let mut sinks = Vec::new();
    for planned in all {
        let config = match &planned.origin {
            TableOrigin::Declared => job.sinks[&planned.name].clone(),
            TableOrigin::Statement(options) => {
                let resolved = job.sink_from_options(&planned.name, options, statement_file(job));
                let (config, more) = resolved.map_err(JobError::from)?;
                notes.extend(more);
                config
            }
        };
        sinks.push(PreparedSink { planned, config });
    }
    Ok(sinks)
}

/// The file in which a job's statements stand: the job file, or the one it names.
fn statement_file(job: &Job) -> &Path {
    job.query.first().map_or(&job.job_file, |text| &text.file)
}

/// Finds the sinks of a source's late and rejected rows; the first to name one adds it.
fn diversion_sinks(
    job: &Job,
    source: &PreparedSource,
    sinks: &mut Vec<PreparedSink>,
) -> Result<DiversionSinks, JobError> {
    let mut find = |name: &Option<String>| -> Result<Option<SinkIndex>, JobError> {
        let Some(name) = name else { return Ok(None) };
        if let Some(index) = sinks.iter().position(|sink| sink.planned.name == *name) {
            if sinks[index].planned.schema == *DIVERSION_SCHEMA {
                return Ok(Some(SinkIndex(index)));
            }
            return Err(JobError::configuration(vec![format!(
                "{}: sink \"{name}\" is the target of an INSERT and of late or rejected rows of \
                 \"{}\"; name a sink of its own",
                job.job_file.display(),
                source.planned.name
            )]));
        }
        let planned = PlannedSink {
            name: name.clone(),
            origin: TableOrigin::Declared,
            schema: DIVERSION_SCHEMA.clone(),
        };
        sinks.push(PreparedSink { planned, config: job.sinks[name].clone() });
        Ok(Some(SinkIndex(sinks.len() - 1)))
    };
    let late = find(&source.config.late_sink)?;
    Ok(DiversionSinks { late, rejected: find(&source.config.rejected_sink)? })
}

/// A column type that a format cannot read or write is found before anything starts.
fn check_formats(sources: &[PreparedSource], sinks: &[PreparedSink]) -> Result<(), JobError> {
    let sources = sources.iter().filter_map(|source| {
        let options = source.decoder_options();
        let error = format::decoder(&options).err()?;
        Some(format!("source \"{}\": {error}", source.planned.name))
    });
    let sinks = sinks.iter().filter_map(|sink| {
        let schema = &sink.planned.schema;
        let tried = match (&sink.config.connector, &sink.config.format) {
            (SinkConnector::Blackhole, _) => return None,
            (_, Some(format)) => format::encoder(format, schema),
            (_, None) => format::print_encoder(schema),
        };
        let error = tried.err()?;
        Some(format!("sink \"{}\": {error}", sink.planned.name))
    });
    let errors: Vec<String> = sources.chain(sinks).collect();
    if errors.is_empty() { Ok(()) } else { Err(JobError::configuration(errors)) }
}

impl PreparedSource {
    /// Rows keep their place and raw bytes when somebody wants late or rejected ones.
    pub(super) fn keeps_provenance(&self) -> bool {
        self.config.late_sink.is_some() || self.config.rejected_sink.is_some()
    }

    /// Event time as the source must keep it; `None` without WATERMARK FOR.
    pub(super) fn event_time(&self) -> Option<EventTimeOptions> {
        let spec = self.planned.watermark.clone()?;
        let max_future_ms =
            self.config.max_future.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let idle_timeout_ns =
            self.config.idle_timeout.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let rules = EventTimeRules { spec, max_future_ms };
        Some(EventTimeOptions { rules, idle_timeout_ns })
    }

    pub(super) fn decoder_options(&self) -> format::DecoderOptions {
        format::DecoderOptions {
            format: self.config.format.clone(),
            schema: self.planned.schema.clone(),
            projection: self.planned.projection.clone(),
            line_bytes_max: self.config.line_bytes_max,
            keep_provenance: None,
            start_offset: 0,
        }
    }
}

/// Secret per start, so that nobody outside can choose keys that all meet on one core. Journals
/// will fix it for the life of their directory.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Stages, for `explain`.
impl Prepared {
    pub(super) fn stages(&self) -> &Stages {
        &self.graph.stages
    }
}
