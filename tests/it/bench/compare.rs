//! `pelton bench compare`.

use super::{bench, document, result};
use crate::support::Directory;
use serde_json::Value;

/// Folders `a`, and `b` with the same, in which the job reads half as many records per second.
fn results() -> Directory {
    let directory = Directory::new();
    bench(&directory, "passthrough --rows 2k --runs 4 --cores 1 --out a").expect_code(0);
    let mut slower = result(&directory, "a");
    let figures = slower["figures"].as_array_mut().expect("a list");
    let figure = figures.iter_mut().find(|it| it["table"] == "throughput").expect("it is measured");
    let halve = |value: &mut Value| *value = (value.as_f64().expect("a number") / 2.0).into();
    ["median", "min", "max"].iter().for_each(|name| halve(&mut figure[*name]));
    figure["values"].as_array_mut().expect("a list").iter_mut().for_each(halve);
    slower["machine"]["kernel"] = "6.1 <other>".into();
    directory.write("b/result.json", &slower.to_string());
    directory
}

#[test]
fn a_result_that_is_worse_is_told_from_one_that_is_not() {
    let directory = results();
    let same = bench(&directory, "compare a a --gate");
    same.expect_code(0);
    assert!(same.stdout.contains("within the noise"), "{}", same.stdout);
    assert!(!same.stdout.contains("differs:"), "{}", same.stdout);

    // Four runs of a machine that does something else, too, may be twice as far apart as this.
    let worse = bench(&directory, "compare a b");
    worse.expect_code(0);
    assert!(worse.stdout.contains("  differs: kernel: "), "{}", worse.stdout);

    let gate = bench(&directory, "compare a b --gate --json --out pages");
    let report = document(&gate);
    let compared = report["benches"][0]["others"][0]["figures"].as_array().expect("a list");
    let slower = compared.iter().find(|it| it["table"] == "throughput").expect("it is compared");
    let verdict = slower["verdict"].as_str().expect("a word");
    let is_worse = verdict == "worse";
    assert!(is_worse || verdict == "same", "{slower}");
    assert_eq!(slower["is_worse"], is_worse);
    gate.expect_code(if is_worse { 4 } else { 0 });
    if is_worse {
        gate.expect_message("b: passthrough, throughput: passthrough is 0.");
    }
    let page = std::fs::read_to_string(directory.path("pages/report.html")).expect("it is there");
    assert!(page.contains("<th>a</th><th>b</th><th>ratio</th>"));
    assert!(page.contains("6.1 &lt;other&gt;") && !page.contains("6.1 <other>"));
    let kept = std::fs::read_to_string(directory.path("pages/comparison.json")).expect("there");
    assert_eq!(serde_json::from_str::<Value>(&kept).expect("it is a document"), report);
}

#[test]
fn options_are_checked_before_anything_happens() {
    let directory = results();
    let check = |arguments: &str, code: i32, said: &str| {
        bench(&directory, arguments).expect_code(code).expect_message(said);
    };
    check("compare a", 2, "2 values required");
    check("compare a none", 5, "reading none");
    check("compare a . --tolerance -1", 2, "unexpected argument");
    check("compare a b --tolerance 5000", 2, "is out of range");
    check("compare a b --out a", 2, "--out a is the folder of a result");
    directory.write("c/result.json", "{}");
    check("compare a c", 2, "c/result.json: is no result of a bench: missing field");
}
