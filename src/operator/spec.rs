//! What the planner asks of operators. Plain data, shared by all cores.

use arrow::datatypes::DataType;

use crate::record::{ExpressionRef, WallClock};

/// `JOIN UNNEST(array)`: output columns are the kept ones of the input, then those of the element:
/// the fields of a ROW, key and value of a MAP's entry, else one.
#[derive(Clone, Debug)]
pub struct UnnestSpec {
    /// The array or map, computed per input row (a `List` or `Map` array). An element that is a NULL
    /// ROW gives no row.
    pub array: ExpressionRef,
    /// Input columns that are kept, in output order.
    pub kept: Vec<usize>,
    /// One more column: the element's place, from 1 (INT).
    pub ordinality: bool,
    /// `LEFT JOIN`: an input row whose elements give no row gives one with NULLs.
    pub outer: bool,
}

/// Grouping by window and keys. Output columns: keys, aggregates, `window_start`, `window_end`
/// (TIMESTAMP(3)), `window_time` (TIMESTAMP(3), end − 1 ms).
#[derive(Clone, Debug)]
pub struct WindowAggregateSpec {
    /// The windows.
    pub window: WindowSpec,
    /// Key columns of the input; may be empty (one group).
    pub keys: Vec<usize>,
    /// The aggregates.
    pub aggregates: Vec<AggregateCall>,
}

/// A window table function.
#[derive(Clone, Debug)]
pub struct WindowSpec {
    /// Shape.
    pub kind: WindowKind,
    /// Windows start at multiples of slide (or size) plus this, ms.
    pub offset_ms: i64,
    /// Whose time.
    pub time: TimeDomain,
    /// What windows are aligned to, and what their bounds are readings of; `None` for UTC. A time
    /// column without a zone holds readings already.
    pub clock: Option<WallClock>,
}

/// Shape of a window, milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowKind {
    /// Consecutive windows.
    Tumble {
        /// Length, > 0.
        size_ms: i64,
    },
    /// Overlapping windows.
    Hop {
        /// Distance of starts, > 0.
        slide_ms: i64,
        /// Length, a multiple of `slide_ms`.
        size_ms: i64,
    },
}

/// Whose time decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeDomain {
    /// Event time, in this input column (any timestamp unit).
    Event {
        /// Column of the input schema.
        column: usize,
    },
    /// The clock of the core that owns the key, when the row reaches it.
    Processing,
}

/// One aggregate of a GROUP BY.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// Which.
    pub function: AggregateFunction,
    /// Argument column of the input; `None` for COUNT(*).
    pub argument: Option<usize>,
    /// DISTINCT arguments only.
    pub distinct: bool,
    /// FILTER (WHERE …): a Boolean input column; rows where it is not true do not count.
    pub filter: Option<usize>,
    /// Name of the output column.
    pub name: String,
    /// Flink's result type.
    pub result_type: DataType,
}

/// Built-in aggregates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AggregateFunction {
    /// Rows, or non-NULL arguments.
    Count,
    /// NULL when there was no non-NULL argument; integers wrap.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Mean; of integers an integer, truncated towards zero.
    Avg,
    /// The first argument that is not NULL, in the order of rows.
    FirstValue,
    /// The last argument that is not NULL.
    LastValue,
    /// How often there was each argument that is not NULL: a map of them to numbers (INT).
    Collect,
    /// All arguments in the order of rows, also NULLs; NULL of none.
    ArrayAgg,
    /// Arguments that are not NULL in the order of rows; NULL of none.
    ListPresent,
    /// Sum of the squared deviations of doubles from their mean; NULL of none.
    SquaredDeviations,
}

impl AggregateCall {
    /// True when the result depends on the order of rows.
    pub fn is_ordered(&self) -> bool {
        use AggregateFunction as F;
        match self.function {
            F::FirstValue | F::LastValue | F::ArrayAgg | F::ListPresent => true,
            F::SquaredDeviations => self.distinct,
            F::Count | F::Sum | F::Min | F::Max | F::Avg | F::Collect => false,
        }
    }
}
