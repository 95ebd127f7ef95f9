//! From the streaming plan to the dataflow graph: expressions compiled for their input's rows,
//! indices of sources and sinks, a stable id and one line of text per operator.

use arrow::datatypes::{Schema, SchemaRef};
use datafusion_physical_expr::expressions::Column;
use std::sync::Arc;

use super::catalog::{Catalog, ColumnKind, Table, Watermark};
use super::eval::{Compiled, Physical, remap, sql_text};
use super::streaming::{StreamKind, StreamNode};
use super::{PlannedSink, PlannedSource};
use crate::dataflow::{Graph, Node, NodeIndex, NodeKind, OperatorId, SinkIndex, SourceIndex};
use crate::operator::{TimeDomain, UnnestSpec, WindowAggregateSpec, WindowKind};
use crate::record::{ExpressionRef, KeyHasher};
use crate::source::{Rowtime, WatermarkSpec};

/// The graph, with what it reads and writes.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    pub(super) graph: Graph,
    pub(super) sources: Vec<PlannedSource>,
    pub(super) sinks: Vec<PlannedSink>,
}

/// Lowers optimised nodes.
pub(super) fn lower(nodes: &[StreamNode], catalog: &Catalog) -> Lowered {
    let mut lowered = Lowered::default();
    for node in nodes {
        let inputs = node.inputs.iter().map(|&input| NodeIndex(input)).collect();
        let schema: SchemaRef = Arc::new(node.schema.clone());
        let before = node.inputs.first().map(|&input| &nodes[input].schema);
        let (kind, label) = lowered.kind(node, before, &schema, catalog);
        let id = OperatorId(KeyHasher::new(0).hash(node.path.as_bytes()));
        lowered.graph.nodes.push(Node { id, label, inputs, kind, schema });
    }
    lowered
}

fn compiled(expr: &Physical, input: &Schema) -> ExpressionRef {
    Arc::new(Compiled::new(Arc::clone(expr), input))
}

impl Lowered {
    fn kind(
        &mut self,
        node: &StreamNode,
        before: Option<&Schema>,
        schema: &SchemaRef,
        catalog: &Catalog,
    ) -> (NodeKind, String) {
        let before = before.unwrap_or(&node.schema);
        match &node.kind {
            StreamKind::Source(name) => {
                let index = SourceIndex(self.sources.len());
                self.sources.push(planned_source(&catalog.tables[name], schema));
                (NodeKind::Source(index), format!("source {name} ({})", names(schema)))
            }
            StreamKind::Project(expressions) => {
                let compiled =
                    expressions.iter().map(|expr| compiled(expr, before)).collect::<Vec<_>>();
                (NodeKind::Project(compiled), format!("project {}", outputs(expressions, schema)))
            }
            StreamKind::Filter(condition) => {
                let label = format!("filter {}", sql_text(condition));
                (NodeKind::Filter(compiled(condition, before)), label)
            }
            StreamKind::Unnest(unnest) => {
                let elements = &schema.fields()[unnest.kept.len()..];
                let names: Vec<&str> = elements.iter().map(|field| field.name().as_str()).collect();
                let outer = if unnest.outer { "outer " } else { "" };
                let array = sql_text(&unnest.array);
                let label = format!("unnest {outer}{array} AS {}", names.join(", "));
                let spec = UnnestSpec {
                    array: compiled(&unnest.array, before),
                    kept: unnest.kept.clone(),
                    ordinality: unnest.ordinality,
                    outer: unnest.outer,
                };
                (NodeKind::Unnest(spec), label)
            }
            StreamKind::Union => (NodeKind::Union, "union".into()),
            StreamKind::Window(spec) => {
                (NodeKind::WindowAggregate(spec.clone()), window_label(spec, before))
            }
            StreamKind::Sink(name) => {
                let index = SinkIndex(self.sinks.len());
                let origin = catalog.tables[name].origin.clone();
                let schema = Arc::clone(schema);
                self.sinks.push(PlannedSink { name: name.clone(), origin, schema });
                (NodeKind::Sink(index), format!("sink {name}"))
            }
        }
    }
}

fn planned_source(table: &Table, emitted: &SchemaRef) -> PlannedSource {
    let projection: Vec<usize> = emitted
        .fields()
        .iter()
        .map(|field| table.physical.index_of(field.name()).expect("sources emit their own columns"))
        .collect();
    let position = |column: usize| {
        projection.binary_search(&column).expect("the watermark's columns are emitted")
    };
    let watermark = table.watermark.as_ref().map(|watermark| WatermarkSpec {
        rowtime: rowtime(table, watermark, &position, emitted),
        expression: compiled(&remap(&watermark.expression, &position), emitted),
        delay_ms: watermark.delay_ms,
    });
    PlannedSource {
        name: table.name.clone(),
        origin: table.origin.clone(),
        schema: Arc::clone(&table.physical),
        projection,
        metadata: table.metadata.clone(),
        watermark,
    }
}

fn rowtime(
    table: &Table,
    watermark: &Watermark,
    position: &dyn Fn(usize) -> usize,
    emitted: &Schema,
) -> Rowtime {
    let column =
        &table.columns.as_ref().expect("a table with event time has columns")[watermark.column];
    match column.kind {
        ColumnKind::Physical(index) => Rowtime::Column(position(index)),
        _ => Rowtime::Computed {
            name: column.name.clone(),
            expression: compiled(&remap(&watermark.rowtime, position), emitted),
        },
    }
}

fn names(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}

/// `auction, price * 0.9 AS p`.
fn outputs(expressions: &[Physical], schema: &Schema) -> String {
    let shown: Vec<String> = expressions
        .iter()
        .zip(schema.fields())
        .map(|(expr, field)| {
            let text = sql_text(expr);
            let own_name = expr.downcast_ref::<Column>().is_some() || text == *field.name();
            if own_name && text == *field.name() {
                text
            } else {
                format!("{text} AS {}", field.name())
            }
        })
        .collect();
    shown.join(", ")
}

fn window_label(spec: &WindowAggregateSpec, before: &Schema) -> String {
    let time = match spec.window.time {
        TimeDomain::Event { column } => before.field(column).name().as_str(),
        TimeDomain::Processing => "PROCTIME()",
    };
    let seconds = |millis: i64| match millis % 1_000 {
        0 => format!("{} s", millis / 1_000),
        _ => format!("{millis} ms"),
    };
    let shape = match spec.window.kind {
        WindowKind::Tumble { size_ms } => format!("TUMBLE({time}, {}", seconds(size_ms)),
        WindowKind::Hop { slide_ms, size_ms } => {
            format!("HOP({time}, {}, {}", seconds(slide_ms), seconds(size_ms))
        }
    };
    let offset = match spec.window.offset_ms {
        0 => String::new(),
        offset => format!(", {}", seconds(offset)),
    };
    let keys: Vec<&str> = spec.keys.iter().map(|&key| before.field(key).name().as_str()).collect();
    let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
    let calls: Vec<&str> = spec.aggregates.iter().map(|call| call.name.as_str()).collect();
    let calls = if calls.is_empty() { String::new() } else { format!(": {}", calls.join(", ")) };
    format!("window {shape}{offset}){by}{calls}")
}
