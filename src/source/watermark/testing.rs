//! Inputs for tests of event time: rows written as their rowtimes.

use super::{Arrival, EventTimeRules, Rowtime, WatermarkSpec};
use crate::format::Decoded;
use crate::record::{Batch, EvaluationContext, Expression, ExpressionError, Provenance, Timestamp};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Schema, TimeUnit, TimestampMillisecondType, TimestampNanosecondType,
};
use std::sync::Arc;

/// The name of every split in tests that have one.
pub(in crate::source) const ORIGIN: &str = "s:1";

/// The wall clock in tests.
pub(in crate::source) const WALL: Timestamp = Timestamp::from_millis(1_000_000);

/// At monotonic time `monotonic_ns`.
pub(in crate::source) fn arrival(monotonic_ns: u64) -> Arrival {
    Arrival { monotonic_ns, wall: WALL }
}

/// One row per time in ms, `None` a NULL rowtime; its offset is its position, its raw bytes its
/// text. The column is kept in `unit`.
pub(in crate::source) fn decoded(times: &[Option<i64>], unit: TimeUnit) -> Decoded {
    let values: ArrayRef = Arc::new(Int64Array::from(times.to_vec()));
    let values = cast(&values, &DataType::Timestamp(TimeUnit::Millisecond, None)).unwrap();
    decoded_column(cast(&values, &DataType::Timestamp(unit, None)).unwrap())
}

/// Rows of this rowtime column.
pub(in crate::source) fn decoded_column(column: ArrayRef) -> Decoded {
    let fields = vec![Field::new("ts", column.data_type().clone(), true)];
    let offsets: UInt64Array = (0..column.len() as u64).map(Some).collect();
    let raw = (0..column.len()).map(|row| Some(format!("raw {row}")));
    let provenance =
        Provenance { origin: ORIGIN.into(), offsets, raw: raw.collect::<BinaryArray>() };
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![column]).unwrap();
    Decoded { rows, provenance: Some(provenance), end: 0 }
}

/// `WATERMARK FOR ts AS ts - delay`, without `max_future`.
pub(in crate::source) fn delayed(delay_ms: i64) -> EventTimeRules {
    let expression = Arc::new(Computed { delay_ms });
    let spec = WatermarkSpec { rowtime: Rowtime::Column(0), expression, delay_ms: Some(delay_ms) };
    EventTimeRules { spec, max_future_ms: None }
}

/// The same, computed by the expression.
pub(in crate::source) fn computed(delay_ms: i64) -> EventTimeRules {
    let mut rules = delayed(delay_ms);
    rules.spec.delay_ms = None;
    rules
}

/// `WATERMARK FOR ts AS ts`, where `ts` is computed.
pub(in crate::source) fn computed_rowtime() -> EventTimeRules {
    let mut rules = delayed(0);
    let expression = Arc::new(Computed { delay_ms: 0 });
    rules.spec.rowtime = Rowtime::Computed { name: "ts".into(), expression };
    rules
}

/// `row@watermark before it`, the row as its mark's time in ms; `min` for none.
pub(in crate::source) fn show(batch: &Batch) -> String {
    let times = cast(batch.rows.column(0), &DataType::Timestamp(TimeUnit::Millisecond, None));
    let times = times.unwrap();
    let watermarks = batch.tags.watermarks.as_ref().unwrap();
    assert_eq!(watermarks.len(), batch.len());
    let show = |(time, &watermark): (&i64, &i64)| match watermark {
        i64::MIN => format!("{time}@min"),
        _ => format!("{time}@{watermark}"),
    };
    let times = times.as_primitive::<TimestampMillisecondType>().values();
    times.iter().zip(watermarks.iter()).map(show).collect::<Vec<_>>().join(" ")
}

/// The rowtime in ns minus the delay; NULL where the time is 7 ms, an error where it is 13 ms.
#[derive(Debug)]
struct Computed {
    delay_ms: i64,
}

impl Expression for Computed {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        _context: EvaluationContext,
    ) -> Result<ArrayRef, ExpressionError> {
        let nanos = cast(rows.column(0), &DataType::Timestamp(TimeUnit::Nanosecond, None)).unwrap();
        let nanos = nanos.as_primitive::<TimestampNanosecondType>();
        if nanos.iter().flatten().any(|nano| nano == 13_000_000) {
            return Err(ExpressionError("unlucky".to_owned()));
        }
        let delay = self.delay_ms * 1_000_000;
        let marks = nanos.iter().map(|value| match value {
            Some(7_000_000) => None,
            other => other.map(|nano| nano - delay),
        });
        let marks: arrow::array::TimestampNanosecondArray = marks.collect();
        Ok(Arc::new(marks))
    }
}
