//! Comparing: folders that are found, figures that are worse.

use super::*;
use crate::loadgen::machine::Machine;
use crate::loadgen::result::{Better, Charts, Figure, ResultHead};

/// A result of these figures, lower is better.
fn result(bench: &str, figures: &[(&str, &[f64])]) -> BenchResult {
    let figures = figures.iter().filter_map(|(name, values)| {
        let key = ("t", *name, "job");
        let figure = Figure::of(key, ("µs", Better::Lower), values.iter().copied())?;
        Some(if name.starts_with("detail") { figure } else { figure.deciding() })
    });
    let head = ResultHead {
        bench,
        machine: &Machine::look(),
        configuration: vec![("rate", "1".to_owned())],
        interrupted: false,
        caveats: Vec::new(),
        not_measured: Vec::new(),
        document: "null".to_owned(),
    };
    BenchResult::new(head, figures.collect(), Charts::default())
}

const LOW: &[f64] = &[10.0, 10.1, 10.2, 10.3, 10.1];
const HIGH: &[f64] = &[12.0, 12.1, 12.2, 12.3, 12.1];

/// Compares what is in two folders; the lines of what is worse.
fn regressions(base: &Path, other: &Path) -> Vec<String> {
    let results = vec![base.to_owned(), other.to_owned()];
    let report = compare(&CompareOptions { results, tolerance: 0.05 }).expect("they are read");
    let text = report.to_text();
    assert!(text.contains("ratios are to base"), "{text}");
    report.regressions()
}

/// By hand: of the 25 ratios, the third from either end is 12.1 / 10.3 and 12.3 / 10.1, the middle one 12.1 / 10.1.
#[test]
fn figures_that_decide_and_are_worse_are_named() {
    let directory = tempfile::tempdir().expect("a directory for the while");
    let folder = |name: &str| directory.path().join(name);
    let write = |name: &str, result: BenchResult| {
        result.write(&folder(name)).expect("it can be written");
        folder(name)
    };
    let base = write("base", result("latency", &[("p50", LOW), ("p99", HIGH), ("detail", LOW)]));
    let same = write("same", result("latency", &[("p50", LOW), ("p99", LOW), ("detail", HIGH)]));
    assert_eq!(regressions(&base, &same), Vec::<String>::new());
    let worse = write("worse", result("latency", &[("p50", HIGH), ("p99", &HIGH[..3])]));
    assert_eq!(
        regressions(&base, &worse),
        ["worse: latency, t: p50 job is 1.20 times the base (1.17 to 1.22)"]
    );
    let few = write("few", result("latency", &[("p50", &HIGH[..1])]));
    assert_eq!(
        regressions(&base, &few),
        [
            "few: latency, t: p99 job is missing",
            "few: latency, t: p50 job is 1.19 times the base (1.17 to 1.20), in too few runs to tell it from \
             noise; measure 4 or more",
        ]
    );
    // By more than noise, but not by much.
    let slow = LOW.iter().map(|value| value * 1.04).collect::<Vec<_>>();
    let slower = write("slower", result("latency", &[("p50", &slow), ("p99", HIGH)]));
    assert_eq!(regressions(&base, &slower), Vec::<String>::new());
}

#[test]
fn folders_of_results_are_compared_by_name() {
    let directory = tempfile::tempdir().expect("a directory for the while");
    let (base, other) = (directory.path().join("base"), directory.path().join("other"));
    for (folder, values) in [(&base, LOW), (&other, HIGH)] {
        result("latency", &[("p50", values)]).write(&folder.join("quick")).expect("written");
    }
    result("floor", &[("p50", LOW)]).write(&base.join("floor")).expect("written");
    let found = regressions(&base, &other);
    assert_eq!(found[0], "other: floor is missing");
    assert!(found[1].starts_with("other: quick, t: p50 job is 1.20 times"), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_no_result_is_refused() {
    let directory = tempfile::tempdir().expect("a directory for the while");
    let base = directory.path().join("base");
    result("latency", &[("p50", LOW)]).write(&base).expect("it can be written");
    let other = directory.path().join("other");
    let refused = || {
        let options = CompareOptions { results: vec![base.clone(), other.clone()], tolerance: 0.0 };
        compare(&options).expect_err("it is refused").to_string()
    };
    assert!(refused().contains("No such file"), "{}", refused());
    std::fs::create_dir(&other).expect("created");
    assert!(refused().contains("there is no result.json, in it or in a folder of it"));
    result("floor", &[("p50", LOW)]).write(&other).expect("it can be written");
    assert!(refused().contains("base is of bench latency, other of bench floor"));
    let text = std::fs::read_to_string(base.join("result.json")).expect("it is there");
    for (from, to, reason) in [
        ("{", "[", "is no result of a bench"),
        ("\"schema\": 1", "\"schema\": 2", "has the form 2, and this program reads 1"),
        ("\"median\": 10.1", "\"median\": 1.0", "a figure is not that of its values"),
        ("\"better\": \"lower\"", "\"better\": \"most\"", "is no result of a bench"),
        ("\"runs\": 5", "\"runs\": 4", "a figure is not that of its values"),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        let broken = text.replacen(from, to, 1);
        std::fs::write(other.join("result.json"), broken).expect("it can be written");
        assert!(refused().contains(reason), "{reason}: {}", refused());
    }
}

#[test]
fn names_are_short_where_they_can_be() {
    let named = |paths: [&str; 3]| names(&paths.map(PathBuf::from));
    assert_eq!(named(["a/x", "b/y", "z"]), ["x", "y", "z"]);
    assert_eq!(named(["a/x", "b/x", ".."]), ["a/x", "b/x", ".."]);
}
