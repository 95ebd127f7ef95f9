//! `bench compare`: results of benches against an earlier one, figure by figure.
//!
//! In:  folders of results, the base first.
//! Out: ratios, which of them noise does not explain, and whether a later result is worse.
//!
//! Read: `report` (what is printed).

mod report;

pub use report::CompareReport;

use std::path::{Path, PathBuf};

use super::difference::{Difference, Verdict};
use super::error::{BenchError, BenchErrorKind};
use super::result::{BenchResult, Found, find};
use report::{BenchComparison, Compared};

/// What is compared.
#[derive(Clone, PartialEq, Debug)]
pub struct CompareOptions {
    /// Files or folders of results, at least two; the others are compared with the first.
    pub results: Vec<PathBuf>,
    /// A figure that is worse by no more than this part is not worse; at least 0.
    pub tolerance: f64,
}

/// Reads results and compares them.
///
/// # Errors
/// When a result cannot be read, or is of another bench than the first.
pub fn compare(options: &CompareOptions) -> Result<CompareReport, BenchError> {
    assert!(options.results.len() > 1 && options.tolerance >= 0.0);
    let names = names(&options.results);
    let found: Vec<Vec<Found>> =
        options.results.iter().map(|path| find(path)).collect::<Result<_, _>>()?;
    let (base, others) = found.split_first().expect("there are two");
    let mut benches = Vec::new();
    for wanted in base {
        let mut results = vec![(names[0].clone(), wanted.result.clone())];
        let mut missing = Vec::new();
        for (other, name) in others.iter().zip(&names[1..]) {
            match same_bench(wanted, base, other) {
                Some(result) => results.push((name.clone(), result.clone())),
                None => missing.push(name.clone()),
            }
        }
        expect_same_bench(&results)?;
        benches.push(BenchComparison::new(&wanted.name, results, missing, options.tolerance));
    }
    Ok(CompareReport::new(names, options.tolerance, benches))
}

/// The other's result in the folder of that name; where each has one alone, names do not matter.
fn same_bench<'a>(wanted: &Found, base: &[Found], other: &'a [Found]) -> Option<&'a BenchResult> {
    if let ([_], [found]) = (base, other) {
        return Some(&found.result);
    }
    other.iter().find(|found| found.name == wanted.name).map(|found| &found.result)
}

fn expect_same_bench(results: &[(String, BenchResult)]) -> Result<(), BenchError> {
    let (base_name, base) = &results[0];
    match results.iter().find(|(_, result)| result.bench != base.bench) {
        None => Ok(()),
        Some((name, other)) => Err(BenchError::new(
            BenchErrorKind::Configuration,
            format!(
                "{base_name} is of bench {}, {name} of bench {}: they have no figures in common",
                base.bench, other.bench
            ),
        )),
    }
}

/// The last part of each path, or all of it where two have the same.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let all: Vec<Option<String>> = paths.iter().map(|path| last(path)).collect();
    let is_unique = |name: &str| all.iter().flatten().filter(|other| *other == name).count() == 1;
    let name = |(path, short): (&PathBuf, &Option<String>)| match short {
        Some(short) if is_unique(short) => short.clone(),
        _ => path.display().to_string(),
    };
    paths.iter().zip(&all).map(name).collect()
}

/// Every figure of the base that another result has, too; and those that decide and are missing.
fn compared(
    base: &BenchResult,
    other: &BenchResult,
    tolerance: f64,
) -> (Vec<Compared>, Vec<String>) {
    let (mut pairs, mut missing) = (Vec::new(), Vec::new());
    for figure in &base.figures {
        let Some(found) = other.figures.iter().find(|it| it.is_same(figure)) else {
            if figure.decides {
                missing.push(figure.name());
            }
            continue;
        };
        let difference = Difference::of(figure, found);
        // Too few runs are no excuse: who wants to be sure measures more.
        let is_told = matches!(difference.verdict, Verdict::Worse | Verdict::TooFewRuns);
        let is_worse =
            figure.decides && is_told && difference.is_worse_by(tolerance, figure.better);
        pairs.push(Compared::new(figure, found, difference, is_worse));
    }
    (pairs, missing)
}

#[cfg(test)]
mod tests;
