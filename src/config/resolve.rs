//! Raw to final: defaults, what depends on other keys, contradictions. All errors at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Errors, Position};
use super::job::{
    CoreChoice, DurabilityConfig, DurabilityMode, HttpConfig, HttpListen, Job, Limits,
    ReactorConfig, Spin,
};
use super::raw::RawJob;
use super::table::RawTable;
use super::value::{self, is_name};
use super::{sink, source};
use crate::limits;
use crate::sql::{DeclaredTable, SqlText, TableRole};
use crate::stdx::{did_you_mean, suggestion};

/// How long a reactor polls before it parks, unless the job says otherwise.
const SPIN_DEFAULT: Duration = Duration::from_micros(50);
const CHECKPOINT_INTERVAL_DEFAULT: Duration = Duration::from_millis(100);
const RETAIN_DEFAULT: u64 = 2;

/// The job, or `None` when something without which there is none is missing. Errors may have been
/// added either way.
pub(super) fn resolve(path: &Path, raw: RawJob, errors: &mut Errors) -> Option<Job> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let name = name(path, &raw.top, errors);
    let durability = durability(directory, &raw.durability, &name);
    check_names(&raw, errors);
    let mut sources = BTreeMap::new();
    for (source, table) in &raw.sources {
        if !table.has("schema") && table.word("connector") != Some("nexmark") {
            let message = "missing; add schema = \"…\", the column list of CREATE TABLE";
            errors.add(table.at, &table.key_path("schema"), message);
        }
        let config = source::resolve(directory, table, durability.mode, errors);
        sources.extend(config.map(|config| (source.clone(), config)));
    }
    let mut sinks = BTreeMap::new();
    for (sink, table) in &raw.sinks {
        let config = sink::resolve(directory, table, durability.mode, errors);
        sinks.extend(config.map(|config| (sink.clone(), config)));
    }
    let query = query(directory, &raw.query, errors)?;
    Some(Job {
        name,
        job_file: path.to_owned(),
        reactor: reactor(&raw.reactor),
        durability,
        http: http(&raw.http, errors),
        time_zone: time_zone(&raw.top, errors),
        limits: limits(&raw.limits),
        sources,
        sinks,
        query: vec![query],
        tables: declared_tables(path, &raw),
    })
}

/// A path of the job file; relative ones are relative to it.
pub(super) fn path_in(directory: &Path, table: &RawTable, key: &str) -> Option<PathBuf> {
    table.text(key).map(|path| directory.join(path))
}

fn name(path: &Path, top: &RawTable, errors: &mut Errors) -> String {
    if let Some(name) = top.text("name") {
        return name.to_owned();
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    if !is_name(stem) && !top.has("name") {
        let message = "missing, and the file's name is no name of a job; add name = \"my-job\"";
        errors.add(top.at, "name", message);
    }
    stem.to_owned()
}

fn time_zone(top: &RawTable, errors: &mut Errors) -> chrono_tz::Tz {
    let given = top.text("time_zone").unwrap_or("UTC");
    given.parse().unwrap_or_else(|_| {
        let nearest = suggestion(given, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = nearest.map_or_else(
            || "write a name such as \"Europe/Berlin\"".to_owned(),
            |nearest| format!("did you mean \"{nearest}\"?"),
        );
        let message = format!("\"{given}\" is no time zone; {hint}");
        errors.add(top.at("time_zone"), "time_zone", message);
        chrono_tz::UTC
    })
}

fn reactor(table: &RawTable) -> ReactorConfig {
    ReactorConfig {
        cores: table.cores("cores").cloned().unwrap_or(CoreChoice::All),
        spin: match table.time("spin") {
            None => Spin::For(SPIN_DEFAULT),
            Some(None) => Spin::Always,
            Some(Some(duration)) => Spin::For(duration),
        },
    }
}

fn durability(directory: &Path, table: &RawTable, name: &str) -> DurabilityConfig {
    let mode = match table.word("mode") {
        Some("off") => DurabilityMode::Off,
        _ => DurabilityMode::On,
    };
    let interval = table.time("checkpoint_interval").flatten();
    let retain = table.count("retain").unwrap_or(RETAIN_DEFAULT);
    DurabilityConfig {
        mode,
        dir: path_in(directory, table, "dir").unwrap_or_else(|| directory.join("data").join(name)),
        checkpoint_interval: interval.unwrap_or(CHECKPOINT_INTERVAL_DEFAULT),
        retain: u32::try_from(retain).expect("the key allows at most 100"),
    }
}

fn http(table: &RawTable, errors: &mut Errors) -> HttpConfig {
    let listen = match table.text("listen") {
        None | Some("auto") => HttpListen::FirstFree,
        Some("off") => HttpListen::Off,
        Some(text) => match value::address(text) {
            Ok(address) => HttpListen::At(address),
            Err(reason) => {
                let message = format!("\"{text}\" {reason}; or write \"auto\" or \"off\"");
                errors.add(table.at("listen"), &table.key_path("listen"), message);
                HttpListen::Off
            }
        },
    };
    HttpConfig { listen }
}

fn limits(table: &RawTable) -> Limits {
    let count = |key: &str, default: usize| {
        let value = table.count(key).map(usize::try_from);
        value.map_or(default, |value| value.expect("the keys' maxima fit an address"))
    };
    Limits {
        turn_rows_max: count("turn_rows_max", limits::TURN_ROWS_MAX),
        edge_elements_max: count("edge_elements_max", limits::EDGE_ELEMENTS_MAX),
        file_chunk_bytes: table.count("file_chunk_bytes").unwrap_or(limits::FILE_CHUNK_BYTES),
    }
}

/// Sources and sinks share one catalog, and refer to each other by name.
fn check_names(raw: &RawJob, errors: &mut Errors) {
    for (name, sink) in &raw.sinks {
        if raw.sources.contains_key(name) {
            let message = "a source has this name too; rename one of them";
            errors.add(sink.at, &sink.path, message);
        }
    }
    let sinks: Vec<&str> = raw.sinks.keys().map(String::as_str).collect();
    for table in raw.sources.values() {
        check_diversions(table, &sinks, errors);
    }
}

/// Late and rejected records go to tables under `[sinks]`.
pub(super) fn check_diversions(table: &RawTable, sinks: &[&str], errors: &mut Errors) {
    for key in ["late_sink", "rejected_sink"] {
        let Some(wanted) = table.text(key).filter(|name| !sinks.contains(name)) else {
            continue;
        };
        let hint = did_you_mean(wanted, sinks);
        let message = format!("\"{wanted}\" is not a table under [sinks]; {hint}");
        errors.add(table.at(key), &table.key_path(key), message);
    }
}

fn query(directory: &Path, table: &RawTable, errors: &mut Errors) -> Option<SqlText> {
    let sql = table.sql("sql");
    match (sql, path_in(directory, table, "file")) {
        (Some(_), Some(_)) => {
            let message = "given beside query.sql; keep one of the two";
            errors.add(table.at("file"), "query.file", message);
            None
        }
        (Some(sql), None) => Some(sql.clone()),
        (None, Some(file)) => read_query(&file, table, errors),
        (None, None) => {
            if !table.has("sql") && !table.has("file") {
                let message =
                    "missing; add sql = \"INSERT INTO … SELECT …\" or file = \"query.sql\"";
                errors.add(table.at, "query", message);
            }
            None
        }
    }
}

fn read_query(file: &Path, table: &RawTable, errors: &mut Errors) -> Option<SqlText> {
    match super::read_bounded(file) {
        Ok(text) => Some(SqlText { text, file: file.to_owned(), line: 1, column: 1 }),
        Err(reason) => {
            let message = format!("{} {reason}", file.display());
            errors.add(table.at("file"), "query.file", message);
            None
        }
    }
}

/// What a Nexmark source has, in the words of the Nexmark project: the times of its three rows as one.
const NEXMARK_SCHEMA: &str = "event_type INT,
person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING,
  `dateTime` TIMESTAMP(3), extra STRING>,
auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT,
  `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
  `dateTime` TIMESTAMP(3), extra STRING>,
`dateTime` AS CASE WHEN event_type = 0 THEN person.`dateTime`
  WHEN event_type = 1 THEN auction.`dateTime` ELSE bid.`dateTime` END,
WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND";

/// The columns of a source that needs no schema; its place is the table's.
fn default_schema(table: &RawTable, path: &Path) -> Option<SqlText> {
    if table.word_if_any("connector") != Some("nexmark") {
        return None;
    }
    let Position { line, column } = table.at;
    Some(SqlText { text: NEXMARK_SCHEMA.to_owned(), file: path.to_owned(), line, column })
}

fn declared_tables(path: &Path, raw: &RawJob) -> Vec<DeclaredTable> {
    let declare = |name: &String, table: &RawTable, role| DeclaredTable {
        name: name.clone(),
        role,
        schema: table.sql("schema").cloned().or_else(|| default_schema(table, path)),
    };
    let sources = raw.sources.iter().map(|(name, table)| declare(name, table, TableRole::Source));
    let sinks = raw.sinks.iter().map(|(name, table)| declare(name, table, TableRole::Sink));
    sources.chain(sinks).collect()
}
