//! `pelton explain`: what a job will do, as a tree of text, a graph for Graphviz, or JSON.
//!
//! Read: `model` (the job as data) with `words` · `text` · `dot` · `live` (the same with a running job's figures).

mod dot;
mod live;
mod model;
mod text;
mod words;

pub(super) use live::{bottleneck, live, percent};
pub(super) use model::Explained;
pub(super) use words::source_connector;

/// How an explanation is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplainFormat {
    /// For people.
    Tree,
    /// For Graphviz.
    Dot,
    /// For programs.
    Json,
}

/// `explained` in `format`, with a line end.
pub(super) fn write(explained: &Explained, format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Tree => text::tree(explained),
        ExplainFormat::Dot => dot::dot(explained),
        ExplainFormat::Json => {
            serde_json::to_string_pretty(explained).expect("plain data can be written as JSON")
                + "\n"
        }
    }
}
