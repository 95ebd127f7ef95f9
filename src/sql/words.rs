//! DataFusion's errors in Flink's words, with their places.

use datafusion_common::{DataFusionError, SchemaError};
use sqlparser::tokenizer::Location;

use super::error::{Fault, did_you_mean};

/// DataFusion's error in our words, with its place.
pub(super) fn planner_fault(error: DataFusionError) -> Fault {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let inner = planner_fault(*inner);
            let location = diagnostic
                .span
                .map(|span| Location { line: span.start.line, column: span.start.column });
            let message = match inner.message.starts_with("Column in ") {
                true => ungrouped(&diagnostic.message),
                false => inner.message,
            };
            Fault { location: location.or(inner.location), message }
        }
        DataFusionError::Context(_, inner) => planner_fault(*inner),
        DataFusionError::Collection(errors) => errors
            .into_iter()
            .next()
            .map_or_else(|| Fault::anywhere("the query cannot be planned"), planner_fault),
        DataFusionError::SchemaError(error, _) => schema_fault(&error),
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Execution(message)
        | DataFusionError::Internal(message) => Fault::anywhere(first_line(&message)),
        other => Fault::anywhere(first_line(&other.strip_backtrace())),
    }
}

/// DataFusion's message on one line; what it says in its own types is said in Flink's.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if let Some(rest) = line.strip_prefix("Cannot create filter with non-boolean predicate ") {
        let predicate = rest.split(" returning ").next().unwrap_or(rest);
        return format!(
            "WHERE and HAVING take a BOOLEAN, and {predicate} is not; compare it with something"
        );
    }
    if line.starts_with("Projections require unique expression names") {
        let name = line.split("\" at position").next().and_then(|first| first.rsplit(' ').next());
        let name = name.and_then(|name| name.rsplit(['.', '"']).next()).unwrap_or_default();
        return format!("two columns are named `{name}`; give one another name with AS");
    }
    operands(line)
        .or_else(|| fixed_words(line).map(str::to_string))
        .unwrap_or_else(|| line.to_string())
}

/// Messages whose beginning says everything.
fn fixed_words(line: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 6] = [
        ("Source table contains", "the query has another number of columns than names are given"),
        ("UNION queries have different", "UNION ALL: the sides have different numbers of columns"),
        ("Unary operator '-'", "- takes a number"),
        ("Unary operator 'NOT'", "NOT takes a BOOLEAN; compare the operand with something"),
        (
            "Cannot infer common argument type for logical",
            "AND and OR take a BOOLEAN on both sides; compare the operand with something",
        ),
        (
            "Aggregate function calls cannot be nested",
            "an aggregate inside an aggregate is not supported; aggregate twice, with a view between",
        ),
    ];
    WORDS.iter().find(|(start, _)| line.starts_with(start)).map(|(_, words)| *words)
}

/// `'t.x' must appear in GROUP BY clause …` in our words.
fn ungrouped(message: &str) -> String {
    let column = message.split('\'').nth(1).unwrap_or_default();
    let column = column.rsplit('.').next().unwrap_or_default();
    format!("`{column}` is neither in GROUP BY nor inside an aggregate; add it to GROUP BY")
}

/// DataFusion's refusals of operand types.
fn operands(line: &str) -> Option<String> {
    const ARITHMETIC: &str = "Cannot coerce arithmetic expression ";
    const COMPARISON: &str = "Cannot infer common argument type for comparison operation ";
    const TEMPORAL: &str = "Cannot get result type for temporal operation ";
    if let Some(rest) = line.strip_prefix(TEMPORAL) {
        let words: Vec<&str> =
            rest.split(": ").next().unwrap_or(rest).split(' ').map(flink_name).collect();
        return Some(format!("{} is not defined; a time takes an INTERVAL", words.join(" ")));
    }
    let (rest, verdict) = match line.strip_prefix(ARITHMETIC) {
        Some(rest) => (rest, "is not defined; CAST one side"),
        None => {
            (line.strip_prefix(COMPARISON)?, "compares different kinds of things; CAST one of them")
        }
    };
    let expression = rest.split(" to valid types").next().unwrap_or(rest);
    let words: Vec<&str> = expression.split(' ').map(flink_name).collect();
    Some(format!("{} {verdict}", words.join(" ")))
}

/// Flink's name for a type as DataFusion prints it.
fn flink_name(word: &str) -> &str {
    match word {
        "Utf8" => "STRING",
        "Int8" => "TINYINT",
        "Int16" => "SMALLINT",
        "Int32" => "INT",
        "Int64" => "BIGINT",
        "Float32" => "FLOAT",
        "Float64" => "DOUBLE",
        "Boolean" => "BOOLEAN",
        "Binary" => "BYTES",
        "Date32" => "DATE",
        "Timestamp(ms)" | "Timestamp(Millisecond," => "TIMESTAMP(3)",
        "Timestamp(µs)" => "TIMESTAMP(6)",
        "Interval(MonthDayNano)" => "INTERVAL",
        other => other,
    }
}

fn schema_fault(error: &SchemaError) -> Fault {
    let at = |column: &datafusion_common::Column, message: String| {
        let place = column.spans.first();
        let location =
            place.map(|span| Location { line: span.start.line, column: span.start.column });
        Fault { location, message }
    };
    match error {
        SchemaError::FieldNotFound { field, valid_fields }
            if field.relation.is_some()
                && valid_fields.iter().all(|column| column.relation != field.relation) =>
        {
            let table = field.relation.as_ref().map_or("", |relation| relation.table());
            let tables = valid_fields.iter().filter_map(|column| column.relation.as_ref());
            let hint = did_you_mean(table, tables.map(|relation| relation.table()));
            at(field, format!("there is no table `{table}` in FROM{hint}"))
        }
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|column| column.name.as_str());
            let hint = did_you_mean(&field.name, names);
            at(field, format!("there is no column `{}`{hint}", field.name))
        }
        SchemaError::AmbiguousReference { field } => at(
            field,
            format!("the column `{}` is in several tables; write table.{}", field.name, field.name),
        ),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => Fault::anywhere(format!(
            "two columns are named `{name}`; give one another name with AS"
        )),
    }
}
