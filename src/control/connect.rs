//! Sources and sinks: opened once for the job, made once per core.
//!
//! In:  what the configuration says of each connector.
//! Out: per core, one instance of every source and sink.
//!
//! What can fail on the user's side (files that are not there, directories that cannot be written)
//! fails here, before any core starts.
//!
//! Read: this file · `parts` (file sinks, and what an earlier run left of their parts) · `subscribers` (TCP
//! sinks, and what an earlier run left for their subscribers).

mod parts;
mod subscribers;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::claims::check;
use super::log;
use super::prepare::{Prepared, PreparedSink, PreparedSource};
use super::{ErrorClass, JobError};
use crate::checkpoint::EpochContents;
use crate::config::{
    DatagenSourceConfig, DurabilityMode, FileSourceConfig, Job, NexmarkSourceConfig, SinkConnector,
    SourceConnector, TcpSourceConfig,
};
use crate::format::{self, FormatOptions};
use crate::journal::SideJournal;
use crate::limits::FILE_FOLLOW_INTERVAL_NS_DEFAULT;
use crate::reactor::{Clock, SystemClock, TcpEndpoint};
use crate::sink::{BlackholeSink, OutputEpochs, PrintSink, Sink};
use crate::source::{
    Acknowledge, CutOptions, DecoderFactory, FilePlan, FileSource, FileSourceOptions,
    FollowOptions, FollowSource, FrameFilePlan, FrameFileSource, FrameFileSourceOptions,
    FrameSource, FrameSourceOptions, GeneratedOptions, GeneratedSource, Generator, Nexmark,
    NexmarkGenerator, Pacing, PlanError, RealFiles, Source, TcpSource, TcpSourceOptions,
    check_follow,
};
use crate::sql::PlannedSource;
use crate::stdx::CoreId;
use parts::open_file_sink;
pub(super) use subscribers::held_sinks;
use subscribers::open_tcp_sink;

type MakeSource = Box<dyn Fn(CoreId) -> Box<dyn Source> + Send + Sync>;
/// A core's output journal, where it has one.
pub(super) type OutputSide = Rc<RefCell<dyn SideJournal>>;
type MakeSink = Box<dyn Fn(CoreId, Option<&OutputSide>) -> Box<dyn Sink> + Send + Sync>;

/// Makes every core's sources and sinks, in the plan's order.
pub(super) struct Connectors {
    sources: Vec<MakeSource>,
    sinks: Vec<MakeSink>,
}

/// What a run begins with, besides its job.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) core_count: u16,
    /// Number of the run, from 1.
    pub(super) run: u32,
    /// The run has epochs.
    pub(super) is_durable: bool,
    /// What sinks say of them.
    pub(super) epochs: Option<OutputEpochs>,
    /// The one that it goes on from.
    pub(super) epoch: Option<&'a EpochContents>,
}

impl Connectors {
    /// Finds files, makes directories, completes what an earlier run left of its output.
    pub(super) fn open(
        job: &Job,
        prepared: &Prepared,
        start: Start<'_>,
    ) -> Result<Connectors, JobError> {
        check(prepared)?;
        check_sinks(prepared, start)?;
        let sources = prepared
            .sources
            .iter()
            .map(|source| open_source(job, source, start))
            .collect::<Result<_, _>>()?;
        let sinks = prepared
            .sinks
            .iter()
            .map(|sink| open_sink(job, prepared, sink, start))
            .collect::<Result<_, _>>()?;
        Ok(Connectors { sources, sinks })
    }

    pub(super) fn sources(&self, core: CoreId) -> Vec<Box<dyn Source>> {
        self.sources.iter().map(|make| make(core)).collect()
    }

    pub(super) fn sinks(&self, core: CoreId, output: Option<&OutputSide>) -> Vec<Box<dyn Sink>> {
        self.sinks.iter().map(|make| make(core, output)).collect()
    }
}

/// A sink whose output is not complete cannot be left out.
fn check_sinks(prepared: &Prepared, start: Start<'_>) -> Result<(), JobError> {
    let Some(epoch) = start.epoch else { return Ok(()) };
    let is_there =
        |name: &str| prepared.sinks.iter().any(|sink| sink.planned.name.as_str() == name);
    let lost = epoch.sinks().into_iter().filter(|name| !is_there(name));
    let lost: Vec<String> = lost
        .map(|name| {
            format!(
                "the job had a sink \"{name}\", whose output is not complete: put it back until it is, or \
                 start over with --fresh"
            )
        })
        .collect();
    if lost.is_empty() { Ok(()) } else { Err(JobError::configuration(lost)) }
}

fn open_source(
    job: &Job,
    source: &PreparedSource,
    start: Start<'_>,
) -> Result<MakeSource, JobError> {
    let core_count = start.core_count;
    match &source.config.connector {
        SourceConnector::File(file) => match source.config.format {
            Some(FormatOptions::Frames) => open_frame_files(job, source, file, core_count),
            _ => open_file_source(job, source, file, start),
        },
        SourceConnector::Tcp(tcp) => match source.config.format {
            Some(FormatOptions::Frames) => Ok(open_frame_source(job, source, tcp, core_count)),
            _ => Ok(open_tcp_source(source, tcp, core_count)),
        },
        SourceConnector::Nexmark(nexmark) => Ok(open_nexmark(source, nexmark, core_count)),
        SourceConnector::Datagen(datagen) => Ok(open_datagen(source, datagen, core_count)),
    }
}

fn idle_ns_max(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Addresses are bound when core 0 first polls the source.
fn open_tcp_source(source: &PreparedSource, tcp: &TcpSourceConfig, core_count: u16) -> MakeSource {
    let options = TcpSourceOptions {
        name: source.planned.name.as_str().into(),
        core: CoreId::ZERO,
        core_count,
        endpoint: tcp.endpoint,
        connections_max: tcp.connections_max,
        connection_idle_ns_max: tcp.connection_idle_max.map(idle_ns_max),
        end_on_disconnect: tcp.end_on_disconnect,
        decoder: source.decoder_options(),
        make_decoder: decoder_factory(),
        event_time: source.event_time(),
        keep_provenance: source.keeps_provenance(),
    };
    Box::new(move |core| Box::new(TcpSource::new(TcpSourceOptions { core, ..options.clone() })))
}

/// The same for producers of frames.
fn open_frame_source(
    job: &Job,
    source: &PreparedSource,
    tcp: &TcpSourceConfig,
    core_count: u16,
) -> MakeSource {
    let TcpEndpoint::Listen(listen) = tcp.endpoint else {
        unreachable!("the configuration refuses it")
    };
    // Nothing is journaled: producers keep what no checkpoint has, or nobody does.
    let is_kept = job.durability.mode == DurabilityMode::On && source.config.journal;
    let options = FrameSourceOptions {
        name: source.planned.name.as_str().into(),
        core: CoreId::ZERO,
        core_count,
        listen,
        connections_max: tcp.connections_max,
        connection_idle_ns_max: tcp.connection_idle_max.map(idle_ns_max),
        end_on_disconnect: tcp.end_on_disconnect,
        acknowledge: if is_kept { Acknowledge::Committed } else { Acknowledge::Taken },
        schema: source.planned.schema.clone(),
        projection: source.planned.projection.clone(),
        event_time: source.event_time(),
        keep_provenance: source.keeps_provenance(),
    };
    Box::new(move |core| Box::new(FrameSource::new(FrameSourceOptions { core, ..options.clone() })))
}

fn open_file_source(
    job: &Job,
    source: &PreparedSource,
    file: &FileSourceConfig,
    start: Start<'_>,
) -> Result<MakeSource, JobError> {
    let core_count = start.core_count;
    let lines = match &source.config.format {
        Some(FormatOptions::Csv(csv)) => !csv.multiline,
        Some(FormatOptions::Arrow) => false,
        _ => true,
    };
    let chunk_bytes = job.limits.file_chunk_bytes;
    let resumable = job.durability.mode == DurabilityMode::On;
    let cut = CutOptions { core_count, resumable, chunk_bytes, lines };
    let failed = |error: PlanError| {
        JobError::new(ErrorClass::Io, format!("source \"{}\": {error}", source.planned.name))
    };
    let options = FileSourceOptions {
        name: source.planned.name.as_str().into(),
        core: CoreId::ZERO,
        core_count,
        decoder: source.decoder_options(),
        make_decoder: decoder_factory(),
        metadata: source.metadata(),
        event_time: source.event_time(),
        keep_provenance: source.keeps_provenance(),
    };
    if file.follow {
        let name = &source.planned.name;
        let is_known = start.epoch.is_some_and(|epoch| epoch.knows_source(name));
        // What an earlier run had begun may have been rotated away.
        if !is_known || file.path.exists() {
            check_follow(&file.path).map_err(failed)?;
        }
        let path = file.path.clone();
        return Ok(Box::new(move |core| {
            let (path, interval_ns) = (path.clone(), FILE_FOLLOW_INTERVAL_NS_DEFAULT);
            let options = FileSourceOptions { core, ..options.clone() };
            let files = Rc::new(RealFiles);
            Box::new(FollowSource::new(FollowOptions { path, interval_ns, source: options, files }))
        }));
    }
    let plan = Arc::new(FilePlan::new(&file.path, cut).map_err(failed)?);
    Ok(Box::new(move |core| {
        let options = FileSourceOptions { core, ..options.clone() };
        Box::new(FileSource::new(Arc::clone(&plan), options))
    }))
}

/// Files of frames are mapped, and their headers looked at.
fn open_frame_files(
    job: &Job,
    source: &PreparedSource,
    file: &FileSourceConfig,
    core_count: u16,
) -> Result<MakeSource, JobError> {
    let PlannedSource { name, schema, projection, .. } = &source.planned;
    let plan = FrameFilePlan::new(&file.path, schema, projection, job.limits.file_chunk_bytes);
    let plan =
        plan.map_err(|error| JobError::new(ErrorClass::Io, format!("source \"{name}\": {error}")))?;
    let unknown = plan.unknown();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        log::note(&format!("source \"{name}\": files have columns the table lacks: {unknown}"));
    }
    let plan = Arc::new(plan);
    let options = FrameFileSourceOptions {
        name: name.as_str().into(),
        core: CoreId::ZERO,
        core_count,
        event_time: source.event_time(),
        keep_provenance: source.keeps_provenance(),
    };
    Ok(Box::new(move |core| {
        let options = FrameFileSourceOptions { core, ..options.clone() };
        Box::new(FrameFileSource::new(Arc::clone(&plan), options))
    }))
}

fn open_nexmark(
    source: &PreparedSource,
    nexmark: &NexmarkSourceConfig,
    core_count: u16,
) -> MakeSource {
    let mut options = nexmark.stream.clone();
    if nexmark.begins_now {
        options.base_time_ms = SystemClock.wall_ms();
    }
    let projection = source.planned.projection.clone();
    let generator = NexmarkGenerator { stream: Nexmark::new(options), projection };
    open_generated(source, Arc::new(generator), nexmark.pacing, core_count)
}

/// The end of its sequences is an end, too.
fn open_datagen(
    source: &PreparedSource,
    datagen: &DatagenSourceConfig,
    core_count: u16,
) -> MakeSource {
    let generator = source.datagen(datagen).expect("it was tried before the start");
    let rows = [datagen.pacing.rows, generator.rows()].into_iter().flatten().min();
    let pacing = Pacing { rows, ..datagen.pacing };
    open_generated(source, Arc::new(generator), pacing, core_count)
}

fn open_generated(
    source: &PreparedSource,
    generator: Arc<dyn Generator>,
    pacing: Pacing,
    core_count: u16,
) -> MakeSource {
    let options = GeneratedOptions {
        name: source.planned.name.as_str().into(),
        core: CoreId::ZERO,
        core_count,
        generator,
        pacing,
        event_time: source.event_time(),
        keep_provenance: source.keeps_provenance(),
    };
    Box::new(move |core| {
        Box::new(GeneratedSource::new(GeneratedOptions { core, ..options.clone() }))
    })
}

fn decoder_factory() -> DecoderFactory {
    Arc::new(|options| {
        format::decoder(&options).expect("the same options were tried before the start")
    })
}

fn open_sink(
    job: &Job,
    prepared: &Prepared,
    sink: &PreparedSink,
    start: Start<'_>,
) -> Result<MakeSink, JobError> {
    let make: MakeSink = match &sink.config.connector {
        SinkConnector::File(file) => return open_file_sink(prepared, sink, file, start),
        SinkConnector::Blackhole => Box::new(|_, _| Box::new(BlackholeSink::default())),
        SinkConnector::Print => {
            let (schema, format) = (sink.planned.schema.clone(), sink.config.format.clone());
            Box::new(move |_, _| {
                let encoder = match &format {
                    Some(format) => format::encoder(format, &schema),
                    None => format::print_encoder(&schema),
                };
                Box::new(PrintSink::new(encoder.expect("it was tried before the start")))
            })
        }
        SinkConnector::Tcp(tcp) => open_tcp_sink(job, prepared, (sink, tcp), start)?,
    };
    if start.core_count == 1 || !sink.is_gathered() {
        return Ok(make);
    }
    // Rows of a gathered sink go to core 0; the instances elsewhere never get one.
    Ok(Box::new(move |core, output| match core {
        CoreId::ZERO => make(core, output),
        _ => Box::new(BlackholeSink::default()),
    }))
}
