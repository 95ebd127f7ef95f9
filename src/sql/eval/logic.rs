//! AND, OR and COALESCE: a later operand is evaluated only for the rows that need it.
//!
//! `x <> 0 AND 1 / x > 0` must not fail for x = 0. Where the later operand cannot fail it is
//! evaluated for the whole batch, which is cheaper than selecting rows.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and_kleene, is_null, or_kleene};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{Result as PlanResult, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Physical, is_infallible, sql_text};

/// `left AND right`, `left OR right`.
#[derive(Clone, Eq, Debug)]
pub(in crate::sql) struct Logic {
    conjunction: bool,
    left: Physical,
    right: Physical,
    /// The right side may fail, and is evaluated only where the left does not decide.
    lazy: bool,
}

impl Logic {
    /// AND when `conjunction`, else OR, of two Boolean expressions.
    pub(in crate::sql) fn new(conjunction: bool, left: Physical, right: Physical) -> Logic {
        let lazy = !is_infallible(&right);
        Logic { conjunction, left, right, lazy }
    }

    /// The value of the left side that decides alone.
    fn deciding(&self) -> bool {
        !self.conjunction
    }

    fn combine(&self, left: &BooleanArray, right: &BooleanArray) -> PlanResult<BooleanArray> {
        let combined =
            if self.conjunction { and_kleene(left, right) } else { or_kleene(left, right) };
        Ok(combined?)
    }

    fn evaluate_rows(&self, left: &BooleanArray, batch: &RecordBatch) -> PlanResult<ColumnarValue> {
        let decided = |value| value == Some(self.deciding());
        let open = if left.null_count() > 0 {
            left.len() - left.iter().filter(|&value| decided(value)).count()
        } else if self.conjunction {
            left.true_count()
        } else {
            left.len() - left.true_count()
        };
        if open == 0 {
            return Ok(ColumnarValue::Array(Arc::new(left.clone())));
        }
        let right = if self.lazy && open < left.len() {
            let undecided: BooleanArray = left.iter().map(|value| Some(!decided(value))).collect();
            self.right.evaluate_selection(batch, &undecided)?
        } else {
            self.right.evaluate(batch)?
        };
        let right = right.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(Arc::new(self.combine(left, right.as_boolean())?)))
    }
}

// Written out: the derive macros move out of `Arc<dyn …>`.
impl PartialEq for Logic {
    fn eq(&self, other: &Logic) -> bool {
        self.conjunction == other.conjunction
            && self.left.eq(&other.left)
            && self.right.eq(&other.right)
    }
}

impl Hash for Logic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.conjunction.hash(state);
        self.left.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for Logic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |expr: &Physical| match expr.downcast_ref::<Logic>() {
            Some(inner) if inner.conjunction != self.conjunction => format!("({})", sql_text(expr)),
            _ => sql_text(expr),
        };
        let operator = if self.conjunction { "AND" } else { "OR" };
        write!(formatter, "{} {operator} {}", side(&self.left), side(&self.right))
    }
}

impl PhysicalExpr for Logic {
    fn data_type(&self, _: &Schema) -> PlanResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> PlanResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> PlanResult<ColumnarValue> {
        match self.left.evaluate(batch)? {
            ColumnarValue::Scalar(ScalarValue::Boolean(Some(value))) => {
                if value == self.deciding() {
                    return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(value))));
                }
                self.right.evaluate(batch)
            }
            left => {
                let left = left.into_array(batch.num_rows())?;
                self.evaluate_rows(left.as_boolean(), batch)
            }
        }
    }

    fn children(&self) -> Vec<&Physical> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Physical>) -> PlanResult<Physical> {
        let [left, right] = <[Physical; 2]>::try_from(children).expect("logic has two operands");
        Ok(Arc::new(Logic::new(self.conjunction, left, right)))
    }

    fn fmt_sql(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The first operand that is not NULL.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::sql) struct Coalesce {
    operands: Vec<Physical>,
    data_type: DataType,
}

impl Coalesce {
    /// Of operands which all give `data_type`; there is at least one.
    pub(in crate::sql) fn new(operands: Vec<Physical>, data_type: DataType) -> Coalesce {
        assert!(!operands.is_empty());
        Coalesce { operands, data_type }
    }
}

impl fmt::Display for Coalesce {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operands: Vec<String> = self.operands.iter().map(sql_text).collect();
        write!(formatter, "COALESCE({})", operands.join(", "))
    }
}

impl PhysicalExpr for Coalesce {
    fn data_type(&self, _: &Schema) -> PlanResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn nullable(&self, _: &Schema) -> PlanResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> PlanResult<ColumnarValue> {
        let rows = batch.num_rows();
        let mut result = self.operands[0].evaluate(batch)?.into_array(rows)?;
        for operand in &self.operands[1..] {
            if result.null_count() == 0 {
                break;
            }
            let missing = is_null(&result)?;
            let value = operand.evaluate_selection(batch, &missing)?.into_array(rows)?;
            result = zip(&missing, &value, &result)?;
        }
        Ok(ColumnarValue::Array(result))
    }

    fn children(&self) -> Vec<&Physical> {
        self.operands.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Physical>) -> PlanResult<Physical> {
        Ok(Arc::new(Coalesce::new(children, self.data_type.clone())))
    }

    fn fmt_sql(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}
