//! One source: raw to final. Also the rules sources and sinks share.

use std::path::Path;
use std::time::Duration;

use super::error::Errors;
use super::job::{
    DurabilityMode, FileSourceConfig, OnError, SourceConfig, SourceConnector, TcpSourceConfig,
};
use super::key::{Key, Only};
use super::place::Place;
use super::resolve::path_in;
use super::table::RawTable;
use crate::format::{CsvOptions, FormatOptions, JsonOptions};
use crate::limits;
use crate::reactor::TcpEndpoint;
use crate::stdx::one_of;

/// Guards against one wrong clock among many producers; a file's times are its own.
const TCP_MAX_FUTURE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

/// The source, or `None` (with errors) when it cannot be built.
pub(super) fn resolve(
    directory: &Path,
    table: &RawTable,
    durability: DurabilityMode,
    errors: &mut Errors,
) -> Option<SourceConfig> {
    let connector = required_word(table, "connector", "connector = \"tcp\" or \"file\"", errors)?;
    check_applicable(table, connector, errors);
    let multiline = table.flag("multiline").unwrap_or(connector == "file");
    let format = format(table, multiline, errors);
    let journal = table.flag("journal");
    if journal == Some(true) && durability == DurabilityMode::Off {
        let message = "true contradicts durability.mode = \"off\"; remove one of them";
        errors.add(table.at("journal"), &table.key_path("journal"), message);
    }
    let (connector, max_future_default) = match connector {
        "tcp" => (SourceConnector::Tcp(tcp(table, errors)?), Some(TCP_MAX_FUTURE_DEFAULT)),
        "file" => (SourceConnector::File(file(directory, table, errors)?), None),
        other => unreachable!("the key allows no connector {other}"),
    };
    let line_bytes_max = table.count("line_max").map(usize::try_from);
    Some(SourceConfig {
        place: Place::of(table, errors.file()),
        format: format?,
        line_bytes_max: line_bytes_max
            .map_or(limits::LINE_BYTES_MAX_DEFAULT, |bytes| bytes.expect("at most 1 GiB")),
        idle_timeout: table.time("idle_timeout").flatten(),
        max_future: table.time("max_future").unwrap_or(max_future_default),
        on_error: match table.word("on_error") {
            Some("fail") => OnError::Fail,
            _ => OnError::Reject,
        },
        late_sink: table.text("late_sink").map(str::to_owned),
        rejected_sink: table.text("rejected_sink").map(str::to_owned),
        journal: journal.unwrap_or_else(|| {
            matches!(connector, SourceConnector::Tcp(_)) && durability == DurabilityMode::On
        }),
        connector,
    })
}

fn tcp(table: &RawTable, errors: &mut Errors) -> Option<TcpSourceConfig> {
    Some(TcpSourceConfig {
        endpoint: endpoint(table, errors)?,
        connections_max: connections_max(table),
        connection_idle_max: table.time("connection_idle_max").flatten(),
        end_on_disconnect: table.flag("end_on_disconnect").unwrap_or(false),
    })
}

fn file(directory: &Path, table: &RawTable, errors: &mut Errors) -> Option<FileSourceConfig> {
    let path = required_path(directory, table, "path = \"input/*.json\"", errors)?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    if let Some(compressed @ ("gz" | "zst")) = extension {
        let message = format!(
            "{} is compressed (.{compressed}), which is not supported; decompress it first",
            path.display()
        );
        errors.add(table.at("path"), &table.key_path("path"), message);
    }
    Some(FileSourceConfig { path, follow: table.flag("follow").unwrap_or(false) })
}

/// A choice that must be made.
pub(super) fn required_word(
    table: &RawTable,
    key: &str,
    example: &str,
    errors: &mut Errors,
) -> Option<&'static str> {
    if !table.has(key) {
        errors.add(table.at, &table.key_path(key), format!("missing; add {example}"));
    }
    table.word(key)
}

/// `path`, which file connectors must have.
pub(super) fn required_path(
    directory: &Path,
    table: &RawTable,
    example: &str,
    errors: &mut Errors,
) -> Option<std::path::PathBuf> {
    if !table.has("path") {
        errors.add(table.at, &table.key_path("path"), format!("missing; add {example}"));
    }
    path_in(directory, table, "path")
}

/// `listen` or `connect`: exactly one.
pub(super) fn endpoint(table: &RawTable, errors: &mut Errors) -> Option<TcpEndpoint> {
    if table.has("listen") && table.has("connect") {
        let message = "given beside `listen`; keep one of the two";
        errors.add(table.at("connect"), &table.key_path("connect"), message);
        return None;
    }
    if let Some(address) = table.address("listen") {
        return Some(TcpEndpoint::Listen(address));
    }
    if let Some(address) = table.address("connect") {
        if address.port() == 0 {
            let message = "port 0 cannot be connected to; write the peer's port";
            errors.add(table.at("connect"), &table.key_path("connect"), message);
        }
        return Some(TcpEndpoint::Connect(address));
    }
    if !table.has("listen") && !table.has("connect") {
        let message = "missing; add listen = \"127.0.0.1:9000\" or connect = \"host:port\"";
        errors.add(table.at, &table.key_path("listen"), message);
    }
    None
}

/// How many peers are served at once.
pub(super) fn connections_max(table: &RawTable) -> u32 {
    let count = table.count("connections_max").map(u32::try_from);
    count.map_or(limits::CONNECTIONS_MAX_DEFAULT, |count| count.expect("the key's maximum fits"))
}

/// Keys that are not for this connector or format are errors: they would have no effect.
pub(super) fn check_applicable(table: &RawTable, connector: &str, errors: &mut Errors) {
    let format = table.word("format");
    for (key, given) in table.given() {
        if let Some(message) = inapplicable(key, connector, format) {
            errors.add(given.at, &table.key_path(key.name), message);
        }
    }
}

fn inapplicable(key: &Key, connector: &str, format: Option<&str>) -> Option<String> {
    let (what, given, allowed) = match key.only {
        Only::Connectors(allowed) => ("connector", connector, allowed),
        Only::Formats(allowed) => ("format", format?, allowed),
        Only::All => return None,
    };
    (!allowed.contains(&given))
        .then(|| format!("does not apply to {what} = \"{given}\"; it is for {}", one_of(allowed)))
}

/// The format with its options.
pub(super) fn format(
    table: &RawTable,
    multiline: bool,
    errors: &mut Errors,
) -> Option<FormatOptions> {
    match required_word(table, "format", "format = \"json\", \"csv\" or \"raw\"", errors)? {
        "json" => Some(FormatOptions::Json(JsonOptions {
            iso_timestamps: table.word_if_any("timestamps") == Some("iso-8601"),
        })),
        "csv" => Some(FormatOptions::Csv(CsvOptions {
            delimiter: table.character("delimiter").unwrap_or(b','),
            header: table.flag("header").unwrap_or(false),
            multiline,
        })),
        "raw" => Some(FormatOptions::Raw),
        other => unreachable!("the key allows no format {other}"),
    }
}
