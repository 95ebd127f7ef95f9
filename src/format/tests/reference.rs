//! Other parsers as references: serde_json decides what JSON is and what a string says, csv-core
//! what the fields of a CSV record are.

use serde_json::Value;
use std::fmt::Write as _;

use super::support::{CSV, JSON, options, run, schema};

/// A random JSON value as text: spaces, escapes, odd numbers, and now and then something broken.
fn random_value(random: &mut fastrand::Rng, depth: usize, out: &mut String) {
    match random.u8(0..if depth < 4 { 9 } else { 6 }) {
        0 => out.push_str(["null", "true", "false", "nul", "True"][random.usize(0..5).min(4)]),
        1 => write!(out, "{}", random.i64(..) >> random.u32(0..64)).unwrap(),
        2 => write!(out, "{:e}", f64::from_bits(random.u64(..))).unwrap(),
        3 => out.push_str(NUMBERS[random.usize(0..NUMBERS.len())]),
        4 | 5 => random_string(random, out),
        6 => random_list(random, depth, "[]", false, out),
        _ => random_list(random, depth, "{}", true, out),
    }
}

const NUMBERS: &[&str] =
    &["0", "-0", "1.5", "1e5", "1E-2", "01", "1.", ".5", "+1", "-", "1e", "123456789012345678901"];

fn random_string(random: &mut fastrand::Rng, out: &mut String) {
    const PARTS: &[&str] = &[
        "a",
        "bcdefghijk",
        "ä",
        "€",
        "\u{1f600}",
        "\\n",
        "\\\"",
        "\\\\",
        "\\u00e4",
        "\\ud83d\\ude00",
        "\\/",
        " ",
        ":",
        ",",
        "}",
        "longer plain text without anything special",
    ];
    const RARE: &[&str] = &["\\ud83d", "\\x", "\t", "\\u12"];
    out.push('"');
    for _ in 0..random.usize(0..5) {
        let parts = if random.u8(0..40) == 0 { RARE } else { PARTS };
        out.push_str(parts[random.usize(0..parts.len())]);
    }
    out.push('"');
}

fn random_space(random: &mut fastrand::Rng) -> &'static str {
    ["", "", "", " ", "\t "][random.usize(0..5)]
}

fn random_list(
    random: &mut fastrand::Rng,
    depth: usize,
    brackets: &str,
    keyed: bool,
    out: &mut String,
) {
    out.push_str(&brackets[..1]);
    for index in 0..random.usize(0..6) {
        out.push_str(random_space(random));
        if index > 0 {
            out.push_str(if random.u8(0..80) == 0 { "" } else { "," });
        }
        out.push_str(random_space(random));
        if keyed {
            out.push_str(["\"a\"", "\"b\"", "\"c\"", "\"\\u0061\"", "\"zz\""][random.usize(0..5)]);
            out.push_str(random_space(random));
            out.push(':');
        }
        out.push_str(random_space(random));
        random_value(random, depth + 1, out);
    }
    out.push_str(random_space(random));
    out.push_str(&brackets[1..]);
}

#[test]
fn json_agrees_with_serde_json() {
    let options = options(&JSON, &schema("a STRING, b STRING, c STRING"));
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..20_000 {
        let mut line = String::new();
        random_list(&mut fastrand::Rng::with_seed(seed), 0, "{}", true, &mut line);
        let (outcome, batches) = run(&options, [line.as_bytes()]);
        let Ok(Value::Object(object)) = serde_json::from_str(&line) else {
            // The reference refuses numbers beyond DOUBLE, which are numbers all the same.
            let beyond = serde_json::from_str::<Value>(&line)
                .is_err_and(|error| error.to_string().contains("out of range"));
            assert!(beyond || outcome.rejected.len() == 1, "seed {seed}: {line}");
            invalid += 1;
            continue;
        };
        assert_eq!(outcome.rejected, [], "seed {seed}: {line}");
        valid += 1;
        for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
            let column = batches[0].column(index);
            let strings = column.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
            let seen = strings.iter().next().unwrap();
            match object.get(name) {
                None | Some(Value::Null) => assert_eq!(seen, None, "seed {seed}: {line}"),
                Some(Value::String(text)) => {
                    assert_eq!(seen, Some(text.as_str()), "seed {seed}: {line}");
                }
                Some(other) => {
                    let text = seen.expect("there is a value");
                    let reparsed: Value = serde_json::from_str(text).unwrap();
                    assert_eq!(&reparsed, other, "seed {seed}: {line}");
                }
            }
        }
    }
    assert!(valid > 5000 && invalid > 1000, "{valid} valid, {invalid} invalid");
}

#[test]
fn integers_agree_with_the_standard_library() {
    let options = options(&JSON, &schema("a BIGINT, b INT, c DOUBLE"));
    for seed in 0..5_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let number =
            (i128::from(random.i64(..)) * i128::from(random.u8(1..4))) >> random.u32(0..64);
        let expect = |fits: bool, text: String| if fits { Ok(text) } else { Err(()) };
        for (name, expected) in [
            ("a", expect(i64::try_from(number).is_ok(), format!("{number}|∅|∅"))),
            ("b", expect(i32::try_from(number).is_ok(), format!("∅|{number}|∅"))),
        ] {
            let line = format!("{{\"{name}\":{number}}}");
            let (_, batches) = run(&options, [line.as_bytes()]);
            let row = batches.iter().flat_map(super::support::rows_of).next();
            assert_eq!(row.ok_or(()), expected, "seed {seed}: {line}");
        }
    }
}

/// The fields of one record by csv-core; `None` when it sees more than one record.
fn reference_fields(line: &str) -> Option<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let (mut output, mut ends) = ([0; 1024], [0; 64]);
    let (result, read, written, count) =
        reader.read_record(format!("{line}\n").as_bytes(), &mut output, &mut ends);
    if result != csv_core::ReadRecordResult::Record || read != line.len() + 1 {
        return None;
    }
    let text = |start, end| String::from_utf8(output[start..end].to_vec()).unwrap();
    assert!(written <= output.len());
    let mut start = 0;
    Some(ends[..count].iter().map(|&end| text(std::mem::replace(&mut start, end), end)).collect())
}

#[test]
fn csv_agrees_with_csv_core() {
    const PARTS: &[&str] =
        &["a", "bc d", "ä", "1", "\"\"", ",", "5\" x", "\"q\"", "\"a,\"\"b\"\"\""];
    let (mut compared, mut rejected) = (0, 0);
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let fields: Vec<&str> =
            (0..random.usize(1..5)).map(|_| PARTS[random.usize(0..PARTS.len())]).collect();
        let line = fields.join(",");
        let Some(expected) = reference_fields(&line) else { continue };
        let names: Vec<String> =
            (0..expected.len()).map(|index| format!("c{index} STRING")).collect();
        let (outcome, batches) = run(&options(&CSV, &schema(&names.join(", "))), [line.as_bytes()]);
        let Some(row) = batches.iter().flat_map(super::support::rows_of).next() else {
            // Stricter than the reference on one point: nothing may follow closing quotes.
            assert!(outcome.rejected[0].reason.contains("closing quotes"), "seed {seed}: {line}");
            rejected += 1;
            continue;
        };
        assert_eq!(row.replace('∅', ""), expected.join("|"), "seed {seed}: {line}");
        compared += 1;
    }
    assert!(compared > 10_000, "{compared} compared, {rejected} rejected");
}
