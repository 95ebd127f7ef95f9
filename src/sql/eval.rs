//! Expressions at run time: DataFusion's physical expressions behind [`Expression`].
//!
//! Read: `logic` (AND, OR, COALESCE that evaluate only what is needed) · `call` (a function over
//! columns) · `equal` (values of any type) · `fold` (constants, substitution of columns) · `text` (for labels).
//!
//! Nothing here allocates per row or per batch beyond the result arrays; an expression that asks
//! for the time gets it as one more column of the batch.

mod call;
mod equal;
mod fold;
mod logic;
mod text;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion_common::{DataFusionError, Result as PlanResult};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, Literal};
use std::fmt;
use std::sync::Arc;

pub(super) use call::{Call, Kernel};
pub(super) use equal::{equal, range};
pub(super) use fold::{columns_of, fold, is_infallible, remap, rewrite, substitute};
pub(super) use logic::{Coalesce, Logic};
pub(super) use text::sql_text;

use super::types::{Bound, LOCAL_ZONE};
use crate::record::{EvaluationContext, Expression, ExpressionError};

/// A node of an expression tree.
pub(super) type Physical = Arc<dyn PhysicalExpr>;

/// An expression with its type.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    /// What computes it.
    pub(super) expr: Physical,
    /// What comes out.
    pub(super) data_type: DataType,
    /// What the last CAST made of it beyond the type, as far as somebody asks.
    pub(super) bound: Option<Bound>,
}

impl Typed {
    /// `expr`, which gives `data_type`.
    pub(super) fn new(expr: Physical, data_type: DataType) -> Typed {
        Typed { expr, data_type, bound: None }
    }

    /// Column `index` of the input.
    pub(super) fn column(name: &str, index: usize, data_type: DataType) -> Typed {
        Typed::new(Arc::new(Column::new(name, index)), data_type)
    }

    /// A constant.
    pub(super) fn constant(value: datafusion_common::ScalarValue) -> Typed {
        let data_type = value.data_type();
        Typed::new(Arc::new(Literal::new(value)), data_type)
    }

    /// The value, if it is a constant.
    pub(super) fn literal(&self) -> Option<&datafusion_common::ScalarValue> {
        self.expr.downcast_ref::<Literal>().map(Literal::value)
    }

    /// The text, if it is a constant string that is not NULL.
    pub(super) fn literal_text(&self) -> Option<&str> {
        self.literal().and_then(|value| value.try_as_str().flatten())
    }
}

/// An expression compiled for one input schema.
#[derive(Debug)]
pub(super) struct Compiled {
    root: Physical,
    /// Set when the expression is nothing but a column.
    column: Option<usize>,
    /// The input schema with the clock's column behind it, when the clock is used.
    clocked: Option<SchemaRef>,
}

impl Compiled {
    /// Compiles `root` over rows of `input`.
    pub(super) fn new(root: Physical, input: &Schema) -> Compiled {
        let column = root.downcast_ref::<Column>().map(Column::index);
        let clock = Column::new("now", input.fields().len());
        let mut used = false;
        let root = rewrite(&root, &mut |node| {
            node.downcast_ref::<Clock>().is_some().then(|| {
                used = true;
                Arc::new(clock.clone()) as Physical
            })
        });
        let clocked = used.then(|| {
            let mut fields: Vec<FieldRef> = input.fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new("now", clock_type(), false)));
            Arc::new(Schema::new(fields))
        });
        Compiled { root, column, clocked }
    }
}

impl Expression for Compiled {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        context: EvaluationContext,
    ) -> Result<ArrayRef, ExpressionError> {
        if let Some(column) = self.column {
            return Ok(Arc::clone(rows.column(column)));
        }
        let value = match &self.clocked {
            None => self.root.evaluate(rows),
            Some(schema) => {
                with_clock(rows, schema, context).and_then(|rows| self.root.evaluate(&rows))
            }
        };
        value.and_then(|value| value.into_array(rows.num_rows())).map_err(explain)
    }

    fn as_column(&self) -> Option<usize> {
        self.column
    }
}

fn with_clock(
    rows: &RecordBatch,
    schema: &SchemaRef,
    context: EvaluationContext,
) -> PlanResult<RecordBatch> {
    let now = TimestampMillisecondArray::from_value(context.now.millis(), rows.num_rows())
        .with_timezone(LOCAL_ZONE);
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(now));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// An evaluation error in words for the user.
fn explain(error: DataFusionError) -> ExpressionError {
    let text = error.find_root().to_string();
    let text = ["Arrow error: ", "Execution error: ", "Compute error: ", "Cast error: "]
        .iter()
        .fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    let text = if text.contains("Divide by zero") { "division by zero" } else { text };
    ExpressionError(text.lines().next().unwrap_or_default().to_string())
}

/// Type of CURRENT_TIMESTAMP: TIMESTAMP_LTZ(3).
pub(super) fn clock_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(LOCAL_ZONE.into()))
}

/// The wall clock; replaced by a column before it is evaluated.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Clock;

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CURRENT_TIMESTAMP")
    }
}

impl PhysicalExpr for Clock {
    fn data_type(&self, _: &Schema) -> PlanResult<DataType> {
        Ok(clock_type())
    }

    fn nullable(&self, _: &Schema) -> PlanResult<bool> {
        Ok(false)
    }

    fn evaluate(&self, _: &RecordBatch) -> PlanResult<ColumnarValue> {
        Err(DataFusionError::Internal("the clock is read through a column".into()))
    }

    fn children(&self) -> Vec<&Physical> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Physical>) -> PlanResult<Physical> {
        Ok(self)
    }

    fn fmt_sql(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }

    fn is_volatile_node(&self) -> bool {
        true
    }
}
