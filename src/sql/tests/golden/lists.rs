//! The cases that do not agree: `refused.txt`, and `known_differences.txt` with reasons.
//!
//! The lists are true in both directions: a case that begins to agree fails the test as well, until
//! it is taken out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Answered, Outcome, fixture, fixtures};

const REFUSED: &str = "refused.txt";
const DIFFERENCES: &str = "known_differences.txt";

const REFUSED_HEAD: &str = "\
# Cases that Flink answers and Pelton refuses, by id, with the case. Written by the test that compares
# (PELTON_GOLDEN_WRITE=1); a case that is answered must not stand here.
";

const DIFFERENCES_HEAD: &str = "\
# Cases in which Pelton's answer is not Flink's, or in which it answers what Flink refuses, by id, with
# the reason. Reasons are written by hand. PELTON_GOLDEN_WRITE=1 takes out what agrees and puts in what
# does not, with what is different as its reason; `open:` marks those that nobody decided on.
";

/// By id, what follows it.
fn entries(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect()
}

/// Each place where the lists are not true.
pub(super) fn problems(answers: &[Answered]) -> Vec<String> {
    let (refused, differences) = (fixture(REFUSED), fixture(DIFFERENCES));
    let (mut refused, mut differences) = (entries(&refused), entries(&differences));
    let mut problems = Vec::new();
    for Answered { id, sql, outcome, .. } in answers {
        let listed =
            (refused.remove(id.as_str()).is_some(), differences.remove(id.as_str()).is_some());
        let problem = match (outcome, listed) {
            (Outcome::Agrees, (false, false))
            | (Outcome::Refused(_), (true, false))
            | (Outcome::Differs(_), (false, true)) => continue,
            (Outcome::Agrees, _) => "agrees, and is in a list".to_owned(),
            (Outcome::Refused(why), _) => format!("refused: {why}"),
            (Outcome::Differs(how), _) => how.clone(),
        };
        problems.push(format!("{id} {sql} :: {problem}"));
    }
    let left = refused.into_keys().chain(differences.into_keys());
    problems.extend(left.map(|id| format!("{id} :: listed, and there is no such case")));
    problems
}

/// Writes both lists as they are true now; reasons stay.
pub(super) fn write(answers: &[Answered]) {
    let (mut refused, mut differences) = (REFUSED_HEAD.to_owned(), DIFFERENCES_HEAD.to_owned());
    let known = fixture(DIFFERENCES);
    let known = entries(&known);
    for Answered { id, sql, outcome, .. } in answers {
        match outcome {
            Outcome::Agrees => {}
            Outcome::Refused(_) => {
                writeln!(refused, "{id} {}", one_line(sql)).unwrap();
            }
            Outcome::Differs(how) => {
                let reason = match known.get(id.as_str()) {
                    Some(reason) => (*reason).to_owned(),
                    None => format!(
                        "open: {} :: {}",
                        shortened(&one_line(sql), 60),
                        shortened(&one_line(how), 200)
                    ),
                };
                writeln!(differences, "{id} {reason}").unwrap();
            }
        }
    }
    std::fs::write(fixtures().join(REFUSED), refused).unwrap();
    std::fs::write(fixtures().join(DIFFERENCES), differences).unwrap();
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

#[test]
fn lists_have_ids_and_reasons() {
    let text = "# head\n\na-1 because\nb-2\n";
    assert_eq!(entries(text), BTreeMap::from([("a-1", "because"), ("b-2", "")]));
}
