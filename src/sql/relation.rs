//! A relation: a node's rows, with the columns a query sees and what is known of their time.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion_physical_expr::expressions::Column as PhysicalColumn;
use std::sync::Arc;

use super::eval::{Clock, Typed, clock_type};
use crate::operator::{WindowKind, WindowSpec};
use crate::record::WallClock;

/// The time attribute a column is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimeAttribute {
    /// None.
    Plain,
    /// Event time.
    Rowtime,
    /// The clock.
    Proctime,
}

/// Where a relation's column is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// In the node's rows.
    Field(usize),
    /// The clock, when asked for.
    Clock,
    /// Column of `WINDOW_COLUMNS` of a window not yet grouped by.
    Window(usize),
}

/// A column of a relation.
#[derive(Clone, Debug)]
pub(super) struct RelationColumn {
    pub(super) data_type: DataType,
    pub(super) origin: Origin,
    pub(super) time: TimeAttribute,
    /// The bound of a window that it is, if it is one.
    pub(super) window: Option<WindowColumn>,
}

/// A bound of the window that a row is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WindowColumn {
    /// Index into `WINDOW_COLUMNS`.
    pub(super) part: usize,
    /// Of which windows.
    pub(super) shape: WindowShape,
}

/// Windows, whoever is in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WindowShape {
    pub(super) kind: WindowKind,
    pub(super) offset_ms: i64,
    /// Over TIMESTAMP_LTZ or the clock.
    pub(super) is_local: bool,
    /// What they are aligned to, if not to UTC.
    pub(super) clock: Option<WallClock>,
}

impl WindowShape {
    /// Length of a window.
    pub(super) fn size_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } | WindowKind::Hop { size_ms, .. } => size_ms,
        }
    }

    /// Distance of windows.
    pub(super) fn slide_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => size_ms,
            WindowKind::Hop { slide_ms, .. } => slide_ms,
        }
    }

    /// Types of `WINDOW_COLUMNS`.
    pub(super) fn column_types(&self) -> [DataType; 3] {
        let plain = DataType::Timestamp(TimeUnit::Millisecond, None);
        [plain.clone(), plain.clone(), if self.is_local { clock_type() } else { plain }]
    }

    /// Where windows begin, in words.
    pub(super) fn place(&self) -> String {
        match self.clock {
            Some(clock) => format!("{} ms by {clock}", self.offset_ms),
            None => format!("{} ms", self.offset_ms),
        }
    }
}

/// A node's rows, with the columns a query sees.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) node: usize,
    pub(super) columns: Vec<RelationColumn>,
    /// A window function that no GROUP BY has used yet.
    pub(super) window: Option<PendingWindow>,
}

/// A window function waiting for its GROUP BY.
#[derive(Clone, Debug)]
pub(super) struct PendingWindow {
    pub(super) spec: WindowSpec,
    /// What is said of them; a HOP whose rows know their windows is a TUMBLE to the operator.
    pub(super) shape: WindowShape,
    /// For faults.
    pub(super) location: sqlparser::tokenizer::Location,
}

/// The value of a column in the relation's rows.
pub(super) fn materialized(
    column: &RelationColumn,
    rows: &Schema,
    name: &str,
) -> Result<Typed, String> {
    match column.origin {
        Origin::Field(index) => {
            let expr = Arc::new(PhysicalColumn::new(rows.field(index).name(), index));
            Ok(Typed::new(expr, column.data_type.clone()))
        }
        Origin::Clock => Ok(Typed::new(Arc::new(Clock), clock_type())),
        Origin::Window(_) => Err(format!(
            "`{name}` of a window function can be used only after GROUP BY window_start, window_end"
        )),
    }
}
