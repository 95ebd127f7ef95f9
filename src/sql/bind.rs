//! Binding: DataFusion's logical expressions to physical ones, with Flink's types.
//!
//! A closed list again: an expression kind that is not here is refused. DataFusion's own idea of
//! types is not used; every operand is cast explicitly to what Flink computes with.

use arrow::datatypes::{DataType, Schema};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::expr::{Between, Case, InList, Like, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, Operator};
use datafusion_physical_expr::expressions::{
    CaseExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr, in_list,
};
use sqlparser::tokenizer::Location;
use std::sync::Arc;

use super::cast::cast;
use super::error::{Checked, Fault};
use super::eval::{Logic, Physical, Typed, fold};
use super::functions::{self, BindOptions};
use super::operators::{arithmetic, compare, negate};
use super::similar::bind_similar;
use super::types::{DECIMAL_PRECISION_MAX, SqlType, common_type, is_integer, type_name};
use crate::limits::SQL_EXPRESSION_NODES_MAX;

/// Binds expressions over the columns of one relation.
pub(super) struct Binder<'a> {
    /// Names, as DataFusion resolved them.
    pub(super) schema: &'a DFSchema,
    /// What computes each of them over the relation's rows, or why that is impossible.
    pub(super) resolve: &'a dyn Fn(usize) -> Result<Typed, String>,
    /// The relation's rows.
    pub(super) rows: &'a Schema,
    /// Session settings.
    pub(super) options: &'a BindOptions,
}

impl Binder<'_> {
    /// The expression with its type; faults have the place of the nearest column.
    pub(super) fn bind(&self, expr: &Expr) -> Checked<Typed> {
        self.bind_node(expr).map(fold).and_then(within_size).map_err(|fault| {
            match location_of(expr) {
                Some(location) => fault.or_at(location),
                None => fault,
            }
        })
    }

    /// The same, of a condition.
    pub(super) fn bind_condition(&self, expr: &Expr, clause: &str) -> Checked<Physical> {
        let bound = self.bind(expr)?;
        self.condition(bound, clause).map_err(|fault| match location_of(expr) {
            Some(location) => fault.or_at(location),
            None => fault,
        })
    }

    fn condition(&self, bound: Typed, clause: &str) -> Checked<Physical> {
        match bound.data_type {
            DataType::Boolean => Ok(bound.expr),
            DataType::Null if matches!(clause, "AND" | "OR" | "NOT") => {
                Err(Fault::anywhere(format!(
                    "NULL has no type beside {clause}; write UNKNOWN, or CAST(NULL AS BOOLEAN)"
                )))
            }
            DataType::Null => self.cast(bound, &DataType::Boolean).map(|typed| typed.expr),
            other => Err(Fault::anywhere(format!(
                "{clause} takes a BOOLEAN, not {}; compare it with something",
                type_name(&other)
            ))),
        }
    }

    fn bind_node(&self, expr: &Expr) -> Checked<Typed> {
        match expr {
            Expr::Alias(alias) => self.bind(&alias.expr),
            Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => self.column(column),
            Expr::Literal(value, _) => literal(value),
            Expr::BinaryExpr(binary) => self.binary(binary),
            // As Flink does; of NaN both `>` and `<=` are false.
            Expr::Not(inner) if let Some(opposite) = opposite_comparison(inner) => {
                self.binary(&opposite)
            }
            Expr::Not(inner) => {
                let condition = self.bind_condition(inner, "NOT")?;
                Ok(Typed::new(Arc::new(NotExpr::new(condition)), DataType::Boolean))
            }
            Expr::IsNull(inner) => self.is_null(inner, true),
            Expr::IsNotNull(inner) => self.is_null(inner, false),
            Expr::IsUnknown(inner) => self.is_unknown(inner, true),
            Expr::IsNotUnknown(inner) => self.is_unknown(inner, false),
            Expr::IsTrue(inner) => self.is_truth(inner, true, Operator::IsNotDistinctFrom),
            Expr::IsFalse(inner) => self.is_truth(inner, false, Operator::IsNotDistinctFrom),
            Expr::IsNotTrue(inner) => self.is_truth(inner, true, Operator::IsDistinctFrom),
            Expr::IsNotFalse(inner) => self.is_truth(inner, false, Operator::IsDistinctFrom),
            Expr::Negative(inner) => self.negative(inner),
            Expr::Between(between) => self.between(between),
            Expr::Case(case) => self.case(case),
            Expr::Cast(given) => {
                self.explicit_cast(&given.expr, &SqlType::of_field(&given.field), false)
            }
            Expr::TryCast(given) => {
                self.explicit_cast(&given.expr, &SqlType::of_field(&given.field), true)
            }
            Expr::ScalarFunction(call) => self.call(call),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.like(like),
            Expr::SimilarTo(like) => {
                let (text, pattern) = (self.bind(&like.expr)?, self.bind(&like.pattern)?);
                bind_similar(text, &pattern, like.negated, like.escape_char)
                    .map_err(Fault::anywhere)
            }
            Expr::AggregateFunction(call) => Err(Fault::anywhere(format!(
                "{} belongs into the SELECT list or HAVING of a query with GROUP BY",
                call.func.name().to_uppercase()
            ))),
            other => Err(Fault::anywhere(format!("{} is not supported", other.variant_name()))),
        }
    }

    fn column(&self, column: &Column) -> Checked<Typed> {
        let place = column
            .spans
            .first()
            .map(|span| Location { line: span.start.line, column: span.start.column });
        let fault = |message: String| Fault { location: place, message };
        let index = self
            .schema
            .maybe_index_of_column(column)
            .ok_or_else(|| fault(format!("there is no column `{}` here", column.name)))?;
        (self.resolve)(index).map_err(fault)
    }

    fn binary(&self, binary: &BinaryExpr) -> Checked<Typed> {
        if matches!(binary.op, Operator::And | Operator::Or) {
            return self.logic(binary);
        }
        let (left, right) = (self.bind(&binary.left)?, self.bind(&binary.right)?);
        match binary.op {
            Operator::Plus
            | Operator::Minus
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo => arithmetic(binary.op, left, right, self.options),
            Operator::StringConcat => functions::bind("CONCAT", vec![left, right], self.options),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => compare(binary.op, left, right, self.options),
            other => Err(format!("the operator {other} is not supported")),
        }
        .map_err(Fault::anywhere)
    }

    /// Chains of AND and OR are as long as a query likes to be; the left spine is walked, not
    /// recursed into.
    fn logic(&self, binary: &BinaryExpr) -> Checked<Typed> {
        let clause = if binary.op == Operator::And { "AND" } else { "OR" };
        let mut operands = vec![binary.right.as_ref()];
        let mut left = binary.left.as_ref();
        while let Expr::BinaryExpr(inner) = left
            && inner.op == binary.op
        {
            operands.push(&inner.right);
            left = &inner.left;
        }
        let mut combined = self.bind_condition(left, clause)?;
        for operand in operands.into_iter().rev() {
            let right = self.bind_condition(operand, clause)?;
            combined = Arc::new(Logic::new(binary.op == Operator::And, combined, right));
        }
        Ok(Typed::new(combined, DataType::Boolean))
    }

    fn is_null(&self, inner: &Expr, yes: bool) -> Checked<Typed> {
        let inner = self.bind(inner)?.expr;
        let expr: Physical = if yes {
            Arc::new(IsNullExpr::new(inner))
        } else {
            Arc::new(IsNotNullExpr::new(inner))
        };
        Ok(Typed::new(expr, DataType::Boolean))
    }

    fn is_unknown(&self, inner: &Expr, yes: bool) -> Checked<Typed> {
        self.bind_condition(inner, "IS UNKNOWN")?;
        self.is_null(inner, yes)
    }

    fn is_truth(&self, inner: &Expr, value: bool, operator: Operator) -> Checked<Typed> {
        let inner = self.bind_condition(inner, if value { "IS TRUE" } else { "IS FALSE" })?;
        let value = Typed::constant(ScalarValue::Boolean(Some(value)));
        compare(operator, Typed::new(inner, DataType::Boolean), value, self.options)
            .map_err(Fault::anywhere)
    }

    /// A literal has its sign: `-(-2147483648)` is a BIGINT, and `-0e0` has none.
    fn negative(&self, inner: &Expr) -> Checked<Typed> {
        match inner {
            Expr::Literal(ScalarValue::Int64(Some(number)), _) if *number != i64::MIN => {
                literal(&ScalarValue::Int64(Some(-number)))
            }
            Expr::Cast(given) if matches!(*given.expr, Expr::Literal(ScalarValue::Utf8(_), _)) => {
                let bound = self.bind(inner)?;
                match bound.literal() {
                    Some(ScalarValue::Float64(Some(0.0))) => Ok(bound),
                    _ => negate(bound).map_err(Fault::anywhere),
                }
            }
            _ => negate(self.bind(inner)?).map_err(Fault::anywhere),
        }
    }

    fn between(&self, between: &Between) -> Checked<Typed> {
        let bound = self.bind(&between.expr)?;
        let (low, high) = (self.bind(&between.low)?, self.bind(&between.high)?);
        let (first, second) = match between.negated {
            false => (Operator::GtEq, Operator::LtEq),
            true => (Operator::Lt, Operator::Gt),
        };
        let first = compare(first, bound.clone(), low, self.options).map_err(Fault::anywhere)?;
        let second = compare(second, bound, high, self.options).map_err(Fault::anywhere)?;
        let expr = Arc::new(Logic::new(!between.negated, first.expr, second.expr));
        Ok(Typed::new(expr, DataType::Boolean))
    }

    fn case(&self, case: &Case) -> Checked<Typed> {
        let operand = case.expr.as_ref().map(|operand| self.bind(operand)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (when, then) in &case.when_then_expr {
            conditions.push(match &operand {
                None => self.bind_condition(when, "WHEN")?,
                Some(operand) => {
                    compare(Operator::Eq, operand.clone(), self.bind(when)?, self.options)
                        .map_err(Fault::anywhere)?
                        .expr
                }
            });
            results.push(self.bind(then)?);
        }
        if let Some(otherwise) = &case.else_expr {
            results.push(self.bind(otherwise)?);
        }
        let otherwise = case.else_expr.is_some();
        case_of(conditions, results, otherwise, self.options).map_err(Fault::anywhere)
    }

    fn explicit_cast(&self, inner: &Expr, to: &SqlType, lenient: bool) -> Checked<Typed> {
        cast(self.bind(inner)?, to, lenient, self.options).map_err(Fault::anywhere)
    }

    fn cast(&self, typed: Typed, to: &DataType) -> Checked<Typed> {
        cast(typed, &SqlType::plain(to.clone()), false, self.options).map_err(Fault::anywhere)
    }

    fn call(&self, call: &ScalarFunction) -> Checked<Typed> {
        let arguments =
            call.args.iter().map(|argument| self.bind(argument)).collect::<Checked<Vec<_>>>()?;
        functions::bind(call.func.name(), arguments, self.options).map_err(Fault::anywhere)
    }

    fn in_list(&self, list: &InList) -> Checked<Typed> {
        let needle = self.bind(&list.expr)?;
        let items = list.list.iter().map(|item| self.bind(item)).collect::<Checked<Vec<_>>>()?;
        let mut common = needle.data_type.clone();
        for item in &items {
            common = common_type(&common, &item.data_type)
                .or_else(|| comparable_literal(&common, item))
                .or_else(|| integer_literal(&common, item))
                .ok_or_else(|| {
                    Fault::anywhere(format!(
                        "IN compares {} with {}; CAST one of them",
                        type_name(&common),
                        type_name(&item.data_type)
                    ))
                })?;
        }
        let needle = self.cast(needle, &common)?;
        let items = items
            .into_iter()
            .map(|item| self.cast(item, &common).map(|typed| typed.expr))
            .collect::<Checked<Vec<_>>>()?;
        let expr = in_list(needle.expr, items, &list.negated, self.rows)
            .map_err(|error| Fault::anywhere(error.to_string()))?;
        Ok(Typed::new(expr, DataType::Boolean))
    }

    fn like(&self, like: &Like) -> Checked<Typed> {
        let (text, pattern) = (self.bind(&like.expr)?, self.bind(&like.pattern)?);
        functions::bind_like(text, pattern, like.negated, like.escape_char).map_err(Fault::anywhere)
    }
}

/// Refuses an expression whose parts have doubled too often.
fn within_size(typed: Typed) -> Checked<Typed> {
    fn count(expr: &Physical, nodes_left: usize) -> Option<usize> {
        expr.children()
            .into_iter()
            .try_fold(nodes_left.checked_sub(1)?, |left, child| count(child, left))
    }
    match count(&typed.expr, SQL_EXPRESSION_NODES_MAX) {
        Some(_) => Ok(typed),
        None => Err(Fault::anywhere(
            "this expression computes its parts again and again; compute a part in a subquery",
        )),
    }
}

/// `a <= b` for `a > b`.
fn opposite_comparison(expr: &Expr) -> Option<BinaryExpr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let op = match op {
        Operator::Eq => Operator::NotEq,
        Operator::NotEq => Operator::Eq,
        Operator::Lt => Operator::GtEq,
        Operator::LtEq => Operator::Gt,
        Operator::Gt => Operator::LtEq,
        Operator::GtEq => Operator::Lt,
        _ => return None,
    };
    Some(BinaryExpr { left: left.clone(), op, right: right.clone() })
}

/// So does one in a list behind an integer: it is a BIGINT.
fn integer_literal(other: &DataType, typed: &Typed) -> Option<DataType> {
    (is_integer(other) && typed.literal_text().is_some()).then_some(DataType::Int64)
}

/// A string constant takes the type of a time it is compared with.
pub(super) fn comparable_literal(other: &DataType, typed: &Typed) -> Option<DataType> {
    let temporal =
        matches!(other, DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_));
    (temporal && typed.literal_text().is_some()).then(|| other.clone())
}

/// CASE over bound parts; the last result is ELSE's when `otherwise`.
pub(super) fn case_of(
    conditions: Vec<Physical>,
    results: Vec<Typed>,
    otherwise: bool,
    options: &BindOptions,
) -> Result<Typed, String> {
    let mut common = DataType::Null;
    for result in &results {
        common = common_type(&common, &result.data_type).ok_or_else(|| {
            format!(
                "the results are {} and {}, which have no common type; CAST one of them",
                type_name(&common),
                type_name(&result.data_type)
            )
        })?;
    }
    let to = SqlType::plain(common.clone());
    let mut results = results
        .into_iter()
        .map(|result| cast(result, &to, false, options).map(|typed| typed.expr))
        .collect::<Result<Vec<_>, _>>()?;
    let last = if otherwise { results.pop() } else { None };
    let branches = conditions.into_iter().zip(results).collect();
    let case = CaseExpr::try_new(None, branches, last).map_err(|error| error.to_string())?;
    Ok(Typed::new(Arc::new(case), common))
}

/// A literal, typed as Flink types it: whole numbers are INT when they fit.
fn literal(value: &ScalarValue) -> Checked<Typed> {
    let typed = match value {
        ScalarValue::Int64(Some(number)) => match i32::try_from(*number) {
            Ok(narrow) => ScalarValue::Int32(Some(narrow)),
            Err(_) => value.clone(),
        },
        ScalarValue::UInt64(Some(number)) => {
            return Err(Fault::anywhere(format!("the number {number} is out of range of BIGINT")));
        }
        // The digit before the point counts: 0.5 is a DECIMAL(2, 1).
        ScalarValue::Decimal128(number, precision, scale)
            if i16::from(*precision) == i16::from(*scale) && *precision < DECIMAL_PRECISION_MAX =>
        {
            ScalarValue::Decimal128(*number, precision + 1, *scale)
        }
        ScalarValue::Null
        | ScalarValue::Boolean(_)
        | ScalarValue::Int64(None)
        | ScalarValue::Utf8(_)
        | ScalarValue::Binary(_)
        | ScalarValue::Decimal128(..)
        | ScalarValue::IntervalMonthDayNano(_) => value.clone(),
        other => return Err(Fault::anywhere(format!("the literal {other} is out of range"))),
    };
    let data_type = typed.data_type();
    Ok(Typed::new(Arc::new(Literal::new(typed)), data_type))
}

/// Place of the first column an expression names.
pub(super) fn location_of(expr: &Expr) -> Option<Location> {
    let mut found = None;
    expr.apply(|node| {
        if let Expr::Column(column) = node
            && let Some(span) = column.spans.first()
        {
            found = Some(Location { line: span.start.line, column: span.start.column });
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .expect("the closure never fails");
    found
}
