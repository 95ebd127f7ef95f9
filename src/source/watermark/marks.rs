//! Marks: what each row would have the watermark be, in milliseconds; and the rows that may not say.

use super::{Arrival, EventTimeRules, Rowtime};
use crate::metrics::RejectionKind;
use crate::record::{EvaluationContext, ExpressionError, Timestamp};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

/// One mark per row of a batch, and the rows to be rejected, ascending, with reasons.
pub(super) struct Marks {
    /// The WATERMARK expression's value in ms; `MIN` where it is NULL, which moves nothing.
    pub(super) marks: Vec<i64>,
    /// Rows whose mark must not count.
    pub(super) refused: Vec<(usize, Refusal)>,
}

impl Marks {
    /// The marks of `rows`.
    pub(super) fn of(rules: &EventTimeRules, rows: &RecordBatch, arrival: Arrival) -> Marks {
        let (rowtimes, mut refused) = Rowtimes::of(&rules.spec.rowtime, rows, arrival);
        let late_reasons = refused_rowtimes(rules, &rowtimes, arrival);
        refused.extend(late_reasons);
        refused.sort_by_key(|(row, _)| *row);
        refused.dedup_by_key(|(row, _)| *row);
        let times = rowtimes.millis;
        let marks = match rules.spec.delay_ms {
            Some(delay_ms) => {
                let mut marks = times;
                marks.iter_mut().for_each(|time| *time = time.saturating_sub(delay_ms));
                marks
            }
            None => evaluate(rules, rows, arrival, &mut refused),
        };
        let marks = Marks { marks, refused };
        assert_eq!(marks.marks.len(), rows.num_rows());
        marks
    }
}

/// Why a row may not take part.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) kind: RejectionKind,
    pub(super) reason: String,
}

impl Refusal {
    fn new(kind: RejectionKind, reason: String) -> Refusal {
        Refusal { kind, reason }
    }
}

/// Times of a batch's rows.
struct Rowtimes {
    name: String,
    /// NULLs have any value.
    millis: Vec<i64>,
    nulls: Option<NullBuffer>,
}

impl Rowtimes {
    /// The rowtimes, and the rows for which there is none because computing it failed.
    fn of(
        rowtime: &Rowtime,
        rows: &RecordBatch,
        arrival: Arrival,
    ) -> (Rowtimes, Vec<(usize, Refusal)>) {
        let of_array = |name: &str, times: &ArrayRef| Rowtimes {
            name: name.to_owned(),
            millis: millis(times),
            nulls: times.nulls().cloned(),
        };
        let (name, expression) = match rowtime {
            Rowtime::Column(index) => {
                let name = rows.schema_ref().field(*index).name();
                return (of_array(name, rows.column(*index)), Vec::new());
            }
            Rowtime::Computed { name, expression } => (name, expression),
        };
        let context = EvaluationContext { now: arrival.wall };
        if let Ok(times) = expression.evaluate(rows, context) {
            return (of_array(name, &times), Vec::new());
        }
        // Row by row, so that only the offending rows are refused.
        let mut failures = Vec::new();
        let mut found = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            found.push(match expression.evaluate(&rows.slice(row, 1), context) {
                Ok(time) => time.is_valid(0).then(|| millis(&time)[0]),
                Err(error) => {
                    let reason = format!("rowtime \"{name}\": {error}");
                    failures.push((row, Refusal::new(RejectionKind::Evaluate, reason)));
                    None
                }
            });
        }
        let nulls = NullBuffer::from_iter(found.iter().map(Option::is_some));
        let millis = found.into_iter().map(Option::unwrap_or_default).collect();
        (Rowtimes { name: name.clone(), millis, nulls: Some(nulls) }, failures)
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// Rows without a rowtime, and those too far ahead of the clock.
fn refused_rowtimes(
    rules: &EventTimeRules,
    rowtimes: &Rowtimes,
    arrival: Arrival,
) -> Vec<(usize, Refusal)> {
    let Rowtimes { name, millis: times, nulls } = rowtimes;
    let limit = future_limit(rules, arrival);
    let all_there = nulls.as_ref().is_none_or(|nulls| nulls.null_count() == 0);
    if all_there && times.iter().all(|&time| time <= limit) {
        return Vec::new();
    }
    let reason = |(row, &time): (usize, &i64)| {
        if rowtimes.is_null(row) {
            let reason = format!("rowtime \"{name}\" is NULL");
            Some((row, Refusal::new(RejectionKind::TimeNull, reason)))
        } else if limit < time {
            Some((row, too_far(&format!("rowtime \"{name}\""), time, arrival)))
        } else {
            None
        }
    };
    times.iter().enumerate().filter_map(reason).collect()
}

fn future_limit(rules: &EventTimeRules, arrival: Arrival) -> i64 {
    rules.max_future_ms.map_or(i64::MAX, |ahead| arrival.wall.millis().saturating_add(ahead))
}

fn too_far(what: &str, time: i64, arrival: Arrival) -> Refusal {
    let time = Timestamp::from_millis(time);
    let reason = format!(
        "{what} {time} is further ahead of its arrival at {} than max_future",
        arrival.wall
    );
    Refusal::new(RejectionKind::TimeAhead, reason)
}

/// The expression's values: of the batch if it can be evaluated, else row by row, so that only the
/// offending rows are refused.
fn evaluate(
    rules: &EventTimeRules,
    rows: &RecordBatch,
    arrival: Arrival,
    refused: &mut Vec<(usize, Refusal)>,
) -> Vec<i64> {
    let context = EvaluationContext { now: arrival.wall };
    let values = |part: &RecordBatch| -> Result<Vec<i64>, ExpressionError> {
        Ok(marks_of(&rules.spec.expression.evaluate(part, context)?))
    };
    let mut failures = Vec::new();
    let marks = values(rows).unwrap_or_else(|_| {
        (0..rows.num_rows())
            .map(|row| match values(&rows.slice(row, 1)) {
                Ok(mark) => mark[0],
                Err(error) => {
                    let reason = format!("watermark: {error}");
                    failures.push((row, Refusal::new(RejectionKind::Evaluate, reason)));
                    i64::MIN
                }
            })
            .collect()
    });
    let limit = future_limit(rules, arrival);
    let ahead = (0..).zip(&marks).filter(|&(_, &mark)| limit < mark);
    failures.extend(ahead.map(|(row, &mark)| (row, too_far("watermark", mark, arrival))));
    // The first reason of a row is the one that is told: its rowtime's.
    refused.extend(failures);
    refused.sort_by_key(|(row, _)| *row);
    refused.dedup_by_key(|(row, _)| *row);
    marks
}

fn marks_of(values: &ArrayRef) -> Vec<i64> {
    let mut marks = millis(values);
    if values.null_count() > 0 {
        (0..).zip(&mut marks).filter(|(row, _)| values.is_null(*row)).for_each(|(_, mark)| {
            *mark = i64::MIN;
        });
    }
    marks
}

/// A timestamp column in milliseconds, rounded towards the past. NULLs have any value.
fn millis(times: &ArrayRef) -> Vec<i64> {
    match times.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            let seconds = times.as_primitive::<TimestampSecondType>().values();
            seconds.iter().map(|second| second.saturating_mul(1000)).collect()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            times.as_primitive::<TimestampMillisecondType>().values().to_vec()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = times.as_primitive::<TimestampMicrosecondType>().values();
            micros.iter().map(|micro| micro.div_euclid(1000)).collect()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = times.as_primitive::<TimestampNanosecondType>().values();
            nanos.iter().map(|nano| nano.div_euclid(1_000_000)).collect()
        }
        other => unreachable!("the planner gives event time a timestamp column, not {other}"),
    }
}
