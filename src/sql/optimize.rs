//! Our rules over the streaming plan: push filters before projections, fuse projections, read only
//! the columns somebody needs. None changes an aggregate, its arguments or its grouping.

use arrow::datatypes::Schema;
use datafusion_physical_expr::expressions::{Column, Literal};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::eval::{Physical, columns_of, remap, substitute};
use super::streaming::{StreamKind, StreamNode};
use crate::limits::SQL_EXPRESSION_DEPTH_MAX;
use crate::operator::TimeDomain;

/// Applies the rules until none does anything, then prunes columns. The result has the same sinks.
pub(super) fn optimize(
    mut nodes: Vec<StreamNode>,
    needed_by_source: &dyn Fn(&str) -> Vec<usize>,
) -> Vec<StreamNode> {
    loop {
        let consumers = count_consumers(&nodes);
        let changed = (0..nodes.len()).any(|index| {
            let Some(&input) = nodes[index].inputs.first() else { return false };
            if nodes[index].inputs.len() != 1 || consumers[input] != 1 {
                return false;
            }
            push_filter(&mut nodes, index, input) || fuse_projects(&mut nodes, index, input)
        });
        if !changed {
            break;
        }
    }
    let nodes = drop_unused(nodes);
    let nodes = prune(nodes, needed_by_source);
    drop_unused(skip_identities(nodes))
}

fn count_consumers(nodes: &[StreamNode]) -> Vec<usize> {
    let mut consumers = vec![0; nodes.len()];
    for input in nodes.iter().flat_map(|node| &node.inputs) {
        consumers[*input] += 1;
    }
    consumers
}

/// A column or a constant: computing it twice costs nothing.
fn is_trivial(expr: &Physical) -> bool {
    expr.downcast_ref::<Column>().is_some() || expr.downcast_ref::<Literal>().is_some()
}

/// `filter(project(x))` becomes `project(filter(x))` when the filter reads trivial columns only.
fn push_filter(nodes: &mut [StreamNode], filter: usize, project: usize) -> bool {
    let (StreamKind::Filter(condition), StreamKind::Project(expressions)) =
        (&nodes[filter].kind, &nodes[project].kind)
    else {
        return false;
    };
    if !columns_of(condition).iter().all(|&column| is_trivial(&expressions[column])) {
        return false;
    }
    let pushed = StreamKind::Filter(substitute(condition, expressions));
    let source = nodes[project].inputs[0];
    let projected = std::mem::replace(&mut nodes[project].kind, pushed);
    nodes[project].schema = nodes[source].schema.clone();
    nodes[filter].kind = projected;
    let filter_path = std::mem::take(&mut nodes[filter].path);
    nodes[filter].path = std::mem::replace(&mut nodes[project].path, filter_path);
    true
}

/// `project(project(x))` becomes one, unless that computes something twice.
fn fuse_projects(nodes: &mut [StreamNode], outer: usize, inner: usize) -> bool {
    let (StreamKind::Project(outer_expressions), StreamKind::Project(inner_expressions)) =
        (&nodes[outer].kind, &nodes[inner].kind)
    else {
        return false;
    };
    let mut uses = vec![0; inner_expressions.len()];
    for expr in outer_expressions {
        count_uses(expr, &mut uses);
    }
    let twice =
        uses.iter().zip(inner_expressions).any(|(&count, expr)| count > 1 && !is_trivial(expr));
    if twice {
        return false;
    }
    // Evaluation recurses; a view over a view over … stays several projections.
    let deepest = |expressions: &[Physical]| expressions.iter().map(depth_of).max().unwrap_or(0);
    if deepest(outer_expressions) + deepest(inner_expressions) > SQL_EXPRESSION_DEPTH_MAX {
        return false;
    }
    let fused = outer_expressions.iter().map(|expr| substitute(expr, inner_expressions)).collect();
    nodes[outer].kind = StreamKind::Project(fused);
    nodes[outer].inputs = nodes[inner].inputs.clone();
    nodes[inner].inputs.clear();
    true
}

fn depth_of(expr: &Physical) -> usize {
    1 + expr.children().into_iter().map(depth_of).max().unwrap_or(0)
}

fn count_uses(expr: &Physical, uses: &mut [usize]) {
    if let Some(column) = expr.downcast_ref::<Column>() {
        uses[column.index()] += 1;
    }
    for child in expr.children() {
        count_uses(child, uses);
    }
}

/// Nodes no sink can be reached from go; indices are made dense again.
fn drop_unused(nodes: Vec<StreamNode>) -> Vec<StreamNode> {
    let mut used = vec![false; nodes.len()];
    for (index, node) in nodes.iter().enumerate().rev() {
        if matches!(node.kind, StreamKind::Sink(_)) {
            used[index] = true;
        }
        if used[index] {
            for &input in &node.inputs {
                used[input] = true;
            }
        }
    }
    let mut renumbered = vec![0; nodes.len()];
    let mut kept = Vec::new();
    for (index, mut node) in nodes.into_iter().enumerate() {
        if used[index] {
            renumbered[index] = kept.len();
            for input in &mut node.inputs {
                *input = renumbered[*input];
            }
            kept.push(node);
        }
    }
    kept
}

/// Output columns of each node that are needed.
fn needed_columns(
    nodes: &[StreamNode],
    needed_by_source: &dyn Fn(&str) -> Vec<usize>,
) -> Vec<BTreeSet<usize>> {
    let mut needed = vec![BTreeSet::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate().rev() {
        let own = needed[index].clone();
        match &node.kind {
            StreamKind::Source(name) => {
                needed[index].extend(needed_by_source(name));
                if needed[index].is_empty() {
                    // Batches without a column would lose their rows.
                    needed[index].insert(0);
                }
            }
            StreamKind::Project(expressions) => {
                let own = at_least_one(own);
                for &column in &own {
                    needed[node.inputs[0]].extend(columns_of(&expressions[column]));
                }
                needed[index] = own;
            }
            StreamKind::Filter(condition) => {
                let input = node.inputs[0];
                needed[input].extend(own);
                needed[input].extend(columns_of(condition));
            }
            StreamKind::Unnest(unnest) => {
                let input = node.inputs[0];
                let first = nodes[input].schema.fields().len();
                needed[input].extend(own.iter().copied().filter(|&column| column < first));
                needed[input].extend(columns_of(&unnest.array));
                needed[index].extend(first..node.schema.fields().len());
            }
            StreamKind::Union => {
                let own = at_least_one(own);
                for &input in &node.inputs {
                    needed[input].extend(own.iter().copied());
                }
                needed[index] = own;
            }
            StreamKind::Window(_) | StreamKind::Sink(_) => {
                let input = node.inputs[0];
                needed[input].extend(0..nodes[input].schema.fields().len());
                needed[index] = (0..node.schema.fields().len()).collect();
            }
        }
    }
    needed
}

fn at_least_one(mut columns: BTreeSet<usize>) -> BTreeSet<usize> {
    if columns.is_empty() {
        columns.insert(0);
    }
    columns
}

/// Removes columns nobody reads.
fn prune(
    mut nodes: Vec<StreamNode>,
    needed_by_source: &dyn Fn(&str) -> Vec<usize>,
) -> Vec<StreamNode> {
    let needed = needed_columns(&nodes, needed_by_source);
    // Old output columns each node still has, ascending.
    let mut kept: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    for index in 0..nodes.len() {
        let inputs = nodes[index].inputs.clone();
        let of_input = inputs.first().map(|&input| kept[input].clone()).unwrap_or_default();
        let position =
            |column: usize| of_input.binary_search(&column).expect("a column that is read is kept");
        let node = &mut nodes[index];
        let outputs: Vec<usize> = match &mut node.kind {
            StreamKind::Source(_) | StreamKind::Union => needed[index].iter().copied().collect(),
            StreamKind::Project(expressions) => {
                *expressions = needed[index]
                    .iter()
                    .map(|&column| remap(&expressions[column], &position))
                    .collect();
                needed[index].iter().copied().collect()
            }
            StreamKind::Filter(condition) => {
                *condition = remap(condition, &position);
                of_input.clone()
            }
            StreamKind::Unnest(unnest) => {
                unnest.array = remap(&unnest.array, &position);
                let first = node.schema.fields().len() - unnest.elements;
                let outputs: Vec<usize> = needed[index].iter().copied().collect();
                unnest.kept =
                    outputs.iter().filter(|&&old| old < first).map(|&old| position(old)).collect();
                outputs
            }
            StreamKind::Window(spec) => {
                // Its input is a projection of exactly what it reads.
                if let TimeDomain::Event { column } = &mut spec.window.time {
                    *column = position(*column);
                }
                (0..node.schema.fields().len()).collect()
            }
            StreamKind::Sink(_) => (0..node.schema.fields().len()).collect(),
        };
        let fields: Vec<_> =
            outputs.iter().map(|&column| Arc::clone(&node.schema.fields()[column])).collect();
        node.schema = Schema::new(fields);
        kept.push(outputs);
    }
    nodes
}

/// A projection that changes neither columns nor names is left out.
fn skip_identities(mut nodes: Vec<StreamNode>) -> Vec<StreamNode> {
    for index in 0..nodes.len() {
        for slot in 0..nodes[index].inputs.len() {
            let input = nodes[index].inputs[slot];
            if is_identity(&nodes, input) {
                nodes[index].inputs[slot] = nodes[input].inputs[0];
            }
        }
    }
    nodes
}

fn is_identity(nodes: &[StreamNode], index: usize) -> bool {
    let StreamKind::Project(expressions) = &nodes[index].kind else { return false };
    let before = &nodes[nodes[index].inputs[0]].schema;
    let plain = expressions.iter().enumerate().all(|(position, expr)| {
        expr.downcast_ref::<Column>().is_some_and(|column| column.index() == position)
    });
    let names = |schema: &Schema| {
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    plain && names(before) == names(&nodes[index].schema)
}
