//! The ledger: no record is unaccounted for, checked over the totals of a run that has ended.
//!
//! In:  the stages and the totals of all cores.
//! Out: every equation that does not hold, in words.
//!
//! Equations
//! - source: records in = rows out + rejected;
//! - operator: rows in = forwarded + filtered + late + rejected + absorbed; absorbed = fired + held;
//! - link: rows out of one = rows into the next, and over an exchange of a window the rows that
//!   the sending half absorbed = the rows its partial results stand for at the receiving half;
//! - sink: rows written to it = rows in = rows out + rows discarded.

use std::collections::BTreeMap;

use super::totals::Totals;
use crate::dataflow::{
    OperatorSpec, OutletSpec, Routing, SinkIndex, SourceIndex, StageInput, Stages, TreeSpec,
};
use crate::metrics::OperatorCounters;

/// Sinks of one source's late and rejected rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct DiversionSinks {
    pub(super) late: Option<SinkIndex>,
    pub(super) rejected: Option<SinkIndex>,
}

/// Every equation that does not hold; empty when nothing is unaccounted for.
pub(super) fn violations(
    stages: &Stages,
    diversions: &[DiversionSinks],
    totals: &Totals,
) -> Vec<String> {
    let mut ledger = Ledger { stages, totals, violations: Vec::new(), sinks: BTreeMap::new() };
    ledger.check_sources();
    ledger.check_operators();
    ledger.check_links();
    ledger.add_diversions(diversions);
    ledger.check_sinks();
    ledger.violations
}

struct Ledger<'a> {
    stages: &'a Stages,
    totals: &'a Totals,
    violations: Vec<String>,
    /// Rows written to each sink, as their writers count them.
    sinks: BTreeMap<SinkIndex, u64>,
}

impl Ledger<'_> {
    fn check_sources(&mut self) {
        for (index, source) in self.totals.sources.iter().enumerate() {
            let accounted = source.rows_out + source.rejected;
            self.expect_equal(&format!("source {index}: records in"), source.records_in, accounted);
        }
    }

    fn check_operators(&mut self) {
        for (operator, counters) in &self.totals.operators {
            if let Some(imbalance) = counters.imbalance() {
                self.violations.push(format!("{operator:?}: {imbalance}"));
            }
        }
    }

    /// An operator can stand in several stages, so what flows into it is summed before comparing.
    fn check_links(&mut self) {
        let mut into: BTreeMap<OperatorSpec, u64> = BTreeMap::new();
        for stage in &self.stages.stages {
            let rows = match stage.input {
                StageInput::Source(source) => self.totals.sources[source.0].rows_out,
                StageInput::Edge(_) => match stage.tree.operators.first() {
                    Some(OperatorSpec::WindowReceiver(node)) => {
                        self.counters(OperatorSpec::WindowSender(*node)).absorbed
                    }
                    // A gathering stage only hands on what was counted where it was written.
                    _ => continue,
                },
            };
            self.follow(&stage.tree, rows, &mut into);
        }
        for (operator, rows) in into {
            let counted = self.counters(operator).rows_in;
            self.expect_equal(&format!("{operator:?}: rows given"), rows, counted);
        }
    }

    /// Follows `rows` down a tree. Counters are per operator, not per place: where an operator
    /// stands a second time, its output has been followed already.
    fn follow(&mut self, tree: &TreeSpec, mut rows: u64, into: &mut BTreeMap<OperatorSpec, u64>) {
        for operator in &tree.operators {
            let again = into.contains_key(operator);
            *into.entry(*operator).or_default() += rows;
            rows = if again { 0 } else { self.counters(*operator).rows_out };
        }
        for outlet in &tree.outlets {
            match outlet {
                OutletSpec::Tree(nested) => self.follow(nested, rows, into),
                OutletSpec::Sink(sink) => *self.sinks.entry(*sink).or_default() += rows,
                OutletSpec::Edge(lane) => {
                    if let Routing::ToSink(sink) = self.stages.edges[lane.edge.0].routing {
                        *self.sinks.entry(sink).or_default() += rows;
                    }
                }
            }
        }
    }

    fn add_diversions(&mut self, diversions: &[DiversionSinks]) {
        for (index, sinks) in diversions.iter().enumerate() {
            let (late, rejected) = self.diverted(SourceIndex(index));
            let rejected = rejected + self.totals.sources[index].rejected;
            for (sink, rows) in [(sinks.late, late), (sinks.rejected, rejected)] {
                if let Some(sink) = sink {
                    *self.sinks.entry(sink).or_default() += rows;
                }
            }
        }
    }

    /// Late and rejected rows of the operators that only this source feeds.
    fn diverted(&self, source: SourceIndex) -> (u64, u64) {
        let stages = self.stages.stages.iter().filter(|stage| stage.source == Some(source));
        let operators: BTreeMap<OperatorSpec, OperatorCounters> = stages
            .flat_map(|stage| stage.tree.all_operators())
            .map(|operator| (operator, self.counters(operator)))
            .collect();
        let late = operators.values().map(|counters| counters.late).sum();
        (late, operators.values().map(|counters| counters.rejected).sum())
    }

    fn check_sinks(&mut self) {
        for (index, sink) in self.totals.sinks.iter().enumerate() {
            let written = self.sinks.get(&SinkIndex(index)).copied().unwrap_or(0);
            self.expect_equal(&format!("sink {index}: rows given"), written, sink.rows_in);
            let accounted = sink.rows_out + sink.rows_discarded;
            self.expect_equal(&format!("sink {index}: rows in"), sink.rows_in, accounted);
        }
    }

    fn counters(&self, operator: OperatorSpec) -> OperatorCounters {
        self.totals.operators.get(&operator).copied().unwrap_or_default()
    }

    fn expect_equal(&mut self, what: &str, left: u64, right: u64) {
        if left != right {
            self.violations.push(format!("{what} {left}, accounted for {right}"));
        }
    }
}
