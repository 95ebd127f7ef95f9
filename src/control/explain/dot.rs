//! An explanation as a graph in Graphviz's language: a box per operator, a frame per chain.

use std::fmt::Write;

use super::model::{Chain, Explained, Input, Outlet};

/// `digraph { … }`.
pub(super) fn dot(explained: &Explained) -> String {
    let mut graph = Dot { text: String::new(), chains: 0 };
    graph.line(&format!("digraph {} {{", quoted(&explained.job)));
    graph.line("  rankdir=TB; node [shape=box, fontname=\"sans-serif\"];");
    for (index, stage) in explained.stages.iter().enumerate() {
        let input = match &stage.input {
            Input::Source(source) => {
                let name = format!("source {}", source.name);
                let label = format!("{name}\n{}", source.connector);
                graph.line(&format!("  {} [label={}, shape=cds];", quoted(&name), quoted(&label)));
                name
            }
            Input::Exchange(number) => {
                let name = format!("exchange {number}");
                let label = format!("{name}\n{}", explained.exchanges[number - 1].routing);
                let (id, label) = (quoted(&name), quoted(&label));
                graph.line(&format!("  {id} [label={label}, shape=diamond];"));
                name
            }
        };
        graph.chain(&format!("s{index}"), &input, &stage.chain);
    }
    for sink in &explained.sinks {
        let name = format!("sink {}", sink.name);
        let label = format!("{name}\n{}", sink.connector);
        graph.line(&format!("  {} [label={}, shape=cylinder];", quoted(&name), quoted(&label)));
    }
    graph.line("}");
    graph.text
}

struct Dot {
    text: String,
    chains: usize,
}

impl Dot {
    /// One behind a union stands in several stages: its name begins with that of its stage.
    fn chain(&mut self, stage: &str, from: &str, chain: &Chain) {
        let mut last = from.to_owned();
        if !chain.operators.is_empty() {
            self.chains += 1;
            let number = self.chains;
            self.line(&format!("  subgraph cluster_{number} {{ style=rounded;"));
            for operator in &chain.operators {
                let (id, label) = (format!("{stage} {}", operator.id), quoted(&operator.operator));
                self.line(&format!("    {} [label={label}];", quoted(&id)));
            }
            self.line("  }");
        }
        for operator in &chain.operators {
            let id = format!("{stage} {}", operator.id);
            self.edge(&last, &id);
            last = id;
        }
        for outlet in &chain.outlets {
            match outlet {
                Outlet::Chain(nested) => self.chain(stage, &last, nested),
                Outlet::Exchange(number) => self.edge(&last, &format!("exchange {number}")),
                Outlet::Sink { name, .. } => self.edge(&last, &format!("sink {name}")),
            }
        }
    }

    fn edge(&mut self, from: &str, to: &str) {
        self.line(&format!("  {} -> {};", quoted(from), quoted(to)));
    }

    fn line(&mut self, words: &str) {
        writeln!(self.text, "{words}").expect("writing to memory cannot fail");
    }
}

/// A name or a label.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn labels_are_quoted() {
        assert_eq!(quoted("filter s = 'a\"b\\'\nx"), r#""filter s = 'a\"b\\'\nx""#);
    }
}
