//! Window functions: a relation's rows with windows that wait for a GROUP BY, with windows written
//! into the rows, and GROUP BY over windows that are in the rows already.
//!
//! Windows wait as long as nobody looks at their bounds: then an aggregate takes rows and windows
//! at once. Where a query reads the bounds (a filter, a computed column, the query's end) each row gets
//! them as columns, once per window it is in. An aggregate over such columns is a window aggregate
//! again, as in Flink: its windows are those of the rows, and a row is in time until its window ends.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, TimestampMillisecondArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMillisecondType};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result as PlanResult, exec_datafusion_err};
use datafusion_expr::logical_plan::{Aggregate, Distinct};
use datafusion_expr::{Expr, LogicalPlan};
use std::sync::Arc;

use super::aggregate::{UPDATED, convert_aggregate};
use super::bind::location_of;
use super::cast::cast;
use super::error::{Checked, Fault};
use super::eval::{Call, Typed};
use super::relation::{
    Origin, PendingWindow, Relation, RelationColumn, TimeAttribute, WindowColumn, WindowShape,
};
use super::relations::{WINDOW_COLUMNS, WindowTable};
use super::streaming::{StreamBuilder, StreamKind, UnnestNode, fields_of, plain_column};
use super::types::SqlType;
use crate::limits::WINDOWS_PER_ROW_MAX;
use crate::operator::{TimeDomain, WindowKind, WindowSpec};
use crate::record::WallClock;

/// Times whose windows can be computed: far beyond any calendar.
const TIME_MS_MAX: i64 = 1 << 60;

impl StreamBuilder<'_> {
    /// `TABLE(TUMBLE(…))`, whose windows wait.
    pub(super) fn window_table(&mut self, window: &WindowTable, path: &str) -> Checked<Relation> {
        let relation = self.convert(&window.input, &format!("{path}/table"))?;
        let mut relation = self.assigned(relation, &format!("{path}/table"))?;
        let column = relation.columns[window.time_column].clone();
        let time = match (column.time, &column.origin) {
            (TimeAttribute::Rowtime, Origin::Field(index)) => TimeDomain::Event { column: *index },
            (TimeAttribute::Proctime, _) => TimeDomain::Processing,
            _ => {
                let name = window.input.schema().field(window.time_column).name().clone();
                let message = format!(
                    "`{name}` is not a time attribute; declare WATERMARK FOR it, keep it as a plain \
                     column, or use PROCTIME()"
                );
                return Err(Fault::at(window.location(), message));
            }
        };
        let is_local = matches!(column.data_type, DataType::Timestamp(_, Some(_)));
        let clock = if is_local { WallClock::of(self.options.time_zone) } else { None };
        let shape =
            WindowShape { kind: window.kind(), offset_ms: window.offset_ms, is_local, clock };
        for (part, data_type) in shape.column_types().into_iter().enumerate() {
            relation.columns.push(RelationColumn {
                data_type,
                origin: Origin::Window(part),
                time: if part == 2 { column.time } else { TimeAttribute::Plain },
                window: None,
            });
        }
        let spec = WindowSpec { kind: shape.kind, offset_ms: shape.offset_ms, time, clock };
        relation.window = Some(PendingWindow { spec, shape, location: window.location() });
        Ok(relation)
    }

    /// The relation with its windows in its rows if one of `expressions` computes with them.
    pub(super) fn assigned_for<'e>(
        &mut self,
        relation: Relation,
        names: &DFSchema,
        mut expressions: impl Iterator<Item = &'e Expr>,
        path: &str,
    ) -> Checked<Relation> {
        match relation.window.is_some()
            && expressions.any(|expr| reads_window(expr, &relation, names))
        {
            true => self.assigned(relation, path),
            false => Ok(relation),
        }
    }

    /// The relation with its windows in its rows: a row for each window it is in.
    pub(super) fn assigned(&mut self, relation: Relation, path: &str) -> Checked<Relation> {
        let Some(PendingWindow { spec, shape, location }) = relation.window else {
            return Ok(relation);
        };
        let TimeDomain::Event { column } = spec.time else {
            let message = "a window function over PROCTIME() without GROUP BY window_start, window_end \
                           is not supported";
            return Err(Fault::at(location, message));
        };
        let rows = self.nodes[relation.node].schema.clone();
        let time = Typed::column(
            rows.field(column).name(),
            column,
            rows.field(column).data_type().clone(),
        );
        let kept = rows.fields().len();
        let [plain, _, time_type] = shape.column_types();
        let (node, start) = match shape.kind {
            WindowKind::Tumble { .. } => (relation.node, starts(&shape, time)),
            WindowKind::Hop { slide_ms, size_ms } => {
                if size_ms / slide_ms > WINDOWS_PER_ROW_MAX {
                    let message = format!(
                        "HOP puts each row into {} windows; without GROUP BY window_start, window_end \
                         it may be {WINDOWS_PER_ROW_MAX}",
                        size_ms / slide_ms
                    );
                    return Err(Fault::at(location, message));
                }
                let unnest = UnnestNode {
                    array: starts(&shape, time).expr,
                    kept: (0..kept).collect(),
                    elements: 1,
                    ordinality: false,
                    outer: false,
                };
                let mut fields: Vec<Field> =
                    rows.fields().iter().map(|field| field.as_ref().clone()).collect();
                fields.push(Field::new(WINDOW_COLUMNS[0], plain.clone(), true));
                let kind = StreamKind::Unnest(unnest);
                let path = format!("{path}/windows");
                let node = self.push(&path, kind, vec![relation.node], Schema::new(fields));
                (node, Typed::column(WINDOW_COLUMNS[0], kept, plain))
            }
        };
        let end = later(start.clone(), shape.size_ms());
        let last = cast(
            later(start.clone(), shape.size_ms() - 1),
            &SqlType::plain(time_type),
            false,
            &self.options,
        )
        .expect("times convert");
        let mut outputs = fields_of(&rows);
        outputs.extend(WINDOW_COLUMNS.into_iter().map(str::to_owned).zip([start, end, last]));
        let node = self.project(&format!("{path}/assign"), node, outputs);
        let placed = |given: RelationColumn| match given.origin {
            Origin::Window(part) => RelationColumn {
                origin: Origin::Field(kept + part),
                window: Some(WindowColumn { part, shape }),
                ..given
            },
            _ => given,
        };
        let columns = relation.columns.into_iter().map(placed).collect();
        Ok(Relation { node, columns, window: None })
    }

    /// The relation with the window that its rows are in and that `group_by` names, waiting as if it
    /// came from a window function.
    pub(super) fn attached(
        &mut self,
        relation: Relation,
        group_by: &[Expr],
        names: &DFSchema,
        path: &str,
    ) -> Relation {
        if relation.window.is_some() {
            return relation;
        }
        let grouped = |part: usize, of: Option<WindowShape>| {
            group_by.iter().filter_map(|expr| plain_column(expr, names)).find_map(|index| {
                let column = &relation.columns[index];
                let Origin::Field(field) = column.origin else { return None };
                let window = column.window.filter(|window| window.part == part)?;
                of.is_none_or(|shape| shape == window.shape).then_some((window.shape, field))
            })
        };
        let Some((shape, end)) = grouped(1, None) else { return relation };
        if grouped(0, Some(shape)).is_none() {
            return relation;
        }
        let rows = self.nodes[relation.node].schema.clone();
        let mut outputs = fields_of(&rows);
        let end = outputs[end].1.clone();
        outputs.push((WINDOW_COLUMNS[2].to_owned(), later(end, -1)));
        let node = self.project(&format!("{path}/attach"), relation.node, outputs);
        // Each window has an end of its own, a slide behind the last one's.
        let spec = WindowSpec {
            kind: WindowKind::Tumble { size_ms: shape.slide_ms() },
            offset_ms: shape.offset_ms,
            time: TimeDomain::Event { column: rows.fields().len() },
            clock: shape.clock,
        };
        let location = group_by.iter().find_map(location_of);
        let location = location.unwrap_or(sqlparser::tokenizer::Location { line: 0, column: 0 });
        Relation { node, window: Some(PendingWindow { spec, shape, location }), ..relation }
    }

    /// SELECT DISTINCT: a GROUP BY of all columns.
    pub(super) fn distinct(&mut self, distinct: &Distinct, path: &str) -> Checked<Relation> {
        let Distinct::All(input) = distinct else {
            return Err(Fault::anywhere("DISTINCT ON is not supported"));
        };
        let columns = input
            .schema()
            .iter()
            .map(|(table, field)| Expr::Column(Column::new(table.cloned(), field.name())));
        let aggregate = Aggregate::try_new(Arc::clone(input), columns.collect(), Vec::new())
            .map_err(|error| Fault::anywhere(error.to_string()))?;
        convert_aggregate(self, &aggregate, path).map_err(|fault| {
            // Its columns have lost their places.
            let LogicalPlan::Projection(projection) = input.as_ref() else { return fault };
            let location = projection.expr.iter().find_map(location_of).or(fault.location);
            let message = match fault.location {
                None => format!("SELECT DISTINCT of anything but a window {UPDATED}; select window_start and window_end as well"),
                Some(_) => fault.message,
            };
            Fault { location, message }
        })
    }
}

/// Whether an expression that is more than a column reads a bound of a waiting window.
fn reads_window(expr: &Expr, relation: &Relation, names: &DFSchema) -> bool {
    if plain_column(expr, names).is_some() {
        return false;
    }
    let mut found = false;
    expr.apply(|node| {
        if let Expr::Column(column) = node
            && let Some(index) = names.maybe_index_of_column(column)
            && matches!(relation.columns[index].origin, Origin::Window(_))
        {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .expect("the closure never fails");
    found
}

/// A bound as far behind another: checked when that one was computed.
pub(super) fn later(time: Typed, millis: i64) -> Typed {
    let kernel = move |arguments: &[datafusion_expr::ColumnarValue], rows: usize| {
        let times = arguments[0].clone().into_array(rows)?;
        let times = times.as_primitive::<TimestampMillisecondType>();
        let moved: TimestampMillisecondArray = times.unary(|moment| moment.wrapping_add(millis));
        Ok(Arc::new(moved) as ArrayRef)
    };
    let sign = if millis < 0 { '-' } else { '+' };
    let name = format!("{{}} {sign} {} ms", millis.abs());
    let data_type = time.data_type;
    let call = Call::new(name, vec![time.expr], data_type.clone(), Arc::new(kernel));
    Typed::new(Arc::new(call), data_type)
}

/// Start of the window of each row; of HOP an array with those of all its windows.
fn starts(shape: &WindowShape, time: Typed) -> Typed {
    let shape = *shape;
    let [plain, ..] = shape.column_types();
    let (data_type, hops) = match shape.kind {
        WindowKind::Tumble { .. } => (plain, false),
        WindowKind::Hop { .. } => (list_of_times(&plain), true),
    };
    let kernel = move |arguments: &[datafusion_expr::ColumnarValue], rows: usize| {
        let times = arguments[0].clone().into_array(rows)?;
        match hops {
            false => Ok(Arc::new(last_starts(&shape, &times)?) as ArrayRef),
            true => all_starts(&shape, &times),
        }
    };
    let name = match shape.kind {
        WindowKind::Tumble { size_ms } => format!("TUMBLE({{}}, {size_ms} ms, {})", shape.place()),
        WindowKind::Hop { slide_ms, size_ms } => {
            format!("HOP({{}}, {slide_ms} ms, {size_ms} ms, {})", shape.place())
        }
    };
    let call = Call::new(name, vec![time.expr], data_type.clone(), Arc::new(kernel)).fallible();
    Typed::new(Arc::new(call), data_type)
}

fn list_of_times(element: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element.clone(), true)))
}

/// Start of the last window that each row is in.
fn last_starts(shape: &WindowShape, times: &ArrayRef) -> PlanResult<TimestampMillisecondArray> {
    let times = times.as_primitive_opt::<TimestampMillisecondType>();
    let times = times.ok_or_else(|| exec_datafusion_err!("a window's time has milliseconds"))?;
    let readings: Int64Array = match shape.clock {
        Some(clock) => {
            Int64Array::new(clock.readings(times.values()).into(), times.nulls().cloned())
        }
        None => Int64Array::new(times.values().clone(), times.nulls().cloned()),
    };
    let slide = shape.slide_ms();
    let offset = shape.offset_ms.rem_euclid(slide);
    let started = readings.try_unary(|time| match (-TIME_MS_MAX..TIME_MS_MAX).contains(&time) {
        true => Ok(time - (time - offset).rem_euclid(slide)),
        false => Err(exec_datafusion_err!("the row's event time is in no calendar")),
    });
    let started: TimestampMillisecondArray = started?;
    Ok(started)
}

/// Starts of all windows that each row is in, an array a row.
fn all_starts(shape: &WindowShape, times: &ArrayRef) -> PlanResult<ArrayRef> {
    let last = last_starts(shape, times)?;
    let count = usize::try_from(shape.size_ms() / shape.slide_ms()).expect("a positive number");
    let mut starts = Vec::with_capacity(last.len() * count);
    for &start in last.values() {
        let earlier = (0..count as i64).rev().map(|back| start - back * shape.slide_ms());
        starts.extend(earlier);
    }
    let offsets = OffsetBuffer::from_repeated_length(count, last.len());
    let DataType::List(element) = list_of_times(&DataType::Timestamp(TimeUnit::Millisecond, None))
    else {
        unreachable!("a list")
    };
    let starts = TimestampMillisecondArray::new(ScalarBuffer::from(starts), None);
    let lists = ListArray::try_new(element, offsets, Arc::new(starts), last.nulls().cloned())?;
    Ok(Arc::new(lists))
}
