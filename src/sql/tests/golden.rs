//! What a running Flink answers, compared with what we do: every case of `tests/fixtures/flink`.
//!
//! Read: `value` (values and types in the files' form) · `expressions`, `queries` (one case to an
//! outcome) · `lists` (the cases that do not agree, as data) · `page` (what is supported, for readers).
//!
//! Values are compared exactly: doubles by their bits, decimals with all digits. Types are compared
//! as far as Pelton has them: without lengths of CHAR and VARCHAR, without NOT NULL, and with the
//! precision in which times are kept.
//!
//! Two environment variables help while something is being made to agree: `PELTON_GOLDEN_WRITE=1`
//! writes the lists and the page anew; `PELTON_GOLDEN_SHOW=cast-` prints what comes of the cases
//! whose ids begin so.

mod expressions;
mod lists;
mod page;
mod queries;
mod value;

use std::path::PathBuf;
use std::sync::LazyLock;

/// What came of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    /// The same types and values, or refused by both.
    Agrees,
    /// Refused by us, not by Flink: why.
    Refused(String),
    /// Another type or value, or accepted although Flink refuses: which.
    Differs(String),
}

/// A case with what came of it.
struct Answered {
    /// `cast-12`, `query/tumble`.
    id: String,
    /// The case.
    sql: String,
    /// The expression's group, `query/` and the query's topic.
    group: String,
    is_refused_by_flink: bool,
    outcome: Outcome,
}

/// Flink's exceptions for what it means to refuse; others are accidents of its planner, and what it
/// stumbles over may well have an answer.
const REFUSALS: [&str; 3] = ["SqlParserException", "ValidationException", "TableException"];

/// The outcome for a case that Flink refuses with `class`.
fn of_refused(class: &str, refused_by_us: bool) -> Outcome {
    match refused_by_us || !REFUSALS.contains(&class) {
        true => Outcome::Agrees,
        false => Outcome::Differs(format!("accepted, Flink refuses ({class})")),
    }
}

/// All cases, in the order of the files.
static ANSWERS: LazyLock<Vec<Answered>> = LazyLock::new(|| {
    let mut answers = expressions::answers();
    answers.extend(queries::answers());
    answers
});

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flink")
}

fn fixture(name: &str) -> String {
    let path = fixtures().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

#[test]
fn answers_are_those_of_flink_but_for_the_lists() {
    if let Ok(prefix) = std::env::var("PELTON_GOLDEN_SHOW") {
        for answer in ANSWERS.iter().filter(|answer| answer.id.starts_with(&prefix)) {
            println!("{} {} :: {:?}", answer.id, answer.sql, answer.outcome);
        }
    }
    if is_set("PELTON_GOLDEN_WRITE") {
        lists::write(&ANSWERS);
    }
    let problems = lists::problems(&ANSWERS);
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
