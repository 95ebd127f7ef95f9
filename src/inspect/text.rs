//! For people: what was found, as lines. What comes from records is shown without control characters.

use std::fmt::Write;

use super::listing::Listing;
use super::summary::{Core, Operator, Position, Summary};

/// A line `name  value`.
fn line(out: &mut String, name: &str, value: &str) {
    writeln!(out, "{name:<12}{}", plain(value)).expect("writing to memory cannot fail");
}

/// Text without control characters: a terminal would obey them.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

pub(super) fn summary(summary: &Summary) -> String {
    let mut out = String::new();
    line(&mut out, "directory", &summary.directory);
    line(&mut out, "job", &summary.job);
    line(&mut out, "runs", &summary.runs.to_string());
    if let Some(process) = summary.process {
        line(&mut out, "process", &process.to_string());
    }
    if let Some(at) = &summary.finished_at {
        line(&mut out, "finished", at);
    }
    line(&mut out, "key groups", &summary.key_groups.to_string());
    let epoch = summary.epoch.map_or("none yet".to_owned(), |epoch| epoch.to_string());
    line(&mut out, "epoch", &epoch);
    summary.query.iter().for_each(|node| line(&mut out, "query", node));
    journals(&mut out, summary);
    cores(&mut out, &summary.cores);
    operators(&mut out, &summary.operators);
    out
}

fn journals(out: &mut String, summary: &Summary) {
    for journal in &summary.journals {
        let bytes: u64 = journal.segments.iter().map(|segment| segment.bytes).sum();
        let files: Vec<&str> = journal.segments.iter().map(|segment| &segment.file[..]).collect();
        let (kind, core) = (journal.journal, journal.core);
        let (from, to) = (&journal.from, &journal.to);
        let files = match files[..] {
            [] => "no file".to_owned(),
            [only] => only.to_owned(),
            [first, .., last] => format!("{} files, {first} to {last}", files.len()),
        };
        line(out, "journal", &format!("{kind} of core {core}: {from} to {to}, {files}, {bytes} B"));
    }
}

pub(super) fn cores(out: &mut String, cores: &[Core]) {
    let words = |kind: &str, all: &[Position]| -> String {
        let word = |it: &Position| match it.bytes {
            Some(bytes) => format!("; {kind} {}: position of {bytes} B", it.name),
            None => format!("; {kind} {}: no position", it.name),
        };
        all.iter().map(word).collect()
    };
    for core in cores {
        let Core { core: number, epoch, read_from, kept_from, .. } = core;
        let (sources, sinks) = (words("source", &core.sources), words("sink", &core.sinks));
        let epochs = format!("changed in {epoch}, read from {read_from}, kept from {kept_from}");
        line(out, &format!("core {number}"), &format!("{epochs}{sources}{sinks}"));
    }
}

pub(super) fn operators(out: &mut String, operators: &[Operator]) {
    for operator in operators {
        line(out, "operator", &format!("{} {}", operator.operator, operator.purpose));
        let (panes, rows) = (operator.panes, operator.rows);
        line(out, "", &format!("{panes} panes for {rows} input rows"));
        for table in &operator.tables {
            let (entries, bytes) = (table.entries, table.bytes);
            let keys = table.keys.join(", ");
            let values = table.values.join(", ");
            let name = &table.table;
            line(out, "", &format!("{name} by ({keys}): {entries} entries, {bytes} B: {values}"));
        }
    }
}

pub(super) fn listing(listing: &Listing) -> String {
    let mut out = String::new();
    line(&mut out, "operator", &format!("{} {}", listing.operator, listing.purpose));
    line(&mut out, "epoch", &listing.epoch.to_string());
    for (core, words) in &listing.notes {
        line(&mut out, "note", &format!("core {core}: {words:?}"));
    }
    for entry in &listing.entries {
        let values = entry.values.iter().map(|it| format!("{} = {}", it.name, it.value));
        let values: Vec<String> = values.collect();
        let member = entry.member.as_ref().map_or(String::new(), |it| format!(" has {it}"));
        let (key, table) = (&entry.key, &entry.table);
        let [first, second] = entry.pane;
        line(
            &mut out,
            &format!("core {}", entry.core),
            &format!("pane {first} {second}, {table} ({key}){member}: {}", values.join(", ")),
        );
    }
    let (shown, found) = (listing.entries.len(), listing.found);
    line(&mut out, "entries", &format!("{shown} shown of {found}"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing() {
        assert_eq!(plain("a\u{1b}[2Jb\nü"), "a\\u{1b}[2Jb\\nü");
    }
}
