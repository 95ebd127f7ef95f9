//! Results: written, read back, shown.

use super::*;

/// A result with these figures and a chart.
fn sample(figures: Vec<Figure>) -> BenchResult {
    let mut charts = Charts::default();
    charts.add_queues(Owner { table: "a <b>", of: "job" }, std::iter::once(&[(1.0, 2.0)][..]));
    let head = ResultHead {
        bench: "latency",
        machine: &Machine::look(),
        configuration: vec![("job", "</script><script>alert(1)".to_owned())],
        interrupted: true,
        caveats: vec!["1 lost & found".to_owned()],
        not_measured: vec!["q3: <JOIN>".to_owned()],
        document: "{\"schema\":1}".to_owned(),
    };
    BenchResult::new(head, figures, charts)
}

fn figure(name: &str, values: &[f64]) -> Figure {
    let key = ("a <b>", name, "job");
    Figure::of(key, ("µs", Better::Lower), values.iter().copied()).expect("there are values")
}

#[test]
fn what_is_written_is_read_back() {
    let result = sample(vec![figure("p50", &[1.5, 2.5]).deciding(), figure("p99", &[7.0])]);
    let directory = tempfile::tempdir().expect("a directory for the while");
    let folder = directory.path().join("new/folder");
    result.write(&folder).expect("it can be written");
    let text = fs::read_to_string(folder.join(RESULT_FILE)).expect("it is there");
    assert_eq!(BenchResult::parse(&text), Ok(result));
    let names = fs::read_dir(&folder).expect("it is there").count();
    assert_eq!(names, 2);
}

/// Read fast, a number may be off by its last digit, and the median of two such is.
#[test]
fn every_result_that_is_written_can_be_read() {
    let mut random = crate::workload::Random::new(7, 0);
    let mut value = || f64::from(u32::try_from(random.below(1 << 31)).unwrap()).sqrt() / 7e4;
    let figures =
        (0..2_000).map(|number| figure(&number.to_string(), &[value(), value(), value(), value()]));
    let text = serde_json::to_string(&sample(figures.collect())).unwrap();
    BenchResult::parse(&text).unwrap();
}

#[test]
fn a_figure_has_values_that_are_numbers() {
    let none = Figure::of(("t", "f", "o"), ("s", Better::Lower), [f64::NAN, f64::INFINITY]);
    assert_eq!(none, None);
    let some = Figure::of(("t", "f", "o"), ("s", Better::Lower), [3.0, f64::NAN, 1.0, 2.0]);
    let some = some.expect("there are values").of_runs(4);
    assert_eq!((some.spread.median, some.values.len(), some.runs), (2.0, 3, 4));
}

/// The words behind the heading of the row of a figure, without marks and commas.
fn row(page: &str, figure: &Figure) -> Vec<String> {
    let heading = format!("<tr><th>{} <i>{}</i></th>", figure.figure, figure.of);
    let at = page.find(&heading).unwrap_or_else(|| panic!("no row of {figure:?}"));
    let row = &page[at + heading.len()..];
    let row = &row[..row.find("</tr>").expect("a row ends")];
    // Of `a<b>c</b>`, every second part is text.
    let texts = row.split(['<', '>']).step_by(2).flat_map(str::split_whitespace);
    texts.map(|word| word.replace(',', "")).collect()
}

#[track_caller]
fn check_near(shown: &str, value: f64) {
    let found: f64 = shown.parse().unwrap_or_else(|_| panic!("{shown} is no number"));
    assert!((found - value).abs() <= 0.005 * value.abs(), "{shown} instead of {value}");
}

#[test]
fn every_figure_of_a_result_stands_in_its_report() {
    let values: [&[f64]; 6] = [
        &[1.5, 2.5, 9.25],
        &[0.004],
        &[1_234_567.0, 1_234_600.0],
        &[0.0],
        &[0.456, 12.345],
        &[99_999.0, 100_001.0],
    ];
    let figures = (0..).zip(values).map(|(number, values)| figure(&format!("f{number}"), values));
    let result = sample(figures.map(|it| it.of_runs(7)).collect());
    let page = page::page(&[("latency", &result)]);
    assert_eq!(result.figures.len(), values.len());
    for figure in &result.figures {
        let words = row(&page, figure);
        let Spread { median, min, max } = figure.spread;
        assert_eq!(words[0], figure.unit);
        check_near(&words[1], median);
        let rest = if min < max {
            check_near(&words[2], min);
            check_near(&words[4], max);
            &words[5..]
        } else {
            &words[2..]
        };
        assert_eq!(rest.join(" "), format!("{} of 7 runs", figure.values.len()));
    }
}

#[test]
fn a_report_needs_nothing_else_and_cannot_be_broken_out_of() {
    let result = sample(vec![figure("p50", &[1.0])]);
    let page = page::page(&[("latency", &result)]);
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    assert!(!page.contains("<script>alert"), "configuration is text");
    assert!(page.contains("<h2>a &lt;b&gt;</h2>") && page.contains("1 lost &amp; found"));
    assert!(page.contains("q3: &lt;JOIN&gt;"));
    assert!(page.contains("interrupted: this is what was measured until then"));
    for loaded in ["src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    let data = page.split("id=\"results\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let data: Value = serde_json::from_str(data.expect("there is data")).expect("it is JSON");
    assert_eq!(data[0]["timelines"][0]["seconds"][0], 1.0);
}

#[test]
fn results_stand_beside_each_other_with_their_ratio() {
    let base = sample(vec![figure("p50", &[10.0; 5]), figure("p99", &[20.0])]);
    let other = sample(vec![figure("p50", &[15.0; 5]), figure("max", &[7.0])]);
    let page = page::page(&[("before", &base), ("<after>", &other)]);
    let words = |name: &str| row(&page, &figure(name, &[1.0])).join(" ");
    assert_eq!(words("p50"), "µs 10 15 1.50 1.50 to 1.50 worse");
    assert_eq!(words("p99"), "µs 20 - -");
    assert_eq!(words("max"), "µs - 7 -");
    assert!(page.contains("<th>before</th><th>&lt;after&gt;</th><th>ratio</th>"));
    assert!(page.contains("<h3>&lt;after&gt;</h3>"), "each has its configuration");
}
