//! Expressions: what the planner supplies to sources and operators.
//!
//! The implementation lives in `sql/eval.rs`; everything below sees this trait only.

use arrow::array::{ArrayRef, RecordBatch};
use std::fmt::Debug;
use std::sync::Arc;

use super::Timestamp;

/// A scalar expression, compiled for one input schema. Pure but for the clock it is given.
pub trait Expression: Debug + Send + Sync {
    /// One value per row of `rows`.
    ///
    /// # Errors
    /// When some row cannot be evaluated (division by zero, a cast that fails). The caller then
    /// evaluates row by row, so that only the offending rows are rejected.
    fn evaluate(
        &self,
        rows: &RecordBatch,
        context: EvaluationContext,
    ) -> Result<ArrayRef, ExpressionError>;

    /// `Some(column)` when the expression is nothing but that input column.
    fn as_column(&self) -> Option<usize> {
        None
    }
}

/// Shared between the cores, which each evaluate on their own batches.
pub type ExpressionRef = Arc<dyn Expression>;

/// What an expression may know besides the row.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationContext {
    /// Wall clock of this turn, for CURRENT_TIMESTAMP and its like.
    pub now: Timestamp,
}

/// Why a row (or a batch with such a row in it) could not be evaluated, in words for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpressionError(pub String);

impl std::fmt::Display for ExpressionError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ExpressionError {}
