//! Plain progress lines: what went in and out since the last line, one per interval.

use std::io::Write;

use super::totals::Totals;

/// The last line's totals, to show rates.
#[derive(Debug, Default)]
pub(super) struct Progress {
    records_in: u64,
    rows_out: u64,
}

impl Progress {
    /// What has been shown in another way counts as said.
    pub(super) fn pass(&mut self, totals: &Totals) {
        *self = Progress::of(totals);
    }

    fn of(totals: &Totals) -> Progress {
        Progress {
            records_in: totals.sources.iter().map(|source| source.records_in).sum(),
            rows_out: totals.sinks.iter().map(|sink| sink.rows_out).sum(),
        }
    }

    /// One line on standard error; nothing while nothing moves.
    pub(super) fn print(&mut self, totals: &Totals, elapsed_seconds: f64, interval_seconds: f64) {
        let Progress { records_in, rows_out } = Progress::of(totals);
        if records_in == self.records_in && rows_out == self.rows_out {
            return;
        }
        let per_second = |now: u64, before: u64| {
            let since = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
            f64::from(since) / interval_seconds
        };
        say(&format!(
            "{elapsed_seconds:8.1} s  in {records_in} ({:.0}/s)  out {rows_out} ({:.0}/s)  late {}  \
             rejected {}",
            per_second(records_in, self.records_in),
            per_second(rows_out, self.rows_out),
            totals.late(),
            totals.rejected(),
        ));
        (self.records_in, self.rows_out) = (records_in, rows_out);
    }
}

/// A line on standard error. A closed one is no reason to stop a job.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
