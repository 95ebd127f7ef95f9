//! What the appliance runs with. Every field final; built only by `resolve` (and, for the tables
//! of CREATE TABLE, by `with_options`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::place::Place;
use crate::format::FormatOptions;
use crate::reactor::TcpEndpoint;
use crate::sink::{Keeping, SlowSubscriber};
use crate::source::{FieldOption, NexmarkOptions, Pacing};
use crate::sql::{DeclaredTable, SqlText};

/// A job, resolved.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name; the job file's stem unless it says otherwise.
    pub name: String,
    /// The job file, as the user named it.
    pub job_file: PathBuf,
    /// The reactors.
    pub reactor: ReactorConfig,
    /// What survives a crash.
    pub durability: DurabilityConfig,
    /// Status and metrics.
    pub http: HttpConfig,
    /// The session time zone.
    pub time_zone: chrono_tz::Tz,
    /// Bounds that can be set.
    pub limits: Limits,
    /// Tables under `[sources]`.
    pub sources: BTreeMap<String, SourceConfig>,
    /// Tables under `[sinks]`.
    pub sinks: BTreeMap<String, SinkConfig>,
    /// The SQL, in order.
    pub query: Vec<SqlText>,
    /// Sources and sinks again, as the planner's catalog needs them.
    pub tables: Vec<DeclaredTable>,
}

/// How many reactors, where, and how they wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReactorConfig {
    /// Which CPUs.
    pub cores: CoreChoice,
    /// When to sleep.
    pub spin: Spin,
}

/// Which CPUs get a reactor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CoreChoice {
    /// One per CPU this process may run on.
    All,
    /// This many; at least one. More than CPUs are allowed.
    Count(u16),
    /// One on each of these CPUs; distinct, at least one.
    Cpus(Vec<u16>),
}

/// How long a reactor without work polls before it parks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spin {
    /// It never parks.
    Always,
    /// This long; zero parks at once.
    For(Duration),
}

/// Status and metrics over HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpConfig {
    /// Where.
    pub listen: HttpListen,
}

/// Where HTTP listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpListen {
    /// Nowhere.
    Off,
    /// On loopback, on the first free port from `limits::HTTP_PORT` on.
    FirstFree,
    /// There and nowhere else.
    At(SocketAddr),
}

/// Journals, epochs, checkpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DurabilityConfig {
    /// Whether there is any.
    pub mode: DurabilityMode,
    /// Where journals and checkpoints live.
    pub dir: PathBuf,
    /// Time between epochs.
    pub checkpoint_interval: Duration,
    /// Bases kept.
    pub retain: u32,
}

/// Whether a job survives a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DurabilityMode {
    /// State and output are recovered.
    On,
    /// Nothing is kept; the job can simply be run again.
    Off,
}

/// Bounds a job may change. Their defaults are in `crate::limits`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows a turn hands to the operators before it looks at the network again.
    pub turn_rows_max: usize,
    /// Elements one exchange edge holds between one pair of cores.
    pub edge_elements_max: usize,
    /// Bytes of one chunk of a file sequence.
    pub file_chunk_bytes: u64,
}

/// A source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceConfig {
    /// Where it is declared.
    pub place: Place,
    /// Where its bytes come from.
    pub connector: SourceConnector,
    /// How records are written in them; `None` for a source that makes its rows.
    pub format: Option<FormatOptions>,
    /// Longest record.
    pub line_bytes_max: usize,
    /// A split silent for this long no longer holds the watermark back.
    pub idle_timeout: Option<Duration>,
    /// A rowtime further ahead of the arrival stamp than this is rejected.
    pub max_future: Option<Duration>,
    /// What a bad record does.
    pub on_error: OnError,
    /// Sink of late rows.
    pub late_sink: Option<String>,
    /// Sink of records that could not be decoded or evaluated.
    pub rejected_sink: Option<String>,
    /// Whether received bytes are journaled, for a source that cannot replay.
    pub journal: bool,
}

/// Where a source's bytes come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceConnector {
    /// Connections.
    Tcp(TcpSourceConfig),
    /// Files.
    File(FileSourceConfig),
    /// Nexmark's events.
    Nexmark(NexmarkSourceConfig),
    /// Made-up rows.
    Datagen(DatagenSourceConfig),
}

/// What a record does that cannot be decoded or evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnError {
    /// It is counted, goes to the rejected sink if there is one, and the job goes on.
    Reject,
    /// It stops the job.
    Fail,
}

/// A TCP source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpSourceConfig {
    /// Where.
    pub endpoint: TcpEndpoint,
    /// Connections served at once; further ones are refused.
    pub connections_max: u32,
    /// A connection without a byte for this long is closed.
    pub connection_idle_max: Option<Duration>,
    /// The source has ended when its last connection has.
    pub end_on_disconnect: bool,
}

/// A file source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSourceConfig {
    /// A file, or a pattern whose matches are read in the order of their names.
    pub path: PathBuf,
    /// Wait for what is appended, across rotation.
    pub follow: bool,
}

/// A Nexmark source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NexmarkSourceConfig {
    /// The stream.
    pub stream: NexmarkOptions,
    /// Event time begins when the job starts, instead of at the stream's base time.
    pub begins_now: bool,
    /// How many events, and whether at the rate of their times.
    pub pacing: Pacing,
}

/// A datagen source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatagenSourceConfig {
    /// Everything that is random follows from it.
    pub seed: u64,
    /// How many rows, and how fast.
    pub pacing: Pacing,
    /// Options of columns.
    pub fields: Vec<FieldOption>,
}

/// A sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SinkConfig {
    /// Where it is declared.
    pub place: Place,
    /// Where its bytes go.
    pub connector: SinkConnector,
    /// How records are written. `None` for a blackhole, and for `print` where rows are shown as
    /// Flink's `print` connector shows them.
    pub format: Option<FormatOptions>,
    /// When output may leave.
    pub release: Release,
}

/// Where a sink's bytes go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SinkConnector {
    /// Connections.
    Tcp(TcpSinkConfig),
    /// Files in a directory.
    File(FileSinkConfig),
    /// Standard output.
    Print,
    /// Nowhere: counted and dropped.
    Blackhole,
}

/// When output may leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// At once: at least once.
    Immediate,
    /// With its epoch: exactly once.
    Commit,
}

/// A TCP sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpSinkConfig {
    /// Where.
    pub endpoint: TcpEndpoint,
    /// What a subscriber that does not keep up gets.
    pub slow_subscriber: SlowSubscriber,
    /// How much is kept for subscribers who have not acknowledged it, when rows leave with their epoch.
    pub keeping: Keeping,
    /// Subscribers served at once; further ones are refused.
    pub connections_max: u32,
}

impl SourceConfig {
    /// The format as job files name it; `None` for a source that makes its rows.
    pub fn format_name(&self) -> Option<&'static str> {
        self.format.as_ref().map(format_name)
    }
}

impl SinkConfig {
    /// The format as job files name it; `None` for a sink that has none.
    pub fn format_name(&self) -> Option<&'static str> {
        self.format.as_ref().map(format_name)
    }
}

fn format_name(format: &FormatOptions) -> &'static str {
    match format {
        FormatOptions::Json(_) => "json",
        FormatOptions::Csv(_) => "csv",
        FormatOptions::Raw => "raw",
        FormatOptions::Frames => "rkyv",
        FormatOptions::Arrow => "arrow",
    }
}

/// A file sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSinkConfig {
    /// The directory in which parts appear.
    pub path: PathBuf,
    /// A part is closed at this size.
    pub part_bytes_max: u64,
    /// A part is closed at this age.
    pub part_age_max: Duration,
}
