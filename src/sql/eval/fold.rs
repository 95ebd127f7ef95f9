//! Rewriting of expression trees: constants, columns, and what is known about failing.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Call, Coalesce, Logic, Physical, Typed};

/// Rebuilds a tree from the leaves up; `change` gives a node's replacement, or `None` to keep it.
pub(in crate::sql) fn rewrite(
    expr: &Physical,
    change: &mut dyn FnMut(&Physical) -> Option<Physical>,
) -> Physical {
    let children: Vec<Physical> =
        expr.children().into_iter().map(|child| rewrite(child, change)).collect();
    let same = expr.children().into_iter().zip(&children).all(|(old, new)| Arc::ptr_eq(old, new));
    let node = if same {
        Arc::clone(expr)
    } else {
        Arc::clone(expr).with_new_children(children).expect("children keep number and type")
    };
    change(&node).unwrap_or(node)
}

/// Input columns an expression reads.
pub(in crate::sql) fn columns_of(expr: &Physical) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    collect_columns(expr, &mut |index| {
        columns.insert(index);
    });
    columns
}

fn collect_columns(expr: &Physical, found: &mut dyn FnMut(usize)) {
    if let Some(column) = expr.downcast_ref::<Column>() {
        found(column.index());
    }
    for child in expr.children() {
        collect_columns(child, found);
    }
}

/// The expression with every column replaced by what `inputs` computes for it.
pub(in crate::sql) fn substitute(expr: &Physical, inputs: &[Physical]) -> Physical {
    rewrite(expr, &mut |node| match node.downcast_ref::<Column>() {
        Some(column) => Some(Arc::clone(&inputs[column.index()])),
        None => fold_node(node),
    })
}

/// The expression with every column's index mapped.
pub(in crate::sql) fn remap(expr: &Physical, index_of: &dyn Fn(usize) -> usize) -> Physical {
    rewrite(expr, &mut |node| {
        let column = node.downcast_ref::<Column>()?;
        Some(Arc::new(Column::new(column.name(), index_of(column.index()))))
    })
}

/// The constant an expression of constants is, or the expression.
pub(in crate::sql) fn fold(typed: Typed) -> Typed {
    match fold_node(&typed.expr) {
        Some(expr) => Typed { expr, ..typed },
        None => typed,
    }
}

/// The constant a node over constants is. `None` also for an error: it belongs to the row that
/// meets it.
fn fold_node(expr: &Physical) -> Option<Physical> {
    let children = expr.children();
    let constant = !children.is_empty()
        && !expr.is_volatile_node()
        && children.iter().all(|child| child.downcast_ref::<Literal>().is_some());
    if !constant {
        return None;
    }
    let value = evaluate_constant(expr)?;
    let data_type = expr.data_type(&Schema::empty()).ok()?;
    (value.data_type() == data_type).then(|| Arc::new(Literal::new(value)) as Physical)
}

fn evaluate_constant(expr: &Physical) -> Option<ScalarValue> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let schema = Arc::new(Schema::empty());
    let one_row = RecordBatch::try_new_with_options(schema, Vec::new(), &options).ok()?;
    match expr.evaluate(&one_row).ok()? {
        ColumnarValue::Scalar(value) => Some(value),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0).ok(),
    }
}

/// True when no row can make the expression fail.
pub(in crate::sql) fn is_infallible(expr: &Physical) -> bool {
    let safe = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        matches!(
            binary.op(),
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
        )
    } else if let Some(call) = expr.downcast_ref::<Call>() {
        !call.is_fallible()
    } else {
        expr.downcast_ref::<Column>().is_some()
            || expr.downcast_ref::<Literal>().is_some()
            || expr.downcast_ref::<NotExpr>().is_some()
            || expr.downcast_ref::<IsNullExpr>().is_some()
            || expr.downcast_ref::<IsNotNullExpr>().is_some()
            || expr.downcast_ref::<InListExpr>().is_some()
            || expr.downcast_ref::<LikeExpr>().is_some()
            || expr.downcast_ref::<Logic>().is_some()
            || expr.downcast_ref::<Coalesce>().is_some()
    };
    safe && expr.children().into_iter().all(is_infallible)
}
