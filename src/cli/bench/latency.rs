//! `pelton bench latency`: from flags to options.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::{check_output, load};
use super::{CpuArgs, OutArgs, RUNS_MAX, conclude, refused, values};
use crate::config::{Job, SinkConnector, SourceConnector, TcpEndpoint};
use crate::control::{self, JobError};
use crate::loadgen::{
    self, BUNDLED_UNWANTED_EVERY, KeyDistribution, LatencyOptions, LoadOptions, RATE_MAX, Shape,
    Subject, WireFormat,
};

/// Keys at most: each takes 16 bytes.
const KEYS_MAX: u64 = 16 * 1024 * 1024;

/// Records of one run at most: each takes a bit.
const RECORDS_MAX: u128 = 1 << 32;

/// Longest record.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Connections at most.
const CONNECTIONS_MAX: u64 = 1_000;

#[derive(Args, Debug)]
pub(in crate::cli) struct LatencyArgs {
    /// Job file with one listening TCP source and one listening TCP sink; without it, a bundled job that filters
    /// and projects
    job: Option<PathBuf>,
    /// Records per second: one rate or several, such as 10k,50k,100k
    #[arg(long, value_name = "RATES", value_delimiter = ',', default_value = "50k", value_parser = rate)]
    rate: Vec<u64>,
    /// Runs at each rate, of the relay and of the job
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    runs: u32,
    /// Measured time of a run
    #[arg(long, default_value = "10s", value_parser = values::positive_duration)]
    duration: Duration,
    /// Time before it that is not measured
    #[arg(long, default_value = "2s", value_parser = values::duration)]
    warm_up: Duration,
    /// How records of a second lie in it
    #[arg(long, value_enum, default_value = "steady")]
    shape: ShapeChoice,
    /// Connections to the source; a key always takes the same
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    connections: u64,
    /// Number of keys
    #[arg(long, default_value = "1k", value_parser = keys)]
    keys: u64,
    /// Zipfian keys with this exponent, such as 0.99; without it all keys are as likely
    #[arg(long, value_name = "EXPONENT", value_parser = values::exponent)]
    zipf: Option<f64>,
    /// Bytes of a record
    #[arg(long, value_name = "BYTES", default_value = "128", value_parser = record_bytes)]
    record_bytes: usize,
    /// Format of records and results; of a job file it is the job's own
    #[arg(long, value_enum)]
    format: Option<FormatChoice>,
    /// Every N-th record has the amount 0, for the job to filter out; 0 for none. Default: 10 for the bundled
    /// job, else 0
    #[arg(long, value_name = "N", value_parser = values::count)]
    unwanted_every: Option<u64>,
    /// Prove that each result is there once, in order per key, with the right content and sums
    #[arg(long)]
    verify: bool,
    /// A result that has not come so long after the last one is lost
    #[arg(long, default_value = "5s", value_parser = values::positive_duration)]
    patience: Duration,
    /// Where the source of a job listens that runs already; no relay is measured then
    #[arg(long, value_name = "ADDRESS", requires = "output", conflicts_with = "job")]
    input: Option<SocketAddr>,
    /// Where its sink listens
    #[arg(long, value_name = "ADDRESS", requires = "input")]
    output: Option<SocketAddr>,
    /// Do not measure the relay
    #[arg(long)]
    no_floor: bool,
    #[command(flatten)]
    cpus: CpuArgs,
    /// Keys, amounts and random gaps follow from it
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Write every second's latencies to FILE, for HdrHistogram's tools
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
    /// Print a JSON document instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum ShapeChoice {
    /// Equal gaps
    Steady,
    /// Half a second at 1.5 times the rate, half a second at 0.5 times
    Square,
    /// Random gaps, as of many independent senders
    Poisson,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FormatChoice {
    /// One object per line
    Json,
    /// Comma-separated
    Csv,
    /// Frames of the native protocol; the relay they are compared with passes on lines of JSON
    Rkyv,
}

impl From<ShapeChoice> for Shape {
    fn from(shape: ShapeChoice) -> Shape {
        match shape {
            ShapeChoice::Steady => Shape::Steady,
            ShapeChoice::Square => Shape::Square,
            ShapeChoice::Poisson => Shape::Poisson,
        }
    }
}

impl From<FormatChoice> for WireFormat {
    fn from(format: FormatChoice) -> WireFormat {
        match format {
            FormatChoice::Json => WireFormat::Json,
            FormatChoice::Csv => WireFormat::Csv,
            FormatChoice::Rkyv => WireFormat::Rkyv,
        }
    }
}

pub(super) fn run(args: LatencyArgs) -> Result<(), JobError> {
    args.out.check()?;
    let options = options(&args)?;
    let report = loadgen::latency(&options)?;
    args.out.keep(|| report.result())?;
    let text = if args.json { report.to_json() } else { report.to_text() };
    conclude(&text, report.faults())
}

/// Looks at everything that can be wrong; does nothing.
fn options(args: &LatencyArgs) -> Result<LatencyOptions, JobError> {
    let total = args.warm_up + args.duration;
    for rate in &args.rate {
        let records = u128::from(*rate) * total.as_nanos() / 1_000_000_000;
        if records > RECORDS_MAX {
            return Err(refused(format!(
                "--rate {rate} for {} s is more than {RECORDS_MAX} records; shorten --duration",
                total.as_secs()
            )));
        }
    }
    if let Some(path) = &args.hdr {
        check_output("--hdr", path)?;
    }
    let asked = args.format.map(WireFormat::from);
    let (subject, format) = match (args.input.zip(args.output), &args.job) {
        (Some((input, output)), _) => (Subject::Running { input, output }, asked),
        (None, Some(path)) => {
            let format = format_of(path, asked)?;
            (Subject::JobFile(path.clone()), Some(format))
        }
        (None, None) => (Subject::Bundled, asked),
    };
    let unwanted = if subject == Subject::Bundled { BUNDLED_UNWANTED_EVERY } else { 0 };
    let distribution = match args.zipf {
        None => KeyDistribution::Uniform,
        Some(exponent) => KeyDistribution::Zipfian { exponent },
    };
    let floor = !args.no_floor && !matches!(subject, Subject::Running { .. });
    Ok(LatencyOptions {
        load: LoadOptions {
            format: format.unwrap_or(WireFormat::Json),
            record_bytes: args.record_bytes,
            keys: args.keys,
            distribution,
            unwanted_every: args.unwanted_every.unwrap_or(unwanted),
            shape: args.shape.into(),
            warm_up: args.warm_up,
            duration: args.duration,
            patience: args.patience,
            connections: usize::try_from(args.connections).expect("it has a small range"),
            verify: args.verify,
            seed: args.seed,
        },
        rates: args.rate.clone(),
        runs: args.runs,
        subject,
        floor,
        cpus: args.cpus.resolve()?,
        hdr_log: args.hdr.clone(),
    })
}

/// The format of a job that can be measured.
pub(super) fn format_of(path: &Path, asked: Option<WireFormat>) -> Result<WireFormat, JobError> {
    let job = load(path)?;
    control::check(&job)?;
    let found =
        measurable(&job).map_err(|reason| refused(format!("{}: {reason}", path.display())))?;
    match asked {
        Some(asked) if asked != found => Err(refused(format!(
            "--format {}: the job {} reads {}",
            asked.name(),
            path.display(),
            found.name()
        ))),
        _ => Ok(found),
    }
}

/// The one format of a job with one listening TCP source and one listening TCP sink.
fn measurable(job: &Job) -> Result<WireFormat, String> {
    let listens = |endpoint: &TcpEndpoint| matches!(endpoint, TcpEndpoint::Listen(_));
    let source = match job.sources.values().collect::<Vec<_>>()[..] {
        [source] => match &source.connector {
            SourceConnector::Tcp(tcp) if listens(&tcp.endpoint) => Some(source),
            _ => None,
        },
        _ => None,
    };
    let sink = match job.sinks.values().collect::<Vec<_>>()[..] {
        [sink] => match &sink.connector {
            SinkConnector::Tcp(tcp) if listens(&tcp.endpoint) => Some(sink),
            _ => None,
        },
        _ => None,
    };
    let (Some(source), Some(sink)) = (source, sink) else {
        return Err("cannot be measured: it needs one TCP source and one TCP sink, both with \
                    `listen`, and no others"
            .to_owned());
    };
    match (source.format_name(), sink.format_name()) {
        (Some("json"), Some("json")) => Ok(WireFormat::Json),
        (Some("csv"), Some("csv")) => Ok(WireFormat::Csv),
        (Some("rkyv"), Some("rkyv")) => Ok(WireFormat::Rkyv),
        _ => Err("cannot be measured: source and sink must both have the format \"json\", both \
                  \"csv\", or both \"rkyv\""
            .to_owned()),
    }
}

fn rate(text: &str) -> Result<u64, String> {
    at_most(values::positive_count(text)?, RATE_MAX)
}

fn keys(text: &str) -> Result<u64, String> {
    at_most(values::positive_count(text)?, KEYS_MAX)
}

pub(super) fn record_bytes(text: &str) -> Result<usize, String> {
    at_most(values::bytes(text)?, RECORD_BYTES_MAX)
}

fn at_most<T: PartialOrd + std::fmt::Display>(value: T, max: T) -> Result<T, String> {
    if value > max { Err(format!("is more than {max}")) } else { Ok(value) }
}
