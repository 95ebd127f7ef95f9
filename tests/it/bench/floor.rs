//! `pelton bench floor`.

use super::{bench, document, figure, result};
use crate::support::Directory;

#[test]
fn every_floor_is_measured_and_nothing_is_left_behind() {
    let directory = Directory::new();
    let outcome = bench(&directory, "floor --rounds 2 --duration 50ms --json");
    outcome.expect_code(0);
    let report = document(&outcome);
    let floors = report["floors"].as_array().unwrap();
    let names =
        ["relay", "echo", "tcp", "ring", "memory copy", "disk: range sync", "generator: nexmark"];
    for name in names {
        let of_it = floors.iter().filter(|it| it["floor"].as_str().unwrap().starts_with(name));
        let figures: Vec<_> = of_it.collect();
        assert!(!figures.is_empty(), "{name}: {}", outcome.stdout);
        for figure in figures {
            assert_eq!(figure["values"].as_array().unwrap().len(), 2, "{figure}");
            assert!(figure["median"].as_f64().unwrap() > 0.0, "{figure}");
        }
    }
    assert_eq!(std::fs::read_dir(directory.path(".")).unwrap().count(), 0);
}

#[test]
fn a_table_is_printed_and_options_are_checked_first() {
    let directory = Directory::new();
    let outcome = bench(&directory, "floor --rounds 1 --duration 10ms --out r");
    outcome.expect_code(0);
    outcome.expect_message("round 1 of 1, memory copy: ");
    assert_eq!(figure(&result(&directory, "r"), "p99.9", "")["runs"], 1);
    for part in ["echo: 64 bytes there and back", "memory copy", "GB/s", "1 rounds of 0.01 s each"]
    {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    bench(&directory, "floor --dir none")
        .expect_code(2)
        .expect_message("--dir none is no directory");
    bench(&directory, "floor --rounds 0").expect_code(2).expect_message("0 is not in 1..=10000");
}
