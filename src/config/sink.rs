//! One sink: raw to final.

use std::path::Path;
use std::time::Duration;

use super::error::Errors;
use super::job::{
    DurabilityMode, FileSinkConfig, Release, SinkConfig, SinkConnector, TcpSinkConfig,
};
use super::place::Place;
use super::source::{
    check_applicable, connections_max, endpoint, format, required_path, required_word,
};
use super::table::RawTable;
use crate::limits::OUTPUT_KEPT_BYTES_DEFAULT;
use crate::reactor::TcpEndpoint;
use crate::sink::{Keeping, OnFull, SlowSubscriber};

const PART_BYTES_DEFAULT: u64 = 128 * 1024 * 1024;
const PART_AGE_DEFAULT: Duration = Duration::from_secs(30);

/// The sink, or `None` (with errors) when it cannot be built.
pub(super) fn resolve(
    directory: &Path,
    table: &RawTable,
    durability: DurabilityMode,
    errors: &mut Errors,
) -> Option<SinkConfig> {
    let choices = "connector = \"tcp\", \"file\", \"print\" or \"blackhole\"";
    let connector = required_word(table, "connector", choices, errors)?;
    check_applicable(table, connector, errors);
    let for_eyes = matches!(connector, "print" | "blackhole") && !table.has("format");
    let format = if for_eyes { None } else { Some(format(table, false, errors)) };
    let is_binary = matches!(table.word("format"), Some("rkyv" | "arrow"));
    if is_binary && !matches!(connector, "file" | "tcp") {
        let message = "no lines do not go with this connector; use \"json\", \"csv\" or \"raw\"";
        errors.add(table.at("format"), &table.key_path("format"), message);
    }
    let release = release(table, durability, errors);
    let connector = match connector {
        "tcp" => SinkConnector::Tcp(tcp(table, release, errors)?),
        "file" => SinkConnector::File(file(directory, table, errors)?),
        "print" => SinkConnector::Print,
        "blackhole" => SinkConnector::Blackhole,
        other => unreachable!("the key allows no connector {other}"),
    };
    let format = match format {
        Some(format) => Some(format?),
        None => None,
    };
    Some(SinkConfig { place: Place::of(table, errors.file()), connector, format, release })
}

fn release(table: &RawTable, durability: DurabilityMode, errors: &mut Errors) -> Release {
    match (table.word("release"), durability) {
        (Some("commit"), DurabilityMode::Off) => {
            let message = "\"commit\" needs epochs, and durability.mode is \"off\"; \
                           write \"immediate\" or turn durability on";
            errors.add(table.at("release"), &table.key_path("release"), message);
            Release::Immediate
        }
        (Some("immediate"), _) | (None, DurabilityMode::Off) => Release::Immediate,
        _ => Release::Commit,
    }
}

fn tcp(table: &RawTable, release: Release, errors: &mut Errors) -> Option<TcpSinkConfig> {
    let endpoint = endpoint(table, errors)?;
    Some(TcpSinkConfig {
        endpoint,
        keeping: keeping(table, release, endpoint, errors),
        slow_subscriber: match table.word("slow_subscriber") {
            Some("backpressure") => SlowSubscriber::Backpressure,
            _ => SlowSubscriber::Disconnect,
        },
        connections_max: connections_max(table),
    })
}

/// How much output is kept for whoever has not acknowledged it.
fn keeping(
    table: &RawTable,
    release: Release,
    endpoint: TcpEndpoint,
    errors: &mut Errors,
) -> Keeping {
    let refuse = |key: &str, message: &str, all: &mut Errors| {
        all.add(table.at(key), &table.key_path(key), message);
    };
    let is_served = matches!(endpoint, TcpEndpoint::Listen(_));
    let resumes = is_served && table.word("format").is_none_or(|format| format == "rkyv");
    for key in ["retain", "retain_time", "on_full", "wait_for"] {
        if table.has(key) && release == Release::Immediate {
            refuse(key, "is about output that is kept; it goes with release = \"commit\"", errors);
        } else if table.has(key) && key != "retain" && !resumes {
            let message = "is about subscribers who acknowledge; it goes with `listen` and \
                           format = \"rkyv\"";
            refuse(key, message, errors);
        }
    }
    let age_max = table.time("retain_time").flatten();
    let on_full = match table.word("on_full") {
        Some("drop") => OnFull::Drop,
        _ => OnFull::Block,
    };
    if age_max.is_some() && on_full == OnFull::Block {
        let message = "has no effect where nothing is given up; add on_full = \"drop\"";
        refuse("retain_time", message, errors);
    }
    Keeping {
        bytes_max: table.count("retain").unwrap_or(OUTPUT_KEPT_BYTES_DEFAULT),
        age_ms_max: age_max.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        on_full,
        wait_for: table.names("wait_for").iter().map(|name| name.as_str().into()).collect(),
    }
}

fn file(directory: &Path, table: &RawTable, errors: &mut Errors) -> Option<FileSinkConfig> {
    Some(FileSinkConfig {
        path: required_path(directory, table, "path = \"out\"", errors)?,
        part_bytes_max: table.count("part_bytes").unwrap_or(PART_BYTES_DEFAULT),
        part_age_max: table.time("part_age").flatten().unwrap_or(PART_AGE_DEFAULT),
    })
}
