//! One source: raw to final. Also the rules sources and sinks share.

use std::path::Path;
use std::time::Duration;

use super::error::Errors;
use super::job::{
    DatagenSourceConfig, DurabilityMode, FileSourceConfig, NexmarkSourceConfig, OnError,
    SourceConfig, SourceConnector, TcpSourceConfig,
};
use super::key::{Key, Only};
use super::place::Place;
use super::resolve::path_in;
use super::table::RawTable;
use crate::format::{CsvOptions, FormatOptions, JsonOptions};
use crate::limits;
use crate::reactor::TcpEndpoint;
use crate::source::{HotRatios, MeanBytes, NexmarkOptions, Pacing, Proportions};
use crate::stdx::one_of;

/// Guards against one wrong clock among many producers; a file's times are its own.
const TCP_MAX_FUTURE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

/// Rows per second, as in Flink.
const DATAGEN_RATE_DEFAULT: u64 = 10_000;

/// The source, or `None` (with errors) when it cannot be built.
pub(super) fn resolve(
    directory: &Path,
    table: &RawTable,
    durability: DurabilityMode,
    errors: &mut Errors,
) -> Option<SourceConfig> {
    let connector = required_word(
        table,
        "connector",
        "connector = \"tcp\", \"file\", \"nexmark\" or \"datagen\"",
        errors,
    )?;
    check_applicable(table, connector, errors);
    let format = match connector {
        "tcp" | "file" => {
            let multiline = table.flag("multiline").unwrap_or(connector == "file");
            Some(format(table, multiline, errors))
        }
        _ => None,
    };
    if let Some(binary @ ("rkyv" | "arrow")) = table.word("format") {
        check_binary(table, binary, errors);
    }
    let journal = table.flag("journal");
    if journal == Some(true) && durability == DurabilityMode::Off {
        let message = "true contradicts durability.mode = \"off\"; remove one of them";
        errors.add(table.at("journal"), &table.key_path("journal"), message);
    }
    let (connector, max_future_default) = match connector {
        "tcp" => (SourceConnector::Tcp(tcp(table, errors)?), Some(TCP_MAX_FUTURE_DEFAULT)),
        "file" => (SourceConnector::File(file(directory, table, errors)?), None),
        "nexmark" => (SourceConnector::Nexmark(nexmark(table, errors)), None),
        "datagen" => (SourceConnector::Datagen(datagen(table)), None),
        other => unreachable!("the key allows no connector {other}"),
    };
    let line_bytes_max = table.count("line_max").map(usize::try_from);
    Some(SourceConfig {
        place: Place::of(table, errors.file()),
        format: match format {
            Some(read) => Some(read?),
            None => None,
        },
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

/// What formats that are no lines have no use for.
fn check_binary(table: &RawTable, format: &str, errors: &mut Errors) {
    let reasons = [
        ("line_max", "its records are no lines"),
        ("connect", "producers of frames connect to the source; write listen = \"127.0.0.1:9000\""),
        ("follow", "its files are read to their end and not followed"),
    ];
    let connects = |key: &str| format == "arrow" && key == "connect";
    for (key, reason) in reasons.into_iter().filter(|(key, _)| !connects(key)) {
        let is_wanted = key != "follow" || table.flag(key) == Some(true);
        if table.has(key) && is_wanted {
            let message = format!("does not go with format = \"{format}\": {reason}");
            errors.add(table.at(key), &table.key_path(key), message);
        }
    }
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

fn nexmark(table: &RawTable, errors: &mut Errors) -> NexmarkSourceConfig {
    let published = NexmarkOptions::PUBLISHED;
    let small = |key: &str, default: u32| {
        let count = table.count(key).map(u32::try_from);
        count.map_or(default, |count| count.expect("the keys' maxima fit"))
    };
    let (counts, bytes, hot) = (published.proportions, published.mean_bytes, published.hot_ratios);
    let proportions = Proportions {
        person: small("people", counts.person),
        auction: small("auctions", counts.auction),
        bid: small("bids", counts.bid),
    };
    if proportions == (Proportions { person: 0, auction: 0, bid: 0 }) {
        let message = "0 beside people = 0 and auctions = 0: there would be no events";
        errors.add(table.at("bids"), &table.key_path("bids"), message);
    }
    let base_time = base_time(table, errors);
    let events_per_second = small("events_per_second", published.events_per_second);
    let is_limited = table.flag("rate_limited").unwrap_or(false);
    NexmarkSourceConfig {
        stream: NexmarkOptions {
            seed: table.count("seed").unwrap_or(published.seed),
            base_time_ms: base_time.unwrap_or(published.base_time_ms),
            events_per_second,
            proportions,
            mean_bytes: MeanBytes {
                person: small("person_bytes", bytes.person),
                auction: small("auction_bytes", bytes.auction),
                bid: small("bid_bytes", bytes.bid),
            },
            hot_ratios: HotRatios {
                auction: small("hot_auctions", hot.auction),
                bidder: small("hot_bidders", hot.bidder),
                seller: small("hot_sellers", hot.seller),
            },
        },
        begins_now: table.text("base_time") == Some(NOW),
        pacing: Pacing {
            rows: table.count("events").filter(|events| *events > 0),
            rows_per_second: is_limited.then_some(events_per_second.into()),
        },
    }
}

/// Word for the time at which the job starts.
const NOW: &str = "now";

/// The time at which event time begins, when one is written.
fn base_time(table: &RawTable, errors: &mut Errors) -> Option<i64> {
    let text = table.text("base_time").filter(|text| *text != NOW)?;
    match chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
        Ok(time) => Some(time.and_utc().timestamp_millis()),
        Err(_) => {
            let message =
                format!("\"{text}\" is no time; write \"now\" or \"2020-01-01 00:00:00\"");
            errors.add(table.at("base_time"), &table.key_path("base_time"), message);
            None
        }
    }
}

fn datagen(table: &RawTable) -> DatagenSourceConfig {
    DatagenSourceConfig {
        seed: table.count("seed").unwrap_or(0),
        pacing: Pacing {
            rows: table.count("rows").filter(|rows| *rows > 0),
            rows_per_second: Some(table.count("rows_per_second").unwrap_or(DATAGEN_RATE_DEFAULT)),
        },
        fields: table.fields("fields").iter().map(|given| given.field.clone()).collect(),
    }
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
    let choices = "format = \"json\", \"csv\", \"raw\", \"rkyv\" or \"arrow\"";
    match required_word(table, "format", choices, errors)? {
        "json" => Some(FormatOptions::Json(JsonOptions {
            iso_timestamps: table.word_if_any("timestamps") == Some("iso-8601"),
        })),
        "csv" => Some(FormatOptions::Csv(CsvOptions {
            delimiter: table.character("delimiter").unwrap_or(b','),
            header: table.flag("header").unwrap_or(false),
            multiline,
        })),
        "raw" => Some(FormatOptions::Raw),
        "rkyv" => Some(FormatOptions::Frames),
        "arrow" => Some(FormatOptions::Arrow),
        other => unreachable!("the key allows no format {other}"),
    }
}
