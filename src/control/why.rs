//! `pelton why`: from a running job's status to the reasons for which nothing, or less than
//! expected, comes out of it.
//!
//! In:  a [`Status`].
//! Out: lines, the most likely reason first; each says what to do where something can be done.
//!
//! Deliberately absent: asking the job, which is `http`'s matter.

use super::explain::{bottleneck, percent};
use super::status::{ExchangeState, OperatorState, SourceState, Status, WatermarkState};

/// A watermark that stands for so long holds windows back, s.
const STANDING_SECONDS: f64 = 2.0;

/// So far ahead of the clock no honest record is, s.
const AHEAD_SECONDS: f64 = 60.0;

/// An operator of which one core has this many times its fair part has a hot key.
const SKEW: f64 = 1.8;

/// A key group with so many of an exchange's rows is hot: of 4,096 each should have few.
pub(super) const HOT_GROUP_SHARE: f64 = 0.2;

/// A core that works for so much of its time has none left.
const SATURATED_SHARE: f64 = 0.9;

/// The reasons.
pub(super) fn why(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if !status.ready {
        lines.push("not every core runs yet: the job is starting".to_owned());
    }
    if status.stopping {
        lines.push("the job was told to stop: it reads no more".to_owned());
    }
    for sink in &status.sinks {
        if let Some(by) = &sink.blocked_by {
            let name = &sink.name;
            lines.push(format!("sink {name} is blocked: {by}; what feeds it waits"));
        }
    }
    lines.extend(status.sources.iter().filter_map(no_input));
    lines.extend(status.sources.iter().filter_map(|source| rejected(status, source)));
    lines.extend(status.operators.iter().filter_map(filtered));
    lines.extend(late(status));
    lines.extend(status.sources.iter().filter_map(|source| held_back(status, source)));
    lines.extend(saturated(status));
    lines.extend(refused(status));
    if lines.is_empty() {
        lines.push(nothing_wrong(status));
    }
    lines
}

fn no_input(source: &SourceState) -> Option<String> {
    let SourceState { name, connector, records_in, splits_open, splits_opened, .. } = source;
    let is_tcp = connector.starts_with("tcp");
    if source.ended {
        return Some(format!("source {name} has ended after {records_in} records"));
    }
    let silent = source.silent_seconds;
    if *records_in > 0 && silent < STANDING_SECONDS {
        return None;
    }
    let peers = match (is_tcp, *splits_open, *splits_opened) {
        (true, 0, 0) => "nobody has connected to it".to_owned(),
        (true, 0, opened) => format!("all of its {opened} connections have gone"),
        (true, 1, _) => "its one connection sends nothing".to_owned(),
        (true, open, _) => format!("its {open} connections send nothing"),
        (false, ..) => "there is nothing more to read now".to_owned(),
    };
    Some(if *records_in == 0 {
        format!("no input: source {name} ({connector}) has had no record; {peers}")
    } else {
        format!(
            "no input: source {name} ({connector}) has had no record for {silent:.0} s, after \
             {records_in}; {peers}"
        )
    })
}

/// Most of a source's records are left out.
fn rejected(status: &Status, source: &SourceState) -> Option<String> {
    let total: u64 = source.rejected.values().sum();
    let (kind, count) = source.rejected.iter().max_by_key(|(_, count)| **count)?;
    if total == 0 || total * 2 < source.records_in {
        return None;
    }
    let name = &source.name;
    let remedy = match kind.as_str() {
        "decode" => "compare `format` and `schema` with what is sent",
        "time_null" => {
            "the column of WATERMARK FOR is NULL: is its field called the same in the records?"
        }
        "time_ahead" => {
            "their times are further ahead of the clock than max_future: is a producer's clock wrong?"
        }
        _ => "an expression of the query fails for them",
    };
    let share = share_words(total, source.records_in);
    let example = example(status, "rejected: ");
    Some(format!(
        "source {name} rejects {share} of its records, {count} of them as {kind}: {remedy}{example}"
    ))
}

fn filtered(operator: &OperatorState) -> Option<String> {
    let OperatorState { operator, rows_in, filtered, .. } = operator;
    (*rows_in > 0 && filtered == rows_in)
        .then(|| format!("`{operator}` drops 100 % of its {rows_in} rows: nothing matches"))
}

/// Most of the rows of some operator are late.
fn late(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for operator in status.operators.iter().filter(|it| it.late > 0 && it.late * 2 >= it.rows_in) {
        let share = share_words(operator.late, operator.rows_in);
        let cause = match status.sources.iter().filter_map(ahead).next() {
            Some((source, watermark)) => format!(
                ": the watermark of {source} is {}, {:.0} s ahead of the clock, because of records \
                 from the future; max_future would have rejected them",
                watermark.time, -watermark.lag_seconds
            ),
            None => ": the watermark had passed their windows".to_owned(),
        };
        let example = example(status, "late: ");
        lines
            .push(format!("`{}`: {share} of the rows are late{cause}{example}", operator.operator));
    }
    lines
}

fn ahead(source: &SourceState) -> Option<(&str, &WatermarkState)> {
    let watermark = source.watermark.as_ref()?;
    (watermark.lag_seconds < -AHEAD_SECONDS).then_some((source.name.as_str(), watermark))
}

/// Rows wait in windows, and the watermark stands.
fn held_back(status: &Status, source: &SourceState) -> Option<String> {
    let waiting: u64 = status.operators.iter().map(|it| it.held).sum();
    let watermark = source.watermark.as_ref()?;
    if waiting == 0 || watermark.since_seconds < STANDING_SECONDS {
        return None;
    }
    let WatermarkState { time, split, since_seconds, core, .. } = watermark;
    let remedy = if source.splits_open > 1 {
        "; others may be further: idle_timeout lets them go on without it"
    } else {
        "; windows fire when a later record comes"
    };
    Some(format!(
        "split {split} (core {core}) holds the watermark at {time} since {since_seconds:.0} s, and \
         {waiting} rows wait in windows{remedy}"
    ))
}

/// One core has no time left, or gets most of the rows.
fn saturated(status: &Status) -> Vec<String> {
    let full = status.cores.iter().filter(|core| core.busy_share >= SATURATED_SHARE);
    let mut lines = Vec::new();
    for core in full {
        let hot = status.operators.iter().filter_map(|it| hot_core(it, usize::from(core.core)));
        match hot.max_by(|one, other| one.0.total_cmp(&other.0)) {
            Some((part, operator)) => lines.push(format!(
                "core {} works {} of its time: it owns {} of the rows of `{operator}`, a hot key{}",
                core.core,
                percent(core.busy_share),
                percent(part),
                hot_group(status, core.core)
            )),
            None if status.cores.len() == 1 => lines.push(bottleneck(status)),
            None => {}
        }
    }
    if lines.is_empty()
        && !status.cores.is_empty()
        && status.cores.iter().all(|core| core.busy_share >= SATURATED_SHARE)
    {
        lines.push(bottleneck(status));
    }
    lines
}

/// The part of an operator's rows that core `core` gets, where it is far more than its share.
fn hot_core(operator: &OperatorState, core: usize) -> Option<(f64, &str)> {
    let all: u64 = operator.rows_in_by_core.iter().sum();
    let cores = operator.rows_in_by_core.len();
    let own = *operator.rows_in_by_core.get(core)?;
    let is_keyed = operator.id.ends_with('r');
    let part = ratio(own, all);
    let fair = 1.0 / f64::from(u32::try_from(cores).ok()?);
    (is_keyed && cores > 1 && part > (fair * SKEW).min(0.9)).then_some((part, &*operator.operator))
}

/// The key group of a core that has far more rows than any should.
fn hot_group(status: &Status, core: u16) -> String {
    let of_core = |it: &&ExchangeState| it.hottest_key_group_core == Some(core);
    let hottest =
        status.exchanges.iter().filter(of_core).max_by(|one, other| {
            one.hottest_key_group_share.total_cmp(&other.hottest_key_group_share)
        });
    match hottest.and_then(|it| Some((it, it.hottest_key_group?))) {
        Some((it, group)) if it.hottest_key_group_share >= HOT_GROUP_SHARE => {
            let share = percent(it.hottest_key_group_share);
            format!(" of key group {group}, which has {share} of exchange {}", it.exchange)
        }
        _ => String::new(),
    }
}

/// What the user was told lately that keeps data out.
fn refused(status: &Status) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for notice in status.notices.iter().filter(|notice| notice.contains("cannot accept")) {
        let remedy = if notice.contains("Too many open files") {
            "; raise the limit: ulimit -n 65536, LimitNOFILE=65536"
        } else {
            ""
        };
        let line = format!("{notice}{remedy}");
        if !found.contains(&line) {
            found.push(line);
        }
    }
    let refused = status.sources.iter().filter(|source| source.connections_refused > 0);
    found.extend(refused.map(|source| {
        let SourceState { name, connections_refused, .. } = source;
        format!(
            "source {name} has refused or cut {connections_refused} connections: connections_max"
        )
    }));
    found
}

fn nothing_wrong(status: &Status) -> String {
    let rate: f64 = status.sinks.iter().map(|sink| sink.rows_per_second).sum();
    let waiting: u64 = status.operators.iter().map(|it| it.held).sum();
    if rate > 0.0 {
        format!("output flows: {rate:.0} rows/s; bottleneck: {}", bottleneck(status))
    } else if waiting > 0 {
        let time = status.sources.iter().find_map(|source| source.watermark.as_ref());
        let at = time.map_or_else(String::new, |time| format!(" (it is at {})", time.time));
        format!("{waiting} rows wait in windows until the watermark passes their ends{at}")
    } else {
        "nothing is wrong that can be seen: records are read, and no row has to be written yet"
            .into()
    }
}

fn example(status: &Status, kind: &str) -> String {
    let found = status.examples.iter().find_map(|example| example.strip_prefix(kind));
    found.map_or_else(String::new, |example| format!("; for example {example}"))
}

fn share_words(part: u64, whole: u64) -> String {
    percent(ratio(part, whole).min(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "shown as a percentage")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
