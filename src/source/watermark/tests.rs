//! Event time of one split: what is tagged, what is rejected, and that cuts do not matter.

use super::testing::{
    ORIGIN, WALL, arrival, computed, computed_rowtime, decoded, decoded_column, delayed, show,
};
use super::*;
use arrow::array::{
    ArrayRef, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampSecondArray,
};
use arrow::datatypes::TimeUnit::{self, Microsecond, Millisecond, Nanosecond, Second};

/// Times in ms, `-` NULL.
fn parse(script: &str) -> Vec<Option<i64>> {
    script.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// Admits the rows of `script`. What was tagged, then what was rejected as `!offset reason`.
#[track_caller]
fn check(rules: &EventTimeRules, script: &str, expected: &str) {
    let mut watermark = RunningWatermark::new(Timestamp::MIN);
    let rows = decoded(&parse(script), Millisecond);
    let admitted = watermark.admit(rules, rows, &ORIGIN.into(), arrival(5));
    assert_eq!(admitted.batch.arrival_ns, 5);
    let mut actual = show(&admitted.batch);
    for Rejection { origin, offset, reason, raw, .. } in &admitted.rejected {
        assert_eq!(&**origin, ORIGIN);
        assert_eq!(*raw, format!("raw {offset}").into_bytes());
        actual += &format!(" !{offset} {reason}");
    }
    assert_eq!(actual, expected, "script: {script}");
}

#[test]
fn each_row_carries_the_watermark_before_it() {
    check(&delayed(0), "5 3 9 9 4", "5@min 3@5 9@5 9@9 4@9");
    check(&delayed(4), "5 3 9 4", "5@min 3@1 9@1 4@5");
    check(&delayed(0), "-5 -7 0", "-5@min -7@-5 0@-5");
    check(&delayed(0), "", "");
}

#[test]
fn the_expression_gives_the_same_as_the_delay() {
    check(&computed(4), "5 3 9 4", "5@min 3@1 9@1 4@5");
    // NULL moves nothing.
    check(&computed(0), "5 7 6 8", "5@min 7@5 6@5 8@6");
}

#[test]
fn a_computed_rowtime_is_evaluated_row_by_row_where_it_fails() {
    check(&computed_rowtime(), "5 3 9", "5@min 3@5 9@5");
    check(
        &computed_rowtime(),
        "5 13 7 9",
        r#"5@min 9@5 !1 rowtime "ts": unlucky !2 rowtime "ts" is NULL"#,
    );
}

#[test]
fn rows_that_cannot_take_part_are_rejected_alone() {
    check(&delayed(0), "5 - 6", r#"5@min 6@5 !1 rowtime "ts" is NULL"#);
    check(&delayed(0), "-", r#" !0 rowtime "ts" is NULL"#);
    check(
        &computed(0),
        "5 13 - 6 -",
        concat!(
            r#"5@min 6@5 !1 watermark: unlucky !2 rowtime "ts" is NULL "#,
            r#"!4 rowtime "ts" is NULL"#,
        ),
    );
}

#[test]
fn the_far_future_is_rejected() {
    for mut rules in [delayed(0), computed(0)] {
        rules.max_future_ms = Some(1000);
        check(
            &rules,
            "1001000 1001001 1",
            concat!(
                r#"1001000@min 1@1001000 !1 rowtime "ts" 1970-01-01 00:16:41.001 is further ahead "#,
                "of its arrival at 1970-01-01 00:16:40.000 than max_future",
            ),
        );
    }
    // The watermark itself may be what lies ahead.
    let mut rules = computed(-2000);
    rules.max_future_ms = Some(1000);
    check(
        &rules,
        "999001 1",
        concat!(
            "1@min !0 watermark 1970-01-01 00:16:41.001 is further ahead ",
            "of its arrival at 1970-01-01 00:16:40.000 than max_future",
        ),
    );
}

/// A column of any unit gives the marks of its times rounded down to ms.
#[track_caller]
fn check_unit(column: ArrayRef, expected: i64) {
    for rules in [delayed(0), computed(0)] {
        let mut watermark = RunningWatermark::new(Timestamp::MIN);
        watermark.admit(&rules, decoded_column(column.clone()), &ORIGIN.into(), arrival(0));
        assert_eq!(watermark.get(), Timestamp::from_millis(expected), "{column:?}");
    }
}

#[test]
fn every_unit_is_rounded_to_the_past() {
    check_unit(Arc::new(TimestampSecondArray::from(vec![-2])), -2000);
    check_unit(Arc::new(TimestampMillisecondArray::from(vec![-2])), -2);
    check_unit(Arc::new(TimestampMicrosecondArray::from(vec![1999])), 1);
    check_unit(Arc::new(TimestampMicrosecondArray::from(vec![-1])), -1);
    check_unit(Arc::new(arrow::array::TimestampNanosecondArray::from(vec![-1])), -1);
    check_unit(Arc::new(arrow::array::TimestampNanosecondArray::from(vec![1_999_999])), 1);
}

#[test]
fn no_row_says_the_end_of_input() {
    for (column, delay) in [
        (Arc::new(TimestampMillisecondArray::from(vec![i64::MAX])) as ArrayRef, 0),
        (Arc::new(TimestampSecondArray::from(vec![i64::MAX])), -5),
    ] {
        let mut watermark = RunningWatermark::new(Timestamp::MIN);
        watermark.admit(&delayed(delay), decoded_column(column), &ORIGIN.into(), arrival(0));
        assert_eq!(watermark.get(), Timestamp::from_millis(i64::MAX - 1));
    }
}

#[test]
fn without_provenance_rejections_still_say_why() {
    let mut rows = decoded(&[None], Millisecond);
    rows.provenance = None;
    let mut watermark = RunningWatermark::new(Timestamp::MIN);
    let admitted = watermark.admit(&delayed(0), rows, &ORIGIN.into(), arrival(0));
    let [rejection] = admitted.rejected.as_slice() else { panic!("one rejection") };
    assert_eq!((rejection.offset, rejection.raw.len()), (0, 0));
    assert_eq!(rejection.reason, r#"rowtime "ts" is NULL"#);
}

/// What a split with these rows should be tagged, row by row, in the plainest way.
fn model(times: &[Option<i64>], delay: i64, limit: i64, is_computed: bool) -> Vec<(i64, i64)> {
    let (mut watermark, mut tagged) = (i64::MIN, Vec::new());
    for &time in times {
        let Some(time) = time else { continue };
        if time > limit || (is_computed && (time == 13 || (time != 7 && time - delay > limit))) {
            continue;
        }
        tagged.push((time, watermark));
        if !(is_computed && time == 7) {
            watermark = watermark.max(time - delay);
        }
    }
    tagged
}

#[test]
fn cuts_between_batches_change_nothing() {
    for seed in 1..=300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let unit: TimeUnit = *rng.choice(&[Millisecond, Microsecond, Nanosecond, Second]).unwrap();
        let step = if unit == Second { 1000 } else { 1 };
        let times: Vec<Option<i64>> = (0..rng.usize(0..40))
            .map(|_| (rng.u8(0..10) > 0).then(|| rng.i64(-20..40) * step))
            .collect();
        let (delay, is_computed) = (rng.i64(0..10), rng.bool());
        let mut rules = if is_computed { computed(delay) } else { delayed(delay) };
        rules.max_future_ms = rng.bool().then(|| 30 - WALL.millis());
        let limit = if rules.max_future_ms.is_some() { 30 } else { i64::MAX };
        let (mut watermark, mut actual) = (RunningWatermark::new(Timestamp::MIN), String::new());
        let (mut rest, mut rejected) = (times.as_slice(), 0);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rng.usize(0..=rest.len()));
            let rows = decoded(now, unit);
            let admitted = watermark.admit(&rules, rows, &ORIGIN.into(), arrival(0));
            rejected += admitted.rejected.len();
            actual = format!("{actual} {}", show(&admitted.batch)).trim().to_owned();
            rest = later;
        }
        let expected = model(&times, delay, limit, is_computed);
        assert_eq!(rejected + expected.len(), times.len(), "seed {seed}");
        let show = |&(time, before): &(i64, i64)| match before {
            i64::MIN => format!("{time}@min"),
            _ => format!("{time}@{before}"),
        };
        let expected: Vec<String> = expected.iter().map(show).collect();
        assert_eq!(actual, expected.join(" "), "seed {seed}");
    }
}
