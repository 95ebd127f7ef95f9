//! Prometheus's text format, read strictly: what `promtool check metrics` would complain about, and
//! whatever its parser would refuse.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of a page, by name and labels as written.
#[derive(Debug)]
pub(crate) struct Metrics(Samples);

/// Units that have a base unit, which is used instead.
const WRONG_UNITS: [&str; 8] = ["ms", "us", "ns", "milliseconds", "minutes", "kb", "mb", "percent"];

impl Metrics {
    /// # Errors
    /// The first line that is wrong, with what is.
    pub(crate) fn parse(text: &str) -> Result<Metrics, String> {
        let mut samples = BTreeMap::new();
        let (mut helped, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut family: Option<(String, String)> = None;
        if !text.ends_with('\n') {
            return Err("the last line has no end".into());
        }
        for line in text.lines() {
            let wrong = |what: &str| Err(format!("{what}: {line}"));
            if let Some(help) = line.strip_prefix("# HELP ") {
                let Some((name, words)) = help.split_once(' ') else { return wrong("no help") };
                if words.is_empty() || !helped.insert(name.to_owned()) {
                    return wrong("a help that is empty or given twice");
                }
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = kind.split_once(' ') else { return wrong("no type") };
                if !helped.contains(name) || !seen.insert(name.to_owned()) {
                    return wrong("a family without help, or in two pieces");
                }
                check_name(name, kind).map_err(|what| format!("{what}: {line}"))?;
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                let Some((name, kind)) = &family else { return wrong("a sample before any type") };
                let (sample, labels, value) =
                    parse_sample(line).map_err(|what| format!("{what}: {line}"))?;
                let suffixes: &[&str] =
                    if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                if !suffixes.iter().any(|suffix| sample == format!("{name}{suffix}")) {
                    return wrong("a sample outside its family");
                }
                if kind != "gauge" && (value < 0.0 || value.is_nan()) {
                    return wrong("a counter below zero");
                }
                if samples.insert((sample, labels), value).is_some() {
                    return wrong("the same sample twice");
                }
            }
        }
        check_histograms(&samples)?;
        Ok(Metrics(samples))
    }

    /// The sum of the samples of `name` that have all of these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matches = |found: &[(String, String)]| {
            labels.iter().all(|(label, value)| {
                found.iter().any(|(known, text)| known == label && text == value)
            })
        };
        let samples = self.0.iter().filter(|((sample, found), _)| sample == name && matches(found));
        samples.map(|(_, value)| value).sum()
    }
}

fn check_name(name: &str, kind: &str) -> Result<(), &'static str> {
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if !is_name(name) || !name.starts_with("pelton_") {
        return Err("no name of ours");
    }
    if (kind == "counter") != name.ends_with("_total") {
        return Err("a counter without _total, or the other way round");
    }
    if !["counter", "gauge", "histogram"].contains(&kind) {
        return Err("a type that is not used here");
    }
    if name.split('_').any(|part| WRONG_UNITS.contains(&part)) {
        return Err("not a base unit");
    }
    Ok(())
}

type Labels = Vec<(String, String)>;
type Samples = BTreeMap<(String, Labels), f64>;
type Sample = (String, Labels, f64);

/// `name{label="value",…} number`.
fn parse_sample(line: &str) -> Result<Sample, &'static str> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            let is_name = label.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if label.is_empty() || !is_name || labels.iter().any(|(known, _)| known == label) {
                return Err("a label that is no name or there twice");
            }
            let (value, after) = unquote(after)?;
            labels.push((label.to_owned(), value));
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
                continue;
            }
            rest = after.strip_prefix('}').ok_or("labels without an end")?;
            break;
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let number: f64 = value.parse().map_err(|_| "no number")?;
    Ok((name.to_owned(), labels, number))
}

/// A value up to its quote, and what is behind it.
fn unquote(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, plain @ ('\\' | '"'))) => value.push(plain),
                _ => return Err("no escape"),
            },
            c => value.push(c),
        }
    }
    Err("no closing quote")
}

/// Buckets rise to `+Inf`, which is the count.
fn check_histograms(samples: &Samples) -> Result<(), String> {
    let mut series: BTreeMap<(&str, Labels), Vec<(f64, f64)>> = BTreeMap::new();
    for ((name, labels), value) in samples {
        let Some(name) = name.strip_suffix("_bucket") else { continue };
        let bound = labels.iter().find(|(label, _)| label == "le");
        let (_, bound) = bound.ok_or_else(|| format!("{name}: a bucket without a bound"))?;
        let bound = if bound == "+Inf" { Ok(f64::INFINITY) } else { bound.parse() };
        let bound = bound.map_err(|_| format!("{name}: no bound"))?;
        let others = labels.iter().filter(|(label, _)| label != "le").cloned().collect();
        series.entry((name, others)).or_default().push((bound, *value));
    }
    for ((name, labels), mut buckets) in series {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        if !buckets.is_sorted_by(|one, other| one.1 <= other.1) {
            return Err(format!("{name} {labels:?}: buckets that do not rise"));
        }
        let count = samples.get(&(format!("{name}_count"), labels));
        if buckets.last().map(|(bound, value)| (*bound, Some(value)))
            != Some((f64::INFINITY, count))
        {
            return Err(format!("{name}: the last bucket is not the count"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# HELP pelton_a_total A.\n# TYPE pelton_a_total counter\n";

    #[track_caller]
    fn refused(text: &str) {
        assert!(Metrics::parse(text).is_err(), "{text}");
    }

    #[test]
    fn what_prometheus_reads_is_read() {
        let text =
            format!("{HEAD}pelton_a_total{{b=\"c\\\"d\\n\",e=\"\"}} 1.5\npelton_a_total 2\n");
        let metrics = Metrics::parse(&text).unwrap();
        assert_eq!(metrics.sum("pelton_a_total", &[("b", "c\"d\n")]), 1.5);
        assert_eq!(metrics.sum("pelton_a_total", &[]), 3.5);
    }

    #[test]
    fn what_it_would_not_read_is_refused() {
        for sample in [
            "pelton_a_total",
            "pelton_a_total x",
            "pelton_a_total  1",
            "pelton_a_total -1",
            "pelton_a_total{b=\"c} 1",
            "pelton_a_total{b=\"c\"",
            "pelton_a_total{b=\"c\",b=\"d\"} 1",
            "pelton_a_total{b=\"\\x\"} 1",
            "pelton_b_total 1",
            "pelton_a_total 1\npelton_a_total 2",
        ] {
            refused(&format!("{HEAD}{sample}\n"));
        }
        refused("pelton_a_total 1\n");
        refused(&format!("{HEAD}{HEAD}"));
        refused("# HELP pelton_a A.\n# TYPE pelton_a counter\n");
        refused("# HELP pelton_a_ms A.\n# TYPE pelton_a_ms gauge\n");
        refused("# TYPE pelton_a gauge\n");
        refused("# HELP pelton_a A.\n# TYPE pelton_a gauge\npelton_a 1");
        let histogram = "# HELP pelton_h A.\n# TYPE pelton_h histogram\n";
        refused(&format!("{histogram}pelton_h_bucket{{le=\"+Inf\"}} 2\npelton_h_count 3\n"));
        let falls =
            "pelton_h_bucket{le=\"1\"} 3\npelton_h_bucket{le=\"+Inf\"} 2\npelton_h_count 2\n";
        refused(&format!("{histogram}{falls}"));
    }
}
