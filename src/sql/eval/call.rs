//! A function of columns: Flink's functions as kernels over whole arrays.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion_common::Result as PlanResult;
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Physical, sql_text};

/// Arguments and number of rows to one array of that many rows.
pub(in crate::sql) type Kernel =
    Arc<dyn Fn(&[ColumnarValue], usize) -> PlanResult<ArrayRef> + Send + Sync>;

/// A function call. What a kernel has captured is part of the name (`CAST({} AS INT)`, with the
/// arguments at `{}`, `{}[{}]` with one at each), so that equal calls are those with equal names and arguments.
#[derive(Clone)]
pub(in crate::sql) struct Call {
    name: String,
    arguments: Vec<Physical>,
    data_type: DataType,
    kernel: Kernel,
    fallible: bool,
    volatile: bool,
}

impl Call {
    /// A call that gives `data_type` for every row.
    pub(in crate::sql) fn new(
        name: impl Into<String>,
        arguments: Vec<Physical>,
        data_type: DataType,
        kernel: Kernel,
    ) -> Call {
        Call { name: name.into(), arguments, data_type, kernel, fallible: false, volatile: false }
    }

    /// The same, of a function that may fail on some row.
    #[must_use]
    pub(in crate::sql) fn fallible(self) -> Call {
        Call { fallible: true, ..self }
    }

    /// The same, of a function that gives another value each time.
    #[must_use]
    pub(in crate::sql) fn volatile(self) -> Call {
        Call { volatile: true, ..self }
    }

    /// True when some row may make it fail.
    pub(in crate::sql) fn is_fallible(&self) -> bool {
        self.fallible
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments: Vec<String> = self.arguments.iter().map(sql_text).collect();
        let parts: Vec<&str> = self.name.split("{}").collect();
        if arguments.len() > 1 && parts.len() == arguments.len() + 1 {
            for (part, argument) in parts.iter().zip(&arguments) {
                write!(formatter, "{part}{argument}")?;
            }
            return formatter.write_str(parts[arguments.len()]);
        }
        match self.name.split_once("{}") {
            Some((before, behind)) => write!(formatter, "{before}{}{behind}", arguments.join(", ")),
            None if is_operator(&self.name) && arguments.len() == 2 => {
                write!(formatter, "{} {} {}", arguments[0], self.name, arguments[1])
            }
            None => write!(formatter, "{}({})", self.name, arguments.join(", ")),
        }
    }
}

fn is_operator(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        self.name == other.name
            && self.data_type == other.data_type
            && self.arguments == other.arguments
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.arguments.hash(state);
        self.data_type.hash(state);
    }
}

impl PhysicalExpr for Call {
    fn data_type(&self, _: &Schema) -> PlanResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn nullable(&self, _: &Schema) -> PlanResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> PlanResult<ColumnarValue> {
        // Most functions have one or two arguments that are not constants.
        let rows = batch.num_rows();
        let result = match &self.arguments[..] {
            [] => (self.kernel)(&[], rows),
            [only] => (self.kernel)(&[only.evaluate(batch)?], rows),
            [first, second] => {
                (self.kernel)(&[first.evaluate(batch)?, second.evaluate(batch)?], rows)
            }
            arguments => {
                let values: Vec<ColumnarValue> = arguments
                    .iter()
                    .map(|argument| argument.evaluate(batch))
                    .collect::<PlanResult<_>>()?;
                (self.kernel)(&values, rows)
            }
        };
        result.map(ColumnarValue::Array)
    }

    fn children(&self) -> Vec<&Physical> {
        self.arguments.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Physical>) -> PlanResult<Physical> {
        Ok(Arc::new(Call { arguments: children, ..Call::clone(&self) }))
    }

    fn fmt_sql(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }

    fn is_volatile_node(&self) -> bool {
        self.volatile
    }
}
