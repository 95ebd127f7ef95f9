//! The bundled workloads: job files, embedded, and the same jobs over a file made beforehand.

/// What a family of workloads is called on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suite {
    /// The queries of the Nexmark benchmark.
    Nexmark,
    /// Yahoo's advertising benchmark.
    Ysb,
    /// Words of lines.
    WordCount,
    /// Every row as it is.
    Passthrough,
    /// Suspicious accounts.
    Fraud,
}

/// One job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// The job file.
    pub(super) text: &'static str,
    /// Columns of its source in a file made beforehand.
    columns: &'static str,
    /// What such a file is made of, of the source's columns.
    selection: &'static str,
}

/// The event stream's own columns, and what every table over it adds.
const NEXMARK_COLUMNS: &str = "
event_type INT,
person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING,
  `dateTime` TIMESTAMP(3), extra STRING>,
auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT,
  `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
  `dateTime` TIMESTAMP(3), extra STRING>,
`dateTime` AS CASE WHEN event_type = 0 THEN person.`dateTime`
  WHEN event_type = 1 THEN auction.`dateTime` ELSE bid.`dateTime` END,
WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
";

macro_rules! nexmark {
    ($name:literal, $path:literal) => {
        Workload {
            name: $name,
            text: include_str!(concat!("../../../bench/workloads/nexmark/", $path, ".toml")),
            columns: NEXMARK_COLUMNS,
            selection: "event_type, person, auction, bid",
        }
    };
}

const NEXMARK: [Workload; 22] = [
    nexmark!("q0", "q0"),
    nexmark!("q1", "q1"),
    nexmark!("q2", "q2"),
    nexmark!("q3", "later/q3"),
    nexmark!("q4", "later/q4"),
    nexmark!("q5", "later/q5"),
    nexmark!("q7", "later/q7"),
    nexmark!("q8", "later/q8"),
    nexmark!("q9", "later/q9"),
    nexmark!("q10", "q10"),
    nexmark!("q11", "later/q11"),
    nexmark!("q12", "q12"),
    nexmark!("q14", "q14"),
    nexmark!("q15", "later/q15"),
    nexmark!("q16", "later/q16"),
    nexmark!("q17", "later/q17"),
    nexmark!("q18", "later/q18"),
    nexmark!("q19", "later/q19"),
    nexmark!("q20", "later/q20"),
    nexmark!("q21", "q21"),
    nexmark!("q22", "q22"),
    nexmark!("q23", "later/q23"),
];

const YSB: [Workload; 1] = [Workload {
    name: "ysb",
    text: include_str!("../../../bench/workloads/ysb.toml"),
    columns: "user_id BIGINT, page_id BIGINT, ad_id INT, ad_type INT, event_type INT, ts TIMESTAMP_LTZ(3), \
              WATERMARK FOR ts AS ts - INTERVAL '10' SECOND",
    selection: "user_id, page_id, ad_id, ad_type, event_type, ts",
}];

const WORD_COUNT: [Workload; 1] = [Workload {
    name: "word-count",
    text: include_str!("../../../bench/workloads/word-count.toml"),
    columns: "line STRING, ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND",
    selection: "line, ts",
}];

const PASSTHROUGH: [Workload; 1] = [Workload {
    name: "passthrough",
    text: include_str!("../../../bench/workloads/passthrough.toml"),
    columns: "id BIGINT, k INT, amount INT, ts TIMESTAMP_LTZ(3), \
              WATERMARK FOR ts AS ts - INTERVAL '10' SECOND",
    selection: "id, k, amount, ts",
}];

const FRAUD: [Workload; 1] = [Workload {
    name: "fraud",
    text: include_str!("../../../bench/workloads/fraud.toml"),
    columns: "account BIGINT, merchant INT, country INT, amount INT, online BOOLEAN, \
              ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND",
    selection: "account, merchant, country, amount, online, ts",
}];

impl Suite {
    pub(super) fn name(self) -> &'static str {
        match self {
            Suite::Nexmark => "nexmark",
            Suite::Ysb => "ysb",
            Suite::WordCount => "wordcount",
            Suite::Passthrough => "passthrough",
            Suite::Fraud => "fraud",
        }
    }

    pub(super) fn workloads(self) -> &'static [Workload] {
        match self {
            Suite::Nexmark => &NEXMARK,
            Suite::Ysb => &YSB,
            Suite::WordCount => &WORD_COUNT,
            Suite::Passthrough => &PASSTHROUGH,
            Suite::Fraud => &FRAUD,
        }
    }

    /// Names of its queries, in order.
    pub fn queries(self) -> Vec<&'static str> {
        self.workloads().iter().map(|workload| workload.name).collect()
    }
}

/// What job files say of how many rows there are.
const ROWS: &str = "10_000_000";

impl Workload {
    /// The job with a source that makes so many rows itself.
    pub(super) fn in_process(&self, rows: u64) -> String {
        self.text.replacen(ROWS, &rows.to_string(), 1)
    }

    /// The job over a file made beforehand.
    pub(super) fn over_file(&self, pattern: &str) -> String {
        let (before, source, after) = self.parts();
        let name = source_name(source);
        format!(
            "{before}[sources.{name}]\nconnector = \"file\"\npath = '''{pattern}'''\nformat = \"json\"\n\
             schema = '''\n{}\n'''\n\n{after}",
            self.columns
        )
    }

    /// A job that makes that file, of so many rows.
    pub(super) fn maker(&self, rows: u64, directory: &str) -> String {
        let (_, source, _) = self.parts();
        let name = source_name(source);
        format!(
            "name = \"bench-maker\"\n\n[durability]\nmode = \"off\"\n\n{}\
             [sinks.made]\nconnector = \"file\"\npath = '''{directory}'''\nformat = \"json\"\n\n\
             [query]\nsql = \"INSERT INTO made SELECT {} FROM {name}\"\n",
            source.replacen(ROWS, &rows.to_string(), 1),
            self.selection
        )
    }

    /// What stands before the source, the source, and what stands behind.
    fn parts(&self) -> (&'static str, &'static str, &'static str) {
        let begin = self.text.find("[sources.").expect("every workload has a source");
        let end = self.text.find("[sinks.").expect("every workload has a sink behind it");
        assert!(begin < end);
        (&self.text[..begin], &self.text[begin..end], &self.text[end..])
    }
}

fn source_name(source: &str) -> &str {
    let name = source.strip_prefix("[sources.").and_then(|rest| rest.split_once(']'));
    name.expect("the source begins with its heading").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_can_be_turned_around() {
        let suites =
            [Suite::Nexmark, Suite::Ysb, Suite::WordCount, Suite::Passthrough, Suite::Fraud];
        for workload in suites.iter().flat_map(|suite| suite.workloads()) {
            let name = workload.name;
            assert_eq!(workload.text.matches(ROWS).count(), 1, "{name}");
            assert_eq!(workload.text.matches("[sources.").count(), 1, "{name}");
            assert!(workload.in_process(77).contains("= 77\n"), "{name}");
            let over_file = workload.over_file("/x/*.json");
            assert!(over_file.contains("path = '''/x/*.json'''"), "{name}");
            assert!(!over_file.contains(ROWS), "{name}");
            assert!(
                over_file.contains("[sinks.") && over_file.contains("mode = \"off\""),
                "{name}"
            );
            let maker = workload.maker(77, "/x");
            assert!(maker.contains("= 77\n") && maker.contains("path = '''/x'''"), "{name}");
        }
        let mut names = Suite::Nexmark.queries();
        names.dedup();
        assert_eq!(names.len(), 22);
    }
}
