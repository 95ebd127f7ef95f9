//! An event as one line: for people as it always was, for programs as JSON.

use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::LogFormat;
use crate::record::Timestamp;

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::control) enum Topic {
    /// Something the user should know.
    Note,
    /// Something the user should do something about.
    Warning,
    /// How the job stands.
    State,
    /// What went in and out lately.
    Progress,
    /// The run in one line.
    Summary,
    /// What ended the job.
    Error,
}

impl Topic {
    const ALL: [Topic; 6] =
        [Topic::Note, Topic::Warning, Topic::State, Topic::Progress, Topic::Summary, Topic::Error];

    /// As events and JSON name it.
    pub(in crate::control) fn name(self) -> &'static str {
        match self {
            Topic::Note => "note",
            Topic::Warning => "warning",
            Topic::State => "state",
            Topic::Progress => "progress",
            Topic::Summary => "summary",
            Topic::Error => "error",
        }
    }

    /// In front of the text, where people read it.
    fn prefix(self) -> &'static str {
        match self {
            Topic::Note => "note: ",
            Topic::Warning => "warning: ",
            Topic::Error => "error: ",
            Topic::State | Topic::Progress | Topic::Summary => "",
        }
    }

    /// There may be as many as peers like.
    pub(super) fn is_limited(self) -> bool {
        matches!(self, Topic::Note | Topic::Warning)
    }
}

/// What was said.
pub(super) struct Said<'a> {
    pub(super) level: Level,
    pub(super) topic: Topic,
    pub(super) text: &'a str,
    pub(super) fields: Option<&'a Map<String, Value>>,
}

/// Who says it, and when.
pub(super) struct Line<'a> {
    pub(super) job: Option<&'a str>,
    /// Milliseconds since the epoch.
    pub(super) time_ms: i64,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: &'a str,
    level: &'a str,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    message: &'a str,
    #[serde(flatten)]
    fields: Option<&'a Map<String, Value>>,
}

impl Line<'_> {
    /// The line, with its end.
    pub(super) fn of(&self, said: &Said<'_>, format: LogFormat) -> String {
        match format {
            LogFormat::Text => format!("{}{}\n", said.topic.prefix(), without_controls(said.text)),
            LogFormat::Json => {
                let time = Timestamp::from_millis(self.time_ms).to_string().replace(' ', "T") + "Z";
                let line = JsonLine {
                    time: &time,
                    level: &said.level.as_str().to_lowercase(),
                    topic: said.topic.name(),
                    job: self.job,
                    message: said.text,
                    fields: said.fields,
                };
                serde_json::to_string(&line).expect("plain data can be written as JSON") + "\n"
            }
        }
    }
}

/// Records and peers have their say in messages; a terminal must not obey them.
fn without_controls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// An event's fields.
pub(super) struct Collected {
    level: Level,
    pub(super) topic: Topic,
    text: String,
    fields: Map<String, Value>,
}

impl Collected {
    pub(super) fn of(event: &Event<'_>) -> Collected {
        let level = *event.metadata().level();
        let (text, fields) = (String::new(), Map::new());
        let mut collected = Collected { level, topic: Topic::State, text, fields };
        event.record(&mut collected);
        collected
    }

    pub(super) fn said(&self) -> Said<'_> {
        let Collected { level, topic, text, fields } = self;
        Said { level: *level, topic: *topic, text, fields: Some(fields) }
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.text, "{value:?}").expect("writing to memory cannot fail");
        } else {
            self.put(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "topic" => {
                let named = Topic::ALL.into_iter().find(|topic| topic.name() == value);
                self.topic = named.unwrap_or(Topic::State);
            }
            "message" => self.text.push_str(value),
            _ => self.put(field, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(topic: Topic, text: &str, format: LogFormat, expected: &str) {
        let line = Line { job: Some("j"), time_ms: 1_767_225_600_123 };
        let fields = Map::from_iter([("rows".to_owned(), 3.into())]);
        let said = Said { level: Level::INFO, topic, text, fields: Some(&fields) };
        assert_eq!(line.of(&said, format), expected);
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        check(Topic::Note, "a\u{1b}[31m\nb ö", LogFormat::Text, "note: a\\u{1b}[31m\\nb ö\n");
        check(Topic::Progress, "  1.0 s  in 3", LogFormat::Text, "  1.0 s  in 3\n");
        check(
            Topic::Warning,
            "a\n\"b\"",
            LogFormat::Json,
            "{\"time\":\"2026-01-01T00:00:00.123Z\",\"level\":\"info\",\"topic\":\"warning\",\
             \"job\":\"j\",\"message\":\"a\\n\\\"b\\\"\",\"rows\":3}\n",
        );
    }
}
