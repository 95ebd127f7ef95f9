//! Page: results as one HTML file that needs nothing else: no network, and no script for its figures.
//!
//! In:  results, each with a name.
//! Out: text. Tables are written here; the curves are drawn in the browser, from the data in the page.
//!
//! Read: `tables` (figures).
//!
//! Charts are uPlot's, embedded with its licence in `page/uplot`: 51 KB, where others take 200 KB to a megabyte
//! in every report, logarithmic scales, lines with gaps, bands.

mod tables;

use std::fmt::Write;

use serde::Serialize;

use super::BenchResult;
use super::charts::{Curve, Timeline};
use tables::figures;

const UPLOT: &str = include_str!("page/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("page/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("page/uplot/LICENSE");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Nothing is loaded, from nowhere.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'";

/// What the script draws of a result.
#[derive(Serialize)]
struct Drawn<'a> {
    name: &'a str,
    curves: &'a [Curve],
    timelines: &'a [Timeline],
}

/// The page of one result, or of several beside each other; at least one.
pub(super) fn page(results: &[(&str, &BenchResult)]) -> String {
    let (_, first) = results[0];
    let title = format!("pelton bench {}", first.bench);
    let drawn: Vec<Drawn<'_>> =
        results.iter().map(|(name, result)| Drawn::new(name, result)).collect();
    let data = serde_json::to_string(&drawn).expect("plain data can be written as JSON");
    // The only way out of a script element.
    let data = data.replace('<', "\\u003c");
    let mut body = format!("<h1>{}</h1>\n", escaped(&title));
    results.iter().for_each(|(name, result)| body += &heading(name, result, results.len() > 1));
    body += "<noscript><p class=\"note\">The charts need JavaScript; the figures do not.</p></noscript>\n";
    tables(results).iter().for_each(|table| body += &section(table, results));
    body += &not_measured(results);
    body += &configuration(results);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n<style>\n{UPLOT_STYLE}\n{STYLE}</style>\n</head>\n<body>\n{body}\
         <script type=\"application/json\" id=\"results\">{data}</script>\n\
         <script>\n/* uPlot:\n{UPLOT_LICENSE} */\n{SCRIPT_BEFORE}\n{UPLOT}\n{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(&title)
    )
}

/// Canvases are drawn with at least two dots for each of the screen's, so that they can be printed.
const SCRIPT_BEFORE: &str = "{ const dots = Math.max(2, window.devicePixelRatio || 1); \
    Object.defineProperty(window, \"devicePixelRatio\", { get: () => dots }); }";

impl<'a> Drawn<'a> {
    fn new(name: &'a str, result: &'a BenchResult) -> Drawn<'a> {
        let BenchResult { curves, timelines, .. } = result;
        Drawn { name, curves, timelines }
    }
}

/// What was measured, where and when, and what was wrong.
fn heading(name: &str, result: &BenchResult, is_named: bool) -> String {
    let BenchResult { machine, ended, interrupted, caveats, .. } = result;
    let name = if is_named { format!("<b>{}</b>: ", escaped(name)) } else { String::new() };
    let mut text = format!(
        "<p class=\"machine\">{name}{}<br>ended {}</p>\n",
        escaped(&machine.show()),
        escaped(ended)
    );
    let mut note =
        |line: &str| writeln!(text, "<p class=\"note\">{}</p>", escaped(line)).expect(MEMORY);
    if *interrupted {
        note("interrupted: this is what was measured until then");
    }
    caveats.iter().for_each(|caveat| note(caveat));
    text
}

const MEMORY: &str = "writing to memory cannot fail";

/// Names of all tables, in order; those with charts alone, too.
fn tables<'a>(results: &[(&str, &'a BenchResult)]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (_, result) in results {
        let figures = result.figures.iter().map(|it| &it.table);
        let curves = result.curves.iter().map(|it| &it.table);
        let timelines = result.timelines.iter().map(|it| &it.table);
        for name in figures.chain(curves).chain(timelines) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}

/// A table's charts and figures.
fn section(table: &str, results: &[(&str, &BenchResult)]) -> String {
    let mut text = format!("<section>\n<h2>{}</h2>\n", escaped(table));
    let of_table = |name: &String| name == table;
    if results.iter().any(|(_, result)| result.curves.iter().any(|it| of_table(&it.table))) {
        text += &chart(table, "percentiles", "share of records that took no longer");
    }
    let mut charts: Vec<&str> = Vec::new();
    for timeline in results.iter().flat_map(|(_, result)| &result.timelines) {
        if of_table(&timeline.table) && !charts.contains(&timeline.chart.as_str()) {
            charts.push(&timeline.chart);
        }
    }
    charts.iter().for_each(|name| text += &chart(table, name, "seconds, the runs laid end to end"));
    text + &figures(table, results) + "</section>\n"
}

fn chart(table: &str, name: &str, axis: &str) -> String {
    let (table, name) = (escaped(table), escaped(name));
    format!(
        "<figure><figcaption>{name}</figcaption><div class=\"chart\" data-table=\"{table}\" \
         data-chart=\"{name}\"></div><p class=\"axis\">{axis}</p></figure>\n"
    )
}

/// What has no figure, once, whoever it is missing from.
fn not_measured(results: &[(&str, &BenchResult)]) -> String {
    let mut lines: Vec<&String> = Vec::new();
    for line in results.iter().flat_map(|(_, result)| &result.not_measured) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    format!("<section>\n<h2>not measured</h2>\n<ul class=\"missing\">\n{items}</ul>\n</section>\n")
}

/// How it was measured, result by result.
fn configuration(results: &[(&str, &BenchResult)]) -> String {
    let mut text = "<section>\n<h2>configuration</h2>\n".to_owned();
    for (heading, result) in results {
        if results.len() > 1 {
            writeln!(text, "<h3>{}</h3>", escaped(heading)).expect(MEMORY);
        }
        text += "<table class=\"plain\">\n<tbody>\n";
        let mut row = |name: &str, value: &str| {
            writeln!(text, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value))
                .expect(MEMORY);
        };
        result.machine.parts().iter().for_each(|(name, value)| row(name, value));
        result.configuration.iter().for_each(|(name, value)| row(name, value));
        text += "</tbody>\n</table>\n";
    }
    text + "</section>\n"
}

/// Text, in an element or in quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text() {
        assert_eq!(escaped("<a b=\"1\">&'"), "&lt;a b=&quot;1&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn the_licence_of_what_is_embedded_is_embedded() {
        assert!(UPLOT_LICENSE.starts_with("The MIT License") && !UPLOT_LICENSE.contains("*/"));
        assert!(UPLOT.contains("v1.6.32"));
        for part in [UPLOT, SCRIPT, SCRIPT_BEFORE] {
            assert!(!part.contains("</script"), "it would end its element");
        }
    }
}
