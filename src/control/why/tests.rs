//! One status per reason.

use super::*;
use crate::control::status::{CoreState, SinkState};
use std::collections::BTreeMap;

/// A job that is well: one TCP source, one window, output.
fn well() -> Status {
    let source = SourceState {
        name: "bid".into(),
        connector: "tcp, listening on 127.0.0.1:9000".into(),
        records_in: 1_000,
        rows_out: 1_000,
        records_per_second: 100.0,
        splits_open: 2,
        splits_opened: 2,
        watermark: Some(WatermarkState {
            time: "2026-01-01 00:00:00.000".into(),
            split: "bid:10.0.0.1:4000".into(),
            lag_seconds: 4.0,
            ..WatermarkState::default()
        }),
        ..SourceState::default()
    };
    let window = OperatorState {
        id: "n2r".into(),
        operator: "window".into(),
        rows_in: 1_000,
        rows_in_by_core: vec![500, 500],
        held: 10,
        ..OperatorState::default()
    };
    let core = |core| CoreState { core, busy_share: 0.5, ..CoreState::default() };
    Status {
        ready: true,
        sources: vec![source],
        operators: vec![window],
        sinks: vec![SinkState { name: "out".into(), rows_per_second: 9.0, ..SinkState::default() }],
        cores: vec![core(0), core(1)],
        ..Status::default()
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Status), expected: &[&str]) {
    let mut status = well();
    change(&mut status);
    let lines = why(&status);
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
}

#[test]
fn a_job_that_is_well_says_so() {
    check(|_| {}, &["output flows: 9 rows/s; bottleneck: none: the job waits for input"]);
    check(|it| it.sinks[0].rows_per_second = 0.0, &["10 rows wait in windows until the watermark"]);
}

#[test]
fn input_that_does_not_come_is_named() {
    check(
        |it| {
            (it.sources[0].records_in, it.sources[0].splits_open) = (0, 0);
            it.sources[0].splits_opened = 0;
        },
        &[
            "no input: source bid (tcp, listening on 127.0.0.1:9000) has had no record; nobody has connected",
        ],
    );
    check(
        |it| (it.sources[0].silent_seconds, it.sources[0].splits_open) = (9.0, 0),
        &["has had no record for 9 s, after 1000; all of its 2 connections have gone"],
    );
    check(|it| it.sources[0].silent_seconds = 9.0, &["its 2 connections send nothing"]);
    check(|it| it.sources[0].ended = true, &["source bid has ended after 1000 records"]);
}

#[test]
fn records_that_are_left_out_are_named_with_an_example() {
    let rejecting = |kind: &str, count: u64| {
        let kind = kind.to_owned();
        move |it: &mut Status| {
            it.sources[0].rejected = BTreeMap::from([(kind, count)]);
            it.examples = vec!["rejected: bid:x at byte 7: no".into()];
        }
    };
    check(
        rejecting("time_null", 1_000),
        &[
            "source bid rejects 100 % of its records, 1000 of them as time_null: the column of WATERMARK",
        ],
    );
    check(rejecting("decode", 900), &["rejects 90 % of its records, 900 of them as decode"]);
    check(rejecting("time_ahead", 800), &["clock wrong?; for example bid:x at byte 7: no"]);
    check(rejecting("decode", 10), &["output flows"]);
}

#[test]
fn a_filter_that_nothing_passes_is_named() {
    let filter = OperatorState {
        operator: "filter price > 100".into(),
        rows_in: 7,
        filtered: 7,
        ..OperatorState::default()
    };
    check(|it| it.operators.push(filter), &["`filter price > 100` drops 100 % of its 7 rows"]);
}

#[test]
fn late_rows_are_traced_to_the_record_from_the_future() {
    check(
        |it| it.operators[0].late = 990,
        &["99 % of the rows are late: the watermark had passed"],
    );
    check(
        |it| {
            it.operators[0].late = 990;
            let watermark = it.sources[0].watermark.as_mut().expect("it has one");
            watermark.lag_seconds = -86_400.0;
        },
        &["the watermark of bid is 2026-01-01 00:00:00.000, 86400 s ahead of the clock"],
    );
}

#[test]
fn the_split_that_holds_the_watermark_back_is_named() {
    check(
        |it| it.sources[0].watermark.as_mut().expect("it has one").since_seconds = 30.0,
        &[
            "split bid:10.0.0.1:4000 (core 0) holds the watermark at 2026-01-01 00:00:00.000 since 30 s",
        ],
    );
}

#[test]
fn who_blocks_is_named() {
    check(
        |it| it.sinks[0].blocked_by = Some("subscriber 10.0.0.9:1 has 5 bytes to take".into()),
        &["sink out is blocked: subscriber 10.0.0.9:1 has 5 bytes to take"],
    );
    check(
        |it| {
            it.cores[1].busy_share = 0.98;
            it.operators[0].rows_in_by_core = vec![20, 980];
        },
        &["core 1 works 98 % of its time: it owns 98 % of the rows of `window`, a hot key"],
    );
    check(
        |it| {
            it.cores[1].busy_share = 0.98;
            it.operators[0].rows_in_by_core = vec![20, 980];
            it.exchanges = vec![ExchangeState {
                exchange: 1,
                hottest_key_group: Some(77),
                hottest_key_group_core: Some(1),
                hottest_key_group_share: 0.9,
                ..ExchangeState::default()
            }];
        },
        &["rows of `window`, a hot key of key group 77, which has 90 % of exchange 1"],
    );
    check(
        |it| it.cores.iter_mut().for_each(|core| core.busy_share = 0.95),
        &["works 95 % of its time, most of it in"],
    );
}

#[test]
fn what_keeps_producers_out_is_named() {
    check(
        |it| {
            let notice =
                "source bid: cannot accept connections for now: Too many open files (os error 24)";
            it.notices = vec![notice.into(), notice.into()];
        },
        &["Too many open files (os error 24); raise the limit: ulimit -n 65536"],
    );
    check(|it| it.sources[0].connections_refused = 3, &["has refused or cut 3 connections"]);
}

#[test]
fn a_job_that_starts_or_stops_says_so() {
    check(|it| it.ready = false, &["not every core runs yet"]);
    check(|it| it.stopping = true, &["the job was told to stop"]);
}
