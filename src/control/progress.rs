//! Plain progress lines: what went in and out since the last line, one per interval.

use super::log::{TARGET, Topic};
use super::totals::Totals;

/// The last line's totals, to show rates.
#[derive(Debug, Default)]
pub(super) struct Progress {
    records_in: u64,
    rows_out: u64,
}

impl Progress {
    fn of(totals: &Totals) -> Progress {
        Progress {
            records_in: totals.sources.iter().map(|source| source.records_in).sum(),
            rows_out: totals.sinks.iter().map(|sink| sink.rows_out).sum(),
        }
    }

    /// The next line; none while nothing moves.
    pub(super) fn next(
        &mut self,
        totals: &Totals,
        elapsed_seconds: f64,
        interval_seconds: f64,
    ) -> Option<ProgressLine> {
        let Progress { records_in, rows_out } = Progress::of(totals);
        if records_in == self.records_in && rows_out == self.rows_out {
            return None;
        }
        let per_second = |now: u64, before: u64| {
            let since = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
            f64::from(since) / interval_seconds
        };
        let (late, rejected) = (totals.late(), totals.rejected());
        let text = format!(
            "{elapsed_seconds:8.1} s  in {records_in} ({:.0}/s)  out {rows_out} ({:.0}/s)  late {late}  \
             rejected {rejected}",
            per_second(records_in, self.records_in),
            per_second(rows_out, self.rows_out),
        );
        (self.records_in, self.rows_out) = (records_in, rows_out);
        Some(ProgressLine { text, records_in, rows_out, late, rejected })
    }
}

/// What went in and out so far, and since the line before.
pub(super) struct ProgressLine {
    pub(super) text: String,
    records_in: u64,
    rows_out: u64,
    late: u64,
    rejected: u64,
}

impl ProgressLine {
    pub(super) fn tell(&self) {
        let ProgressLine { text, records_in, rows_out, late, rejected } = self;
        tracing::info!(
            target: TARGET,
            topic = Topic::Progress.name(),
            records_in,
            rows_out,
            late_rows = late,
            rejected_records = rejected,
            "{text}"
        );
    }
}
