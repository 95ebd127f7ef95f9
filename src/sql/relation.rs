//! A relation: a node's rows, with the columns a query sees and what is known of their time.

use arrow::datatypes::{DataType, Schema};
use datafusion_physical_expr::expressions::Column as PhysicalColumn;
use std::sync::Arc;

use super::error::{Checked, Fault};
use super::eval::{Clock, Typed, clock_type};
use crate::operator::WindowSpec;

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
    /// Type of the time column.
    pub(super) time_type: DataType,
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

/// A window function must be grouped by before anything else is done with its rows.
pub(super) fn refuse_window(relation: &Relation) -> Checked<()> {
    match &relation.window {
        None => Ok(()),
        Some(window) => Err(Fault::at(
            window.location,
            "a window function without GROUP BY window_start, window_end is not supported",
        )),
    }
}
