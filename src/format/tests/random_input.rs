//! Every cut of small inputs, random cuts of larger ones, mutated and random bytes.

use arrow::datatypes::SchemaRef;

use super::support::{CSV, JSON, Outcome, options, run, schema};
use crate::format::{CsvOptions, DecoderOptions, FormatOptions};

const SEEDS: std::ops::Range<u64> = 0..60;

const JSON_COLUMNS: &str = "a BIGINT, b STRING, c DOUBLE, d TIMESTAMP(3), e ARRAY<BIGINT>, f BYTES";
const JSON_INPUT: &str = concat!(
    r#"{"a":1,"b":"xä","c":1.5,"d":"2020-01-01 00:00:00.1","e":[1,2],"f":"AAEC"}"#,
    "\r\n{\"a\":1,\n\n",
    r#"{ "b" : "\ud83d\ude00\n", "a" : -12345678901234, "z": {"q": [true, null, "x"]} }"#,
    "\n",
    r#"{"a":"7","b":{"k":"v"},"c":-0,"e":null}"#,
);
const CSV_COLUMNS: &str = "a BIGINT, b STRING, c BOOLEAN";
const CSV_INPUT: &str = "1,x,true\r\n2,\"a,\"\"b\"\"\",\n\n,\"line\nend\",FALSE\n3,4\n5,\"\",false,\n6,\"y\"z,true\n7,ä,";

fn cases() -> Vec<(FormatOptions, SchemaRef, &'static str)> {
    let csv =
        |header, multiline| FormatOptions::Csv(CsvOptions { delimiter: b',', header, multiline });
    vec![
        (JSON, schema(JSON_COLUMNS), JSON_INPUT),
        (CSV, schema(CSV_COLUMNS), CSV_INPUT),
        (csv(false, true), schema(CSV_COLUMNS), CSV_INPUT),
        (csv(true, true), schema("c STRING, a STRING"), "a,b,\"c\"\n1,2,3\n\"4\n\",5,\n6,7\n"),
        (FormatOptions::Raw, schema("a STRING"), "one\r\n\ntwo\nä"),
    ]
}

#[track_caller]
fn run_pieces(options: &DecoderOptions, pieces: &[&[u8]]) -> Outcome {
    run(options, pieces.iter().copied()).0
}

/// Cuts at random, from single bytes to whole lines.
fn random_pieces<'a>(random: &mut fastrand::Rng, mut rest: &'a [u8]) -> Vec<&'a [u8]> {
    let longest = [1, 3, 20, 200][random.usize(0..4)];
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(random.usize(0..=longest).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

#[test]
fn no_cut_changes_what_comes_out() {
    for (format, schema, input) in cases() {
        let input = input.as_bytes();
        for line_bytes_max in [1, 8, 12, 4096] {
            let options = DecoderOptions { line_bytes_max, ..options(&format, &schema) };
            let whole = run_pieces(&options, &[input]);
            assert!(whole.records >= 3);
            assert_eq!(whole.offset, input.len() as u64);
            for first in 0..=input.len() {
                for length in [0, 1, 2, 7, input.len()] {
                    let second = (first + length).min(input.len());
                    let pieces = [&input[..first], &input[first..second], &input[second..]];
                    let cut = run_pieces(&options, &pieces);
                    assert_eq!(cut, whole, "{format:?} cut at {first} and {second}");
                }
            }
        }
    }
}

#[test]
fn random_cuts_of_long_inputs_change_nothing() {
    for (format, schema, input) in cases() {
        for seed in SEEDS {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut long = String::new();
            for _ in 0..random.usize(1..30) {
                long += input;
                long += ["\n", "\r\n"][random.usize(0..2)];
            }
            let options = DecoderOptions {
                line_bytes_max: random.usize(1..200),
                ..options(&format, &schema)
            };
            let whole = run_pieces(&options, &[long.as_bytes()]);
            let pieces = random_pieces(&mut random, long.as_bytes());
            assert_eq!(run_pieces(&options, &pieces), whole, "{format:?} seed {seed}");
        }
    }
}

/// Changes some bytes: flips, insertions, deletions, and pieces copied elsewhere.
fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    const SPICE: &[u8] = b"\"\\{}[],:\n\r\0-+.eE019tfnu \x80\xc3\xff";
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..bytes.len().max(1)).min(bytes.len());
        match random.u8(0..4) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => bytes.insert(at, SPICE[random.usize(0..SPICE.len())]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let end = (at + random.usize(0..10)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let target = random.usize(0..=bytes.len());
                bytes.splice(target..target, copy);
            }
        }
    }
}

/// `run` asserts that every record is a row or a rejection; here, that cutting does not matter
/// either when the input is broken.
#[test]
fn mutated_bytes_are_accounted_for() {
    for (format, schema, input) in cases() {
        let options = options(&format, &schema);
        for seed in 0..3000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = input.as_bytes().to_vec();
            mutate(&mut random, &mut bytes);
            let whole = run_pieces(&options, &[&bytes]);
            let pieces = random_pieces(&mut random, &bytes);
            assert_eq!(run_pieces(&options, &pieces), whole, "{format:?} seed {seed}");
        }
    }
}

#[test]
fn random_bytes_are_accounted_for() {
    for (format, schema, _) in cases() {
        for seed in SEEDS {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..random.usize(0..3000)).map(|_| random.u8(..)).collect();
            let options = DecoderOptions {
                line_bytes_max: random.usize(1..300),
                ..options(&format, &schema)
            };
            let whole = run_pieces(&options, &[&bytes]);
            let pieces = random_pieces(&mut random, &bytes);
            assert_eq!(run_pieces(&options, &pieces), whole, "{format:?} seed {seed}");
        }
    }
}
