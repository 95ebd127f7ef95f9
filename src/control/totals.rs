//! The job's counters: the cores' reports added up.

use std::collections::BTreeMap;

use crate::dataflow::{OperatorSpec, SourceIndex};
use crate::metrics::{LatencyHistogram, OperatorCounters, SinkCounters, SourceCounters};
use crate::worker::{CoreReport, OperatorStatus};

/// Sums over cores.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// By operator. One that stands in several stages (behind a union) is one entry.
    pub(super) operators: BTreeMap<OperatorSpec, OperatorCounters>,
    /// Late and rejected rows of the operators that one source alone feeds, by source index: those of
    /// an operator behind a union are told apart by the stage it stood in.
    pub(super) diverted: BTreeMap<SourceIndex, Diverted>,
    /// By source index.
    pub(super) sources: Vec<SourceCounters>,
    /// By sink index.
    pub(super) sinks: Vec<SinkCounters>,
    /// By sink index.
    pub(super) latencies: Vec<LatencyHistogram>,
    /// Turns of all cores.
    pub(super) turns: LatencyHistogram,
    /// The first late and rejected records.
    pub(super) examples: Vec<String>,
}

/// Rows that left the main path behind a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Diverted {
    pub(super) late: u64,
    pub(super) rejected: u64,
}

impl Totals {
    /// Adds up the newest report of each core.
    pub(super) fn of<'a>(reports: impl Iterator<Item = &'a CoreReport>) -> Totals {
        let mut totals = Totals::default();
        for report in reports {
            totals.add(report);
        }
        totals
    }

    fn add(&mut self, report: &CoreReport) {
        for OperatorStatus { spec, source, counters, .. } in &report.operators {
            *self.operators.entry(*spec).or_default() += *counters;
            if let Some(source) = source {
                let diverted = self.diverted.entry(*source).or_default();
                diverted.late += counters.late;
                diverted.rejected += counters.rejected;
            }
        }
        add_each(&mut self.sources, &report.sources, |sum, one| *sum += one);
        add_each(&mut self.sinks, &report.sinks, |sum, one| *sum += one);
        let sinks = self.latencies.len().max(report.latencies.len());
        self.latencies.resize_with(sinks, LatencyHistogram::new);
        for (sum, one) in self.latencies.iter_mut().zip(&report.latencies) {
            sum.merge(one);
        }
        report.turns.iter().for_each(|turns| self.turns.merge(turns));
        self.examples.extend(report.examples.iter().cloned());
    }

    /// Rows that left the main path as late.
    pub(super) fn late(&self) -> u64 {
        self.operators.values().map(|counters| counters.late).sum()
    }

    /// Records that could not be decoded, admitted or evaluated.
    pub(super) fn rejected(&self) -> u64 {
        let sources: u64 = self.sources.iter().map(|counters| counters.rejected).sum();
        sources + self.operators.values().map(|counters| counters.rejected).sum::<u64>()
    }

    /// Rows in windows that have not fired.
    pub(super) fn held(&self) -> u64 {
        self.operators.values().map(|counters| counters.held).sum()
    }
}

fn add_each<T: Copy + Default>(sums: &mut Vec<T>, ones: &[T], add: impl Fn(&mut T, T)) {
    sums.resize_with(sums.len().max(ones.len()), T::default);
    for (sum, one) in sums.iter_mut().zip(ones) {
        add(sum, *one);
    }
}
