//! What `bench compare` prints: tables for people, or a document for programs; and pages of both results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::super::difference::{Difference, RUNS_ENOUGH, Verdict};
use super::super::error::BenchError;
use super::super::result::{self, BenchResult, Better, Figure};
use super::super::spread::Spread;
use super::super::table::{Table, figure};
use super::compared;

/// Version of the document's form.
const REPORT_SCHEMA: u32 = 1;

/// The document, in a folder.
const COMPARISON_FILE: &str = "comparison.json";

/// Everything that was compared.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct CompareReport {
    schema: u32,
    bench: &'static str,
    /// Names of what was compared, the base first.
    results: Vec<String>,
    tolerance: f64,
    benches: Vec<BenchComparison>,
}

/// One bench of all results.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct BenchComparison {
    /// Its folder; empty where each result is one bench.
    folder: String,
    bench: String,
    others: Vec<Comparison>,
    /// Results without this bench.
    missing: Vec<String>,
    #[serde(skip)]
    results: Vec<(String, BenchResult)>,
}

/// One result against the base.
#[derive(Clone, PartialEq, Serialize, Debug)]
struct Comparison {
    result: String,
    /// Of machine and configuration, what is not the same.
    differs: Vec<String>,
    figures: Vec<Compared>,
    /// Figures that decide, and that it does not have.
    missing: Vec<String>,
}

/// One figure of two results.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct Compared {
    table: String,
    figure: String,
    of: String,
    unit: String,
    better: Better,
    decides: bool,
    base: Spread,
    other: Spread,
    #[serde(flatten)]
    difference: Difference,
    /// It decides, and is worse by more than noise and tolerance.
    is_worse: bool,
}

impl Compared {
    pub(super) fn new(
        base: &Figure,
        other: &Figure,
        difference: Difference,
        is_worse: bool,
    ) -> Compared {
        Compared {
            table: base.table.clone(),
            figure: base.figure.clone(),
            of: base.of.clone(),
            unit: base.unit.clone(),
            better: base.better,
            decides: base.decides,
            base: base.spread,
            other: other.spread,
            difference,
            is_worse,
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.figure, self.of).trim_end().to_owned()
    }

    fn row(&self) -> Vec<String> {
        let Difference { ratio, verdict } = self.difference;
        let show = |Spread { median, min, max }: Spread| {
            if min.total_cmp(&max).is_eq() {
                return figure(median);
            }
            format!("{} ({} to {})", figure(median), figure(min), figure(max))
        };
        let ratio = ratio.map_or("-".to_owned(), |it| {
            format!("{:.3} ({:.3} to {:.3})", it.ratio, it.min, it.max)
        });
        let mark = if self.is_worse { " !" } else { "" };
        let mut row =
            vec![self.name(), self.unit.clone(), show(self.base), show(self.other), ratio];
        row.push(verdict.words().to_owned() + mark);
        row
    }
}

impl BenchComparison {
    /// Of at least the base.
    pub(super) fn new(
        folder: &str,
        results: Vec<(String, BenchResult)>,
        missing: Vec<String>,
        tolerance: f64,
    ) -> BenchComparison {
        let (_, base) = &results[0];
        let others = results[1..].iter().map(|(name, other)| {
            let (figures, missing_figures) = compared(base, other, tolerance);
            Comparison {
                result: name.clone(),
                differs: differences(base, other),
                figures,
                missing: missing_figures,
            }
        });
        BenchComparison {
            folder: folder.to_owned(),
            bench: base.bench.clone(),
            others: others.collect(),
            missing,
            results,
        }
    }
}

/// Of machine and configuration, what is not the same. That the program differs is why one compares.
fn differences(base: &BenchResult, other: &BenchResult) -> Vec<String> {
    let parts = |result: &BenchResult| -> BTreeMap<String, String> {
        let machine = result.machine.parts().map(|(name, value)| (name.to_owned(), value));
        let machine = machine.into_iter().filter(|(name, _)| name != "pelton");
        machine.chain(result.configuration.clone()).collect()
    };
    let (of_base, of_other) = (parts(base), parts(other));
    let names: BTreeSet<&String> = of_base.keys().chain(of_other.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let (before, after) = (of_base.get(name), of_other.get(name));
        let show = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
        (before != after).then(|| format!("{name}: {} / {}", show(before), show(after)))
    });
    differing.collect()
}

impl CompareReport {
    pub(super) fn new(
        results: Vec<String>,
        tolerance: f64,
        benches: Vec<BenchComparison>,
    ) -> CompareReport {
        CompareReport { schema: REPORT_SCHEMA, bench: "compare", results, tolerance, benches }
    }

    /// Figures that decide and are worse by more than noise and tolerance, or missing, one line each.
    pub fn regressions(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for bench in &self.benches {
            let place = bench.title();
            lines.extend(bench.missing.iter().map(|name| format!("{name}: {place} is missing")));
            for Comparison { result, figures, missing, .. } in &bench.others {
                let missing = missing.iter();
                lines.extend(missing.map(|name| format!("{result}: {place}, {name} is missing")));
                let worse = figures.iter().filter(|it| it.is_worse);
                lines.extend(
                    worse.map(|it| format!("{result}: {place}, {}: {}", it.table, it.fault())),
                );
            }
        }
        lines
    }

    /// As a document, with a line end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        text + "\n"
    }

    /// As tables.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for bench in &self.benches {
            bench
                .missing
                .iter()
                .for_each(|name| text += &format!("{name}: no {}\n", bench.title()));
            for other in &bench.others {
                text += &bench.text(other, &self.results[0]);
            }
        }
        text += &format!(
            "ratios are to {}, with the interval they lie in 95 times in 100; runs of one command share their hour, \
             and other hours differ more\n! decides, and is worse by more than noise and {} %\n",
            self.results[0],
            figure(self.tolerance * 100.0)
        );
        text
    }

    /// Writes the document, and a page of each bench with all results beside each other.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), BenchError> {
        result::write(directory, COMPARISON_FILE, &self.to_json())?;
        for bench in &self.benches {
            let results: Vec<(&str, &BenchResult)> =
                bench.results.iter().map(|(name, result)| (name.as_str(), result)).collect();
            result::write_report(&directory.join(&bench.folder), &results)?;
        }
        Ok(())
    }
}

impl Compared {
    fn fault(&self) -> String {
        let ratio = self.difference.ratio.map_or(String::new(), |it| {
            format!("{:.2} times the base ({:.2} to {:.2})", it.ratio, it.min, it.max)
        });
        let hint = match self.difference.verdict {
            Verdict::TooFewRuns => {
                format!(", in too few runs to tell it from noise; measure {RUNS_ENOUGH} or more")
            }
            _ => String::new(),
        };
        format!("{} is {ratio}{hint}", self.name())
    }
}

impl BenchComparison {
    fn title(&self) -> &str {
        if self.folder.is_empty() { &self.bench } else { &self.folder }
    }

    fn text(&self, other: &Comparison, base: &str) -> String {
        let (_, base_result) = &self.results[0];
        let of_other = self.results.iter().find(|(name, _)| *name == other.result);
        let (_, other_result) = of_other.expect("it was compared");
        let about = |name: &str, result: &BenchResult| {
            format!("  {name}: {}, ended {}\n", result.machine.show(), result.ended)
        };
        let mut text = format!("{}\n", self.title());
        text += &about(base, base_result);
        text += &about(&other.result, other_result);
        other.differs.iter().for_each(|what| text += &format!("  differs: {what}\n"));
        let mut tables: Vec<&str> = other.figures.iter().map(|it| it.table.as_str()).collect();
        tables.dedup();
        for name in tables {
            let mut table = Table::new(&[name, "unit", base, &other.result, "ratio", "verdict"]);
            let rows = other.figures.iter().filter(|it| it.table == name);
            rows.for_each(|row| table.add(row.row()));
            text += &format!("\n{}", table.render());
        }
        other.missing.iter().for_each(|name| text += &format!("{name}: missing\n"));
        text + "\n"
    }
}
