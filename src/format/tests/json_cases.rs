//! JSON lines, case by case.

use super::support::{JSON, check_record, options, run, schema};
use crate::limits::BATCH_ROWS_MAX;

#[track_caller]
fn check(columns: &str, line: &str, expected: Result<&str, &str>) {
    check_record(&JSON, columns, line, expected);
}

/// The value alone, in a column `a`.
#[track_caller]
fn value(type_name: &str, value: &str, expected: Result<&str, &str>) {
    check(&format!("a {type_name}"), &format!("{{\"a\":{value}}}"), expected);
}

#[test]
fn fields_are_found_by_name_in_any_order() {
    let columns = "a BIGINT, b STRING, c BOOLEAN";
    check(columns, r#"{"a":1,"b":"x","c":true}"#, Ok("1|x|true"));
    check(columns, r#" { "c" : false , "zz" : [1, {"a": 2}] , "a" : 1 } "#, Ok("1|∅|false"));
    check(columns, r#"{"a":null}"#, Ok("∅|∅|∅"));
    check(columns, "{}", Ok("∅|∅|∅"));
    check(columns, r#"{"a":1,"a":2,"b":"x","a":3}"#, Ok("3|x|∅"));
    check(columns, r#"{"a":"wrong","a":2}"#, Ok("2|∅|∅"));
    check(columns, r#"{"\u0061":7,"A":8}"#, Ok("7|∅|∅"));
}

#[test]
fn what_is_not_null_must_be_there() {
    let columns = "a BIGINT NOT NULL, b STRING";
    check(columns, r#"{"b":"x"}"#, Err("column \"a\" is missing, but declared NOT NULL"));
    check(columns, r#"{"a":null}"#, Err("column \"a\" is NULL, but declared NOT NULL"));
    check(columns, r#"{"a":1}"#, Ok("1|∅"));
}

#[test]
fn integers_are_exact() {
    value("BIGINT", "-9223372036854775808", Ok("-9223372036854775808"));
    value("BIGINT", "9223372036854775807", Ok("9223372036854775807"));
    value("BIGINT", "999999999999999999", Ok("999999999999999999"));
    let too_large = "column \"a\": 9223372036854775808 is out of range for BIGINT";
    value("BIGINT", "9223372036854775808", Err(too_large));
    value("TINYINT", "127", Ok("127"));
    value("TINYINT", "128", Err("column \"a\": 128 is out of range for TINYINT"));
    value("SMALLINT", "-32769", Err("column \"a\": -32769 is out of range for SMALLINT"));
    value("INT", "2147483648", Err("column \"a\": 2147483648 is out of range for INT"));
    value("BIGINT", "1.0", Ok("1"));
    value("BIGINT", "1e3", Ok("1000"));
    value("BIGINT", "-0", Ok("0"));
    value("BIGINT", "1.5", Err("column \"a\": 1.5 has a fraction"));
    value("BIGINT", "\" 42 \"", Ok("42"));
    value("BIGINT", "\"4\\u0032\"", Ok("42"));
    value("BIGINT", "\"abc\"", Err("column \"a\": \"abc\" is not a BIGINT"));
    value("BIGINT", "\"\"", Err("column \"a\": \"\" is not a BIGINT"));
    value("BIGINT", "true", Err("column \"a\": true is not a BIGINT"));
    value("BIGINT", "[1]", Err("column \"a\": [1] is not a BIGINT"));
}

#[test]
fn other_scalars() {
    value("BOOLEAN", "true", Ok("true"));
    value("BOOLEAN", "\"FALSE\"", Ok("false"));
    value("BOOLEAN", "1", Err("column \"a\": 1 is not a BOOLEAN"));
    value("DOUBLE", "1.5e3", Ok("1500.0"));
    value("DOUBLE", "3", Ok("3.0"));
    value("DOUBLE", "-0", Ok("-0.0"));
    value("DOUBLE", "\"NaN\"", Ok("NaN"));
    value("DOUBLE", "1e999", Err("column \"a\": 1e999 is out of range for DOUBLE"));
    value("FLOAT", "0.1", Ok("0.1"));
    value("DECIMAL(10,2)", "1.005", Ok("1.01"));
    value("DECIMAL(10,2)", "12", Ok("12.00"));
    let too_large = "column \"a\": 123456789 is out of range for DECIMAL(10, 2)";
    value("DECIMAL(10,2)", "123456789", Err(too_large));
    value("BYTES", "\"AAEC\"", Ok("000102"));
    value("BYTES", "\"AAE\"", Err("column \"a\": \"AAE\" is not base64"));
    value("BYTES", "12", Err("column \"a\": 12 is not a BYTES"));
    value("DATE", "\"2020-02-29\"", Ok("2020-02-29"));
    value("DATE", "12", Err("column \"a\": 12 is not a DATE"));
    value("TIME(3)", "\"12:34:56.789\"", Ok("12:34:56.789"));
    value("TIMESTAMP(3)", "\"2020-01-01 00:00:00.1\"", Ok("2020-01-01T00:00:00.100"));
    value("TIMESTAMP(3)", "\"2020-01-01T00:00:00\"", Ok("2020-01-01T00:00:00"));
    value(
        "TIMESTAMP(3)",
        "1577836800000",
        Err("column \"a\": 1577836800000 is not a TIMESTAMP(3)"),
    );
    value("TIMESTAMP_LTZ(3)", "\"2020-01-01 00:00:00.1Z\"", Ok("2020-01-01T00:00:00.100Z"));
    value(
        "TIMESTAMP_LTZ(3)",
        "\"2020-01-01 00:00:00\"",
        Err("column \"a\": \"2020-01-01 00:00:00\" has no time zone (end it with Z)"),
    );
}

#[test]
fn strings_keep_the_text_of_everything() {
    value("STRING", r#""a\"b\\c\/\n\u00e4\ud83d\ude00""#, Ok("a\"b\\c/\nä\u{1f600}"));
    value("STRING", "\"ä€\u{1f600}\"", Ok("ä€\u{1f600}"));
    value("STRING", "\"\"", Ok(""));
    value("STRING", "1.50", Ok("1.50"));
    value("STRING", "-0", Ok("-0"));
    value("STRING", "123456789012345678901234567890", Ok("123456789012345678901234567890"));
    value("STRING", "true", Ok("true"));
    value("STRING", "null", Ok("∅"));
    value("STRING", r#"{"x": [1, "\n"]}"#, Ok(r#"{"x": [1, "\n"]}"#));
    value("STRING", "[ ]", Ok("[ ]"));
}

#[test]
fn arrays_rows_and_maps() {
    value("ARRAY<BIGINT>", "[1, null ,3]", Ok("[1, ∅, 3]"));
    value("ARRAY<BIGINT>", "[]", Ok("[]"));
    value("ARRAY<BIGINT>", "null", Ok("∅"));
    value("ARRAY<BIGINT>", "[1,\"x\"]", Err("column \"a\": [1,\"x\"] is not an ARRAY<BIGINT>"));
    value("ARRAY<BIGINT>", "{}", Err("column \"a\": {} is not an ARRAY<BIGINT>"));
    value("ARRAY<BIGINT>", "1", Err("column \"a\": 1 is not an ARRAY<BIGINT>"));
    value("ARRAY<ARRAY<BIGINT>>", "[[1],[],[2,3]]", Ok("[[1], [], [2, 3]]"));
    value("ARRAY<STRING>", r#"["a\n",1,[2]]"#, Ok("[a\n, 1, [2]]"));
    value("ROW<x,y>", r#"{"y":"b","z":0,"x":1,"x":2}"#, Ok("{x: 2, y: b}"));
    value("ROW<x,y>", "null", Ok("∅"));
    value("ROW<x,y>", r#"{"x":1}"#, Err("column \"a\": {\"x\":1} lacks a part that is NOT NULL"));
    value("MAP<BIGINT>", r#"{"k":1,"\u006c":null}"#, Ok("{k: 1, l: ∅}"));
}

#[test]
fn what_is_not_json_is_rejected_with_its_place() {
    let cases = [
        ("[]", "an object is missing at byte 0"),
        ("1", "an object is missing at byte 0"),
        ("{", "a key is missing at byte 1"),
        ("{\"a\"", "a colon is missing at byte 4"),
        ("{\"a\":", "a value is missing at byte 5"),
        ("{\"a\":1", "a comma or } is missing at byte 6"),
        ("{\"a\":1,}", "a key is missing at byte 7"),
        ("{,\"a\":1}", "a key is missing at byte 1"),
        ("{\"a\":1}}", "something follows the object at byte 7"),
        ("{\"a\":1} x", "something follows the object at byte 8"),
        ("{\"a\":01}", "a number is malformed at byte 7"),
        ("{\"a\":-}", "a number is malformed at byte 6"),
        ("{\"a\":1.}", "a number is malformed at byte 7"),
        ("{\"a\":1e+}", "a number is malformed at byte 8"),
        ("{\"a\":+1}", "a value is missing at byte 5"),
        ("{\"a\":.5}", "a value is missing at byte 5"),
        ("{\"a\":NaN}", "a value is missing at byte 5"),
        ("{\"a\":tru}", "a value is missing at byte 5"),
        ("{\"a\":truex}", "a comma or } is missing at byte 9"),
        ("{\"z\":[1,]}", "a value is missing at byte 8"),
        ("{\"z\":[1 2]}", "a comma or ] is missing at byte 8"),
        ("{\"z\":{\"a\" 1}}", "a colon is missing at byte 10"),
        ("{\"a\":\"x}", "a string is not closed at byte 8"),
        ("{\"a\":\"\t\"}", "a control character is not escaped at byte 6"),
        ("{\"z\":\"\\q\"}", "an escape is unknown at byte 6"),
        ("{\"z\":\"\\ud800\"}", "a surrogate has no partner at byte 6"),
        ("{'a':1}", "a key is missing at byte 1"),
        ("{a:1}", "a key is missing at byte 1"),
    ];
    for (line, what) in cases {
        check("a STRING", line, Err(&format!("not a JSON object: {what}")));
    }
    for (line, at) in
        [(&b"{\"a\":\"x\xff\"}"[..], 7), (b"{\"z\":\"\xc3\"}", 6), (b"{\"\xed\xa0\x80\":1}", 2)]
    {
        let reason = format!("not a JSON object: invalid UTF-8 at byte {at}");
        check_record(&JSON, "a STRING", line, Err(&reason));
    }
}

#[test]
fn nesting_ends_at_128() {
    let nested = |depth: usize| format!("{{\"z\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    check("a BIGINT", &nested(127), Ok("∅"));
    let reason = "not a JSON object: arrays and objects are nested too deep at byte 132";
    check("a BIGINT", &nested(128), Err(reason));
    check("a BIGINT", &nested(1000), Err(reason));
}

#[test]
fn blank_lines_and_a_byte_order_mark_are_skipped() {
    let input = "\u{feff}{\"a\":1}\n\n \t\r\n{\"a\":2}";
    let (outcome, _) = run(&options(&JSON, &schema("a BIGINT")), [input.as_bytes()]);
    let rows = [r#"0 \xef\xbb\xbf{\"a\":1} → 1"#, r#"16 {\"a\":2} → 2"#];
    assert_eq!(outcome.rows, rows);
    assert_eq!((outcome.records, outcome.offset), (2, 23));
}

#[test]
fn a_failed_row_leaves_nothing_behind() {
    let columns = "a BIGINT, b STRING, c ARRAY<BIGINT>, d BIGINT NOT NULL, e ROW<x,y>";
    let good = r#"{"a":1,"b":"x","c":[1,2],"d":3,"e":{"x":1,"y":"q"}}"#;
    let broken = [
        r#"{"a":1,"b":"x","c":[1,2],"d":null}"#,
        r#"{"a":1,"b":"x","c":[1,"y"],"d":1}"#,
        r#"{"a":null,"b":null,"c":null,"d":1,"e":{"x":5}}"#,
        r#"{"a":1,"b":"x","#,
    ];
    for bad in broken {
        let input = format!("{good}\n{bad}\n{good}\n{bad}\n{{\"d\":4}}\n{good}\n");
        let (outcome, batches) = run(&options(&JSON, &schema(columns)), [input.as_bytes()]);
        let row = "1|x|[1, 2]|3|{x: 1, y: q}";
        let rows: Vec<String> = batches.iter().flat_map(super::support::rows_of).collect();
        assert_eq!(rows, [row, row, "∅|∅|∅|4|∅", row], "{bad}");
        assert_eq!(outcome.rejected.len(), 2, "{bad}");
    }
}

#[test]
fn a_projection_skips_without_decoding() {
    let mut options = options(&JSON, &schema("a BIGINT, b BIGINT NOT NULL, c STRING"));
    options.projection = vec![2];
    let (outcome, _) = run(&options, [&br#"{"a":"not a number","c":"x"}"#[..]]);
    assert_eq!(outcome.rows, [r#"0 {\"a\":\"not a number\",\"c\":\"x\"} → x"#]);
    options.projection = vec![];
    let (nothing_wanted, batches) = run(&options, [&b"{}\n{}\n{\n"[..]]);
    assert_eq!((batches[0].num_rows(), nothing_wanted.rejected.len()), (2, 1));
}

#[test]
fn batches_have_a_longest_length() {
    let input = "{\"a\":1}\n".repeat(2 * BATCH_ROWS_MAX + 5);
    let (outcome, batches) = run(&options(&JSON, &schema("a BIGINT")), [input.as_bytes()]);
    let lengths: Vec<usize> = batches.iter().map(|batch| batch.num_rows()).collect();
    assert_eq!(lengths, [BATCH_ROWS_MAX, BATCH_ROWS_MAX, 5]);
    assert_eq!(outcome.records, lengths.iter().sum::<usize>() as u64);
}
