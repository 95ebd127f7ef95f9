//! The options of `CREATE TABLE … WITH (…)`: Flink's names, brought to the keys of a job file.
//!
//! In:  options as the planner found them, each with its place in the SQL.
//! Out: the same `SourceConfig` or `SinkConfig` a TOML table gives, and notes on what has no effect.
//!
//! The keys of a job file are accepted here under their own names too, so that a TCP table can be
//! declared in SQL.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{ConfigErrors, Errors, Position};
use super::flink::{Effect, OPTIONS, SIZE_UNITS, TIME_UNITS, flink_units, local_path, translated};
use super::job::{Job, SinkConfig, SourceConfig};
use super::key::{Key, Kind, SINKS, SOURCES, Section};
use super::resolve::check_diversions;
use super::table::RawTable;
use super::value::{Given, GivenField, Value, from_text};
use super::{sink, source};
use crate::source::FieldOption;
use crate::sql::WithOption;
use crate::stdx::suggestion;

impl Job {
    /// The source that `CREATE TABLE name … WITH (options)` in `file` declares, and notes for the user.
    ///
    /// # Errors
    /// Everything that is wrong with the options, in the order of the file.
    pub fn source_from_options(
        &self,
        name: &str,
        options: &BTreeMap<String, WithOption>,
        file: &Path,
    ) -> Result<(SourceConfig, Vec<String>), ConfigErrors> {
        let mut reader = OptionReader::new(&SOURCES, name, options, file);
        let table = reader.table();
        let sinks: Vec<&str> = self.sinks.keys().map(String::as_str).collect();
        check_diversions(&table, &sinks, &mut reader.errors);
        let mode = self.durability.mode;
        let config = source::resolve(self.directory(), &table, mode, &mut reader.errors);
        reader.finish(config)
    }

    /// The sink that `CREATE TABLE name … WITH (options)` in `file` declares, and notes for the user.
    ///
    /// # Errors
    /// Everything that is wrong with the options, in the order of the file.
    pub fn sink_from_options(
        &self,
        name: &str,
        options: &BTreeMap<String, WithOption>,
        file: &Path,
    ) -> Result<(SinkConfig, Vec<String>), ConfigErrors> {
        let mut reader = OptionReader::new(&SINKS, name, options, file);
        let table = reader.table();
        let mode = self.durability.mode;
        let config = sink::resolve(self.directory(), &table, mode, &mut reader.errors);
        reader.finish(config)
    }

    /// What relative paths are relative to.
    fn directory(&self) -> &Path {
        self.job_file.parent().unwrap_or(Path::new(""))
    }
}

struct OptionReader<'a> {
    section: &'static Section,
    name: &'a str,
    options: &'a BTreeMap<String, WithOption>,
    errors: Errors,
    notes: Vec<String>,
}

impl<'a> OptionReader<'a> {
    fn new(
        section: &'static Section,
        name: &'a str,
        options: &'a BTreeMap<String, WithOption>,
        file: &Path,
    ) -> OptionReader<'a> {
        OptionReader { section, name, options, errors: Errors::new(file), notes: Vec::new() }
    }

    fn table(&mut self) -> RawTable {
        let positions = self.options.values().map(position);
        let start = positions.min().unwrap_or(Position { line: 1, column: 1 });
        let mut table = RawTable::new(self.section, self.name.to_owned(), start);
        let options = self.options;
        for (name, option) in options {
            if let Err(message) = self.option(name, option, &mut table) {
                self.errors.add(position(option), &self.path(name), message);
            }
        }
        table
    }

    /// Puts one option into the table, or says why not.
    fn option(
        &mut self,
        name: &str,
        option: &WithOption,
        table: &mut RawTable,
    ) -> Result<(), String> {
        let given = option.value.as_str();
        if let Some(field) = name.strip_prefix("fields.") {
            return self.field(field, option, table);
        }
        let Some((_, effect)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
            let key =
                self.section.key(name).filter(|key| !matches!(key.kind, Kind::Sql | Kind::Fields));
            let key = key.ok_or_else(|| self.unknown(name))?;
            return insert(key, given, option, table);
        };
        match effect {
            Effect::Key(key) => {
                let text = if *key == "path" { local_path(given)? } else { given };
                self.insert(name, key, text, option, table)
            }
            Effect::Words(key, words) => {
                self.insert(name, key, translated(given, words)?, option, table)
            }
            Effect::Time(key) => {
                self.insert(name, key, &flink_units(given, &TIME_UNITS)?, option, table)
            }
            Effect::Size(key) => {
                self.insert(name, key, &flink_units(given, &SIZE_UNITS)?, option, table)
            }
            Effect::Only(value) if given == *value => Ok(()),
            Effect::Only(value) => {
                Err(format!("'{given}' is not supported; write '{value}' or leave it out"))
            }
            Effect::Note(note) => {
                self.notes.push(format!("table {}: '{name}' {note}", self.name));
                Ok(())
            }
            Effect::Refused(reason) => Err(format!("is not supported: {reason}")),
        }
    }

    /// `COLUMN.OPTION`, of a table whose rows are made up.
    fn field(
        &mut self,
        name: &str,
        option: &WithOption,
        table: &mut RawTable,
    ) -> Result<(), String> {
        let key = self.section.key("fields").ok_or("a sink has no options of columns")?;
        let (column, name) = name.rsplit_once('.').ok_or("write 'fields.COLUMN.OPTION'")?;
        let (column, name) = (column.to_owned(), name.to_owned());
        let field = FieldOption { column, option: name, value: option.value.clone() };
        table.insert_field(key, GivenField { field, at: position(option) });
        Ok(())
    }

    /// One of Flink's options for reading may stand on a table that is written, and the other way
    /// round: there it has no effect, as in Flink.
    fn insert(
        &mut self,
        name: &str,
        key: &str,
        text: &str,
        option: &WithOption,
        table: &mut RawTable,
    ) -> Result<(), String> {
        match self.section.key(key) {
            Some(key) => insert(key, text, option, table),
            None => {
                let role = self.section.name.trim_end_matches('s');
                self.notes.push(format!("table {}: '{name}' has no effect on a {role}", self.name));
                Ok(())
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        let flink = OPTIONS.iter().map(|(known, _)| *known);
        let candidates: Vec<&str> = flink.chain(self.section.key_names()).collect();
        match suggestion(name, candidates.iter().copied()) {
            Some(nearest) => format!("unknown option; did you mean '{nearest}'?"),
            None => "unknown option; the options are listed in config/README.md".to_owned(),
        }
    }

    fn path(&self, option: &str) -> String {
        format!("table {}, option '{option}'", self.name)
    }

    fn finish<T>(self, config: Option<T>) -> Result<(T, Vec<String>), ConfigErrors> {
        match config {
            Some(config) if self.errors.is_empty() => Ok((config, self.notes)),
            _ => Err(self.errors.finish()),
        }
    }
}

fn position(option: &WithOption) -> Position {
    Position { line: option.line, column: option.column }
}

fn insert(
    key: &'static Key,
    text: &str,
    option: &WithOption,
    table: &mut RawTable,
) -> Result<(), String> {
    match from_option(&key.kind, text) {
        Ok(value) => {
            table.insert(key, Given { value, at: position(option) });
            Ok(())
        }
        Err(reason) => {
            table.refuse(key);
            Err(format!("'{}' {reason}", option.value))
        }
    }
}

/// Options are texts, whatever their kind.
fn from_option(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Flag => match text {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            _ => Err("is no flag; write 'true' or 'false'".to_owned()),
        },
        Kind::Count { min, max } => {
            let count = text.parse().ok().filter(|count| (*min..=*max).contains(count));
            count
                .map(Value::Count)
                .ok_or_else(|| format!("is not a whole number from {min} to {max}"))
        }
        _ => from_text(kind, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Host, resolve_text};

    const JOB: &str = "[sinks.late]\nconnector = \"print\"\n[query]\nsql = \"INSERT …\"\n";

    /// Options as `name=value` lines; each stands in a line of its own.
    fn options(text: &str) -> BTreeMap<String, WithOption> {
        let option = |(index, line): (usize, &str)| {
            let (name, value) = line.trim().split_once('=').unwrap();
            let number = u32::try_from(index).unwrap() + 1;
            (name.to_owned(), WithOption { value: value.to_owned(), line: number, column: 7 })
        };
        text.trim().lines().enumerate().map(option).collect()
    }

    /// Resolves `text` for both sides; `expected` must occur in what comes out.
    #[track_caller]
    fn check(text: &str, source: &str, sink: &str) {
        let host = Host { environment: &|_| None };
        let job = resolve_text(Path::new("jobs/j.toml"), JOB, &host).unwrap();
        let file = Path::new("q.sql");
        let as_source = job.source_from_options("t", &options(text), file);
        let as_source = as_source.map_or_else(|errors| errors.to_string(), |ok| format!("{ok:?}"));
        assert!(as_source.contains(source), "source: {as_source}");
        let as_sink = job.sink_from_options("t", &options(text), file);
        let as_sink = as_sink.map_or_else(|errors| errors.to_string(), |ok| format!("{ok:?}"));
        assert!(as_sink.contains(sink), "sink: {as_sink}");
    }

    #[test]
    fn flinks_options_are_our_keys() {
        let file = "connector=filesystem\npath=file:///in\nformat=json";
        check(file, "File(FileSourceConfig { path: \"/in\"", "File(FileSinkConfig { path: \"/in\"");
        let relative = "connector=filesystem\npath=in\nformat=csv\ncsv.field-delimiter=;";
        check(relative, "path: \"jobs/in\"", "delimiter: 59");
        let lenient = format!("{file}\njson.ignore-parse-errors=true");
        check(&lenient, "on_error: Reject", "'json.ignore-parse-errors' has no effect on a sink");
        check(&format!("{file}\njson.ignore-parse-errors=false"), "on_error: Fail", "");
        let iso = format!("{file}\njson.timestamp-format.standard=ISO-8601");
        check(&iso, "has no effect on a source", "iso_timestamps: true");
        let rolling = format!("{file}\nsink.rolling-policy.file-size=1MB");
        check(&rolling, "has no effect on a source", "part_bytes_max: 1048576");
        let aged = format!("{file}\nsink.rolling-policy.rollover-interval=15 min");
        check(&aged, "has no effect on a source", "part_age_max: 900s");
        let parallel = format!("{file}\nsink.parallelism=4");
        check(
            &parallel,
            "every core runs",
            "table t: 'sink.parallelism' has no effect: every core",
        );
        check("connector=print", "unknown; known: \"tcp\", \"file\"", "connector: Print");
        check("connector=blackhole", "is unknown", "connector: Blackhole");
        let tcp =
            "connector=tcp\nlisten=127.0.0.1:9000\nformat=raw\nlate_sink=late\nconnections_max=3";
        check(tcp, "connections_max: 3", "q.sql:4:7: table t, option 'late_sink': unknown option");
    }

    #[test]
    fn generated_tables_have_flinks_options() {
        let sink = "is unknown";
        let nexmark = "connector=nexmark\nevents.num=100\nfirst-event.rate=50\nbid.avg-size=80b";
        check(nexmark, "rows: Some(100), rows_per_second: None", sink);
        check(nexmark, "events_per_second: 50", sink);
        check(nexmark, "mean_bytes: MeanBytes { person: 200, auction: 500, bid: 80 }", sink);
        check(&format!("{nexmark}\nmax-emit-speed=false"), "rows_per_second: Some(50)", sink);
        check("connector=nexmark\nbase_time=now", "begins_now: true", sink);
        check("connector=nexmark\nbase_time=1970-01-01 00:00:01.5", "base_time_ms: 1500,", sink);
        check(
            "connector=nexmark\nbase_time=soon",
            "q.sql:2:7: t.base_time: \"soon\" is no time",
            sink,
        );
        check("connector=nexmark\nformat=json", "does not apply to connector = \"nexmark\"", sink);
        let none = "connector=nexmark\nperson.proportion=0\nauction.proportion=0\nbid.proportion=0";
        check(none, "q.sql:4:7: t.bids: 0 beside", sink);
        check("connector=nexmark\nnext-event.rate=7", "'next-event.rate' has no effect", sink);
        check("connector=nexmark\nstop-at=7", "'7' is not supported; write '-1'", sink);
        let datagen = "connector=datagen\nnumber-of-rows=5\nfields.a.b.min=1";
        let field = "FieldOption { column: \"a.b\", option: \"min\", value: \"1\" }";
        check(datagen, "rows: Some(5), rows_per_second: Some(10000)", "has no options of columns");
        check(datagen, field, "has no options of columns");
        check("connector=datagen\nfields.min=1", "write 'fields.COLUMN.OPTION'", sink);
    }

    #[test]
    fn wrong_options_are_named_with_their_place() {
        let file = "connector=filesystem\npath=/in\nformat=json";
        let with = |line: &str| format!("{file}\n{line}");
        let place = "q.sql:4:7: table t, option";
        check(
            &with("json.ignore-parse-error=true"),
            place,
            "did you mean 'json.ignore-parse-errors'?",
        );
        check(
            &with("scan.startup.mode=x"),
            "listed in config/README.md",
            "listed in config/README.md",
        );
        check(
            &with("json.ignore-parse-errors=yes"),
            "'yes' is unknown; write \"true\" or \"false\"",
            "'yes' is unknown",
        );
        check(&with("json.fail-on-missing-field=true"), "write 'false' or leave it out", place);
        check(&with("csv.escape-character=\\"), "is not supported: a quote", "is not supported");
        check(&with("sink.rolling-policy.file-size=big"), "", "'big' is no number with a unit");
        check(&with("follow=yes"), "'yes' is no flag; write 'true' or 'false'", "unknown option");
        check("connector=filesytem", "q.sql:1:7", "did you mean \"filesystem\"?");
        check("connector=kafka", "is planned and not in this version", "is planned");
        check(
            "connector=filesystem\npath=s3://b/x\nformat=json",
            "s3:// is not supported",
            "s3://",
        );
        check("connector=filesystem\nformat=json", "t.path: missing", "t.path: missing");
        check("connector=filesystem\npath=/in\nformat=orc", "'orc' is unknown", "'orc' is unknown");
        check(&with("schema=a INT"), "unknown option", "unknown option");
        check(
            &with("connections_max=2"),
            "does not apply to connector = \"file\"",
            "does not apply",
        );
    }
}
