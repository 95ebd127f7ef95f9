//! An explanation as a tree of text.

use std::fmt::Write;

use super::model::{Chain, Explained, Input, Operator, Outlet, SourceWords};
use super::words::words;

/// Stages in the order of the data: what each reads, computes and feeds.
pub(super) fn tree(explained: &Explained) -> String {
    tree_with(explained, &|_| None)
}

/// The same with a line of figures behind each part that `figures` knows: operators by their id,
/// `source NAME`, `exchange N`, `sink NAME`.
pub(super) fn tree_with(explained: &Explained, figures: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = Text { text: String::new(), figures };
    let cores = explained.cores;
    text.line(0, &format!("every core runs all of this; cores: {cores}"));
    for note in &explained.notes {
        text.line(0, &format!("note: {note}"));
    }
    text.line(0, &explained.durability);
    for stage in &explained.stages {
        match &stage.input {
            Input::Source(source) => text.source(source),
            Input::Exchange(number) => {
                let exchange = &explained.exchanges[number - 1];
                text.line(0, &format!("exchange {number}: {}", exchange.routing));
                text.figures(1, &format!("exchange {number}"));
            }
        }
        text.line(1, &format!(". latency floor: {}", stage.latency_floor));
        text.chain(&stage.chain, 1);
    }
    for diversion in &explained.diversions {
        text.line(0, diversion);
    }
    for sink in &explained.sinks {
        text.line(0, &format!("sink {}: {}", sink.name, sink.release));
        text.line(1, &format!(". {}", sink.parallelism));
        text.line(1, &format!(". latency floor: {}", sink.latency_floor));
        text.figures(1, &format!("sink {}", sink.name));
    }
    text.text
}

struct Text<'a> {
    text: String,
    figures: &'a dyn Fn(&str) -> Option<String>,
}

impl Text<'_> {
    fn source(&mut self, source: &SourceWords) {
        self.line(0, &format!("source {}: {}", source.name, source.connector));
        self.line(1, &format!(". {}", source.parallelism));
        if let Some(watermark) = &source.watermark {
            let behind = match watermark.delay_ms {
                Some(0) => watermark.column.clone(),
                Some(delay_ms) => format!("{} - {}", watermark.column, words(delay_ms)),
                None => format!("an expression over the row of {}", watermark.column),
            };
            self.line(1, &format!(". watermark: {behind}, per {}", watermark.per));
        }
        self.figures(1, &format!("source {}", source.name));
    }

    fn chain(&mut self, chain: &Chain, depth: usize) {
        for operator in &chain.operators {
            self.operator(operator, depth);
        }
        for outlet in &chain.outlets {
            match outlet {
                Outlet::Chain(nested) => {
                    self.line(depth, "also:");
                    self.chain(nested, depth + 1);
                }
                Outlet::Exchange(number) => self.line(depth, &format!("-> exchange {number}")),
                Outlet::Sink { name, connector } => {
                    self.line(depth, &format!("-> sink {name}: {connector}"));
                }
            }
        }
    }

    fn operator(&mut self, operator: &Operator, depth: usize) {
        self.line(depth, &operator.operator);
        let named = [
            ("state", &operator.state),
            ("lateness", &operator.lateness),
            ("waits", &operator.waits),
        ];
        for (name, words) in named {
            if let Some(words) = words {
                self.line(depth + 1, &format!(". {name}: {words}"));
            }
        }
        self.figures(depth + 1, &operator.id);
    }

    fn figures(&mut self, depth: usize, part: &str) {
        if let Some(figures) = (self.figures)(part) {
            self.line(depth, &format!("= {figures}"));
        }
    }

    fn line(&mut self, depth: usize, words: &str) {
        writeln!(self.text, "{:1$}{words}", "", depth * 2).expect("writing to memory cannot fail");
    }
}
