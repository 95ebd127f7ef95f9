//! The live screen on a terminal of its own, which `script` makes.

use super::job;
use crate::support::{Directory, Outcome};

/// A job of three seconds on a terminal of 80 columns and 24 lines, after commands of the shell; where
/// there is no `script`, nothing.
fn on_a_terminal(before: &str, sink: &str, arguments: &str) -> Option<Outcome> {
    let source = "[sources.n]\nconnector = \"datagen\"\nrows = 6000\nrows_per_second = 2000\n\
                  schema = \"v BIGINT\"\n";
    let tables = format!("{source}[sinks.out]\n{sink}");
    let directory = Directory::with_job(&job(&tables, "INSERT INTO out SELECT v FROM n"));
    let script = format!(
        "command -v script > /dev/null || exit 77; export TERM=xterm LC_ALL=C.UTF-8; exec script \
         -qec \"stty cols 80 rows 24; {before} exec $0 run job.toml --cores 1 {arguments}\" /dev/null"
    );
    let outcome = directory.start_by(&script, &[]).wait();
    (outcome.code != Some(77)).then_some(outcome)
}

const BLACKHOLE: &str = "connector = \"blackhole\"\n";

/// Takes the terminal.
const ENTER: &str = "\u{1b}[?1049h";
/// Gives it back, and shows the cursor.
const LEAVE: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

#[track_caller]
fn expect_given_back(outcome: &Outcome) -> &str {
    let text = &outcome.stdout;
    let (_, taken) = text.split_once(ENTER).unwrap_or_else(|| panic!("no screen: {text:?}"));
    assert!(taken.contains(" overview "), "{text:?}");
    let (_, after) = taken.split_once(LEAVE[0]).unwrap_or_else(|| panic!("kept: {text:?}"));
    assert!(after.contains(LEAVE[1]), "{text:?}");
    after
}

#[test]
fn a_terminal_gets_a_screen_and_is_given_back_at_the_end() {
    let Some(outcome) = on_a_terminal("", BLACKHOLE, "") else { return };
    outcome.expect_code(0);
    let after = expect_given_back(&outcome);
    assert!(after.contains("j finished: 6000 records in, 6000 rows out"), "{after:?}");
}

#[test]
fn a_terminal_is_given_back_when_a_second_signal_ends_the_process() {
    // The signals are sent from beside it: the shell that becomes the program has its number.
    let signals = "(sleep 2.5; kill -TERM \\$\\$; kill -INT \\$\\$) &";
    // Nobody takes its rows, so that one signal does not end it.
    let sink = "connector = \"tcp\"\nconnect = \"127.0.0.1:1\"\nformat = \"csv\"\n";
    let Some(outcome) = on_a_terminal(signals, sink, "") else { return };
    outcome.expect_code(143);
    expect_given_back(&outcome);
}

#[test]
fn plain_lines_are_had_for_the_asking() {
    let Some(outcome) = on_a_terminal("", BLACKHOLE, "--plain") else { return };
    outcome.expect_code(0);
    assert!(!outcome.stdout.contains(ENTER), "{outcome:?}");
    assert!(outcome.stdout.contains(" s  in "), "{outcome:?}");
}
