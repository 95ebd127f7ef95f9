//! Every key a job file may hold, as data: its name, what values it takes, for whom it is.
//!
//! `raw` refuses what is not here, `reference` tests that `config/default.toml` documents exactly
//! this, and the WITH options of CREATE TABLE end here too.

use std::time::Duration;

use crate::limits::CORES_MAX;

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) only: Only,
}

/// What values a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A name of letters, digits, `_`, `-` and `.`.
    Name,
    /// A path, relative to the job file.
    Path,
    /// `host:port`.
    Address,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count { min: u64, max: u64 },
    /// A byte size with its unit.
    Bytes { min: u64, max: u64 },
    /// A duration with its unit, or one of the words.
    Time { min: Duration, max: Duration, words: &'static [&'static str] },
    /// One of a few words. Planned ones are known and refused.
    Choice { known: &'static [&'static str], planned: &'static [&'static str] },
    /// One ASCII character.
    Character,
    /// SQL; its position in the file is kept and nothing in it is expanded.
    Sql,
    /// "all", a count, or a list of CPUs.
    Cores,
    /// A list of names of subscribers.
    Names,
    /// For each column a table of options.
    Fields,
}

/// For whom a key is.
#[derive(Debug)]
pub(super) enum Only {
    /// Every table of its kind.
    All,
    /// Tables with one of these connectors.
    Connectors(&'static [&'static str]),
    /// Tables with one of these formats.
    Formats(&'static [&'static str]),
}

/// A table of a job file.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name; tables under `sources` and `sinks` have names of their own behind it.
    pub(super) name: &'static str,
    /// What it may hold.
    pub(super) keys: &'static [Key],
}

impl Section {
    /// Names of its keys, for suggestions.
    pub(super) fn key_names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// The key called `name`.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, only: Only::All }
}

const fn only(name: &'static str, kind: Kind, connectors: &'static [&'static str]) -> Key {
    Key { name, kind, only: Only::Connectors(connectors) }
}

const fn format_only(name: &'static str, kind: Kind, formats: &'static [&'static str]) -> Key {
    Key { name, kind, only: Only::Formats(formats) }
}

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);
const YEARS_10: Duration = Duration::from_secs(3_653 * 86_400);
const TCP: &[&str] = &["tcp"];
const FILE: &[&str] = &["file"];
/// Sources that read bytes.
const READ: &[&str] = &["tcp", "file"];
const NEXMARK: &[&str] = &["nexmark"];
const DATAGEN: &[&str] = &["datagen"];
/// Sources that make their rows.
const GENERATED: &[&str] = &["nexmark", "datagen"];
const ANY_COUNT: Kind = Kind::Count { min: 0, max: i64::MAX as u64 };
const RATE: Kind = Kind::Count { min: 1, max: 1_000_000_000 };
const PROPORTION: Kind = Kind::Count { min: 0, max: 1_000_000 };
const HOT_RATIO: Kind = Kind::Count { min: 1, max: 1_000_000 };
const EVENT_BYTES: Kind = Kind::Bytes { min: 0, max: 1 << 20 };
const FORMAT: Kind = Kind::Choice { known: &["json", "csv", "raw", "rkyv", "arrow"], planned: &[] };
const CONNECTIONS: Kind = Kind::Count { min: 1, max: 65_536 };
const ENCODED: &[&str] = &["tcp", "file", "print"];

/// Keys outside any table.
pub(super) static TOP: Section =
    Section { name: "", keys: &[key("name", Kind::Name), key("time_zone", Kind::Text)] };

/// `[reactor]`.
pub(super) static REACTOR: Section = Section {
    name: "reactor",
    keys: &[
        key("cores", Kind::Cores),
        key(
            "spin",
            Kind::Time { min: Duration::ZERO, max: Duration::from_secs(1), words: &["always"] },
        ),
    ],
};

/// `[durability]`.
pub(super) static DURABILITY: Section = Section {
    name: "durability",
    keys: &[
        key("mode", Kind::Choice { known: &["on", "off"], planned: &[] }),
        key("dir", Kind::Path),
        key(
            "checkpoint_interval",
            Kind::Time { min: Duration::from_millis(10), max: DAY, words: &[] },
        ),
        key("retain", Kind::Count { min: 1, max: 100 }),
    ],
};

/// `[http]`.
pub(super) static HTTP: Section = Section { name: "http", keys: &[key("listen", Kind::Text)] };

/// `[limits]`.
pub(super) static LIMITS: Section = Section {
    name: "limits",
    keys: &[
        key("turn_rows_max", Kind::Count { min: 1, max: 1 << 20 }),
        key("edge_elements_max", Kind::Count { min: 2, max: 4_096 }),
        key("file_chunk_bytes", Kind::Bytes { min: 4_096, max: 1 << 30 }),
    ],
};

/// `[sources.NAME]`.
pub(super) static SOURCES: Section = Section {
    name: "sources",
    keys: &[
        key(
            "connector",
            Kind::Choice { known: &["tcp", "file", "nexmark", "datagen"], planned: &["kafka"] },
        ),
        only("format", FORMAT, READ),
        key("schema", Kind::Sql),
        only("listen", Kind::Address, TCP),
        only("connect", Kind::Address, TCP),
        only("connections_max", CONNECTIONS, TCP),
        only("connection_idle_max", Kind::Time { min: MS, max: DAY, words: &["off"] }, TCP),
        only("end_on_disconnect", Kind::Flag, TCP),
        only("journal", Kind::Flag, TCP),
        only("path", Kind::Path, FILE),
        only("follow", Kind::Flag, FILE),
        format_only("header", Kind::Flag, &["csv"]),
        format_only("delimiter", Kind::Character, &["csv"]),
        format_only("multiline", Kind::Flag, &["csv"]),
        only("events", ANY_COUNT, NEXMARK),
        only("events_per_second", RATE, NEXMARK),
        only("rate_limited", Kind::Flag, NEXMARK),
        only("base_time", Kind::Text, NEXMARK),
        only("people", PROPORTION, NEXMARK),
        only("auctions", PROPORTION, NEXMARK),
        only("bids", PROPORTION, NEXMARK),
        only("person_bytes", EVENT_BYTES, NEXMARK),
        only("auction_bytes", EVENT_BYTES, NEXMARK),
        only("bid_bytes", EVENT_BYTES, NEXMARK),
        only("hot_auctions", HOT_RATIO, NEXMARK),
        only("hot_bidders", HOT_RATIO, NEXMARK),
        only("hot_sellers", HOT_RATIO, NEXMARK),
        only("rows", ANY_COUNT, DATAGEN),
        only("rows_per_second", RATE, DATAGEN),
        only("fields", Kind::Fields, DATAGEN),
        only("seed", ANY_COUNT, GENERATED),
        only("line_max", Kind::Bytes { min: 1, max: 1 << 30 }, READ),
        only("idle_timeout", Kind::Time { min: MS, max: YEARS_10, words: &["off"] }, READ),
        key("max_future", Kind::Time { min: MS, max: YEARS_10, words: &["off"] }),
        key("on_error", Kind::Choice { known: &["reject", "fail"], planned: &[] }),
        key("late_sink", Kind::Text),
        key("rejected_sink", Kind::Text),
    ],
};

const TIMESTAMPS: Kind = Kind::Choice { known: &["sql", "iso-8601"], planned: &[] };

/// `[sinks.NAME]`.
pub(super) static SINKS: Section = Section {
    name: "sinks",
    keys: &[
        key(
            "connector",
            Kind::Choice { known: &["tcp", "file", "print", "blackhole"], planned: &["kafka"] },
        ),
        only("format", FORMAT, ENCODED),
        key("schema", Kind::Sql),
        only("listen", Kind::Address, TCP),
        only("connect", Kind::Address, TCP),
        only("connections_max", CONNECTIONS, TCP),
        only(
            "slow_subscriber",
            Kind::Choice { known: &["disconnect", "backpressure"], planned: &[] },
            TCP,
        ),
        only("path", Kind::Path, FILE),
        only("part_bytes", Kind::Bytes { min: 1, max: 1 << 40 }, FILE),
        only("part_age", Kind::Time { min: MS, max: DAY, words: &[] }, FILE),
        only("release", Kind::Choice { known: &["commit", "immediate"], planned: &[] }, ENCODED),
        only("retain", Kind::Bytes { min: 1 << 16, max: 1 << 50 }, TCP),
        only(
            "retain_time",
            Kind::Time { min: Duration::from_secs(1), max: YEARS_10, words: &["off"] },
            TCP,
        ),
        only("on_full", Kind::Choice { known: &["block", "drop"], planned: &[] }, TCP),
        only("wait_for", Kind::Names, TCP),
        format_only("timestamps", TIMESTAMPS, &["json"]),
        format_only("header", Kind::Flag, &["csv"]),
        format_only("delimiter", Kind::Character, &["csv"]),
    ],
};

/// `[query]`.
pub(super) static QUERY: Section =
    Section { name: "query", keys: &[key("sql", Kind::Sql), key("file", Kind::Path)] };

/// Every table, in the order of the reference.
pub(super) static SECTIONS: [&Section; 7] =
    [&REACTOR, &DURABILITY, &HTTP, &SOURCES, &SINKS, &QUERY, &LIMITS];

/// Largest count of reactors, for the text of errors.
pub(super) const CORES: std::ops::RangeInclusive<u64> = 1..=CORES_MAX as u64;
