//! What a job is, as one number: two files that mean the same have the same.
//!
//! Part of it: operators with their expressions, tables, connectors with absolute paths, the time
//! zone. Not part of it: where the file lies, lines, comments, how SQL is laid out.

use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

use super::prepare::Prepared;
use crate::config::{FileSinkConfig, FileSourceConfig, Job, SinkConnector, SourceConnector};
use crate::record::KeyHasher;

/// Tells an edited job from the one that finished.
pub(super) fn definition_hash(job: &Job, prepared: &Prepared) -> u64 {
    KeyHasher::new(0).hash(definition(job, prepared).as_bytes())
}

/// The operators, one a line.
pub(super) fn query_lines(prepared: &Prepared) -> Vec<String> {
    let nodes = prepared.graph.graph.nodes.iter();
    nodes.map(|node| format!("{:?} {}", node.id, node.label)).collect()
}

fn definition(job: &Job, prepared: &Prepared) -> String {
    let mut text = format!("zone {}\n", job.time_zone.name());
    for node in &prepared.graph.graph.nodes {
        add(&mut text, &(&node.id, &node.label, &node.inputs, &node.schema));
    }
    for source in &prepared.sources {
        let planned = &source.planned;
        let event_time = planned.watermark.as_ref().map(|spec| (&spec.rowtime, &spec.expression));
        add(&mut text, &(&planned.name, &planned.schema, &planned.projection, event_time));
        let config = &source.config;
        match &config.connector {
            SourceConnector::Tcp(tcp) => add(&mut text, tcp),
            SourceConnector::File(file) => {
                add(&mut text, &FileSourceConfig { path: absolute(&file.path), ..file.clone() });
            }
            SourceConnector::Nexmark(nexmark) => add(&mut text, nexmark),
            SourceConnector::Datagen(datagen) => add(&mut text, datagen),
        }
        add(&mut text, &(&config.format, config.line_bytes_max, config.on_error));
        add(&mut text, &(config.idle_timeout, config.max_future));
        add(&mut text, &(&config.late_sink, &config.rejected_sink));
    }
    for sink in &prepared.sinks {
        add(&mut text, &(&sink.planned.name, &sink.planned.schema, &sink.config.format));
        match &sink.config.connector {
            SinkConnector::File(file) => {
                add(&mut text, &FileSinkConfig { path: absolute(&file.path), ..file.clone() });
            }
            other => add(&mut text, other),
        }
        add(&mut text, &sink.config.release);
    }
    text
}

fn add(text: &mut String, part: &dyn Debug) {
    writeln!(text, "{part:?}").expect("writing to memory cannot fail");
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Host, resolve_text};
    use crate::control::prepare::prepare;

    const JOB: &str = "name = \"j\"
[sources.s]
connector = \"file\"
format = \"json\"
path = \"/in/*.json\"
schema = \"a BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND\"
[sinks.o]
connector = \"print\"
[query]
sql = \"INSERT INTO o SELECT a + 1 AS b FROM s WHERE a > 2\"
";

    fn definition_of(path: &str, text: &str) -> String {
        let host = Host { environment: &|_| None };
        let job = resolve_text(Path::new(path), text, &host).expect("a job");
        definition(&job, &prepare(&job, 1).expect("a plan"))
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        let first = definition_of("/a/j.toml", JOB);
        let moved =
            JOB.replace("[query]", "# why\n\n[query]").replace("a + 1", "a  + 1 /* more */");
        assert_eq!(first, definition_of("/b/k.toml", &moved));
        for (old, new) in [
            ("a + 1", "a + 2"),
            ("a > 2", "a > 3"),
            ("/in/*.json", "/in/x.json"),
            ("'1' SECOND", "'2' SECOND"),
            ("name = \"j\"", "name = \"j\"\ntime_zone = \"Europe/Berlin\""),
            ("\"print\"", "\"blackhole\""),
        ] {
            assert_ne!(first, definition_of("/a/j.toml", &JOB.replace(old, new)), "{new}");
        }
        // Relative paths are relative to the job file: another directory has other input.
        let relative = JOB.replace("/in/*.json", "*.json");
        assert_ne!(definition_of("/a/j.toml", &relative), definition_of("/b/j.toml", &relative));
    }
}
