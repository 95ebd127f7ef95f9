//! Tables of figures: figures as rows, results as columns, with the ratios to the first.

use std::fmt::Write;

use super::super::super::difference::{Difference, Verdict};
use super::super::super::table::figure;
use super::super::{BenchResult, Figure};
use super::{MEMORY, escaped};

/// The figures of a table of one result, or of several beside each other; empty when there are none.
pub(super) fn figures(table: &str, results: &[(&str, &BenchResult)]) -> String {
    let of_table = |result: &'_ BenchResult| -> Vec<Figure> {
        result.figures.iter().filter(|it| it.table == table).cloned().collect()
    };
    let columns: Vec<Vec<Figure>> = results.iter().map(|(_, result)| of_table(result)).collect();
    let mut rows: Vec<&Figure> = Vec::new();
    for figure in columns.iter().flatten() {
        if !rows.iter().any(|row| row.is_same(figure)) {
            rows.push(figure);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let most = bar_scale(&rows, &columns);
    let body: String = rows.into_iter().map(|row| row_of(row, &columns, most)).collect();
    let heading = heading(results);
    let class = if results.len() > 1 { "several" } else { "one" };
    format!(
        "<div class=\"scroll\"><table class=\"{class}\">\n<thead>{heading}</thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

fn heading(results: &[(&str, &BenchResult)]) -> String {
    let mut text = "<tr><th>figure</th><th>unit</th>".to_owned();
    match results {
        [_] => text += "<th>median, least to most</th>",
        several => {
            for (place, (name, _)) in several.iter().enumerate() {
                let ratio = if place > 0 { "<th>ratio</th>" } else { "" };
                write!(text, "<th>{}</th>{ratio}", escaped(name)).expect(MEMORY);
            }
        }
    }
    text + "</tr>"
}

fn row_of(row: &Figure, columns: &[Vec<Figure>], most: Option<f64>) -> String {
    let of =
        if row.of.is_empty() { String::new() } else { format!(" <i>{}</i>", escaped(&row.of)) };
    let mut text =
        format!("<tr><th>{}{of}</th><td>{}</td>", escaped(&row.figure), escaped(&row.unit));
    let none = || "<td>-</td>".to_owned();
    let mut base = None;
    for (place, column) in columns.iter().enumerate() {
        let found = column.iter().find(|it| it.is_same(row));
        text += &found.map_or_else(none, |found| cell(found, most));
        if place == 0 {
            base = found;
        } else {
            text += &base.zip(found).map_or_else(none, |(base, found)| ratio_cell(base, found));
        }
    }
    text + "</tr>\n"
}

/// The length of the longest bar, in tables of rates of one unit: there, lengths can be compared.
fn bar_scale(rows: &[&Figure], columns: &[Vec<Figure>]) -> Option<f64> {
    let unit = &rows[0].unit;
    let is_rate = unit.ends_with("/s") && rows.iter().all(|row| row.unit == *unit);
    let most = columns.iter().flatten().map(|it| it.spread.max).fold(0.0, f64::max);
    (is_rate && most > 0.0).then_some(most)
}

fn ratio_cell(base: &Figure, found: &Figure) -> String {
    let Difference { ratio, verdict } = Difference::of(base, found);
    let Some(ratio) = ratio else { return "<td>-</td>".to_owned() };
    let class = match verdict {
        Verdict::Better => " class=\"better\"",
        Verdict::Worse => " class=\"worse\"",
        _ => "",
    };
    format!(
        "<td><b>{}</b> <small>{} to {}</small> <small{class}>{}</small></td>",
        number(ratio.ratio),
        number(ratio.min),
        number(ratio.max),
        verdict.words()
    )
}

fn cell(found: &Figure, most: Option<f64>) -> String {
    let mut text = format!("<td><b>{}</b>", number(found.spread.median));
    if found.spread.min.total_cmp(&found.spread.max).is_ne() {
        let (min, max) = (number(found.spread.min), number(found.spread.max));
        write!(text, " <small>{min} to {max}</small>").expect(MEMORY);
    }
    if found.values.len() < found.runs {
        write!(text, " <small>{} of {} runs</small>", found.values.len(), found.runs)
            .expect(MEMORY);
    }
    if let Some(most) = most {
        let width = found.spread.median / most * 100.0;
        write!(text, "<span class=\"bar\" style=\"width:{width:.1}%\"></span>").expect(MEMORY);
    }
    text + "</td>"
}

/// As in the tables on a terminal, with commas; small ones with three digits.
fn number(value: f64) -> String {
    let plain = match value.abs() {
        size if size > 1e-9 && size < 1.0 => three_digits(value),
        size if size < 1e15 && value.fract().abs() < 1e-9 => format!("{value:.0}"),
        _ => figure(value),
    };
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, digits) = whole.split_at(whole.find(|c: char| c.is_ascii_digit()).unwrap_or(0));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

fn three_digits(value: f64) -> String {
    let mut digits = 3;
    while digits < 12 && value.abs() * 10_f64.powi(digits - 2) < 1.0 {
        digits += 1;
    }
    format!("{value:.0$}", usize::try_from(digits).expect("3 to 12"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0.0, 1.234, 999.9, 1_234.0, 1_234_567.0, -12_345.0].map(number);
        assert_eq!(shown, ["0", "1.23", "999.9", "1,234", "1,234,567", "-12,345"]);
        let small = [0.4567, 0.04567, -0.00123456, 1e-12].map(number);
        assert_eq!(small, ["0.457", "0.0457", "-0.00123", "0"]);
    }
}
