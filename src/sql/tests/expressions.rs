//! Expressions over one row: Flink's types and values.

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;

use super::super::types::type_name;
use super::{TableRole, options, plan, run, table, text};

const SCHEMA: &str = "tiny TINYINT, i INT, b BIGINT, f FLOAT, d DOUBLE, x DECIMAL(10, 2), s STRING,
n STRING, flag BOOLEAN, ts TIMESTAMP(3), da DATE, z INT";

fn row() -> Vec<ArrayRef> {
    vec![
        Arc::new(Int8Array::from(vec![100])),
        Arc::new(Int32Array::from(vec![7])),
        Arc::new(Int64Array::from(vec![-3_000_000_000])),
        Arc::new(Float32Array::from(vec![1.5])),
        Arc::new(Float64Array::from(vec![1e10])),
        Arc::new(Decimal128Array::from(vec![1010]).with_precision_and_scale(10, 2).unwrap()),
        Arc::new(StringArray::from(vec!["Hello, wörld"])),
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(BooleanArray::from(vec![true])),
        Arc::new(TimestampMillisecondArray::from(vec![1_583_417_229_120])),
        Arc::new(Date32Array::from(vec![18_326])),
        Arc::new(Int32Array::from(vec![0])),
    ]
}

/// Type and text of an expression over the row, or the error of planning or running it.
fn value(expression: &str) -> String {
    value_of(&format!("INSERT INTO out SELECT {expression} AS r FROM t"))
}

fn value_of(sql: &str) -> String {
    let tables = [table("t", TableRole::Source, Some(SCHEMA)), table("out", TableRole::Sink, None)];
    let planned = match plan(&[text(sql)], &tables, &options()) {
        Ok(planned) => planned,
        Err(errors) => return format!("refused: {}", errors[0].message),
    };
    let columns = planned.sources[0].projection.iter().map(|&index| row()[index].clone()).collect();
    let schema = planned.graph.nodes[0].schema.clone();
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    let result = match run(&planned.graph, rows) {
        Ok(result) => result,
        Err(error) => return format!("failed: {error}"),
    };
    let column = result.column(0);
    let format = FormatOptions::default().with_null("NULL");
    let shown = ArrayFormatter::try_new(column, &format).unwrap().value(0).to_string();
    format!("{} {shown}", type_name(column.data_type()))
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(expression, expected)| (expression, expected, value(expression)))
        .filter(|(_, expected, actual)| actual != *expected)
        .map(|(expression, expected, actual)| format!("{expression}: {actual}, not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn arithmetic() {
    check(&[
        ("i + 1", "INT 8"),
        ("i + b", "BIGINT -2999999993"),
        ("7 / 2", "INT 3"),
        ("-7 / 2", "INT -3"),
        ("i % 4", "INT 3"),
        ("MOD(b, i)", "INT -4"),
        ("2147483647 + 1", "INT -2147483648"),
        ("2147483648 + 1", "BIGINT 2147483649"),
        ("i / z", "failed: division by zero"),
        ("d / 0", "DOUBLE inf"),
        ("f * 2", "FLOAT 3.0"),
        ("f + d", "FLOAT 10000000000.0"),
        ("1e3", "DOUBLE 1000.0"),
        ("b * 0.908", "DECIMAL(24, 3) -2724000000.000"),
        ("x + 1", "DECIMAL(13, 2) 11.10"),
        ("x * x", "DECIMAL(21, 4) 102.0100"),
        ("x / 3", "DECIMAL(21, 13) 3.3666666666667"),
        ("x % 3", "DECIMAL(10, 2) 1.10"),
        ("x / z", "failed: division by zero"),
        ("-x", "DECIMAL(10, 2) -10.10"),
        ("i + CAST(NULL AS INT)", "INT NULL"),
        ("-(-2147483648)", "BIGINT 2147483648"),
        ("-(2147483648)", "INT -2147483648"),
        ("-9223372036854775808", "BIGINT -9223372036854775808"),
    ]);
}

#[test]
fn casts_of_numbers() {
    check(&[
        ("CAST(b AS INT)", "INT 1294967296"),
        ("CAST(300 AS TINYINT)", "TINYINT 44"),
        ("CAST(d AS INT)", "INT 2147483647"),
        ("CAST(-1.9e0 AS INT)", "INT -1"),
        ("CAST(x AS INT)", "INT 10"),
        ("CAST(x AS DECIMAL(10, 1))", "DECIMAL(10, 1) 10.1"),
        ("CAST(10.25 AS DECIMAL(4, 1))", "DECIMAL(4, 1) 10.3"),
        ("CAST(-10.25 AS DECIMAL(4, 1))", "DECIMAL(4, 1) -10.3"),
        ("CAST(1000 AS DECIMAL(3, 0))", "DECIMAL(3, 0) NULL"),
        ("CAST(d AS DECIMAL(12, 1))", "DECIMAL(12, 1) 10000000000.0"),
        ("CAST(flag AS INT)", "INT 1"),
        ("CAST(0 AS BOOLEAN)", "BOOLEAN false"),
    ]);
}

#[test]
fn casts_of_text() {
    check(&[
        ("CAST(flag AS STRING)", "STRING TRUE"),
        ("CAST(x AS STRING)", "STRING 10.10"),
        ("CAST(d AS STRING)", "STRING 1.0E10"),
        ("CAST(f AS STRING)", "STRING 1.5"),
        ("CAST(1e0 / 3 AS STRING)", "STRING 0.3333333333333333"),
        ("CAST(1.25e-7 AS STRING)", "STRING 1.25E-7"),
        ("CAST(0.00125e0 AS STRING)", "STRING 0.00125"),
        ("CAST(1234567e0 AS STRING)", "STRING 1234567.0"),
        ("CAST(12345678e0 AS STRING)", "STRING 1.2345678E7"),
        ("CAST(-0.0e0 AS STRING)", "STRING 0.0"),
        ("CAST(CAST('-0.0' AS DOUBLE) AS STRING)", "STRING -0.0"),
        ("CAST(4.9e-324 AS STRING)", "STRING 4.9E-324"),
        ("CAST(2e23 AS STRING)", "STRING 2.0E23"),
        ("CAST('1d' AS DOUBLE)", "DOUBLE 1.0"),
        ("CAST(ts AS STRING)", "STRING 2020-03-05 14:07:09.120"),
        ("CAST(da AS STRING)", "STRING 2020-03-05"),
        ("CAST(s AS VARCHAR(5))", "STRING Hello"),
        ("CONCAT(CAST('ab' AS CHAR(4)), '|')", "STRING ab  |"),
        ("CAST('abc' AS INT)", "failed: 'abc' is not a INT"),
        ("TRY_CAST('abc' AS INT)", "INT NULL"),
        ("CAST(' 12.7 ' AS INT)", "INT 12"),
        ("CAST('99999999999' AS INT)", "failed: '99999999999' is not a INT"),
        ("CAST('1e2' AS DOUBLE)", "DOUBLE 100.0"),
        ("CAST('10.255' AS DECIMAL(5, 2))", "DECIMAL(5, 2) 10.26"),
        ("CAST('yes' AS BOOLEAN)", "BOOLEAN true"),
        ("CAST('2020-01-01 00:00:00.1' AS TIMESTAMP(3))", "TIMESTAMP(3) 2020-01-01T00:00:00.100"),
        ("CAST('2020-02-30' AS DATE)", "failed: '2020-02-30' is not a DATE"),
        ("CAST(ts AS DATE)", "DATE 2020-03-05"),
        ("DATE '2020-01-01'", "DATE 2020-01-01"),
        ("TIMESTAMP '2020-01-01 10:00:00'", "TIMESTAMP(3) 2020-01-01T10:00:00"),
        ("CAST(ts AS INT)", "refused: CAST from TIMESTAMP(3) to INT is not supported"),
    ]);
}

#[test]
fn text_functions() {
    check(&[
        ("UPPER(s)", "STRING HELLO, WÖRLD"),
        ("LOWER('ABC')", "STRING abc"),
        ("s || n", "STRING NULL"),
        ("CONCAT('a', n)", "STRING NULL"),
        ("CONCAT_WS('-', 'a', n, 'b')", "STRING a-b"),
        ("SUBSTRING(s, -5, 2)", "STRING wö"),
        ("SUBSTRING('abc', 0)", "STRING abc"),
        ("SUBSTRING('abc' FROM 2 FOR 1)", "STRING b"),
        ("SUBSTRING('abc', 2, -1)", "STRING NULL"),
        ("LEFT('abc', -1)", "STRING "),
        ("RIGHT('abc', 2)", "STRING bc"),
        ("CHAR_LENGTH(s)", "INT 12"),
        ("TRIM('  a ')", "STRING a"),
        ("TRIM(LEADING 'x' FROM 'xxaxx')", "STRING axx"),
        ("REPLACE('aXbX', 'X', '--')", "STRING a--b--"),
        ("LPAD('hi', 4, '?')", "STRING ??hi"),
        ("RPAD('hi', 1, '?')", "STRING h"),
        ("POSITION('l' IN 'hello')", "INT 3"),
        ("SPLIT_INDEX('a,b,c', ',', 1)", "STRING b"),
        ("SPLIT_INDEX('a,b,c', ',', 3)", "STRING NULL"),
        ("SPLIT_INDEX('a,b,c', ',', -1)", "STRING NULL"),
        ("SPLIT('a b', ' ')", "ARRAY<STRING> [a, b]"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "STRING bar"),
        ("REGEXP_EXTRACT('abc', 'x')", "STRING NULL"),
        ("REGEXP_REPLACE('healthy, wealthy', '(\\w+)thy', '$1-')", "STRING $1-, $1-"),
        (
            "REGEXP_EXTRACT('a', '(?=a)')",
            "refused: REGEXP_EXTRACT: the pattern '(?=a)' is not supported: look-ahead",
        ),
        ("'a\\b' LIKE 'a\\b'", "BOOLEAN true"),
        ("'a%b' LIKE 'a!%b' ESCAPE '!'", "BOOLEAN true"),
        ("'axb' LIKE 'a!%b' ESCAPE '!'", "BOOLEAN false"),
        ("s LIKE 'Hello%'", "BOOLEAN true"),
        ("s NOT LIKE '_ello%'", "BOOLEAN false"),
    ]);
}

#[test]
fn numeric_functions() {
    check(&[
        ("ABS(b)", "BIGINT 3000000000"),
        ("ABS(x - 20)", "DECIMAL(13, 2) 9.90"),
        ("LOG(1e0)", "DOUBLE 0.0"),
        ("LOG(2, 8)", "DOUBLE 3.0"),
        ("LN(1)", "DOUBLE 0.0"),
        ("FLOOR(-1.5)", "DECIMAL(2, 0) -2"),
        ("CEIL(x)", "DECIMAL(10, 0) 11"),
        ("FLOOR(2.7e0)", "DOUBLE 2.0"),
        ("ROUND(2.5e0)", "DOUBLE 3.0"),
        ("ROUND(1.005e0, 2)", "DOUBLE 1.01"),
        ("ROUND(x, 1)", "DECIMAL(10, 1) 10.1"),
        ("ROUND(15, -1)", "INT 20"),
        ("POWER(2, 10)", "DOUBLE 1024.0"),
        ("SQRT(2.25e0)", "DOUBLE 1.5"),
        ("GREATEST(1, 2, CAST(NULL AS INT))", "INT NULL"),
        ("GREATEST(i, 2.5)", "DECIMAL(11, 1) 7.0"),
        ("LEAST('b', 'a')", "STRING a"),
    ]);
}

#[test]
fn choices() {
    check(&[
        ("COALESCE(n, 'x')", "STRING x"),
        ("COALESCE(i, i / z)", "INT 7"),
        ("IF(z = 0, 0, i / z)", "INT 0"),
        ("CASE WHEN z = 0 THEN -1 ELSE i / z END", "INT -1"),
        ("CASE i WHEN 7 THEN 'seven' ELSE 'other' END", "STRING seven"),
        ("CASE WHEN z = 1 THEN 1 END", "INT NULL"),
        ("CASE WHEN flag THEN 1 ELSE 2.5 END", "DECIMAL(11, 1) 1.0"),
        ("z <> 0 AND i / z > 0", "BOOLEAN false"),
        ("z = 0 OR i / z > 0", "BOOLEAN true"),
        ("NULLIF(i, 7)", "INT NULL"),
        ("i IN (1, 7)", "BOOLEAN true"),
        ("i NOT IN (1, NULL)", "BOOLEAN NULL"),
        ("n IS NULL", "BOOLEAN true"),
        ("(n = 'a') IS TRUE", "BOOLEAN false"),
        ("(n = 'a') IS NOT TRUE", "BOOLEAN true"),
        ("(n = 'a') IS UNKNOWN", "BOOLEAN true"),
        ("i BETWEEN 1 AND 7", "BOOLEAN true"),
        ("i IS DISTINCT FROM NULL", "BOOLEAN true"),
        ("NOT flag", "BOOLEAN false"),
        ("i = 7.0", "BOOLEAN true"),
        ("ts > '2020-01-01 00:00:00'", "BOOLEAN true"),
        ("CARDINALITY(ARRAY[1, 2])", "INT 2"),
    ]);
}

#[test]
fn times() {
    check(&[
        ("ts + INTERVAL '1' DAY", "TIMESTAMP(3) 2020-03-06T14:07:09.120"),
        ("ts - INTERVAL '1' MONTH", "TIMESTAMP(3) 2020-02-05T14:07:09.120"),
        ("DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')", "STRING 2020-03-05 14:07"),
        ("DATE_FORMAT('2020-03-05 01:02:03', 'HHmm')", "STRING 0102"),
        ("TO_TIMESTAMP('2020-01-02 03:04:05')", "TIMESTAMP(3) 2020-01-02T03:04:05"),
        ("TO_TIMESTAMP('02/01/2020', 'dd/MM/yyyy')", "TIMESTAMP(3) 2020-01-02T00:00:00"),
        ("TO_TIMESTAMP('bad')", "TIMESTAMP(3) NULL"),
        ("TO_TIMESTAMP_LTZ(1000, 3)", "TIMESTAMP_LTZ(3) 1970-01-01T00:00:01Z"),
        ("TO_DATE('2020-01-02')", "DATE 2020-01-02"),
        ("EXTRACT(HOUR FROM ts)", "BIGINT 14"),
        ("HOUR(ts)", "BIGINT 14"),
        ("DAYOFWEEK(DATE '2020-03-01')", "BIGINT 1"),
        ("YEAR(da)", "BIGINT 2020"),
        ("FLOOR(ts TO HOUR)", "TIMESTAMP(3) 2020-03-05T14:00:00"),
        ("CEIL(ts TO DAY)", "TIMESTAMP(3) 2020-03-06T00:00:00"),
        ("CURRENT_TIMESTAMP", "TIMESTAMP_LTZ(3) 2020-09-13T12:26:40.123Z"),
        ("NOW()", "TIMESTAMP_LTZ(3) 2020-09-13T12:26:40.123Z"),
        ("CURRENT_DATE", "DATE 2020-09-13"),
        ("UNIX_TIMESTAMP()", "BIGINT 1600000000"),
        ("UNIX_TIMESTAMP('1970-01-01 00:01:00')", "BIGINT 60"),
        ("FROM_UNIXTIME(60)", "STRING 1970-01-01 00:01:00"),
    ]);
}

/// Answers of a running Flink.
#[test]
fn floating_point_is_javas() {
    check(&[
        ("CAST('NaN' AS DOUBLE) = d", "BOOLEAN false"),
        ("CAST('NaN' AS DOUBLE) <> d", "BOOLEAN true"),
        ("CAST('NaN' AS DOUBLE) > d", "BOOLEAN false"),
        ("NOT (CAST('NaN' AS DOUBLE) > d)", "BOOLEAN false"),
        ("CAST('NaN' AS DOUBLE) NOT BETWEEN d AND d", "BOOLEAN false"),
        ("0e0 = -0e0", "BOOLEAN true"),
        ("d * 0 = d * -0e0", "BOOLEAN true"),
        ("d * 0 < d * -0e0", "BOOLEAN false"),
        ("d = d", "BOOLEAN true"),
        ("f IS DISTINCT FROM d", "BOOLEAN true"),
        ("CAST(n AS DOUBLE) IS NOT DISTINCT FROM d", "BOOLEAN false"),
        ("CAST(n AS DOUBLE) = d", "BOOLEAN NULL"),
        ("f + d", "FLOAT 10000000000.0"),
        ("d + f", "DOUBLE 10000000001.5"),
        ("ROUND(1.7976931348623157E308, 1) > 1e308", "BOOLEAN true"),
        ("CAST(1.005e0 AS DECIMAL(5, 2))", "DECIMAL(5, 2) 1.01"),
        ("CAST(1e0 / 3 AS DECIMAL(38, 20))", "DECIMAL(38, 20) 0.33333333333333330000"),
        ("CAST(4.9e-324 AS DECIMAL(10, 2))", "DECIMAL(10, 2) 0.00"),
        ("CAST(1e300 AS DECIMAL(10, 2))", "DECIMAL(10, 2) NULL"),
        ("CAST(CAST('NaN' AS DOUBLE) AS DECIMAL(10, 2))", "failed: NaN is not a DECIMAL(10, 2)"),
        ("TRY_CAST(CAST('NaN' AS DOUBLE) AS DECIMAL(10, 2))", "DECIMAL(10, 2) NULL"),
        ("CAST(TRUE AS DECIMAL(3, 1))", "DECIMAL(3, 1) 1.0"),
        ("CAST('12345' AS DECIMAL(3, 0))", "failed: '12345' is not a DECIMAL(3, 0)"),
    ]);
}

/// Answers of a running Flink.
#[test]
fn integers_wrap() {
    check(&[
        ("CAST(-2147483648 AS INT) / -1", "INT -2147483648"),
        ("CAST(-2147483648 AS INT) / CAST(z - 1 AS INT)", "INT -2147483648"),
        ("CAST(-2147483648 AS INT) % -1", "INT 0"),
        ("-CAST(-2147483648 AS INT)", "INT -2147483648"),
        ("i / z", "failed: division by zero"),
        ("i / CAST(n AS INT)", "INT NULL"),
        ("0.5", "DECIMAL(2, 1) 0.5"),
        ("b * 0.908", "DECIMAL(24, 3) -2724000000.000"),
    ]);
}

/// Answers of a running Flink.
#[test]
fn times_of_all_years() {
    check(&[
        ("TO_TIMESTAMP('0001-01-01 00:00:00')", "TIMESTAMP(3) 0001-01-01T00:00:00"),
        ("TO_TIMESTAMP('9999-12-31 23:59:59.999')", "TIMESTAMP(3) 9999-12-31T23:59:59.999"),
        ("TO_TIMESTAMP('2020-02-30 00:00:00')", "TIMESTAMP(3) 2020-02-29T00:00:00"),
        ("TO_TIMESTAMP('2020-02-29T12:34:56')", "TIMESTAMP(3) NULL"),
        ("TO_TIMESTAMP('2020-2-9', 'yyyy-MM-dd')", "TIMESTAMP(3) 2020-02-09T00:00:00"),
        ("TO_TIMESTAMP('9', 'w')", "refused: TO_TIMESTAMP: `w` in the pattern 'w' cannot be read"),
        ("TO_DATE('9999-12-31')", "DATE 9999-12-31"),
        ("TO_DATE('2020-02-30')", "DATE NULL"),
        ("TO_DATE('29/02/2020', 'dd/MM/yyyy')", "DATE 2020-02-29"),
        ("UNIX_TIMESTAMP('9999-12-31 23:59:59')", "BIGINT 253402300799"),
        ("UNIX_TIMESTAMP('bad')", "BIGINT -9223372036854775808"),
        (
            "FLOOR(CAST('9999-12-31 23:59:59.999' AS TIMESTAMP(3)) TO DAY)",
            "TIMESTAMP(3) 9999-12-31T00:00:00",
        ),
        (
            "CEIL(CAST('0001-01-01 00:00:00.001' AS TIMESTAMP(6)) TO HOUR)",
            "TIMESTAMP(6) 0001-01-01T01:00:00",
        ),
        ("CAST(ts AS TIMESTAMP(1))", "TIMESTAMP(3) 2020-03-05T14:07:09.100"),
        ("CAST(ts AS TIMESTAMP(0))", "TIMESTAMP(3) 2020-03-05T14:07:09"),
        ("CAST(ts AS TIME)", "TIME 14:07:09"),
        (
            "CAST(CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(6)) AS TIMESTAMP(3))",
            "TIMESTAMP(3) 1969-12-31T23:59:59.999",
        ),
        (
            "CAST(CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(6)) AS TIMESTAMP(4))",
            "TIMESTAMP(6) 1969-12-31T23:59:59.999900",
        ),
        (
            "CAST(CAST('1969-12-31 23:59:59.999' AS TIMESTAMP(3)) AS TIMESTAMP(0))",
            "TIMESTAMP(3) 1970-01-01T00:00:00",
        ),
        ("DATE_FORMAT(TIMESTAMP '2020-02-29 03:04:05.678901', 'SSSSSS')", "STRING 678901"),
        ("DATE '2020-02-30'", "refused: '2020-02-30' is not one; write DATE '2020-01-01'"),
        (
            "TIMESTAMP '2020-02-29T12:00:00'",
            "refused: '2020-02-29T12:00:00' is not one; write TIMESTAMP '2020-01-01 10:00:00'",
        ),
        ("TO_TIMESTAMP_LTZ(9223372036854775807, 3)", "TIMESTAMP_LTZ(3) NULL"),
    ]);
}

/// Answers of a running Flink.
#[test]
fn texts_within_bounds() {
    check(&[
        ("REGEXP_EXTRACT('naïve', '\\w+')", "STRING na"),
        ("REGEXP_EXTRACT('a٣1', '\\d+')", "STRING 1"),
        ("REGEXP_EXTRACT('ab 12', '[^\\w]\\d')", "STRING  1"),
        ("REGEXP('abc', '')", "BOOLEAN false"),
        ("REGEXP_REPLACE('abc', '(a)(b)', '$2$1')", "STRING $2$1c"),
        ("REGEXP_REPLACE('abc', '', '-')", "STRING -a-b-c-"),
        ("REPEAT('ab', 600000)", "failed: REPEAT would make more than 1048576 bytes"),
        ("LPAD('a', 2000000, 'b')", "failed: LPAD would make more than 1048576 bytes"),
        ("LPAD('hi', -1, '?')", "STRING NULL"),
        ("RPAD('hi', 2, '')", "STRING NULL"),
        ("CAST(CAST('ABC' AS BINARY(2)) AS STRING)", "STRING AB"),
        ("CAST('AB' AS BINARY(3)) = X'414200'", "BOOLEAN true"),
        ("CAST(X'010203' AS VARBINARY(2)) = X'0102'", "BOOLEAN true"),
        ("REPLACE('abc', '', '-')", "STRING -a-b-c-"),
        ("CARDINALITY(SPLIT('', ','))", "INT 0"),
        ("CAST(' true ' AS BOOLEAN)", "failed: ' true ' is not a BOOLEAN"),
        ("CAST('.5' AS INT)", "INT 0"),
        ("CAST('abc' AS VARCHAR)", "STRING abc"),
    ]);
}

#[test]
fn instants_in_a_zone() {
    let value = |expression: &str| {
        let sql = format!(
            "SET 'table.local-time-zone' = 'Europe/Berlin'; INSERT INTO out SELECT {expression} AS r FROM t"
        );
        value_of(&sql)
    };
    // Summer time begins on 2020-03-29 at 2 and ends on 2020-10-25 at 3.
    for (expression, expected) in [
        ("CAST(TO_TIMESTAMP_LTZ(0, 3) AS STRING)", "STRING 1970-01-01 01:00:00.000"),
        ("CAST(TO_TIMESTAMP_LTZ(0, 3) AS TIMESTAMP(3))", "TIMESTAMP(3) 1970-01-01T01:00:00"),
        ("HOUR(TO_TIMESTAMP_LTZ(0, 3))", "BIGINT 1"),
        (
            "CAST(TIMESTAMP '2020-03-29 02:30:00' AS TIMESTAMP_LTZ(3))",
            "TIMESTAMP_LTZ(3) 2020-03-29T01:30:00Z",
        ),
        (
            "CAST(TIMESTAMP '2020-10-25 02:30:00' AS TIMESTAMP_LTZ(3))",
            "TIMESTAMP_LTZ(3) 2020-10-25T00:30:00Z",
        ),
        ("FLOOR(TO_TIMESTAMP_LTZ(0, 3) TO DAY)", "TIMESTAMP_LTZ(3) 1969-12-31T23:00:00Z"),
        ("UNIX_TIMESTAMP('1970-01-01 01:00:00')", "BIGINT 0"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}
