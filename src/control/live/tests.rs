//! Rates from reports, who holds a watermark back, and cores that fall silent.

use super::reading::lowest;
use super::*;
use crate::dataflow::{Graph, SinkIndex};
use crate::metrics::{CoreActivity, LatencyPart, SinkCounters, SourceCounters};
use crate::record::{Timestamp, Watermark};
use crate::source::HoldingBack;
use crate::worker::{BlockedBy, BlockedStatus, SourceStatus};

const SECOND_NS: u64 = 1_000_000_000;

fn live(cores: usize) -> Live {
    let names = Names {
        sources: vec!["bid".into()],
        connectors: vec!["tcp".into()],
        delays_ms: vec![0],
        sinks: vec!["out".into()],
        stages: vec!["source bid".into()],
        exchanges: 0,
        graph: Graph::default(),
    };
    let identity = RunIdentity {
        job: "j".into(),
        directory: "/d".into(),
        run: 1,
        began_ns: 0,
        cpus: (0..cores).collect(),
    };
    Live::new(identity, names)
}

/// A report of a core at so many tenths of a second, with records so far.
fn report(core: u16, tenths: u64, records_in: u64) -> CoreReport {
    let at_ns = tenths * SECOND_NS / 10;
    CoreReport {
        at_ns,
        activity: CoreActivity { busy_ns: at_ns / 4, parked_ns: at_ns / 2, turns: tenths },
        sources: vec![SourceCounters { records_in, ..SourceCounters::default() }],
        sinks: vec![SinkCounters::default()],
        blocked: vec![BlockedStatus {
            stage: 0,
            by: BlockedBy::Sink(SinkIndex(0)),
            blocked_ns: at_ns / 10,
        }],
        ..CoreReport::of(CoreId::new(core))
    }
}

#[test]
fn rates_are_those_of_the_last_seconds() {
    let mut live = live(2);
    for tenths in 1..=100 {
        // The first core goes twice as fast in the second half.
        live.take(report(0, tenths, tenths * 100 + tenths.saturating_sub(50) * 100));
        live.take(report(1, tenths, tenths * 10));
    }
    let status = live.status(false);
    let rate = status.sources[0].records_per_second;
    assert!((2_099.0..2_101.0).contains(&rate), "{rate}");
    assert_eq!(status.sources[0].records_in, 15_000 + 1_000);
    for core in &status.cores {
        assert!((0.249..0.251).contains(&core.busy_share), "{core:?}");
        assert!((0.499..0.501).contains(&core.parked_share), "{core:?}");
    }
    let blocked = &status.blocked[1];
    assert_eq!((blocked.core, &*blocked.stage, &*blocked.by), (1, "source bid", "sink out"));
    assert!((0.099..0.101).contains(&blocked.share), "{blocked:?}");
    assert!(status.ready);
}

#[test]
fn the_first_report_is_compared_with_the_start() {
    let mut live = live(1);
    live.take(report(0, 5, 1_000));
    let rate = live.status(false).sources[0].records_per_second;
    assert!((1_999.0..2_001.0).contains(&rate), "{rate}");
}

#[test]
fn latencies_are_those_of_the_last_ten_seconds_and_of_all() {
    let mut live = live(1);
    for tenths in 1..=200 {
        let mut counts = LatencyParts::default();
        // Slow in the first half.
        let total_ns = if tenths <= 95 { 5_000_000 } else { 1_000 };
        counts.record(LatencyPart::Total, total_ns, 10);
        counts.record(LatencyPart::Compute, total_ns / 10, 10);
        live.take(CoreReport { sink_latencies: vec![counts.take()], ..report(0, tenths, 0) });
    }
    let sink = &live.status(false).sinks[0];
    assert_eq!((sink.latency_us.rows, sink.latency_us_overall.rows), (1_010, 2_000));
    assert!((1.0..1.05).contains(&sink.latency_us.p99_9), "{sink:?}");
    assert!((5_000.0..5_200.0).contains(&sink.latency_us_overall.p99), "{sink:?}");
    let compute = (&sink.latency_parts_us.compute, &sink.latency_parts_us_overall.compute);
    assert!((0.1..0.105).contains(&compute.0.p99_9), "{sink:?}");
    assert!((500.0..520.0).contains(&compute.1.p99), "{sink:?}");
    let metrics = live.answer(Page::Metrics, false).body;
    for line in [
        "pelton_latency_seconds_bucket{sink=\"out\",le=\"0.001\"} 1050\n",
        "pelton_latency_seconds_bucket{sink=\"out\",le=\"+Inf\"} 2000\n",
        "pelton_latency_seconds_count{sink=\"out\"} 2000\n",
        "pelton_latency_part_seconds_count{sink=\"out\",part=\"compute\"} 2000\n",
        "pelton_latency_part_seconds_count{sink=\"out\",part=\"queue\"} 0\n",
        "pelton_oldest_age_seconds_count{sink=\"out\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

fn standing(watermark: Watermark, origin: Option<&str>) -> SourceStatus {
    let holding_back = origin.map(|origin| HoldingBack {
        origin: origin.into(),
        watermark: Timestamp::MIN,
        since_ns: SECOND_NS,
    });
    SourceStatus {
        busy_ns: 0,
        open_splits: 1,
        watermark: Some(watermark),
        watermark_since_ns: 2 * SECOND_NS,
        newest: None,
        holding_back,
        has_ended: false,
    }
}

#[track_caller]
fn check(statuses: &[SourceStatus], expected: &str) {
    let cores = CoreId::all(8).zip(statuses);
    let shown = match lowest("bid", cores, 5 * SECOND_NS) {
        Some(state) => {
            format!("{} {} {} {}", state.time_ms, state.split, state.core, state.since_seconds)
        }
        None => "none".into(),
    };
    assert_eq!(shown, expected);
}

#[test]
fn the_lowest_core_holds_the_watermark_back() {
    let at = |ms| Watermark::At(Timestamp::from_millis(ms));
    check(&[standing(at(7), Some("bid:a")), standing(at(5), Some("bid:b"))], "5 bid:b 1 4");
    check(&[standing(at(7), None), standing(Watermark::Idle, Some("bid:b"))], "7 bid 0 3");
    check(&[standing(Watermark::Idle, None)], "none");
    let ended = SourceStatus { has_ended: true, ..standing(at(1), None) };
    check(&[ended, standing(at(9), None)], "9 bid 1 3");
    check(&[], "none");
}

#[test]
fn health_and_readiness_are_told_by_reports() {
    let mut live = live(2);
    let code = |asked: &Live, page, stopping| asked.answer(page, stopping).code;
    live.take(CoreReport { at_ns: SystemClock.monotonic_ns(), ..report(0, 1, 0) });
    assert_eq!(code(&live, Page::Ready, false), 503);
    live.take(CoreReport { at_ns: SystemClock.monotonic_ns(), ..report(1, 1, 0) });
    assert_eq!(code(&live, Page::Ready, false), 200);
    assert_eq!(code(&live, Page::Ready, true), 503);
    assert_eq!(code(&live, Page::Health, false), 200);
    let silent_ns = SystemClock.monotonic_ns().saturating_sub(CORE_SILENT_NS_MAX + SECOND_NS);
    live.take(CoreReport { at_ns: silent_ns, ..report(1, 1, 0) });
    let answer = live.answer(Page::Health, false);
    assert_eq!((answer.code, &*answer.body), (503, "core 1 has not reported for 11 s\n"));
    // One that has ended has nothing more to say.
    live.take(CoreReport { at_ns: silent_ns, is_final: true, ..report(1, 1, 0) });
    assert_eq!(code(&live, Page::Health, false), 200);
}
