//! Splits as data: a script of what happens to them, and what the core says.

use super::super::watermark::testing::{arrival, decoded, delayed, show};
use super::*;
use arrow::datatypes::TimeUnit;
use std::collections::BTreeMap;

fn tracker(idle_timeout_ns: Option<u64>) -> SplitTracker {
    SplitTracker::new(Some(EventTimeOptions { rules: delayed(0), idle_timeout_ns }))
}

fn show_watermark(watermark: Option<Watermark>) -> String {
    match watermark {
        None => "|none".to_owned(),
        Some(Watermark::Idle) => "|-".to_owned(),
        Some(Watermark::At(time)) => format!("|{}", time.millis()),
    }
}

/// Splits are letters. `a+` opens, `a-` closes, `a5,3` brings rows with these times (`x` is NULL),
/// `a^9` raises, `t4` lets the clock come to 4, `|` asks for the watermark, `?` who holds it back, `w`
/// when the clock has work. The answer is the rows with their watermarks, and what was asked.
#[track_caller]
fn check(idle_timeout_ns: Option<u64>, script: &str, expected: &str) {
    let mut tracker = tracker(idle_timeout_ns);
    let (mut ids, mut now_ns, mut actual) = (BTreeMap::new(), 0, Vec::new());
    for word in script.split_whitespace() {
        let (name, rest) = word.split_at(1);
        match (name, rest) {
            ("|", _) => actual.push(show_watermark(tracker.watermark())),
            ("?", _) => actual.push(match tracker.holding_back() {
                None => "nobody".to_owned(),
                Some(HoldingBack { origin, watermark, since_ns }) => {
                    format!("{origin}:{}@t{since_ns}", watermark.millis())
                }
            }),
            ("w", _) => actual.push(format!("{:?}", tracker.wakes_at_ns())),
            ("t", time) => {
                now_ns = time.parse().unwrap();
                tracker.tick(now_ns);
            }
            (_, "+") => {
                ids.insert(name, tracker.open(name.into()));
            }
            (_, "-") => tracker.close(ids.remove(name).unwrap()),
            (_, rest) if rest.starts_with('^') => {
                let floor = Timestamp::from_millis(rest[1..].parse().unwrap());
                tracker.raise(ids[name], floor, now_ns);
            }
            (_, times) => {
                let times: Vec<Option<i64>> =
                    times.split(',').map(|time| time.parse().ok()).collect();
                let rows = decoded(&times, TimeUnit::Millisecond);
                let admitted = tracker.admit(ids[name], rows, arrival(now_ns));
                actual.push(show(&admitted.batch));
            }
        }
    }
    assert_eq!(actual.join(" "), expected, "script: {script}");
}

#[test]
fn the_slowest_split_decides() {
    check(None, "a+ b+ a5 b3 | b4,9 | ", "5@min 3@min |3 4@3 9@4 |5");
    check(None, "a+ | a5 | a6 a2 |", "|- 5@min |5 6@5 2@6 |6");
}

#[test]
fn a_split_joins_with_its_first_valid_row() {
    check(None, "a+ a5 b+ |", "5@min |5");
    // What was sent is the floor of the newcomer; what was merely read is not.
    check(None, "a+ b+ a5 | a9 b2,3 |", "5@min |5 9@5 2@5 3@5 |5");
    check(None, "a+ b+ a5 b2 |", "5@min 2@min |2");
    check(None, "a+ b+ a5 bx | b7 |", "5@min  |5 7@5 |5");
}

#[test]
fn a_closed_split_no_longer_counts() {
    check(None, "a+ b+ a5 b3 | b- |", "5@min 3@min |3 |5");
    check(None, "a+ a5 | a- |", "5@min |5 |-");
    // Its place is taken by a new split, which begins anew.
    check(None, "a+ a5 | a- b+ b2 |", "5@min |5 2@5 |5");
    check(None, "a+ a5 a- b+ b2 |", "5@min 2@min |2");
}

#[test]
fn idle_splits_are_left_out_and_come_back_at_what_was_sent() {
    check(
        Some(10),
        "a+ b+ a5 b3 t9 a6 w | t10 | t12 b4 |",
        "5@min 3@min 6@5 Some(10) |3 |6 4@6 |6",
    );
    check(Some(10), "a+ a5 | t10 | w a3 |", "5@min |5 |- None 3@5 |5");
    // NULL rowtimes are no sign of life.
    check(Some(10), "a+ a5 t5 ax t10 |", "5@min  |-");
    check(None, "a+ a5 w t1000000 |", "5@min None |5");
    // A split without a valid row so far does not hold and does not time out.
    check(Some(10), "a+ w t100 |", "None |-");
}

#[test]
fn chunks_are_raised_by_what_came_before() {
    check(None, "a+ a^7 | a5,9,8", "|7 5@7 9@7 8@9");
    check(None, "a+ a9 a^7 |", "9@min |9");
    check(None, "a+ a9 | b+ b^7 | b8", "9@min |9 |9 8@9");
}

#[test]
fn status_names_who_holds_the_watermark_and_since_when() {
    check(None, "?", "nobody");
    check(None, "a+ b+ t1 a5 t2 b3 t3 a7 t4 b2 ?", "5@min 3@min 7@5 2@3 b:3@t2");
    check(None, "a+ b+ t1 a5 t2 b3 t3 b9 ?", "5@min 3@min 9@3 a:5@t1");
    check(Some(10), "a+ t1 a5 t20 ?", "5@min nobody");
}

#[test]
fn without_event_time_rows_pass_untagged() {
    let mut tracker = SplitTracker::new(None);
    let split = tracker.open("s".into());
    let admitted = tracker.admit(split, decoded(&[None, Some(1)], TimeUnit::Second), arrival(4));
    assert_eq!((admitted.batch.len(), admitted.rejected.len()), (2, 0));
    assert!(admitted.batch.tags.watermarks.is_none());
    assert!(admitted.batch.tags.provenance.is_some());
    assert_eq!(admitted.batch.arrival_ns, 4);
    assert_eq!((tracker.watermark(), tracker.wakes_at_ns()), (None, None));
    tracker.close(split);
}

/// Ten thousand connections of which few have something to say: a turn looks at those few.
#[test]
fn a_turn_costs_the_same_whatever_the_number_of_splits() {
    const SPLITS: usize = 10_000;
    const TURNS: u64 = 2_000;
    let mut tracker = tracker(Some(1_000_000));
    let rows = |time: i64| decoded(&[Some(time)], TimeUnit::Millisecond);
    let ids: Vec<SplitId> = (0..SPLITS).map(|_| tracker.open("s".into())).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut times: Vec<i64> = ids.iter().map(|_| rng.i64(0..1_000)).collect();
    for (id, time) in ids.iter().zip(&times) {
        tracker.admit(*id, rows(*time), arrival(0));
    }
    let visits = |of: &SplitTracker| of.active.visits + of.heard_ns.visits;
    let before = visits(&tracker);
    for turn in 0..TURNS {
        // Often the one that holds the others back.
        let at = if rng.bool() { tracker.active.place().unwrap() } else { rng.usize(..SPLITS) };
        times[at] += rng.i64(0..100);
        tracker.admit(ids[at], rows(times[at]), arrival(turn));
        tracker.tick(turn);
        let lowest = Timestamp::from_millis(*times.iter().min().unwrap());
        assert_eq!(tracker.watermark(), Some(Watermark::At(lowest)));
        assert_eq!(tracker.wakes_at_ns(), Some(1_000_000));
    }
    // Twice the height of a tree of as many leaves, and not its width.
    let of_turn = (visits(&tracker) - before) / TURNS;
    assert!(of_turn <= 2 * 15, "{of_turn} splits looked at in a turn");
    ids.into_iter().for_each(|id| tracker.close(id));
    assert_eq!(tracker.watermark(), Some(Watermark::Idle));
}

/// Random life of several splits: what the core says never goes back, and no row that comes later
/// carries less than was said before.
#[test]
fn the_watermark_keeps_its_promise() {
    for seed in 1..=200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tracker = tracker(rng.bool().then_some(30));
        let (mut open, mut now_ns, mut said) = (Vec::new(), 0, i64::MIN);
        for step in 0..200 {
            now_ns += rng.u64(0..10);
            match rng.u8(0..10) {
                0 => open.push(tracker.open("s".into())),
                1 if !open.is_empty() => tracker.close(open.swap_remove(rng.usize(0..open.len()))),
                2 => tracker.tick(now_ns),
                3 | 4 => match tracker.watermark() {
                    Some(Watermark::At(time)) => {
                        assert!(said <= time.millis(), "seed {seed} step {step}");
                        said = time.millis();
                    }
                    other => assert_eq!(other, Some(Watermark::Idle), "seed {seed} step {step}"),
                },
                _ if !open.is_empty() => {
                    let split = *rng.choice(&open).unwrap();
                    let times: Vec<Option<i64>> =
                        (0..rng.usize(1..4)).map(|_| Some(step + rng.i64(-20..20))).collect();
                    let rows = decoded(&times, TimeUnit::Millisecond);
                    let batch = tracker.admit(split, rows, arrival(now_ns)).batch;
                    let watermarks = batch.tags.watermarks.unwrap();
                    assert!(watermarks.iter().all(|&tag| said <= tag), "seed {seed} step {step}");
                }
                _ => {}
            }
        }
    }
}
