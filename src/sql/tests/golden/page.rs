//! The page that says what is supported: groups of cases, and functions, with how they were answered.

use regex::Regex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::super::super::functions::{is_aggregate, is_scalar, names};
use super::{ANSWERS, Answered, Outcome, fixture, is_set};

const HEAD: &str = "\
# Flink's functions and what Pelton makes of them

Written by a test (`PELTON_GOLDEN_WRITE=1 cargo test --release --lib golden`) from the registry of functions and from
the cases of `tests/fixtures/flink`, each of which a running Flink 2.3 has answered. *Equal* counts cases that Flink
answers and Pelton answers alike: the type and every row, doubles by their bits. *Refused* counts those that
`pelton check` refuses by name and place. The cases that *differ* are listed with reasons in
`tests/fixtures/flink/known_differences.txt`.

";

/// Words that stand before a parenthesis and are no functions.
const NO_FUNCTIONS: &str = " ALL AND ANY ARRAY AS BETWEEN BINARY BY BYTES CAST CHAR CHARACTER DAY DEC DECIMAL DESCRIPTOR ELSE \
     EXISTS FILTER FROM GROUP IN INTERVAL IS JOIN LIKE MAP NOT NUMERIC ON OR OVER PASSING RETURNING ROW SELECT SETS \
     TABLE THEN TIME TIMESTAMP TIMESTAMP_LTZ TO TRY_CAST UNION UNNEST USING VALUES VARBINARY VARCHAR WHEN WHERE ";

#[derive(Default)]
struct Count {
    cases: usize,
    equal: usize,
    refused: usize,
    differ: usize,
}

impl Count {
    fn add(&mut self, answer: &Answered) {
        self.cases += 1;
        match answer.outcome {
            Outcome::Agrees => self.equal += 1,
            Outcome::Refused(_) => self.refused += 1,
            Outcome::Differs(_) => self.differ += 1,
        }
    }

    fn merge(&mut self, other: &Count) {
        self.cases += other.cases;
        self.equal += other.equal;
        self.refused += other.refused;
        self.differ += other.differ;
    }

    fn cells(&self) -> String {
        format!("{} | {} | {} | {}", self.cases, self.equal, self.refused, self.differ)
    }
}

fn page(answers: &[Answered]) -> String {
    let mut page = HEAD.to_owned();
    documented(answers, &mut page);
    groups(answers, &mut page);
    functions(answers, &mut page);
    page
}

/// One documented function or operator.
struct Documented<'a> {
    form: &'a str,
    /// What finds its cases: among those of its group, or by its name among all.
    cases: Regex,
    by_name: bool,
}

impl<'a> Documented<'a> {
    fn of(line: &'a str) -> Documented<'a> {
        match line.split_once(" ~ ") {
            Some((form, cases)) => {
                Documented { form, cases: Regex::new(cases).unwrap(), by_name: false }
            }
            None => {
                let cases = Regex::new(&format!(r"\b{line} ?\(")).unwrap();
                Documented { form: line, cases, by_name: true }
            }
        }
    }

    /// Its cases; of an operator those of its group, and of queries when it has none there.
    fn count(&self, group: &str, answers: &[Answered]) -> Count {
        let own = self.count_in(answers, |other| self.by_name || other == group);
        match own.cases {
            0 => self.count_in(answers, |other| other.starts_with("query/")),
            _ => own,
        }
    }

    fn count_in(&self, answers: &[Answered], is_asked: impl Fn(&str) -> bool) -> Count {
        let mut count = Count::default();
        let asked = answers.iter().filter(|answer| is_asked(&answer.group));
        let own = asked.filter(|a| !a.is_refused_by_flink && self.cases.is_match(&a.sql));
        own.for_each(|answer| count.add(answer));
        count
    }

    /// True when a call is planned: some case is answered, or without one the name is registered.
    fn is_supported(&self, count: &Count) -> bool {
        let registered = is_scalar(self.form) || is_aggregate(self.form);
        count.refused < count.cases || (registered && count.cases == 0)
    }
}

fn documented(answers: &[Answered], page: &mut String) {
    page.push_str("## Documented functions\n\n");
    page.push_str(
        "What Flink's pages list. *Differ* are those with a case that is answered otherwise, as\n",
    );
    page.push_str("`known_differences.txt` tells; those without a case depend on the moment or on chance.\n\n");
    page.push_str(
        "| group | documented | supported | equal | differ | without a case | refused |\n",
    );
    page.push_str("|---|---:|---:|---:|---:|---:|---|\n");
    let text = fixture("documented.txt");
    for section in text.split("\n[").skip(1) {
        let (group, lines) = section.split_once("]\n").unwrap();
        let (mut documented, mut equal, mut differ, mut bare) = (0, 0, 0, 0);
        let mut refused = Vec::new();
        for entry in lines.lines().filter(|line| !line.is_empty()).map(Documented::of) {
            let count = entry.count(group, answers);
            documented += 1;
            match (entry.is_supported(&count), count.cases, count.differ) {
                (false, ..) => refused.push(format!("`{}`", entry.form)),
                (true, 0, _) => bare += 1,
                (true, _, 0) => equal += 1,
                _ => differ += 1,
            }
        }
        let (supported, refused) = (documented - refused.len(), refused.join(", "));
        writeln!(
            page,
            "| {group} | {documented} | {supported} | {equal} | {differ} | {bare} | {refused} |"
        )
        .unwrap();
    }
    page.push('\n');
}

fn groups(answers: &[Answered], page: &mut String) {
    let mut order: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, (Count, Count)> = BTreeMap::new();
    for answer in answers {
        if !order.contains(&answer.group.as_str()) {
            order.push(&answer.group);
        }
        let (answered, refused_by_flink) = counts.entry(&answer.group).or_default();
        match answer.is_refused_by_flink {
            true => refused_by_flink.add(answer),
            false => answered.add(answer),
        }
    }
    page.push_str("## Groups of cases\n\n");
    page.push_str("| group | answered by Flink | equal | refused | differ | refused by Flink | accepted here |\n");
    page.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
    let mut sum = (Count::default(), Count::default());
    for group in order {
        let (count, refused_by_flink) = &counts[group];
        let (refused, accepted) = (refused_by_flink.cases, refused_by_flink.differ);
        writeln!(page, "| {group} | {} | {refused} | {accepted} |", count.cells()).unwrap();
        sum.0.merge(count);
        sum.1.merge(refused_by_flink);
    }
    writeln!(page, "| **all** | {} | {} | {} |", sum.0.cells(), sum.1.cases, sum.1.differ).unwrap();
}

fn functions(answers: &[Answered], page: &mut String) {
    let call = Regex::new(r"'(?:[^']|'')*'|\b([A-Z][A-Z0-9_]*) ?\(").unwrap();
    let mut counts: BTreeMap<&str, Count> = names().map(|name| (name, Count::default())).collect();
    for answer in answers.iter().filter(|answer| !answer.is_refused_by_flink) {
        let mut called: Vec<&str> = call
            .captures_iter(&answer.sql)
            .filter_map(|found| found.get(1).map(|name| name.as_str()))
            .filter(|name| !NO_FUNCTIONS.contains(&format!(" {name} ")))
            .collect();
        called.sort_unstable();
        called.dedup();
        for name in called {
            counts.entry(name).or_default().add(answer);
        }
    }
    page.push_str(
        "\n## Functions\n\n| function | supported | cases | equal | refused | differ |\n",
    );
    page.push_str("|---|---|---:|---:|---:|---:|\n");
    for (name, count) in counts {
        let supported = match (is_scalar(name) || is_aggregate(name), count.refused) {
            (true, _) => "yes",
            (false, refused) if refused < count.cases => "as syntax",
            _ => "no",
        };
        writeln!(page, "| `{name}` | {supported} | {} |", count.cells()).unwrap();
    }
}

#[test]
fn the_page_says_what_is_true() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/sql/FUNCTIONS.md");
    let page = page(&ANSWERS);
    if is_set("PELTON_GOLDEN_WRITE") {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let changed = page.lines().zip(written.lines()).find(|(now, then)| now != then);
    assert!(page == written, "write it anew with PELTON_GOLDEN_WRITE=1: {changed:?}");
}
