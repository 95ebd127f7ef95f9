//! CSV and raw lines, case by case.

use super::support::{CSV, check_record, options, rows_of, run, schema};
use crate::format::{CsvOptions, FormatOptions, check, decoder};

const HEADER: FormatOptions =
    FormatOptions::Csv(CsvOptions { delimiter: b',', header: true, multiline: false });
const MULTILINE: FormatOptions =
    FormatOptions::Csv(CsvOptions { delimiter: b',', header: false, multiline: true });

#[test]
fn fields_go_to_columns_by_position() {
    let check = |record: &str, expected| check_record(&CSV, "a BIGINT, b STRING", record, expected);
    check("1,x", Ok("1|x"));
    check(" 1 , x ", Ok("1| x "));
    check(",", Ok("∅|∅"));
    check("1,\"\"", Ok("1|"));
    check("\"1\",\"a,b\"", Ok("1|a,b"));
    check("1,\"say \"\"hi\"\"\"", Ok("1|say \"hi\""));
    check("1,\"\"\"\"", Ok("1|\""));
    check("1,5\" pipe", Ok("1|5\" pipe"));
    check("1,ä€", Ok("1|ä€"));
    check("1", Err("1 fields where 2 are expected"));
    check("1,x,", Err("3 fields where 2 are expected"));
    check("x,y", Err("column \"a\": x is not a BIGINT"));
    check("\"\",y", Err("column \"a\": \"\" is not a BIGINT"));
    check("1,\"x", Err("quotes are not closed: \"x"));
    check("1,\"x\"y", Err("text follows closing quotes: \"x\"y"));
    check_record(&CSV, "a STRING", b"\xff", Err("invalid UTF-8 at byte 0"));
    check_record(&CSV, "a BIGINT NOT NULL, b STRING", ",x", {
        Err("column \"a\" is NULL, but declared NOT NULL")
    });
    check_record(&CSV, "a STRING", "\n", Ok("∅"));
}

#[test]
fn all_types_have_one_text() {
    let columns =
        "a BOOLEAN, b TINYINT, c DOUBLE, d DECIMAL(10,2), e BYTES, f DATE, g TIMESTAMP(6)";
    let record = "TRUE,-1,1e3,\"7.5\",AAEC,2020-01-31,2020-01-31 01:02:03.000004";
    let row = "true|-1|1000.0|7.50|000102|2020-01-31|2020-01-31T01:02:03.000004";
    check_record(&CSV, columns, record, Ok(row));
    check_record(&CSV, "a BOOLEAN", "yes", Err("column \"a\": yes is not a BOOLEAN"));
    check_record(&CSV, "a TINYINT", "200", Err("column \"a\": 200 is out of range for TINYINT"));
}

/// Rows and reasons of a whole input.
#[track_caller]
fn check_input(format: &FormatOptions, input: &str, rows: &[&str], reasons: &[&str]) {
    let options = options(format, &schema("a BIGINT, b STRING"));
    let (outcome, batches) = run(&options, [input.as_bytes()]);
    assert_eq!(batches.iter().flat_map(rows_of).collect::<Vec<_>>(), rows, "{input:?}");
    let seen: Vec<String> = outcome.rejected.into_iter().map(|one| one.reason).collect();
    assert_eq!(seen, reasons, "{input:?}");
}

#[test]
fn a_header_names_the_columns() {
    check_input(&HEADER, "b,a\nx,1\ny,2\n", &["1|x", "2|y"], &[]);
    check_input(&HEADER, "\u{feff}z,\"b\", a \n9,x,1\n", &["1|x"], &[]);
    check_input(&HEADER, "a,b", &[], &[]);
    let missing = "header: column \"b\" is missing";
    check_input(&HEADER, "a,c\n1,x\n", &[], &[missing, missing]);
    check_input(&HEADER, "a,b,b\n", &[], &["header: column \"b\" occurs twice"]);
    check_input(&HEADER, "a,b\n1,2,3\n", &[], &["3 fields where 2 are expected"]);
}

#[test]
fn a_header_can_be_told() {
    let mut options = options(&HEADER, &schema("a BIGINT, b STRING"));
    options.start_offset = 1000;
    let mut decoder = decoder(&options).unwrap();
    decoder.set_header(b"b,a");
    decoder.feed(b"x,1\n");
    assert_eq!(rows_of(&decoder.take().unwrap().rows), ["1|x"]);
    assert_eq!((decoder.records(), decoder.offset()), (1, 1004));
}

#[test]
fn quoted_fields_may_contain_line_ends_when_told() {
    check_input(&MULTILINE, "1,\"x\ny\"\n2,z", &["1|x\ny", "2|z"], &[]);
    check_input(&MULTILINE, "1,\"x\r\n\"\"\n\"\r\n2,z\r\n", &["1|x\r\n\"\n", "2|z"], &[]);
    check_input(&MULTILINE, "1,5\"\n2,z\n", &["1|5\"", "2|z"], &[]);
    check_input(&MULTILINE, "1,\"x\"y\n2,z\n", &["2|z"], &["text follows closing quotes: \"x\"y"]);
    check_input(&CSV, "1,\"x\n2,z\n", &["2|z"], &["quotes are not closed: \"x"]);
    // Quotes that are never closed cost one record and what line_max allows.
    let input = format!("1,\"{}\n2,z\n", "x".repeat(5000));
    check_input(&MULTILINE, &input, &["2|z"], &["longer than line_max (4096 bytes)"]);
    check_input(&MULTILINE, "1,\"x\n2,z\n", &[], &["quotes are not closed: \"x\\n2,z\\n"]);
}

#[test]
fn blank_lines_are_no_records() {
    check_input(&CSV, "\n1,x\r\n\r\n\n", &["1|x"], &[]);
}

#[test]
fn raw_lines_are_their_column() {
    let check = |columns, record: &[u8], expected| {
        check_record(&FormatOptions::Raw, columns, record, expected);
    };
    check("line STRING", b"a \"b\", c\r\n", Ok("a \"b\", c"));
    check("line STRING", b"\n", Ok(""));
    check("line STRING", b"ab\xffc", Err("invalid UTF-8 at byte 2"));
    check("line BYTES", b"ab\xffc", Ok("6162ff63"));
}

#[test]
fn what_a_format_cannot_carry_is_refused() {
    let refused = |format: &FormatOptions, columns| check(format, &schema(columns)).unwrap_err().0;
    assert_eq!(
        refused(&CSV, "a BIGINT, b ARRAY<BIGINT>"),
        "format \"csv\" cannot carry column \"b\" of type ARRAY<BIGINT>"
    );
    assert_eq!(
        refused(&FormatOptions::Raw, "a BIGINT, b STRING"),
        "format \"raw\" needs exactly one column, of type STRING or BYTES; there are 2: a BIGINT, b STRING"
    );
    let quote = FormatOptions::Csv(CsvOptions { delimiter: b'"', header: false, multiline: false });
    assert_eq!(
        refused(&quote, "a BIGINT"),
        "delimiter '\"' is not one ASCII character that is neither a quote nor a line end"
    );
    let mut options = options(&CSV, &schema("a BIGINT"));
    options.line_bytes_max = 0;
    let error = decoder(&options).err().unwrap();
    assert_eq!(error.0, "line_max is 0 bytes; it must be between 1 and 1073741824");
}
