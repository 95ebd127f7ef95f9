//! Read: results of files, looked at before anything is done with them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::error::{BenchError, BenchErrorKind};
use super::super::spread::Spread;
use super::{BenchResult, RESULT_FILE, RESULT_SCHEMA};

/// Longest file that is read: ten times that of the longest bench.
const RESULT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Folders of results in a folder.
const FOLDERS_MAX: usize = 1_000;

/// Figures of a result: each is looked for among those of others.
const FIGURES_MAX: usize = 50_000;

/// A result, and the name of its folder in the one that was asked for; no name, if it was that.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::loadgen) struct Found {
    pub(in crate::loadgen) name: String,
    pub(in crate::loadgen) result: BenchResult,
}

/// The result in a file, in a folder, or in each folder of it; at least one, by name.
pub(in crate::loadgen) fn find(path: &Path) -> Result<Vec<Found>, BenchError> {
    let refused = |line: String| Err(BenchError::new(BenchErrorKind::Configuration, line));
    let found = |name: &str, file: &Path| {
        Ok(Found { name: name.to_owned(), result: BenchResult::read(file)? })
    };
    if path.is_file() {
        return Ok(vec![found("", path)?]);
    }
    let direct = path.join(RESULT_FILE);
    if direct.is_file() {
        return Ok(vec![found("", &direct)?]);
    }
    let entries = fs::read_dir(path)
        .map_err(|error| BenchError::io(&format!("reading {}", path.display()), &error))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path().join(RESULT_FILE))
        .filter(|file| file.is_file())
        .take(FOLDERS_MAX + 1)
        .collect();
    if files.is_empty() {
        return refused(format!(
            "{}: there is no {RESULT_FILE}, in it or in a folder of it",
            path.display()
        ));
    }
    if files.len() > FOLDERS_MAX {
        return refused(format!("{}: more than {FOLDERS_MAX} results", path.display()));
    }
    files.sort();
    let name = |file: &PathBuf| {
        let folder = file.parent().and_then(Path::file_name);
        folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    files.iter().map(|file| found(&name(file), file)).collect()
}

impl BenchResult {
    fn read(path: &Path) -> Result<BenchResult, BenchError> {
        let failed = |error| BenchError::io(&format!("reading {}", path.display()), &error);
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(RESULT_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        BenchResult::parse(&text).map_err(|reason| {
            let line = format!("{}: {reason}", path.display());
            BenchError::new(BenchErrorKind::Configuration, line)
        })
    }

    pub(super) fn parse(text: &str) -> Result<BenchResult, String> {
        if text.len() as u64 > RESULT_BYTES_MAX {
            return Err(format!("is longer than {RESULT_BYTES_MAX} bytes"));
        }
        let result: BenchResult = serde_json::from_str(text)
            .map_err(|error| format!("is no result of a bench: {error}"))?;
        if result.schema != RESULT_SCHEMA {
            let schema = result.schema;
            return Err(format!("has the form {schema}, and this program reads {RESULT_SCHEMA}"));
        }
        result.check().map_err(|what| format!("is no result of a bench: {what}"))?;
        Ok(result)
    }

    /// What is said twice agrees.
    fn check(&self) -> Result<(), &'static str> {
        if self.figures.len() > FIGURES_MAX {
            return Err("it has too many figures");
        }
        for figure in &self.figures {
            let spread = Spread::of(figure.values.iter().copied());
            let is_its_own = spread.is_some_and(|spread| is_near(spread, figure.spread));
            if !is_its_own || figure.values.len() > figure.runs || figure.precision < 0.0 {
                return Err("a figure is not that of its values");
            }
        }
        let has_points = |count: usize, columns: &[&Vec<f64>]| {
            columns.iter().all(|column| column.len() == count)
        };
        for curve in &self.curves {
            let columns = [&curve.median, &curve.min, &curve.max];
            let is_share = |quantile: &f64| (0.0..1.0).contains(quantile);
            if !has_points(curve.quantiles.len(), &columns) || !curve.quantiles.iter().all(is_share)
            {
                return Err("a curve has points without a place");
            }
        }
        for timeline in &self.timelines {
            let count = timeline.seconds.len();
            let mut lengths = timeline.series.iter().map(|series| series.values.len());
            if timeline.runs.len() != count || lengths.any(|length| length != count) {
                return Err("a timeline has points without a time");
            }
        }
        Ok(())
    }
}

/// The same but for the last digit: numbers are read fast, not exactly.
fn is_near(one: Spread, other: Spread) -> bool {
    let pairs = [(one.median, other.median), (one.min, other.min), (one.max, other.max)];
    pairs.iter().all(|(here, there)| (here - there).abs() <= 1e-9 * here.abs())
}
