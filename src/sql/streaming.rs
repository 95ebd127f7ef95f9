//! From a logical plan to a streaming plan: operators over columns by index, with time attributes.
//!
//! In:  `LogicalPlan`, whose names are resolved.
//! Out: nodes in topological order; each expression bound with Flink's types.
//!
//! A relation's columns are not all in its rows: PROCTIME() is the clock when it is asked for, and
//! `window_start`, `window_end`, `window_time` of a window function exist once an aggregate has
//! grouped by them. A time attribute survives a projection only as a plain column.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::logical_plan::{Filter, Join, Projection, TableScan, Union};
use datafusion_expr::{Expr, JoinType, LogicalPlan};
use std::collections::HashMap;
use std::sync::Arc;

use super::aggregate::convert_aggregate;
use super::bind::{Binder, location_of};
use super::cast::cast;
use super::catalog::{Catalog, ColumnKind};
use super::error::{Checked, Fault};
use super::eval::{Physical, Typed, clock_type};
use super::functions::BindOptions;
use super::relation::{
    Origin, PendingWindow, Relation, RelationColumn, TimeAttribute, materialized,
};
use super::relations::{UnnestTable, WindowTable, element_columns};
use super::types::{SqlType, common_type, type_name};
use crate::limits::SQL_OPERATORS_MAX;
use crate::operator::{TimeDomain, WindowAggregateSpec};

/// A node of the streaming plan.
#[derive(Clone, Debug)]
pub(super) struct StreamNode {
    /// Identity: where the node is in the plan before optimisation.
    pub(super) path: String,
    /// What it does.
    pub(super) kind: StreamKind,
    /// Nodes before it.
    pub(super) inputs: Vec<usize>,
    /// Its rows.
    pub(super) schema: Schema,
}

/// What a node does.
#[derive(Clone, Debug)]
pub(super) enum StreamKind {
    /// Physical columns of a table.
    Source(String),
    /// One expression per output column.
    Project(Vec<Physical>),
    /// Rows for which it is true.
    Filter(Physical),
    /// Elements of an array or map.
    Unnest(UnnestNode),
    /// All rows of all inputs.
    Union,
    /// Grouping by window and keys.
    Window(WindowAggregateSpec),
    /// Into a table.
    Sink(String),
}

/// One row per element: kept columns of the input, then those of the element.
#[derive(Clone, Debug)]
pub(super) struct UnnestNode {
    /// The array or map.
    pub(super) array: Physical,
    /// Input columns that are kept.
    pub(super) kept: Vec<usize>,
    /// Columns of an element, its place among them.
    pub(super) elements: usize,
    /// The last column is the element's place.
    pub(super) ordinality: bool,
    /// A row without elements is kept, with NULLs.
    pub(super) outer: bool,
}

/// Builds the streaming plan of a job, statement by statement.
pub(super) struct StreamBuilder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) options: BindOptions,
    pub(super) nodes: Vec<StreamNode>,
    sources: HashMap<String, usize>,
}

impl<'a> StreamBuilder<'a> {
    /// An empty plan over `catalog`.
    pub(super) fn new(catalog: &'a Catalog, options: BindOptions) -> StreamBuilder<'a> {
        StreamBuilder { catalog, options, nodes: Vec::new(), sources: HashMap::new() }
    }

    /// Adds a node.
    pub(super) fn push(
        &mut self,
        path: &str,
        kind: StreamKind,
        inputs: Vec<usize>,
        schema: Schema,
    ) -> usize {
        self.nodes.push(StreamNode { path: path.to_string(), kind, inputs, schema });
        self.nodes.len() - 1
    }

    /// A projection of `relation` to named expressions.
    pub(super) fn project(
        &mut self,
        path: &str,
        input: usize,
        outputs: Vec<(String, Typed)>,
    ) -> usize {
        let fields: Vec<Field> = outputs
            .iter()
            .map(|(name, typed)| Field::new(name, typed.data_type.clone(), true))
            .collect();
        let expressions = outputs.into_iter().map(|(_, typed)| typed.expr).collect();
        self.push(path, StreamKind::Project(expressions), vec![input], Schema::new(fields))
    }

    /// Runs `use_binder` with a binder over `relation`, whose columns have `names`.
    pub(super) fn with_binder<T>(
        &self,
        relation: &Relation,
        names: &datafusion_common::DFSchema,
        use_binder: impl FnOnce(&Binder) -> T,
    ) -> T {
        let rows = &self.nodes[relation.node].schema;
        let resolve = |index: usize| {
            let column = &relation.columns[index];
            materialized(column, rows, names.field(index).name())
        };
        use_binder(&Binder { schema: names, resolve: &resolve, rows, options: &self.options })
    }

    /// The streaming form of `plan`; `path` names it.
    pub(super) fn convert(&mut self, plan: &LogicalPlan, path: &str) -> Checked<Relation> {
        // A view of a view read twice by each doubles without end.
        if self.nodes.len() > SQL_OPERATORS_MAX {
            return Err(Fault::anywhere(format!(
                "the job has more than {SQL_OPERATORS_MAX} operators; a view counts wherever it is \
                 read"
            )));
        }
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => self.convert(&alias.input, path),
            LogicalPlan::Projection(projection) => self.projection(projection, path),
            LogicalPlan::Filter(filter) => self.filter(filter, path),
            LogicalPlan::Aggregate(aggregate) => convert_aggregate(self, aggregate, path),
            LogicalPlan::Distinct(distinct) => self.distinct(distinct, path),
            LogicalPlan::Union(union) => self.union(union, path),
            LogicalPlan::Join(join) => self.unnest_join(join, path),
            LogicalPlan::Extension(extension) => {
                match extension.node.as_any().downcast_ref::<WindowTable>() {
                    Some(window) => self.window_table(window, path),
                    None => Err(Fault::anywhere(
                        "UNNEST stands behind a table: FROM t CROSS JOIN UNNEST(…)",
                    )),
                }
            }
            other => {
                let name = other.display().to_string();
                let name = name.split([':', ' ']).next().unwrap_or_default().to_string();
                Err(Fault::anywhere(format!("{name} is not supported")))
            }
        }
    }

    /// A table's columns; its source node is shared by everybody who reads it.
    fn scan(&mut self, scan: &TableScan) -> Checked<Relation> {
        let name = scan.table_name.table();
        let catalog = self.catalog;
        let table = &catalog.tables[name];
        let source = match self.sources.get(name) {
            Some(&source) => source,
            None => {
                let kind = StreamKind::Source(name.to_string());
                let schema = table.physical.as_ref().clone();
                let node = self.push(&format!("source/{name}"), kind, Vec::new(), schema);
                self.sources.insert(name.to_string(), node);
                node
            }
        };
        let rowtime = table.watermark.as_ref().map(|watermark| watermark.column);
        let mut columns = Vec::new();
        let mut computed = Vec::new();
        for (position, column) in table.columns.iter().flatten().enumerate() {
            let time = match Some(position) == rowtime {
                true => TimeAttribute::Rowtime,
                false => TimeAttribute::Plain,
            };
            let (origin, time) = match &column.kind {
                ColumnKind::Physical(index) => (Origin::Field(*index), time),
                ColumnKind::Proctime => (Origin::Clock, TimeAttribute::Proctime),
                ColumnKind::Computed(expr) | ColumnKind::Metadata { value: expr, .. } => {
                    let index = table.physical.fields().len() + computed.len();
                    let typed = Typed::new(Arc::clone(expr), column.data_type.clone());
                    computed.push((column.name.clone(), typed));
                    (Origin::Field(index), time)
                }
            };
            let data_type = column.data_type.clone();
            columns.push(RelationColumn { data_type, origin, time, window: None });
        }
        let node = match computed.is_empty() {
            true => source,
            false => {
                let mut outputs = fields_of(&table.physical);
                outputs.extend(computed);
                self.project(&format!("source/{name}/computed"), source, outputs)
            }
        };
        Ok(Relation { node, columns, window: None })
    }

    fn projection(&mut self, projection: &Projection, path: &str) -> Checked<Relation> {
        let input = self.convert(&projection.input, &format!("{path}/project"))?;
        let names = projection.input.schema();
        let input = self.assigned_for(input, names, projection.expr.iter(), path)?;
        let mut outputs: Vec<(String, Typed)> = Vec::new();
        let mut columns = Vec::new();
        for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
            let kept = plain_column(expr, names).map(|index| input.columns[index].clone());
            match kept {
                Some(column) if !matches!(column.origin, Origin::Field(_)) => columns.push(column),
                None if is_proctime(expr) => columns.push(RelationColumn {
                    data_type: clock_type(),
                    origin: Origin::Clock,
                    time: TimeAttribute::Proctime,
                    window: None,
                }),
                kept => {
                    let typed = self.with_binder(&input, names, |binder| binder.bind(expr))?;
                    let (time, window) = kept.map_or((TimeAttribute::Plain, None), |column| {
                        (column.time, column.window)
                    });
                    let data_type = typed.data_type.clone();
                    let origin = Origin::Field(outputs.len());
                    outputs.push((field.name().clone(), typed));
                    columns.push(RelationColumn { data_type, origin, time, window });
                }
            }
        }
        // The window's time column travels along, whether selected or not.
        let mut window = input.window.clone();
        if let Some(PendingWindow { spec, .. }) = &mut window
            && let TimeDomain::Event { column } = &mut spec.time
        {
            let field = self.nodes[input.node].schema.field(*column);
            let typed = Typed::column(field.name(), *column, field.data_type().clone());
            outputs.push((field.name().clone(), typed));
            *column = outputs.len() - 1;
        }
        let node = self.project(path, input.node, outputs);
        Ok(Relation { node, columns, window })
    }

    fn filter(&mut self, filter: &Filter, path: &str) -> Checked<Relation> {
        let input = self.convert(&filter.input, &format!("{path}/filter"))?;
        let read = std::iter::once(&filter.predicate);
        let input = self.assigned_for(input, filter.input.schema(), read, path)?;
        let condition = self.with_binder(&input, filter.input.schema(), |binder| {
            binder.bind_condition(&filter.predicate, "WHERE")
        })?;
        let schema = self.nodes[input.node].schema.clone();
        let node = self.push(path, StreamKind::Filter(condition), vec![input.node], schema);
        Ok(Relation { node, ..input })
    }

    fn union(&mut self, union: &Union, path: &str) -> Checked<Relation> {
        let mut branches = Vec::new();
        for (index, input) in union.inputs.iter().enumerate() {
            let path = format!("{path}/union{index}");
            let relation = self.convert(input, &path)?;
            branches.push(self.assigned(relation, &path)?);
        }
        let names: Vec<String> =
            union.schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut columns = Vec::new();
        for (index, name) in names.iter().enumerate() {
            columns.push(union_column(&branches, index, name)?);
        }
        let mut nodes = Vec::new();
        for (number, branch) in branches.iter().enumerate() {
            let outputs = names
                .iter()
                .zip(&columns)
                .enumerate()
                .map(|(index, (name, column))| {
                    self.cast_column(branch, index, name, &column.data_type)
                        .map(|typed| (name.clone(), typed))
                })
                .collect::<Checked<Vec<_>>>()?;
            nodes.push(self.project(&format!("{path}/branch{number}"), branch.node, outputs));
        }
        let schema = self.nodes[nodes[0]].schema.clone();
        let node = self.push(path, StreamKind::Union, nodes, schema);
        Ok(Relation { node, columns, window: None })
    }

    /// A column of a relation as `to`.
    pub(super) fn cast_column(
        &self,
        relation: &Relation,
        index: usize,
        name: &str,
        to: &DataType,
    ) -> Checked<Typed> {
        let rows = &self.nodes[relation.node].schema;
        materialized(&relation.columns[index], rows, name)
            .and_then(|typed| cast(typed, &SqlType::plain(to.clone()), false, &self.options))
            .map_err(Fault::anywhere)
    }

    /// `t CROSS JOIN UNNEST(array)`, and `t LEFT JOIN UNNEST(array) ON TRUE`.
    fn unnest_join(&mut self, join: &Join, path: &str) -> Checked<Relation> {
        let unnest = find_unnest(&join.right)
            .ok_or_else(|| Fault::anywhere("a join of tables is not supported"))?;
        let input = self.convert(&join.left, &format!("{path}/unnest"))?;
        let read = std::iter::once(&unnest.array);
        let input = self.assigned_for(input, join.left.schema(), read, path)?;
        let array =
            self.with_binder(&input, join.left.schema(), |binder| binder.bind(&unnest.array))?;
        let names = join.right.schema().fields();
        let elements = element_columns(&array.data_type, unnest.ordinality)
            .filter(|elements| elements.len() == names.len())
            .ok_or_else(|| {
                let message = format!("UNNEST of {} is not supported", type_name(&array.data_type));
                Fault { location: location_of(&unnest.array), message }
            })?;
        let mut fields: Vec<Field> = self.nodes[input.node]
            .schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        let kept = (0..fields.len()).collect();
        let mut columns = input.columns;
        for (name, (_, data_type)) in names.iter().zip(&elements) {
            columns.push(RelationColumn {
                data_type: data_type.clone(),
                origin: Origin::Field(fields.len()),
                time: TimeAttribute::Plain,
                window: None,
            });
            fields.push(Field::new(name.name(), data_type.clone(), true));
        }
        let kind = StreamKind::Unnest(UnnestNode {
            array: array.expr,
            kept,
            elements: elements.len(),
            ordinality: unnest.ordinality,
            outer: join.join_type == JoinType::Left,
        });
        let node = self.push(path, kind, vec![input.node], Schema::new(fields));
        Ok(Relation { node, columns, window: input.window })
    }
}

/// Columns of rows as expressions.
pub(super) fn fields_of(schema: &Schema) -> Vec<(String, Typed)> {
    schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            (field.name().clone(), Typed::column(field.name(), index, field.data_type().clone()))
        })
        .collect()
}

/// Index of the column an expression is, if it is nothing else.
pub(super) fn plain_column(expr: &Expr, names: &datafusion_common::DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => plain_column(&alias.expr, names),
        Expr::Column(column) => names.maybe_index_of_column(column),
        _ => None,
    }
}

/// `PROCTIME()`, whatever its name.
fn is_proctime(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_proctime(&alias.expr),
        Expr::ScalarFunction(call) => call.func.name().eq_ignore_ascii_case("PROCTIME"),
        _ => false,
    }
}

fn union_column(branches: &[Relation], index: usize, name: &str) -> Checked<RelationColumn> {
    let mut data_type = DataType::Null;
    for branch in branches {
        let next = &branch.columns[index].data_type;
        data_type = common_type(&data_type, next).ok_or_else(|| {
            Fault::anywhere(format!(
                "UNION ALL: the column `{name}` is {} on one side and {} on the other; CAST one",
                type_name(&data_type),
                type_name(next)
            ))
        })?;
    }
    let rowtime = branches.iter().all(|branch| {
        let column = &branch.columns[index];
        column.time == TimeAttribute::Rowtime && column.data_type == data_type
    });
    let clock = branches.iter().all(|branch| branch.columns[index].origin == Origin::Clock);
    let (origin, time) = match (clock, rowtime) {
        (true, _) => (Origin::Clock, TimeAttribute::Proctime),
        (false, true) => (Origin::Field(index), TimeAttribute::Rowtime),
        (false, false) => (Origin::Field(index), TimeAttribute::Plain),
    };
    Ok(RelationColumn { data_type, origin, time, window: None })
}

fn find_unnest(plan: &LogicalPlan) -> Option<&UnnestTable> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => find_unnest(&alias.input),
        LogicalPlan::Subquery(subquery) => find_unnest(&subquery.subquery),
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}
