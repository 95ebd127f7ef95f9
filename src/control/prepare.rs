//! From a resolved job to something that can be built: SQL planned, tables matched with their
//! connectors, the graph cut into stages. Changes nothing outside the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::JobError;
use super::ledger::DiversionSinks;
use arrow::datatypes::{Fields, Schema};

use crate::config::{
    DatagenSourceConfig, Job, OnError, SinkConfig, SinkConnector, SourceConfig, SourceConnector,
};
use crate::dataflow::{SinkIndex, Stages, check_windows, fuse};
use crate::format::{self, FormatOptions};
use crate::reactor::{Clock, SystemClock};
use crate::record::KeyHasher;
use crate::source::{
    Datagen, EventTimeOptions, EventTimeRules, FieldFault, FileMetadata, MetadataColumns, Nexmark,
};
use crate::sql::{self, PlanOptions, PlannedSink, PlannedSource, SqlText, TableOrigin};
use crate::state::Tracking;
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
    let mut errors = Vec::new();
    let mut sources = match_sources(job, plan.sources, &mut notes, &mut errors);
    let mut sinks = match_sinks(job, plan.sinks, &mut notes, &mut errors);
    if !errors.is_empty() {
        return Err(JobError::configuration(errors));
    }
    for source in &mut sources {
        let session = plan.idle_timeout_ms.map(Duration::from_millis);
        source.config.idle_timeout = source.config.idle_timeout.or(session);
    }
    let diversions: Vec<DiversionSinks> = sources
        .iter()
        .map(|source| diversion_sinks(job, source, &mut sinks, &mut errors))
        .collect();
    errors.extend(bad_formats(&sources, &sinks));
    errors.extend(check_windows(&plan.graph).iter().map(|window| in_query(job, window)));
    if !errors.is_empty() {
        return Err(JobError::configuration(errors));
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
        // The directory's, once there is one.
        hasher: KeyHasher::new(0),
        tracking: Tracking::Off,
        turn_rows_max: job.limits.turn_rows_max,
        read_clock: || SystemClock.monotonic_ns(),
    };
    Ok(Prepared { sources, sinks, graph, diversions, notes })
}

/// Sources with their connectors; what is wrong with one's options goes to `errors`.
fn match_sources(
    job: &Job,
    all: Vec<PlannedSource>,
    notes: &mut Vec<String>,
    errors: &mut Vec<String>,
) -> Vec<PreparedSource> {
    let mut sources = Vec::new();
    for planned in all {
        let resolved = match &planned.origin {
            TableOrigin::Declared => Ok((job.sources[&planned.name].clone(), Vec::new())),
            TableOrigin::Statement(options) => {
                job.source_from_options(&planned.name, options, statement_file(job))
            }
        };
        match resolved {
            Ok((config, more)) => {
                notes.extend(more);
                sources.push(PreparedSource { planned, config });
            }
            Err(wrong) => errors.extend(wrong.lines()),
        }
    }
    sources
}

/// The same for sinks.
fn match_sinks(
    job: &Job,
    all: Vec<PlannedSink>,
    notes: &mut Vec<String>,
    errors: &mut Vec<String>,
) -> Vec<PreparedSink> {
    let mut sinks = Vec::new();
    for planned in all {
        let resolved = match &planned.origin {
            TableOrigin::Declared => Ok((job.sinks[&planned.name].clone(), Vec::new())),
            TableOrigin::Statement(options) => {
                job.sink_from_options(&planned.name, options, statement_file(job))
            }
        };
        match resolved {
            Ok((config, more)) => {
                notes.extend(more);
                sinks.push(PreparedSink { planned, config });
            }
            Err(wrong) => errors.extend(wrong.lines()),
        }
    }
    sinks
}

/// The file in which a job's statements stand: the job file, or the one it names.
fn statement_file(job: &Job) -> &Path {
    job.query.first().map_or(&job.job_file, |text| &text.file)
}

/// An error of the query as a whole: a window's plan no longer knows its line.
fn in_query(job: &Job, message: &str) -> String {
    match job.query.first() {
        Some(SqlText { file, line, column, .. }) => {
            format!("{}:{line}:{column}: {message}", file.display())
        }
        None => format!("{}: {message}", job.job_file.display()),
    }
}

/// Finds the sinks of a source's late and rejected rows; the first to name one adds it.
fn diversion_sinks(
    job: &Job,
    source: &PreparedSource,
    sinks: &mut Vec<PreparedSink>,
    errors: &mut Vec<String>,
) -> DiversionSinks {
    let config = &source.config;
    let mut find = |key: &str, name: &Option<String>| {
        let name = name.as_ref()?;
        if let Some(index) = sinks.iter().position(|sink| sink.planned.name == *name) {
            if sinks[index].planned.schema != *DIVERSION_SCHEMA {
                let message =
                    format!("\"{name}\" is the target of an INSERT, too; name a sink of its own");
                errors.push(config.place.error(key, message));
            }
            return Some(SinkIndex(index));
        }
        let sink = &job.sinks[name];
        if sink.place.has("schema") {
            let message = "late and rejected rows have columns of their own; remove it";
            errors.push(sink.place.error("schema", message));
        }
        let planned = PlannedSink {
            name: name.clone(),
            origin: TableOrigin::Declared,
            schema: DIVERSION_SCHEMA.clone(),
        };
        sinks.push(PreparedSink { planned, config: sink.clone() });
        Some(SinkIndex(sinks.len() - 1))
    };
    let late = find("late_sink", &config.late_sink);
    DiversionSinks { late, rejected: find("rejected_sink", &config.rejected_sink) }
}

/// A column type that a format cannot read or write is found before anything starts.
fn bad_formats(sources: &[PreparedSource], sinks: &[PreparedSink]) -> Vec<String> {
    let sources = sources.iter().flat_map(bad_columns);
    let sinks = sinks.iter().filter_map(|sink| {
        let schema = &sink.planned.schema;
        let tried = match (&sink.config.connector, &sink.config.format) {
            (SinkConnector::Blackhole, _) => return None,
            (_, Some(format)) => format::encoder(format, schema),
            (_, None) => format::print_encoder(schema),
        };
        Some(sink.config.place.error("format", tried.err()?.to_string()))
    });
    sources.chain(sinks).collect()
}

/// What of a table's columns its connector cannot give.
fn bad_columns(source: &PreparedSource) -> Vec<String> {
    let config = &source.config;
    if !source.planned.metadata.is_empty() {
        let message = match &config.connector {
            SourceConnector::File(file) if file.follow => {
                Some("a followed file has no METADATA columns; leave `follow` out")
            }
            SourceConnector::File(_) => None,
            _ => Some("only files have METADATA columns"),
        };
        if let Some(message) = message {
            return vec![config.place.error("connector", message)];
        }
    }
    match &config.connector {
        SourceConnector::Tcp(_) | SourceConnector::File(_) => {
            let error = match &config.format {
                Some(frames @ FormatOptions::Frames) => {
                    format::check(frames, &source.planned.schema).err()
                }
                _ => format::decoder(&source.decoder_options()).err(),
            };
            error.map(|error| config.place.error("format", error.to_string())).into_iter().collect()
        }
        SourceConnector::Nexmark(_) => wrong_nexmark(source).into_iter().collect(),
        SourceConnector::Datagen(datagen) => {
            let faults = source.datagen(datagen).err().unwrap_or_default();
            let place = |fault: FieldFault| {
                let field = fault.option.map(|index| &datagen.fields[index]);
                let key = field.map_or_else(
                    || "schema".to_owned(),
                    |field| format!("fields.{}.{}", field.column, field.option),
                );
                config.place.error(&key, fault.message)
            };
            faults.into_iter().map(place).collect()
        }
    }
}

/// The first column of a Nexmark table that is not the connector's.
fn wrong_nexmark(source: &PreparedSource) -> Option<String> {
    let schema = Nexmark::schema();
    let (declared, wanted) = (source.planned.schema.fields(), schema.fields());
    let is_same = |index: &usize| {
        let (one, other) = (declared.get(*index), wanted.get(*index));
        one.map(|field| (field.name(), field.data_type()))
            == other.map(|field| (field.name(), field.data_type()))
    };
    let at = (0..declared.len().max(wanted.len())).find(|index| !is_same(index))?;
    let name = |fields: &Fields| {
        fields.get(at).map_or_else(|| "nothing".to_owned(), |field| field.name().clone())
    };
    let (found, expected) = (name(declared), name(wanted));
    let message = format!(
        "a table over nexmark has the columns event_type, person, auction and bid with the \
         connector's types: here {found} stands in the place of {expected}; leave `schema` out in \
         TOML, or copy the columns from config/README.md"
    );
    Some(source.config.place.error("schema", message))
}

impl PreparedSource {
    /// The stream of a datagen source.
    pub(super) fn datagen(
        &self,
        datagen: &DatagenSourceConfig,
    ) -> Result<Datagen, Vec<FieldFault>> {
        let PlannedSource { schema, projection, .. } = &self.planned;
        Datagen::new(schema, projection, &datagen.fields, datagen.seed)
    }

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

    /// Columns of the table that stand in its records, and of these how many are read.
    fn record_columns(&self) -> (usize, usize) {
        let PlannedSource { schema, projection, metadata, .. } = &self.planned;
        let columns = schema.fields().len() - metadata.len();
        (columns, projection.partition_point(|column| *column < columns))
    }

    /// Columns that come from the file of the records; `None` when none is read.
    pub(super) fn metadata(&self) -> Option<MetadataColumns> {
        let PlannedSource { schema, projection, metadata, .. } = &self.planned;
        let (columns, read) = self.record_columns();
        let wanted: Vec<FileMetadata> =
            projection[read..].iter().map(|column| metadata[column - columns]).collect();
        let schema = schema.project(projection).expect("the projection is of the table's columns");
        (!wanted.is_empty()).then(|| MetadataColumns { schema: Arc::new(schema), wanted })
    }

    pub(super) fn decoder_options(&self) -> format::DecoderOptions {
        let (columns, read) = self.record_columns();
        let of_records = self.planned.schema.fields()[..columns].to_vec();
        format::DecoderOptions {
            format: self.config.format.clone().expect("sources that read bytes have a format"),
            schema: Arc::new(Schema::new(of_records)),
            projection: self.planned.projection[..read].to_vec(),
            line_bytes_max: self.config.line_bytes_max,
            keep_provenance: None,
            start_offset: 0,
        }
    }
}

/// Stages, for `explain`.
impl Prepared {
    pub(super) fn stages(&self) -> &Stages {
        &self.graph.stages
    }
}
