//! The parts of a status: every source, operator, exchange, sink and core, from the newest reports and
//! those of a second or two before.

use super::latencies::{OperatorTurns, latency_state, parts_state};
use super::reading::{OnCore, behind_the_clock, hottest, lowest, newest, on_core};
use super::{Live, ratio, seconds};
use crate::checkpoint::CaptureStatus;
use crate::control::names;
use crate::control::status::{
    BlockedState, CheckpointState, CoreState, ExchangeState, OperatorState, SinkState, SourceState,
};
use crate::control::totals::Totals;
use crate::dataflow::OperatorSpec;
use crate::metrics::{LatencyPart, OperatorActivity, OperatorCounters, RejectionKind};
use crate::record::Epoch;
use crate::worker::CoreReport;

impl Live {
    pub(super) fn sources(&self, totals: &Totals, now_ns: u64) -> Vec<SourceState> {
        let state = |(index, name): (usize, &String)| {
            let counters = totals.sources.get(index).copied().unwrap_or_default();
            let diverted = totals.diverted.get(&crate::dataflow::SourceIndex(index));
            let statuses = || {
                self.reports().filter_map(move |report| {
                    report.source_statuses.get(index).map(|status| (report.core, status))
                })
            };
            let rejected = RejectionKind::ALL.map(|kind| {
                let of = |report: &CoreReport| {
                    report.rejections.get(index).map_or(0, |rejections| rejections.of(kind))
                };
                (kind.name().to_owned(), self.reports().map(of).sum())
            });
            let newest = newest(statuses(), self.names.delays_ms[index]);
            SourceState {
                newest_time: newest.map(|time| time.to_string()),
                lag_seconds: newest.map(behind_the_clock),
                name: name.clone(),
                connector: self.names.connectors[index].clone(),
                silent_seconds: seconds(now_ns.saturating_sub(self.last_record_ns[index])),
                records_in: counters.records_in,
                bytes_in: counters.bytes_in,
                rows_out: counters.rows_out,
                records_per_second: self.rate(|it| it.sources.get(index).map(|it| it.records_in)),
                bytes_per_second: self.rate(|it| it.sources.get(index).map(|it| it.bytes_in)),
                late_rows: diverted.map_or(0, |diverted| diverted.late),
                rejected: rejected.into(),
                splits_open: statuses().map(|(_, status)| status.open_splits).sum(),
                splits_opened: counters.splits_opened,
                connections_refused: counters.connections_refused,
                connections_failed: counters.connections_failed,
                frames_in: counters.frames_in,
                bytes_copied: counters.bytes_copied,
                buffer_waits: counters.buffer_waits,
                columns_unknown: counters.columns_unknown,
                busy_share: self.share(|it| it.source_statuses.get(index).map(|it| it.busy_ns)),
                ended: statuses().all(|(_, status)| status.has_ended),
                watermark: lowest(name, statuses(), now_ns),
            }
        };
        self.names.sources.iter().enumerate().map(state).collect()
    }

    pub(super) fn operators(&self, totals: &Totals) -> Vec<OperatorState> {
        let state = |(spec, counters): (&OperatorSpec, &OperatorCounters)| {
            let on_core = |report: &CoreReport| on_core(report, *spec);
            let all: Vec<OnCore> = self.reports().map(on_core).collect();
            let activity = all.iter().fold(OperatorActivity::default(), |mut sum, one| {
                sum += one.activity;
                sum
            });
            let lowest = all.iter().filter_map(|one| one.watermark).min();
            let by_core = |ns: fn(&OnCore) -> u64| {
                let at = |index| self.share_on(index, |report| Some(ns(&on_core(report))));
                (0..self.newest.len()).map(at).collect()
            };
            OperatorState {
                id: names::operator_id(*spec),
                operator: self.names.operator(*spec),
                rows_in: counters.rows_in,
                rows_out: counters.rows_out,
                rows_per_second: self.rate(|it| Some(on_core(it).rows_in)),
                batches_in: activity.batches_in,
                batches_out: activity.batches_out,
                filtered: counters.filtered,
                late: counters.late,
                rejected: counters.rejected,
                absorbed: counters.absorbed,
                held: counters.held,
                busy_seconds: seconds(activity.busy_ns),
                busy_share: self.share(|it| Some(on_core(it).activity.busy_ns)),
                turn_us: self
                    .operator_turns
                    .get(spec)
                    .map(OperatorTurns::state)
                    .unwrap_or_default(),
                state_entries: activity.state.entries,
                state_bytes: activity.state.bytes,
                watermark: lowest.map(|time| time.to_string()),
                rows_in_by_core: all.iter().map(|one| one.rows_in).collect(),
                busy_share_by_core: by_core(|one| one.activity.busy_ns),
            }
        };
        totals.operators.iter().map(state).collect()
    }

    pub(super) fn exchanges(&self) -> Vec<ExchangeState> {
        let state = |edge: usize| {
            let outboxes = || {
                let all = self.reports().flat_map(|report| &report.outboxes);
                all.filter(move |outbox| outbox.edge.0 == edge)
            };
            let busy_ns = |report: &CoreReport| {
                let own = report.outboxes.iter().filter(|outbox| outbox.edge.0 == edge);
                Some(own.map(|outbox| outbox.busy_ns).sum())
            };
            let hottest = hottest(outboxes());
            let core_count = u16::try_from(self.newest.len()).expect("limits::CORES_MAX at most");
            ExchangeState {
                hottest_key_group: hottest.map(|(group, _)| group.number()),
                hottest_key_group_core: hottest.map(|(group, _)| group.owner(core_count).number()),
                hottest_key_group_share: hottest.map_or(0.0, |(_, share)| share),
                exchange: edge + 1,
                rows: outboxes().map(|outbox| outbox.rows).sum(),
                queued_elements: outboxes().map(|outbox| outbox.queued).sum(),
                queued_elements_max: outboxes().map(|outbox| outbox.queued_max).sum(),
                busy_share: self.share(busy_ns),
            }
        };
        (0..self.names.exchanges).map(state).collect()
    }

    pub(super) fn sinks(&self, totals: &Totals) -> Vec<SinkState> {
        let state = |(index, name): (usize, &String)| {
            let counters = totals.sinks.get(index).copied().unwrap_or_default();
            let blocked_by = |report: &CoreReport| {
                let status = report.sink_statuses.get(index)?;
                let unnamed = || status.is_full.then(|| "what is unwritten".to_owned());
                status.blocked_by.clone().or_else(unnamed)
            };
            let latencies = &self.latencies[index];
            SinkState {
                name: name.clone(),
                rows_in: counters.rows_in,
                rows_out: counters.rows_out,
                rows_discarded: counters.rows_discarded,
                rows_kept: counters.rows_kept,
                bytes_out: counters.bytes_out,
                rows_per_second: self.rate(|it| it.sinks.get(index).map(|it| it.rows_out)),
                bytes_per_second: self.rate(|it| it.sinks.get(index).map(|it| it.bytes_out)),
                busy_share: self.share(|it| it.sink_statuses.get(index).map(|it| it.busy_ns)),
                blocked_by: self.reports().find_map(blocked_by),
                latency_us: latency_state(latencies.recent.of(LatencyPart::Total)),
                latency_us_overall: latency_state(latencies.overall.of(LatencyPart::Total)),
                latency_parts_us: parts_state(&latencies.recent),
                latency_parts_us_overall: parts_state(&latencies.overall),
            }
        };
        self.names.sinks.iter().enumerate().map(state).collect()
    }

    pub(super) fn cores(&self, now_ns: u64) -> Vec<CoreState> {
        let state = |report: &CoreReport| {
            let index = report.core.index();
            let queued: u64 = report.outboxes.iter().map(|outbox| outbox.queued).sum();
            let queued_max: u64 = report.outboxes.iter().map(|outbox| outbox.queued_max).sum();
            CoreState {
                core: report.core.number(),
                cpu: self.identity.cpus[index],
                busy_share: self.share_on(index, |it| Some(it.activity.busy_ns)),
                parked_share: self.share_on(index, |it| Some(it.activity.parked_ns)),
                turns: report.activity.turns,
                queue_fill: ratio(queued, queued_max),
                reported_seconds_ago: seconds(now_ns.saturating_sub(report.at_ns)),
            }
        };
        self.reports().map(state).collect()
    }

    pub(super) fn checkpoint(&self, now_ns: u64) -> Option<CheckpointState> {
        let statuses = || self.reports().filter_map(|report| report.checkpoint);
        let epochs = statuses().find_map(|status| status.epochs)?;
        let sum = |bytes: fn(&CaptureStatus) -> u64| statuses().map(|it| bytes(&it.capture)).sum();
        let age_ns = now_ns.saturating_sub(epochs.committed_at_ns);
        Some(CheckpointState {
            epoch: epochs.committed.map(Epoch::number),
            age_seconds: epochs.committed.map(|_| seconds(age_ns)),
            epoch_under_way: epochs.under_way.map(Epoch::number),
            epochs: epochs.epochs,
            epochs_unchanged: epochs.unchanged,
            epochs_late: epochs.late,
            last_seconds: seconds(epochs.last_ns),
            longest_seconds: seconds(epochs.longest_ns),
            increment_bytes: sum(|it| it.increment_bytes),
            base_bytes: sum(|it| it.base_bytes),
            kept_bytes: sum(|it| it.kept_bytes),
            live_bytes: sum(|it| it.live_bytes),
            turns_without_room: sum(|it| it.turns_without_room),
        })
    }

    pub(super) fn blocked(&self) -> Vec<BlockedState> {
        let mut states = Vec::new();
        for report in self.reports() {
            for blocked in &report.blocked {
                let same = |it: &CoreReport| {
                    let mut all = it.blocked.iter();
                    let found =
                        all.find(|other| (other.stage, other.by) == (blocked.stage, blocked.by));
                    Some(found.map_or(0, |found| found.blocked_ns))
                };
                states.push(BlockedState {
                    core: report.core.number(),
                    stage: self.names.stages[blocked.stage].clone(),
                    by: self.names.blocked_by(blocked.by),
                    seconds: seconds(blocked.blocked_ns),
                    share: self.share_on(report.core.index(), same),
                });
            }
        }
        states
    }
}
