//! The catalog: tables of the TOML file and of CREATE TABLE, and views, under one name each.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion_common::DFSchema;
use datafusion_expr::LogicalPlan;
use sqlparser::ast::{Expr, Ident};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bind::Binder;
use super::cast::cast;
use super::ddl::{ColumnDeclaration, ColumnList, DeclaredKind, is_proctime};
use super::error::{Checked, Fault, did_you_mean};
use super::eval::{Physical, Typed, clock_type, columns_of};
use super::functions::BindOptions;
use super::planner::Planner;
use super::types::{SqlType, common_type, type_name};
use super::{TableOrigin, TableRole};
use crate::source::FileMetadata;

/// Everything a query can name.
#[derive(Default)]
pub(super) struct Catalog {
    /// By name.
    pub(super) tables: BTreeMap<String, Table>,
    /// By name.
    pub(super) views: BTreeMap<String, Arc<LogicalPlan>>,
}

/// A source or a sink.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Under which it is declared.
    pub(super) name: String,
    /// Where it is declared.
    pub(super) origin: TableOrigin,
    /// What it may be used as; `None` for CREATE TABLE, which says so by its use.
    pub(super) role: Option<TableRole>,
    /// Its columns; `None` for a sink that takes the query's.
    pub(super) columns: Option<Vec<TableColumn>>,
    /// Columns of the record, in order, and behind them those of its file.
    pub(super) physical: SchemaRef,
    /// What the last of them are.
    pub(super) metadata: Vec<FileMetadata>,
    /// Event time.
    pub(super) watermark: Option<Watermark>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) data_type: DataType,
    /// False for NOT NULL.
    pub(super) nullable: bool,
    /// Where its values come from.
    pub(super) kind: ColumnKind,
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub(super) enum ColumnKind {
    /// This physical column.
    Physical(usize),
    /// `AS PROCTIME()`.
    Proctime,
    /// An expression over the physical columns.
    Computed(Physical),
    /// The same, of a column that the record's file gives.
    Metadata {
        /// In the column's type.
        value: Physical,
        /// Read only.
        is_virtual: bool,
    },
}

/// `WATERMARK FOR`.
#[derive(Clone, Debug)]
pub(super) struct Watermark {
    /// The rowtime, an index into the table's columns: of the record, or computed.
    pub(super) column: usize,
    /// The rowtime of a row, over the physical columns.
    pub(super) rowtime: Physical,
    /// The watermark of a row, over the physical columns.
    pub(super) expression: Physical,
    /// Set when the expression is the rowtime minus a constant.
    pub(super) delay_ms: Option<i64>,
}

impl Watermark {
    /// Physical columns it is computed from.
    pub(super) fn columns(&self) -> BTreeSet<usize> {
        let mut columns = columns_of(&self.rowtime);
        columns.extend(columns_of(&self.expression));
        columns
    }
}

impl Catalog {
    /// Adds a table under a name nothing else has.
    pub(super) fn add_table(&mut self, name: &Ident, table: Table) -> Checked<()> {
        self.check_free(name)?;
        self.tables.insert(table.name.clone(), table);
        Ok(())
    }

    /// Adds a view under a name nothing else has.
    pub(super) fn add_view(&mut self, name: &Ident, plan: LogicalPlan) -> Checked<()> {
        self.check_free(name)?;
        self.views.insert(name.value.clone(), Arc::new(plan));
        Ok(())
    }

    /// True when a table or a view has this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.contains_key(name)
    }

    fn check_free(&self, name: &Ident) -> Checked<()> {
        if self.contains(&name.value) {
            let message = format!("`{}` is already declared; choose another name", name.value);
            return Err(Fault::span(name.span, message));
        }
        Ok(())
    }

    /// The message for a name that is not here.
    pub(super) fn unknown(&self, name: &str) -> String {
        let names = self.tables.keys().chain(self.views.keys()).map(String::as_str);
        format!("there is no table `{name}`{}", did_you_mean(name, names))
    }
}

impl Table {
    /// A sink that takes the query's columns.
    pub(super) fn without_columns(name: &str) -> Table {
        Table {
            name: name.to_string(),
            origin: TableOrigin::Declared,
            role: Some(TableRole::Sink),
            columns: None,
            physical: Arc::new(Schema::empty()),
            metadata: Vec::new(),
            watermark: None,
        }
    }

    /// A table with the columns of `list`, whose expressions are bound here.
    pub(super) fn with_columns(
        name: &str,
        origin: TableOrigin,
        role: Option<TableRole>,
        list: &ColumnList,
        options: &BindOptions,
    ) -> Checked<Table> {
        let (physical, metadata) = physical_schema(list);
        let expressions = ColumnExpressions::new(name, list, &physical, options)?;
        let columns = columns_of_list(list, &expressions)?;
        if let Some(missing) = list.primary_key.iter().find(|key| position(&columns, key).is_none())
        {
            return Err(unknown_column(missing, &columns));
        }
        let watermark = match &list.watermark {
            None => None,
            Some((column, expression)) => {
                Some(watermark(name, (column, expression), &columns, &expressions)?)
            }
        };
        let columns = Some(columns);
        Ok(Table { name: name.to_string(), origin, role, columns, physical, metadata, watermark })
    }

    /// All columns, as DataFusion's planner needs them.
    pub(super) fn full_schema(&self) -> SchemaRef {
        Arc::new(schema_of(self.columns.as_deref().unwrap_or_default()))
    }
}

fn schema_of(columns: &[TableColumn]) -> Schema {
    let field =
        |column: &TableColumn| Field::new(&column.name, column.data_type.clone(), column.nullable);
    Schema::new(columns.iter().map(field).collect::<Vec<_>>())
}

/// Columns of the record, then those of its file with the types they come in.
fn physical_schema(list: &ColumnList) -> (SchemaRef, Vec<FileMetadata>) {
    let mut fields = Vec::new();
    let mut of_file = Vec::new();
    let mut metadata = Vec::new();
    for column in &list.columns {
        let name = &column.name.value;
        match &column.kind {
            DeclaredKind::Physical { sql_type, nullable } => {
                fields.push(Field::new(name, sql_type.data_type.clone(), *nullable));
            }
            DeclaredKind::Metadata { metadata: known, .. } => {
                of_file.push(Field::new(name, known.data_type(), false));
                metadata.push(*known);
            }
            DeclaredKind::Computed(_) => {}
        }
    }
    fields.extend(of_file);
    (Arc::new(Schema::new(fields)), metadata)
}

/// The declared type of each physical column.
fn declared_types(list: &ColumnList) -> Vec<SqlType> {
    let of_record = list.columns.iter().filter_map(|column| match &column.kind {
        DeclaredKind::Physical { sql_type, .. } => Some(sql_type.clone()),
        _ => None,
    });
    let of_file = list.columns.iter().filter_map(|column| match &column.kind {
        DeclaredKind::Metadata { sql_type, .. } => Some(sql_type.clone()),
        _ => None,
    });
    of_record.chain(of_file).collect()
}

/// Binds expressions over a table's physical columns.
struct ColumnExpressions<'a> {
    physical: &'a SchemaRef,
    /// Physical columns in their declared types.
    values: Vec<Typed>,
    /// Their names and declared types.
    schema: DFSchema,
    options: &'a BindOptions,
}

impl ColumnExpressions<'_> {
    fn new<'a>(
        name: &str,
        list: &ColumnList,
        physical: &'a SchemaRef,
        options: &'a BindOptions,
    ) -> Checked<ColumnExpressions<'a>> {
        let mut values = Vec::new();
        let mut fields = Vec::new();
        for (index, (field, declared)) in
            physical.fields().iter().zip(declared_types(list)).enumerate()
        {
            let given = Typed::column(field.name(), index, field.data_type().clone());
            let value = match *field.data_type() == declared.data_type {
                true => given,
                false => cast(given, &declared, false, options).map_err(|message| {
                    let message = format!("the metadata column `{}`: {message}", field.name());
                    let column =
                        list.columns.iter().find(|other| other.name.value == *field.name());
                    match column {
                        Some(column) => Fault::span(column.name.span, message),
                        None => Fault::anywhere(message),
                    }
                })?,
            };
            fields.push(Field::new(field.name(), declared.data_type, field.is_nullable()));
            values.push(value);
        }
        let schema = DFSchema::try_from_qualified_schema(name, &Schema::new(fields))
            .map_err(|error| Fault::anywhere(error.to_string()))?;
        Ok(ColumnExpressions { physical, values, schema, options })
    }

    fn plan(&self, expression: &Expr) -> Checked<datafusion_expr::Expr> {
        Planner::new(&Catalog::default()).plan_expression(expression.clone(), &self.schema)
    }

    /// An expression over all columns of the table, computed ones among them.
    fn bind_over(
        &self,
        table: &str,
        columns: &[TableColumn],
        expression: &Expr,
    ) -> Checked<(datafusion_expr::Expr, Typed)> {
        let schema = DFSchema::try_from_qualified_schema(table, &schema_of(columns))
            .map_err(|error| Fault::anywhere(error.to_string()))?;
        let planned =
            Planner::new(&Catalog::default()).plan_expression(expression.clone(), &schema)?;
        let resolve = |index: usize| columns[index].value(self.physical);
        let rows = self.physical.as_ref();
        let binder = Binder { schema: &schema, resolve: &resolve, rows, options: self.options };
        let bound = binder.bind(&planned)?;
        Ok((planned, bound))
    }

    fn bind(&self, planned: &datafusion_expr::Expr) -> Checked<Typed> {
        let resolve = |index: usize| Ok(self.values[index].clone());
        let rows = self.physical.as_ref();
        Binder { schema: &self.schema, resolve: &resolve, rows, options: self.options }
            .bind(planned)
    }
}

impl TableColumn {
    /// What computes it over the physical columns, or why that is impossible.
    fn value(&self, physical: &Schema) -> Result<Typed, String> {
        match &self.kind {
            ColumnKind::Physical(index) => {
                Ok(Typed::column(physical.field(*index).name(), *index, self.data_type.clone()))
            }
            ColumnKind::Computed(expr) | ColumnKind::Metadata { value: expr, .. } => {
                Ok(Typed::new(Arc::clone(expr), self.data_type.clone()))
            }
            ColumnKind::Proctime => Err(format!(
                "`{}` is PROCTIME(), which needs no WATERMARK and is part of none",
                self.name
            )),
        }
    }
}

fn columns_of_list(
    list: &ColumnList,
    expressions: &ColumnExpressions,
) -> Checked<Vec<TableColumn>> {
    let mut physical = 0;
    let is_physical =
        |column: &&ColumnDeclaration| matches!(column.kind, DeclaredKind::Physical { .. });
    let mut of_file = list.columns.iter().filter(is_physical).count();
    let mut columns = Vec::with_capacity(list.columns.len());
    for declared in &list.columns {
        let (data_type, nullable, kind) = match &declared.kind {
            DeclaredKind::Physical { sql_type, nullable } => {
                physical += 1;
                (sql_type.data_type.clone(), *nullable, ColumnKind::Physical(physical - 1))
            }
            DeclaredKind::Metadata { sql_type, nullable, is_virtual, .. } => {
                of_file += 1;
                let value = Arc::clone(&expressions.values[of_file - 1].expr);
                let kind = ColumnKind::Metadata { value, is_virtual: *is_virtual };
                (sql_type.data_type.clone(), *nullable, kind)
            }
            DeclaredKind::Computed(expression) if is_proctime(expression) => {
                (clock_type(), false, ColumnKind::Proctime)
            }
            DeclaredKind::Computed(expression) => {
                let bound = expressions
                    .plan(expression)
                    .and_then(|planned| expressions.bind(&planned))
                    .map_err(|fault| fault.or_at(declared.name.span.start))?;
                (bound.data_type, true, ColumnKind::Computed(bound.expr))
            }
        };
        let name = declared.name.value.clone();
        columns.push(TableColumn { name, data_type, nullable, kind });
    }
    Ok(columns)
}

fn position(columns: &[TableColumn], name: &Ident) -> Option<usize> {
    columns.iter().position(|column| column.name == name.value)
}

fn unknown_column(name: &Ident, columns: &[TableColumn]) -> Fault {
    let hint = did_you_mean(&name.value, columns.iter().map(|column| column.name.as_str()));
    Fault::span(name.span, format!("there is no column `{}`{hint}", name.value))
}

fn watermark(
    table: &str,
    (name, expression): (&Ident, &Expr),
    columns: &[TableColumn],
    expressions: &ColumnExpressions,
) -> Checked<Watermark> {
    let fault = |message: String| Fault::span(name.span, message);
    let index = position(columns, name).ok_or_else(|| unknown_column(name, columns))?;
    let column = &columns[index];
    if !matches!(column.data_type, DataType::Timestamp(..)) {
        return Err(fault(format!(
            "`{}` is {}; WATERMARK FOR takes a TIMESTAMP or TIMESTAMP_LTZ",
            name.value,
            type_name(&column.data_type)
        )));
    }
    if !matches!(column.data_type, DataType::Timestamp(TimeUnit::Millisecond, _)) {
        return Err(fault(format!(
            "`{name}` is {}; WATERMARK FOR takes a precision of 0 to 3: declare (3), or a column with \
             AS CAST({name} AS TIMESTAMP(3))",
            type_name(&column.data_type),
            name = name.value,
        )));
    }
    let rowtime = column.value(expressions.physical).map_err(fault)?.expr;
    if is_volatile(&rowtime) {
        let message = format!("`{}` is read from the clock; windows take PROCTIME()", name.value);
        return Err(fault(message));
    }
    let (planned, bound) = expressions.bind_over(table, columns, expression)?;
    if common_type(&bound.data_type, &column.data_type).is_none()
        || columns_of(&bound.expr).is_empty()
    {
        return Err(fault(format!(
            "the WATERMARK of `{}` is {}; write `{}` - INTERVAL '5' SECOND",
            name.value,
            type_name(&bound.data_type),
            name.value
        )));
    }
    let delay_ms = constant_delay(&planned, &name.value);
    Ok(Watermark { column: index, rowtime, expression: bound.expr, delay_ms })
}

fn is_volatile(expr: &Physical) -> bool {
    expr.is_volatile_node() || expr.children().into_iter().any(is_volatile)
}

/// `rowtime` or `rowtime - INTERVAL constant`.
fn constant_delay(planned: &datafusion_expr::Expr, rowtime: &str) -> Option<i64> {
    use datafusion_common::ScalarValue;
    use datafusion_expr::{BinaryExpr, Expr as Planned, Operator};
    let is_rowtime =
        |expr: &Planned| matches!(expr, Planned::Column(column) if column.name == rowtime);
    match planned {
        expr if is_rowtime(expr) => Some(0),
        Planned::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right })
            if is_rowtime(left) =>
        {
            match right.as_ref() {
                Planned::Literal(ScalarValue::IntervalMonthDayNano(Some(length)), _)
                    if length.months == 0 && length.nanoseconds % 1_000_000 == 0 =>
                {
                    Some(i64::from(length.days) * 86_400_000 + length.nanoseconds / 1_000_000)
                }
                _ => None,
            }
        }
        _ => None,
    }
}
