//! Flink's options, as data: which key each goes to, in which words and units.
//!
//! The table in `config/README.md` is tested against [`OPTIONS`].

use crate::stdx::{did_you_mean, one_of, suggestion};

/// What becomes of one of Flink's options.
#[derive(Debug)]
pub(super) enum Effect {
    /// Its value goes to this key.
    Key(&'static str),
    /// Its value goes to this key in other words; words not listed stay as they are.
    Words(&'static str, &'static [(&'static str, &'static str)]),
    /// A duration in Flink's units goes to this key.
    Time(&'static str),
    /// A memory size in Flink's units goes to this key.
    Size(&'static str),
    /// What this value asks for is what happens anyway; others are refused.
    Only(&'static str),
    /// Accepted without effect, with this note.
    Note(&'static str),
    /// Known and not supported: why, or what to do instead.
    Refused(&'static str),
}

const FAIL_OR_REJECT: &[(&str, &str)] = &[("true", "reject"), ("false", "fail")];
const PARALLELISM: &str = "has no effect: every core runs every source and sink";

/// Flink's options: the connectors filesystem, print, blackhole, datagen and nexmark; the formats json,
/// csv and raw. Options of columns (`fields.COLUMN.OPTION`) are taken beside them.
pub(super) const OPTIONS: &[(&str, Effect)] = &[
    ("connector", Effect::Words("connector", &[("filesystem", "file")])),
    ("path", Effect::Key("path")),
    ("format", Effect::Key("format")),
    ("json.ignore-parse-errors", Effect::Words("on_error", FAIL_OR_REJECT)),
    (
        "json.timestamp-format.standard",
        Effect::Words("timestamps", &[("SQL", "sql"), ("ISO-8601", "iso-8601")]),
    ),
    ("json.fail-on-missing-field", Effect::Only("false")),
    ("json.encode.decimal-as-plain-number", Effect::Only("true")),
    ("json.encode.ignore-null-fields", Effect::Only("false")),
    ("json.map-null-key.mode", Effect::Only("FAIL")),
    ("json.map-null-key.literal", Effect::Refused("the keys of a MAP are never NULL")),
    ("csv.field-delimiter", Effect::Key("delimiter")),
    ("csv.ignore-parse-errors", Effect::Words("on_error", FAIL_OR_REJECT)),
    ("csv.disable-quote-character", Effect::Only("false")),
    ("csv.quote-character", Effect::Only("\"")),
    ("csv.allow-comments", Effect::Only("false")),
    ("csv.null-literal", Effect::Only("")),
    ("csv.escape-character", Effect::Refused("a quote inside quotes is written twice")),
    ("csv.array-element-delimiter", Effect::Refused("there are no ARRAY columns in CSV")),
    ("csv.write-bigdecimal-in-scientific-notation", Effect::Only("false")),
    ("raw.charset", Effect::Only("UTF-8")),
    ("raw.endianness", Effect::Refused("a raw record is one STRING column")),
    (
        "source.monitor-interval",
        Effect::Refused("to wait for what is appended, use 'follow' = 'true'"),
    ),
    ("source.path.regex-pattern", Effect::Refused("write a pattern such as 'in/*.json' in 'path'")),
    ("sink.rolling-policy.file-size", Effect::Size("part_bytes")),
    ("sink.rolling-policy.rollover-interval", Effect::Time("part_age")),
    ("sink.rolling-policy.check-interval", Effect::Note("has no effect: ages are exact")),
    ("sink.rolling-policy.inactivity-interval", Effect::Refused("a part is closed by size or age")),
    ("auto-compaction", Effect::Only("false")),
    ("sink.parallelism", Effect::Note(PARALLELISM)),
    ("source.parallelism", Effect::Note(PARALLELISM)),
    ("scan.parallelism", Effect::Note(PARALLELISM)),
    ("rows-per-second", Effect::Key("rows_per_second")),
    ("number-of-rows", Effect::Key("rows")),
    ("events.num", Effect::Key("events")),
    ("first-event.rate", Effect::Key("events_per_second")),
    ("next-event.rate", Effect::Note("has no effect: events keep their first rate, as in Flink")),
    ("rate.shape", Effect::Note("has no effect: events keep their first rate, as in Flink")),
    ("rate.period", Effect::Note("has no effect: events keep their first rate, as in Flink")),
    ("rate.limited", Effect::Key("rate_limited")),
    ("max-emit-speed", Effect::Words("rate_limited", &[("true", "false"), ("false", "true")])),
    ("person.proportion", Effect::Key("people")),
    ("auction.proportion", Effect::Key("auctions")),
    ("bid.proportion", Effect::Key("bids")),
    ("person.avg-size", Effect::Size("person_bytes")),
    ("auction.avg-size", Effect::Size("auction_bytes")),
    ("bid.avg-size", Effect::Size("bid_bytes")),
    ("bid.hot-ratio.auctions", Effect::Key("hot_auctions")),
    ("bid.hot-ratio.bidders", Effect::Key("hot_bidders")),
    ("auction.hot-ratio.sellers", Effect::Key("hot_sellers")),
    ("keep-alive", Effect::Only("false")),
    ("stop-at", Effect::Only("-1")),
    ("print-identifier", Effect::Refused("lines are printed as they are")),
    ("standard-error", Effect::Only("false")),
];

/// Flink's word for ours. A near miss of one of Flink's is an error that names it.
pub(super) fn translated<'a>(
    given: &'a str,
    words: &[(&'a str, &'a str)],
) -> Result<&'a str, String> {
    if let Some((_, ours)) = words.iter().find(|(theirs, _)| *theirs == given) {
        return Ok(ours);
    }
    let theirs: Vec<&str> = words.iter().map(|(theirs, _)| *theirs).collect();
    // Values with a closed list of words are flags and standards; a connector may be another one.
    if words.len() > 1 {
        return Err(format!("'{given}' is unknown; write {}", one_of(&theirs)));
    }
    match suggestion(given, theirs.iter().copied()) {
        Some(_) => Err(format!("'{given}' is unknown; {}", did_you_mean(given, &theirs))),
        None => Ok(given),
    }
}

/// `file:///data` and `/data` are the same; other file systems are not there.
pub(super) fn local_path(given: &str) -> Result<&str, String> {
    let path = given.strip_prefix("file://").unwrap_or(given);
    match path.split_once("://") {
        Some((scheme, _)) => {
            Err(format!("'{given}': {scheme}:// is not supported; use a local path"))
        }
        None => Ok(path),
    }
}

/// Our unit, and Flink's names for it.
pub(super) type Units = [(&'static str, &'static [&'static str])];

pub(super) const TIME_UNITS: [(&str, &[&str]); 7] = [
    ("d", &["d", "day", "days"]),
    ("h", &["h", "hour", "hours"]),
    ("min", &["m", "min", "minute", "minutes"]),
    ("s", &["s", "sec", "secs", "second", "seconds"]),
    ("ms", &["", "ms", "milli", "millis", "millisecond", "milliseconds"]),
    ("us", &["µs", "micro", "micros", "microsecond", "microseconds"]),
    ("ns", &["ns", "nano", "nanos", "nanosecond", "nanoseconds"]),
];

/// Flink's kilobyte has 1024 bytes.
pub(super) const SIZE_UNITS: [(&str, &[&str]); 5] = [
    ("B", &["", "b", "bytes"]),
    ("KiB", &["k", "kb", "kibibytes"]),
    ("MiB", &["m", "mb", "mebibytes"]),
    ("GiB", &["g", "gb", "gibibytes"]),
    ("TiB", &["t", "tb", "tebibytes"]),
];

/// A quantity in Flink's units, written in ours.
pub(super) fn flink_units(given: &str, units: &Units) -> Result<String, String> {
    let text = given.trim().to_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let found = units.iter().find(|(_, theirs)| theirs.contains(&unit.trim()));
    match found {
        Some((ours, _)) if digits > 0 => Ok(format!("{number}{ours}")),
        _ => Err(format!("'{given}' is no number with a unit, such as '30 min' or '128MB'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::{SINKS, SOURCES};

    #[test]
    fn the_documentation_lists_every_option() {
        let documentation = include_str!("../../config/README.md");
        for (name, _) in OPTIONS {
            assert!(documentation.contains(&format!("| `'{name}'` |")), "{name}");
        }
        let rows = documentation.lines().filter(|line| line.starts_with("| `'")).count();
        assert_eq!(rows, OPTIONS.len());
    }

    #[test]
    fn every_option_ends_in_a_key_of_its_side() {
        for (name, effect) in OPTIONS {
            let (Effect::Key(key) | Effect::Words(key, _) | Effect::Time(key) | Effect::Size(key)) =
                effect
            else {
                continue;
            };
            assert!(SOURCES.key(key).is_some() || SINKS.key(key).is_some(), "{name}");
        }
    }
}
