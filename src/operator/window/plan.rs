//! The plan both halves of a windowed aggregate share, and the schema of what travels between them.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

use super::slices::Slices;
use crate::operator::aggregate::AggregatePlan;
use crate::operator::{TimeDomain, WindowAggregateSpec, WindowKind};
use crate::record::{KeyEncoder, WallClock, key_type_name};
use crate::state::StateSchema;

/// Columns of a partial row before those of the aggregates.
pub(super) const COLUMN_END: usize = 0;
pub(super) const COLUMN_FIRST: usize = 1;
pub(super) const COLUMN_KEY: usize = 2;
pub(super) const COLUMN_ROWS: usize = 3;
pub(super) const COLUMNS_FIXED: usize = 4;

/// A windowed aggregate, checked and compiled. One for all cores.
#[derive(Debug)]
pub struct WindowPlan {
    pub(super) slices: Slices,
    pub(super) time: TimeDomain,
    pub(super) clock: Option<WallClock>,
    pub(super) keys: Vec<usize>,
    pub(super) encoder: KeyEncoder,
    pub(super) aggregates: AggregatePlan,
    partial_schema: SchemaRef,
}

impl WindowPlan {
    /// The plan of `spec` over rows of `input`.
    ///
    /// # Errors
    /// In words for the user: a key, argument or result type, or a window, that is not possible.
    pub fn new(spec: &WindowAggregateSpec, input: &Schema) -> Result<Arc<WindowPlan>, String> {
        let key_types: Vec<DataType> =
            spec.keys.iter().map(|&key| input.field(key).data_type().clone()).collect();
        if let TimeDomain::Event { column } = spec.window.time {
            let time_type = input.field(column).data_type();
            if !matches!(time_type, DataType::Timestamp(..)) {
                return Err(format!("a window needs a TIMESTAMP column, not {time_type}"));
            }
        }
        let mut aggregates = AggregatePlan::new(&spec.aggregates, input)?;
        aggregates.schema = Arc::new(kept_schema(spec, input, &aggregates.schema));
        Ok(Arc::new(WindowPlan {
            slices: Slices::new(&spec.window)?,
            time: spec.window.time,
            clock: spec.window.clock,
            keys: spec.keys.clone(),
            encoder: KeyEncoder::new(&key_types).map_err(|error| error.to_string())?,
            partial_schema: partial_schema(&aggregates),
            aggregates,
        }))
    }

    /// What a watermark is by the clock of the windows.
    pub(super) fn passed(&self, watermark: i64) -> i64 {
        self.clock.map_or(watermark, |clock| clock.passed(watermark))
    }

    /// The first watermark at which a reading of that clock is over.
    pub(super) fn over_at(&self, reading: i64) -> i64 {
        self.clock.map_or(reading, |clock| clock.over_at(reading))
    }

    /// Columns of the rows from a [`super::WindowSender`] to a [`super::WindowReceiver`].
    pub fn partial_schema(&self) -> SchemaRef {
        Arc::clone(&self.partial_schema)
    }

    /// Columns both halves end in: `input`'s keys, the aggregates, the window's bounds.
    pub fn output_schema(spec: &WindowAggregateSpec, input: &Schema) -> SchemaRef {
        let keys = spec.keys.iter().map(|&key| input.field(key).clone());
        let results = spec
            .aggregates
            .iter()
            .map(|call| Field::new(&call.name, call.result_type.clone(), true));
        let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
        let bounds = ["window_start", "window_end", "window_time"]
            .map(|name| Field::new(name, millis.clone(), false));
        Arc::new(Schema::new(keys.chain(results).chain(bounds).collect::<Vec<_>>()))
    }
}

/// What a pane keeps, and of which windows.
fn kept_schema(spec: &WindowAggregateSpec, input: &Schema, tables: &StateSchema) -> StateSchema {
    let mut schema = tables.clone();
    let key = |&key: &usize| {
        let field = input.field(key);
        format!("{} {}", field.name(), key_type_name(field.data_type()))
    };
    schema.tables[0].keys = spec.keys.iter().map(key).collect();
    let time = match spec.window.time {
        TimeDomain::Event { column } => input.field(column).name(),
        TimeDomain::Processing => "PROCTIME()",
    };
    let offset = spec.window.offset_ms;
    let clock = spec.window.clock.map_or(String::new(), |clock| format!(" by {clock}"));
    schema.purpose = match spec.window.kind {
        WindowKind::Tumble { size_ms } => {
            format!("TUMBLE({time}, {size_ms} ms, {offset} ms{clock})")
        }
        WindowKind::Hop { slide_ms, size_ms } => {
            format!("HOP({time}, {slide_ms} ms, {size_ms} ms, {offset} ms{clock})")
        }
    };
    schema
}

fn partial_schema(aggregates: &AggregatePlan) -> SchemaRef {
    let mut fields = vec![
        Field::new("pane_end", DataType::Int64, false),
        Field::new("pane_first", DataType::Int64, false),
        Field::new("key", DataType::Binary, false),
        Field::new("rows", DataType::Int64, false),
    ];
    assert_eq!(fields.len(), COLUMNS_FIXED);
    for (number, lane) in aggregates.sent_lanes().enumerate() {
        let data_type = lane.operation.data_type();
        fields.push(Field::new(format!("lane_{number}"), data_type, true));
    }
    for (number, set) in aggregates.distinct.iter().enumerate() {
        fields.push(Field::new(format!("distinct_{number}"), set.data_type.clone(), true));
    }
    Arc::new(Schema::new(fields))
}
