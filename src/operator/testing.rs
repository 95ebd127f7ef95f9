//! What the operators' tests share: an outlet with little room, and an expression that can fail.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Diverted, Operator, Output, Progress};
use crate::record::{Batch, Cause, EvaluationContext, Expression, ExpressionError, Watermark};

/// An outlet that takes `room` batches a turn and remembers everything.
pub(crate) struct Collector {
    pub(crate) batches: Vec<Batch>,
    pub(crate) watermarks: Vec<Watermark>,
    pub(crate) diverted: Vec<Diverted>,
    /// Batches (their first column, if BIGINT) and watermarks, in order.
    pub(crate) log: Vec<String>,
    pub(crate) pushed_this_turn: usize,
    pub(crate) cause: Cause,
    room: usize,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector::with_room(usize::MAX)
    }
}

impl Collector {
    pub(crate) fn with_room(room: usize) -> Collector {
        Collector {
            batches: vec![],
            watermarks: vec![],
            diverted: vec![],
            log: vec![],
            pushed_this_turn: 0,
            cause: Cause::default(),
            room,
        }
    }

    pub(crate) fn next_turn(&mut self) {
        self.pushed_this_turn = 0;
    }
}

impl Output for Collector {
    fn push(&mut self, batch: Batch) {
        assert!(self.pushed_this_turn <= self.room, "pushed twice to a full outlet");
        self.pushed_this_turn += 1;
        if batch.rows.num_columns() > 0 && batch.rows.column(0).data_type() == &DataType::Int64 {
            self.log.push(format!("{:?}", column_i64(&batch, 0)));
        }
        self.batches.push(batch);
    }

    fn watermark(&mut self, watermark: Watermark) {
        match watermark {
            Watermark::At(time) => self.log.push(format!("|{time}")),
            Watermark::Idle => self.log.push("|idle".into()),
        }
        self.watermarks.push(watermark);
    }

    fn is_full(&self) -> bool {
        self.pushed_this_turn >= self.room
    }

    fn cause(&self) -> Cause {
        self.cause
    }

    fn divert(&mut self, diverted: Diverted) {
        self.diverted.push(diverted);
    }
}

/// Gives `batch` to `operator` and resumes it, a turn at a time, until it is done.
pub(crate) fn run_to_end(operator: &mut dyn Operator, batch: Batch, out: &mut Collector) {
    let progress = operator.process(batch, out);
    resume_to_end(operator, progress, out);
}

/// Resumes `operator`, a turn at a time, until it is done.
pub(crate) fn resume_to_end(operator: &mut dyn Operator, first: Progress, out: &mut Collector) {
    let mut progress = first;
    while progress == Progress::More {
        out.next_turn();
        progress = operator.resume(out);
    }
    out.next_turn();
}

/// A batch of one BIGINT column `a`.
pub(crate) fn rows_i64(values: &[i64]) -> Batch {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    Batch::new(RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap(), 0)
}

/// The values of BIGINT column `column`.
pub(crate) fn column_i64(batch: &Batch, column: usize) -> Vec<i64> {
    batch.rows.column(column).as_primitive::<Int64Type>().values().to_vec()
}

/// An expression over column 0 that fails when a bad value is among the rows.
#[derive(Debug)]
pub(crate) struct Picky {
    bad: Vec<i64>,
    above: Option<i64>,
    null: Option<i64>,
    column: Option<usize>,
    evaluated: AtomicUsize,
}

impl Picky {
    pub(crate) fn failing_on(bad: &[i64]) -> Picky {
        let evaluated = AtomicUsize::new(0);
        Picky { bad: bad.to_vec(), above: None, null: None, column: None, evaluated }
    }

    /// Gives a Boolean: is the value greater than `bound`?
    pub(crate) fn greater_than(self, bound: i64) -> Picky {
        Picky { above: Some(bound), ..self }
    }

    /// Gives NULL for `value`.
    pub(crate) fn null_for(self, value: i64) -> Picky {
        Picky { null: Some(value), ..self }
    }

    pub(crate) fn plain_column(self) -> Picky {
        self.plain_column_at(0)
    }

    pub(crate) fn plain_column_at(self, column: usize) -> Picky {
        Picky { column: Some(column), ..self }
    }

    /// Rows evaluated so far, failing or not.
    pub(crate) fn evaluated(&self) -> usize {
        self.evaluated.load(Ordering::Relaxed)
    }
}

impl Expression for Picky {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        _context: EvaluationContext,
    ) -> Result<ArrayRef, ExpressionError> {
        self.evaluated.fetch_add(rows.num_rows(), Ordering::Relaxed);
        let values = rows.column(0).as_primitive::<Int64Type>();
        if let Some(bad) = values.values().iter().find(|value| self.bad.contains(value)) {
            return Err(ExpressionError(format!("{} is bad", bad / 10 * 10)));
        }
        if let Some(bound) = self.above {
            let mask = values.iter().map(|value| value.map(|value| value > bound));
            return Ok(Arc::new(mask.collect::<BooleanArray>()));
        }
        let kept = values.iter().map(|value| value.filter(|_| value != self.null));
        Ok(Arc::new(kept.collect::<Int64Array>()))
    }

    fn as_column(&self) -> Option<usize> {
        self.column
    }
}
