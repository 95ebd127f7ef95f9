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
//! - sink: rows written to it = rows in = rows out + rows discarded + rows kept for a later run.

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
            let diverted =
                self.totals.diverted.get(&SourceIndex(index)).copied().unwrap_or_default();
            let rejected = diverted.rejected + self.totals.sources[index].rejected;
            for (sink, rows) in [(sinks.late, diverted.late), (sinks.rejected, rejected)] {
                if let Some(sink) = sink {
                    *self.sinks.entry(sink).or_default() += rows;
                }
            }
        }
    }

    fn check_sinks(&mut self) {
        for (index, sink) in self.totals.sinks.iter().enumerate() {
            let written = self.sinks.get(&SinkIndex(index)).copied().unwrap_or(0);
            self.expect_equal(&format!("sink {index}: rows given"), written, sink.rows_in);
            let accounted = sink.rows_out + sink.rows_discarded + sink.rows_kept;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::totals::Diverted;
    use crate::dataflow::{EdgeIndex, EdgeSpec, LaneSpec, NodeIndex, StageSpec};
    use crate::metrics::{SinkCounters, SourceCounters};

    const FILTER: OperatorSpec = OperatorSpec::Row(NodeIndex(1));
    const SENDER: OperatorSpec = OperatorSpec::WindowSender(NodeIndex(2));
    const RECEIVER: OperatorSpec = OperatorSpec::WindowReceiver(NodeIndex(2));
    const PROJECT: OperatorSpec = OperatorSpec::Row(NodeIndex(3));

    fn edge(index: usize, lane: usize) -> OutletSpec {
        OutletSpec::Edge(LaneSpec { edge: EdgeIndex(index), lane })
    }

    fn tree(operators: &[OperatorSpec], outlets: Vec<OutletSpec>) -> TreeSpec {
        TreeSpec { operators: operators.to_vec(), outlets }
    }

    fn stage(input: StageInput, source: Option<usize>, tree: TreeSpec) -> StageSpec {
        StageSpec { input, tree, source: source.map(SourceIndex) }
    }

    fn routed(routing: Routing, lanes: usize) -> EdgeSpec {
        EdgeSpec { routing, lanes }
    }

    /// A source, a filter, a window over an exchange by key and a projection; sink 0 has its
    /// connection on core 0. Late rows go to sink 1, rejected ones to sink 2.
    fn windowed() -> (Stages, Vec<DiversionSinks>) {
        let sink = SinkIndex(0);
        let stages = vec![
            stage(
                StageInput::Source(SourceIndex(0)),
                Some(0),
                tree(&[FILTER], vec![OutletSpec::Tree(tree(&[SENDER], vec![edge(0, 0)]))]),
            ),
            stage(
                StageInput::Edge(EdgeIndex(0)),
                Some(0),
                tree(&[RECEIVER, PROJECT], vec![edge(1, 0)]),
            ),
            stage(StageInput::Edge(EdgeIndex(1)), None, tree(&[], vec![OutletSpec::Sink(sink)])),
        ];
        let edges = vec![routed(Routing::ByKey, 1), routed(Routing::ToSink(sink), 1)];
        let diverted = DiversionSinks { late: Some(SinkIndex(1)), rejected: Some(SinkIndex(2)) };
        (Stages { stages, edges }, vec![diverted])
    }

    /// Of ten records two cannot be decoded, one is filtered, one cannot be evaluated, two are late,
    /// four are in windows, of which one has not fired.
    fn windowed_totals() -> Totals {
        let none = OperatorCounters::default();
        let filter = OperatorCounters {
            rows_in: 8,
            forwarded: 6,
            filtered: 1,
            rejected: 1,
            rows_out: 6,
            ..none
        };
        let sender =
            OperatorCounters { rows_in: 6, late: 2, absorbed: 4, fired: 4, rows_out: 4, ..none };
        let receiver =
            OperatorCounters { rows_in: 4, absorbed: 4, fired: 3, held: 1, rows_out: 2, ..none };
        let project = OperatorCounters { rows_in: 2, forwarded: 2, rows_out: 2, ..none };
        Totals {
            operators: [
                (FILTER, filter),
                (SENDER, sender),
                (RECEIVER, receiver),
                (PROJECT, project),
            ]
            .into(),
            sources: vec![source(10, 2)],
            sinks: vec![sink(2, 0), sink(2, 1), sink(3, 0)],
            ..Totals::default()
        }
    }

    fn source(records_in: u64, rejected: u64) -> SourceCounters {
        let rows_out = records_in - rejected;
        SourceCounters { records_in, rejected, rows_out, ..SourceCounters::default() }
    }

    fn sink(rows_in: u64, rows_discarded: u64) -> SinkCounters {
        let rows_out = rows_in - rows_discarded;
        SinkCounters { rows_in, rows_out, rows_discarded, ..SinkCounters::default() }
    }

    /// The windowed job with one change to its totals violates exactly the equations that begin so.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Totals), expected: &[&str]) {
        let (stages, diversions) = windowed();
        let mut totals = windowed_totals();
        change(&mut totals);
        // As the reports of the only source's stages add up.
        let diverted = Diverted {
            late: totals.operators.values().map(|counters| counters.late).sum(),
            rejected: totals.operators.values().map(|counters| counters.rejected).sum(),
        };
        totals.diverted.insert(SourceIndex(0), diverted);
        let found = violations(&stages, &diversions, &totals);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (violation, beginning) in found.iter().zip(expected) {
            assert!(violation.starts_with(beginning), "{violation} instead of {beginning}");
        }
    }

    fn counters(totals: &mut Totals, operator: OperatorSpec) -> &mut OperatorCounters {
        totals.operators.get_mut(&operator).unwrap()
    }

    #[test]
    fn what_is_accounted_for_balances() {
        check(|_| {}, &[]);
        let (stages, diversions) = windowed();
        // A job that has not read anything, whose operators have not even reported.
        let nothing = Totals {
            sources: vec![SourceCounters::default()],
            sinks: vec![SinkCounters::default(); 3],
            ..Totals::default()
        };
        assert!(violations(&stages, &diversions, &nothing).is_empty());
    }

    #[test]
    fn a_record_lost_or_doubled_by_a_source_is_found() {
        check(
            |totals| totals.sources[0].records_in += 1,
            &["source 0: records in 11, accounted for 10"],
        );
        check(
            |totals| totals.sources[0].rejected += 1,
            &["source 0: records in 10, accounted for 11", "sink 2: rows given 4, accounted for 3"],
        );
        check(
            |totals| totals.sources[0].rows_out -= 1,
            &[
                "source 0: records in 10, accounted for 9",
                "Row(NodeIndex(1)): rows given 7, accounted for 8",
            ],
        );
    }

    #[test]
    fn a_row_lost_inside_an_operator_is_found() {
        check(
            |totals| counters(totals, FILTER).filtered -= 1,
            &["Row(NodeIndex(1)): 8 rows in, 7 accounted for: "],
        );
        check(
            |totals| counters(totals, RECEIVER).held -= 1,
            &["WindowReceiver(NodeIndex(2)): 4 rows absorbed, not all fired or held: "],
        );
        check(
            |totals| counters(totals, SENDER).late += 1,
            &[
                "WindowSender(NodeIndex(2)): 6 rows in, 7 accounted for: ",
                "sink 1: rows given 3, accounted for 2",
            ],
        );
    }

    #[test]
    fn a_row_lost_between_operators_is_found() {
        check(
            |totals| counters(totals, FILTER).rows_out -= 1,
            &["WindowSender(NodeIndex(2)): rows given 5, accounted for 6"],
        );
        // Over the exchange: one batch of partial results never came.
        check(
            |totals| {
                let receiver = counters(totals, RECEIVER);
                receiver.rows_in -= 1;
                receiver.absorbed -= 1;
                receiver.fired -= 1;
            },
            &["WindowReceiver(NodeIndex(2)): rows given 4, accounted for 3"],
        );
        check(
            |totals| counters(totals, RECEIVER).rows_out += 1,
            &["Row(NodeIndex(3)): rows given 3, accounted for 2"],
        );
    }

    #[test]
    fn a_row_lost_on_its_way_to_a_sink_or_in_it_is_found() {
        check(|totals| totals.sinks[0] = sink(1, 0), &["sink 0: rows given 2, accounted for 1"]);
        check(
            |totals| totals.sinks[1].rows_discarded -= 1,
            &["sink 1: rows in 2, accounted for 1"],
        );
        check(|totals| totals.sinks[2] = sink(2, 0), &["sink 2: rows given 3, accounted for 2"]);
        check(|totals| totals.sinks[0].rows_out += 1, &["sink 0: rows in 2, accounted for 3"]);
    }

    /// Two sources into one operator, which stands in the stages of both, and that into two sinks:
    /// its counters are those of both places.
    #[test]
    fn an_operator_behind_a_union_is_counted_once() {
        let outlets = || vec![OutletSpec::Sink(SinkIndex(0)), OutletSpec::Sink(SinkIndex(1))];
        let stages = [0, 1].map(|index| {
            let input = StageInput::Source(SourceIndex(index));
            stage(input, Some(index), tree(&[FILTER], outlets()))
        });
        let stages = Stages { stages: stages.into(), edges: vec![] };
        let diversions = [DiversionSinks::default(); 2];
        let filter = OperatorCounters {
            rows_in: 7,
            forwarded: 5,
            filtered: 2,
            rows_out: 5,
            ..OperatorCounters::default()
        };
        let mut totals = Totals {
            operators: [(FILTER, filter)].into(),
            sources: vec![source(4, 1), source(4, 0)],
            sinks: vec![sink(5, 0), sink(5, 5)],
            ..Totals::default()
        };
        assert!(violations(&stages, &diversions, &totals).is_empty());
        totals.sources[1] = source(5, 0);
        let found = violations(&stages, &diversions, &totals);
        assert_eq!(found, ["Row(NodeIndex(1)): rows given 8, accounted for 7"]);
    }

    /// One operator behind a union, with a late row of each source: each source's sink gets its own.
    #[test]
    fn late_rows_behind_a_union_are_those_of_their_source() {
        let late = |sink| DiversionSinks { late: Some(SinkIndex(sink)), rejected: None };
        let stages = [0, 1].map(|source| {
            let outlets = vec![OutletSpec::Sink(SinkIndex(2))];
            stage(StageInput::Source(SourceIndex(source)), Some(source), tree(&[FILTER], outlets))
        });
        let stages = Stages { stages: stages.into(), edges: vec![] };
        let filter = OperatorCounters {
            rows_in: 9,
            forwarded: 6,
            late: 3,
            rows_out: 6,
            ..OperatorCounters::default()
        };
        let diverted = |rows| Diverted { late: rows, rejected: 0 };
        let mut totals = Totals {
            operators: [(FILTER, filter)].into(),
            diverted: [(SourceIndex(0), diverted(1)), (SourceIndex(1), diverted(2))].into(),
            sources: vec![source(4, 0), source(5, 0)],
            sinks: vec![sink(1, 0), sink(2, 0), sink(6, 0)],
            ..Totals::default()
        };
        assert_eq!(violations(&stages, &[late(0), late(1)], &totals), [""; 0]);
        totals.sinks.swap(0, 1);
        assert_eq!(violations(&stages, &[late(0), late(1)], &totals).len(), 2);
    }
}
