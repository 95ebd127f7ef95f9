//! Times to and from STRING, by Java's patterns, and numbers of seconds.

use arrow::array::Array as _;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit};
use chrono::NaiveDateTime;
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::super::cast::{cast, number_at, parse_timestamp, time_at};
use super::super::super::eval::{Kernel, Physical, Typed};
use super::super::super::types::{LOCAL_ZONE, SqlType, is_integer};
use super::super::calendar::{MILLIS_PER_DAY, Ymd};
use super::super::java_format::{
    DEFAULT_PATTERN, Formatter, Problem, Reading, SimpleFormat, SimpleReader,
};
use super::super::kernel::{
    Integers, Numbers, Strings, all_strings, build_text, call, fallible_call, integer_argument,
    integer_constant, string_argument, try_build_numbers, try_build_text,
};
use super::super::{BindOptions, Scalar, wrong_argument};
use super::zone::Zone;
use super::{now, numbers};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "UNIX_TIMESTAMP", arguments: (0, 2), bind: unix_timestamp },
    Scalar { name: "FROM_UNIXTIME", arguments: (1, 2), bind: from_unixtime },
    Scalar { name: "TO_TIMESTAMP", arguments: (1, 2), bind: to_timestamp },
    Scalar { name: "TO_TIMESTAMP_LTZ", arguments: (1, 3), bind: to_timestamp_ltz },
    Scalar { name: "TO_DATE", arguments: (1, 2), bind: to_date },
    Scalar { name: "DATE_FORMAT", arguments: (2, 2), bind: date_format },
    Scalar { name: "CONVERT_TZ", arguments: (3, 3), bind: convert_tz },
];

/// A pattern argument: compiled now when it is constant or left out, else for each row that has
/// another one than the row before.
struct Pattern<P> {
    compile: fn(&str) -> Result<P, Problem>,
    constant: Option<P>,
}

impl<P> Pattern<P> {
    fn of(
        typed: Option<&Typed>,
        compile: fn(&str) -> Result<P, Problem>,
    ) -> Result<Pattern<P>, String> {
        let text = typed.map_or(Some(DEFAULT_PATTERN), Typed::literal_text);
        let constant = text.map(compile).transpose().map_err(Problem::message)?;
        Ok(Pattern { compile, constant })
    }

    /// The patterns of a batch, whose texts are argument `position` of the call.
    fn rows<'a>(&'a self, values: &'a [ColumnarValue], position: usize) -> Patterns<'a, P> {
        Patterns { pattern: self, texts: values.get(position).map(Strings::of), last: None }
    }
}

struct Patterns<'a, P> {
    pattern: &'a Pattern<P>,
    texts: Option<Strings<'a>>,
    last: Option<(&'a str, Result<P, Problem>)>,
}

impl<P> Patterns<'_, P> {
    /// A row's pattern; `None` when its text is NULL.
    fn get(&mut self, row: usize) -> Option<Result<&P, &Problem>> {
        let text = match &self.texts {
            Some(texts) => Some(texts.get(row)?),
            None => None,
        };
        if let Some(constant) = &self.pattern.constant {
            return Some(Ok(constant));
        }
        let text = text?;
        if self.last.as_ref().is_none_or(|(known, _)| *known != text) {
            self.last = Some((text, (self.pattern.compile)(text)));
        }
        self.last.as_ref().map(|(_, compiled)| compiled.as_ref())
    }

    /// The same, where a pattern that is none fails.
    fn required(&mut self, row: usize) -> PlanResult<Option<&P>> {
        match self.get(row) {
            None => Ok(None),
            Some(Ok(pattern)) => Ok(Some(pattern)),
            Some(Err(problem)) => Err(exec_datafusion_err!("{}", problem.clone().message())),
        }
    }
}

fn with_zone(name: &str, options: &BindOptions) -> String {
    format!("{name}({{}} IN {})", options.time_zone)
}

/// The session's zone as Java's `TimeZone`.
fn session_zone(options: &BindOptions) -> Zone {
    Zone::Region(options.time_zone)
}

fn instant(reading: Reading, zone: Zone) -> i64 {
    match reading {
        Reading::Local(local) => zone.instant(local),
        Reading::Instant(millis) => millis,
    }
}

/// STRING of a TIMESTAMP, or of a text of the default pattern, which is read and written in UTC.
fn date_format(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let (unit, zoned) = match &arguments[0].data_type {
        DataType::Timestamp(unit, zone) => (*unit, zone.is_some()),
        DataType::Utf8 => return reformat(&arguments),
        other => return Err(wrong_argument(1, "a TIMESTAMP or STRING", other)),
    };
    let compiled = Pattern::of(arguments.get(1), Formatter::for_writing)?;
    let local = SqlType::plain(DataType::Timestamp(unit, None));
    let readings = cast(arguments[0].clone(), &local, false, options)?.expr;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (times, mut patterns) = (numbers(&values[0], rows)?, compiled.rows(values, 1));
        try_build_text(rows, rows * 20, |row, out| {
            if times.is_null(row) {
                return Ok(None);
            }
            let time = time_at(times.value(row), unit);
            Ok(time.zip(patterns.required(row)?).map(|(time, pattern)| pattern.write(&time, out)))
        })
    });
    let expressions = vec![readings, string_argument(&arguments, 1)?];
    let name = if zoned { with_zone("DATE_FORMAT", options) } else { "DATE_FORMAT".into() };
    Ok(fallible_call(&name, expressions, DataType::Utf8, kernel))
}

fn reformat(arguments: &[Typed]) -> Bound {
    let compiled = Pattern::of(arguments.get(1), SimpleFormat::compile)?;
    let reader = SimpleReader::compile(DEFAULT_PATTERN).map_err(Problem::message)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), compiled.rows(values, 1));
        try_build_text(rows, rows * 20, |row, out| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            let Some(pattern) = patterns.required(row)? else { return Ok(None) };
            Ok(reader.read(text).map(|reading| {
                pattern.write(instant(reading, Zone::Fixed(0)), 0, out);
            }))
        })
    });
    Ok(fallible_call("DATE_FORMAT", all_strings(arguments)?, DataType::Utf8, kernel))
}

/// Seconds since the epoch: now, or of a text in the session's zone; of a bad text the smallest
/// BIGINT, as in Flink.
fn unix_timestamp(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.is_empty() {
        let kernel: Kernel = Arc::new(|values, rows| {
            let millis = numbers(&values[0], rows)?;
            Ok(Arc::new(millis.unary::<_, Int64Type>(|value| value / 1_000)))
        });
        let clock = now(arguments, options)?.expr;
        return Ok(call("UNIX_TIMESTAMP", vec![clock], DataType::Int64, kernel));
    }
    let compiled = Pattern::of(arguments.get(1), SimpleReader::compile)?;
    let zone = session_zone(options);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), compiled.rows(values, 1));
        try_build_numbers::<Int64Type>(rows, |row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            let Some(pattern) = patterns.required(row)? else { return Ok(None) };
            let read = pattern.read(text).map(|reading| instant(reading, zone) / 1_000);
            Ok(Some(read.unwrap_or(i64::MIN)))
        })
    });
    let name = with_zone("UNIX_TIMESTAMP", options);
    Ok(fallible_call(&name, all_strings(&arguments)?, DataType::Int64, kernel))
}

/// Text of seconds since the epoch, in the session's zone. Milliseconds wrap.
fn from_unixtime(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let compiled = Pattern::of(arguments.get(1), SimpleFormat::compile)?;
    let mut expressions = vec![integer_argument(&arguments, 0, options)?];
    if arguments.len() == 2 {
        expressions.push(string_argument(&arguments, 1)?);
    }
    let zone = session_zone(options);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (seconds, mut patterns) = (Integers::of(&values[0])?, compiled.rows(values, 1));
        try_build_text(rows, rows * 20, |row, out| {
            let Some(seconds) = seconds.get(row) else { return Ok(None) };
            let millis = seconds.wrapping_mul(1_000);
            Ok(patterns.required(row)?.map(|pattern| {
                pattern.write(millis, zone.offset(millis), out);
            }))
        })
    });
    Ok(fallible_call(&with_zone("FROM_UNIXTIME", options), expressions, DataType::Utf8, kernel))
}

/// A time of the default pattern from one zone to another; NULL when it is not of the pattern.
fn convert_tz(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let reader = SimpleReader::compile(DEFAULT_PATTERN).map_err(Problem::message)?;
    let format = SimpleFormat::compile(DEFAULT_PATTERN).map_err(Problem::message)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let texts = Strings::of(&values[0]);
        let mut from = Zones::of(&values[1]);
        let mut to = Zones::of(&values[2]);
        build_text(rows, rows * 20, |row, out| {
            let (text, from, to) = (texts.get(row)?, from.get(row)?, to.get(row)?);
            let millis = instant(reader.read(text)?, from);
            format.write(millis, to.offset(millis), out);
            Some(())
        })
    });
    Ok(call("CONVERT_TZ", all_strings(&arguments)?, DataType::Utf8, kernel))
}

/// Zones by name; a row with the name of the row before has its zone.
struct Zones<'a> {
    names: Strings<'a>,
    last: Option<(&'a str, Zone)>,
}

impl<'a> Zones<'a> {
    fn of(value: &'a ColumnarValue) -> Zones<'a> {
        Zones { names: Strings::of(value), last: None }
    }

    fn get(&mut self, row: usize) -> Option<Zone> {
        let name = self.names.get(row)?;
        if let Some((known, zone)) = self.last
            && known == name
        {
            return Some(zone);
        }
        let zone = Zone::lenient(name);
        self.last = Some((name, zone));
        Some(zone)
    }
}

/// BIGINT of milliseconds as a TIMESTAMP.
fn relabelled(name: &str, number: Typed, result: DataType) -> Typed {
    let data_type = result.clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        Ok(arrow::compute::cast(&array, &data_type)?)
    });
    call(name, vec![number.expr], result, kernel)
}

fn millis_of(time: NaiveDateTime) -> Option<i64> {
    number_at(time, TimeUnit::Millisecond)
}

/// TIMESTAMP(3); NULL when the text is not a time or the pattern of a row is none.
fn to_timestamp(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let result = DataType::Timestamp(TimeUnit::Millisecond, None);
    let millis = match arguments.len() {
        1 => read_default(&arguments, "TO_TIMESTAMP")?,
        _ => read_pattern(&arguments, "TO_TIMESTAMP", |time, _| millis_of(time))?,
    };
    Ok(relabelled("AS_TIMESTAMP", millis, result))
}

/// BIGINT of milliseconds; a fraction of a second and a date alone are read, too.
fn read_default(arguments: &[Typed], name: &str) -> Bound {
    let kernel: Kernel = Arc::new(move |values, rows| {
        let texts = Strings::of(&values[0]);
        try_build_numbers::<Int64Type>(rows, |row| {
            Ok(texts.get(row).and_then(parse_timestamp).and_then(millis_of))
        })
    });
    Ok(call(name, all_strings(arguments)?, DataType::Int64, kernel))
}

/// BIGINT of milliseconds that `convert` makes of a time and the third argument.
fn read_pattern(
    arguments: &[Typed],
    name: &str,
    convert: impl Fn(NaiveDateTime, Option<&str>) -> Option<i64> + Send + Sync + 'static,
) -> Bound {
    let compiled = Pattern::of(arguments.get(1), Formatter::for_reading)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), compiled.rows(values, 1));
        let zones = values.get(2).map(Strings::of);
        try_build_numbers::<Int64Type>(rows, |row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            let zone = match &zones {
                Some(zones) => match zones.get(row) {
                    None => return Ok(None),
                    zone => zone,
                },
                None => None,
            };
            let read = match patterns.get(row) {
                None | Some(Err(Problem::Invalid(_))) => None,
                Some(Err(problem)) => {
                    return Err(exec_datafusion_err!("{}", problem.clone().message()));
                }
                Some(Ok(pattern)) => pattern.read(text).or_else(|| read_jdbc(text)),
            };
            Ok(read.and_then(|time| convert(time, zone)))
        })
    });
    Ok(fallible_call(name, all_strings(arguments)?, DataType::Int64, kernel))
}

/// What `java.sql.Timestamp.valueOf` and `java.sql.Date.valueOf` read, which Flink tries when a text
/// is not of its pattern: a day of the month up to 31, hours that run over.
fn read_jdbc(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    let (date, time) = match text.split_once(' ') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let digits = |part: &str, most: usize| {
        let valid = (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if valid { part.parse::<i64>().ok() } else { None }
    };
    let mut parts = date.split('-');
    let year = parts.next().filter(|year| year.len() == 4).and_then(|year| digits(year, 4))?;
    let month = digits(parts.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let day = digits(parts.next()?, 2).filter(|day| (1..=31).contains(day))?;
    // Before, the calendars differ.
    if parts.next().is_some() || year < 1583 {
        return None;
    }
    let (seconds, nanos) = match time {
        None => (0, 0),
        Some(time) => {
            let (clock, fraction) = match time.split_once('.') {
                Some((clock, fraction)) => (clock, digits(fraction, 9).map(|_| fraction)?),
                None => (time, ""),
            };
            let mut units = clock.split(':').map(|unit| digits(unit, 9));
            let mut part = || units.next().flatten();
            let (hours, minutes, seconds) = (part()?, part()?, part()?);
            if units.next().is_some() {
                return None;
            }
            (hours * 3_600 + minutes * 60 + seconds, format!("{fraction:0<9}").parse().ok()?)
        }
    };
    let days = Ymd { year, month, day }.to_days();
    let instant = chrono::DateTime::from_timestamp(days * MILLIS_PER_DAY / 1_000 + seconds, nanos)?;
    Some(instant.naive_utc())
}

/// Numbers of the epoch, or texts, as TIMESTAMP_LTZ.
fn to_timestamp_ltz(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    match &arguments[0].data_type {
        DataType::Utf8 => text_to_instant(&arguments),
        _ if arguments.len() == 3 => Err("a number takes one precision".into()),
        _ => number_to_instant(&arguments, options),
    }
}

/// Read in UTC or the zone given; without a pattern a bad text fails, with one it gives NULL.
fn text_to_instant(arguments: &[Typed]) -> Bound {
    let result = DataType::Timestamp(TimeUnit::Millisecond, Some(LOCAL_ZONE.into()));
    if let Some(name) = arguments.get(2).and_then(Typed::literal_text)
        && Zone::strict(name).is_none()
    {
        return Err(format!("there is no time zone '{name}'"));
    }
    let millis = match arguments.len() {
        1 => {
            let kernel: Kernel = Arc::new(|values, rows| {
                let texts = Strings::of(&values[0]);
                try_build_numbers::<Int64Type>(rows, |row| {
                    let Some(text) = texts.get(row) else { return Ok(None) };
                    match parse_timestamp(text).and_then(millis_of) {
                        Some(millis) => Ok(Some(millis)),
                        None => Err(exec_datafusion_err!("'{text}' is not a TIMESTAMP")),
                    }
                })
            });
            let texts = all_strings(arguments)?;
            fallible_call("TO_TIMESTAMP_LTZ", texts, DataType::Int64, kernel)
        }
        _ => read_pattern(arguments, "TO_TIMESTAMP_LTZ", |time, zone| match zone {
            None => millis_of(time),
            Some(name) => millis_of(Zone::strict(name)?.instant_of(time)?),
        })?,
    };
    Ok(relabelled("AS_TIMESTAMP_LTZ", millis, result))
}

/// Flink's years are 0 to 9999.
const FIRST_MILLIS: i64 = -62_167_219_200_000;
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// So many digits of a second are in the number; milliseconds unless told.
fn number_to_instant(arguments: &[Typed], options: &BindOptions) -> Bound {
    let precision = match arguments.get(1) {
        None => 3,
        Some(typed) => integer_constant(typed)
            .and_then(|precision| u32::try_from(precision).ok())
            .filter(|precision| *precision <= 9)
            .ok_or("the precision is a literal from 0 to 9")?,
    };
    let (unit, digits) = match precision {
        0..=3 => (TimeUnit::Millisecond, 3),
        4..=6 => (TimeUnit::Microsecond, 6),
        _ => (TimeUnit::Nanosecond, 9),
    };
    let number = whole_number(&arguments[0], precision, options)?;
    let factor = 10_i64.pow(digits - precision);
    let per_milli = super::per_milli(unit);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let numbers = Integers::of(&values[0])?;
        try_build_numbers::<Int64Type>(rows, |row| {
            let scaled = numbers.get(row).and_then(|unscaled| unscaled.checked_mul(factor));
            Ok(scaled.filter(|scaled| {
                (FIRST_MILLIS..=LAST_MILLIS).contains(&scaled.div_euclid(per_milli))
            }))
        })
    });
    let name = format!("TO_TIMESTAMP_LTZ({{}}, {precision})");
    let number = call(&name, vec![number], DataType::Int64, kernel);
    let result = DataType::Timestamp(unit, Some(LOCAL_ZONE.into()));
    Ok(relabelled("AS_TIMESTAMP_LTZ", number, result))
}

/// A number as BIGINT: towards zero, NULL where it does not fit.
fn whole_number(given: &Typed, precision: u32, options: &BindOptions) -> Result<Physical, String> {
    let to = SqlType::plain(DataType::Int64);
    match given.data_type {
        ref integer if is_integer(integer) => Ok(cast(given.clone(), &to, false, options)?.expr),
        DataType::Float32 | DataType::Float64 => {
            if precision == 0 {
                return Err("a DOUBLE takes a precision of 1 to 9; CAST it to BIGINT".into());
            }
            let wide = cast(given.clone(), &SqlType::plain(DataType::Float64), false, options)?;
            let kernel: Kernel = Arc::new(|values, rows| {
                let numbers = Numbers::<Float64Type>::of(&values[0])?;
                #[expect(clippy::cast_possible_truncation, reason = "Java's casts saturate")]
                try_build_numbers::<Int64Type>(rows, |row| {
                    Ok(numbers.get(row).map(|number| number as i64))
                })
            });
            Ok(call("WHOLE", vec![wide.expr], DataType::Int64, kernel).expr)
        }
        DataType::Decimal128(_, scale) => {
            let unit = 10_i128.pow(u32::from(scale.unsigned_abs()));
            let kernel: Kernel = Arc::new(move |values, rows| {
                let numbers = Numbers::<Decimal128Type>::of(&values[0])?;
                try_build_numbers::<Int64Type>(rows, |row| {
                    Ok(numbers.get(row).and_then(|number| i64::try_from(number / unit).ok()))
                })
            });
            Ok(call("WHOLE", vec![Arc::clone(&given.expr)], DataType::Int64, kernel).expr)
        }
        ref other => Err(wrong_argument(1, "a number or STRING", other)),
    }
}

/// DATE; NULL when the text is none.
fn to_date(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let compiled = Pattern::of(arguments.get(1), SimpleReader::compile)?;
    let with_pattern = arguments.len() == 2;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), compiled.rows(values, 1));
        let days = try_build_numbers::<Int32Type>(rows, |row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            if !with_pattern {
                return read_date(text);
            }
            let Some(pattern) = patterns.required(row)? else { return Ok(None) };
            let millis = pattern.read(text).map(|reading| instant(reading, Zone::Fixed(0)));
            Ok(millis.and_then(|millis| i32::try_from(millis.div_euclid(MILLIS_PER_DAY)).ok()))
        })?;
        Ok(arrow::compute::cast(&days, &DataType::Date32)?)
    });
    Ok(fallible_call("TO_DATE", all_strings(&arguments)?, DataType::Date32, kernel))
}

/// `2020`, `2020-2` or `2020-02-01`, up to a space; a number beyond INT fails, as in Flink.
fn read_date(text: &str) -> PlanResult<Option<i32>> {
    let written = match text.find(' ') {
        Some(end) if end > 0 => &text[..end],
        _ => text,
    };
    let mut numbers = [0, 1, 1];
    for (index, part) in written.splitn(3, '-').enumerate() {
        let part = part.trim_matches(|character| character <= ' ');
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let number: i32 = part
            .parse()
            .map_err(|_| exec_datafusion_err!("'{text}' is not a DATE: {part} is too large"))?;
        numbers[index] = i64::from(number);
    }
    let [year, month, day] = numbers;
    let date = Ymd { year, month, day };
    let valid = year <= 9999 && Ymd::of_days(date.to_days()) == date;
    Ok(i32::try_from(date.to_days()).ok().filter(|_| valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_flink_reads_them() {
        let check = |text: &str, expected: Option<(i64, i64, i64)>| {
            let read = read_date(text).unwrap().map(|days| Ymd::of_days(i64::from(days)));
            let expected = expected.map(|(year, month, day)| Ymd { year, month, day });
            assert_eq!(read, expected, "{text}");
        };
        check("2020-02-29 12:00", Some((2020, 2, 29)));
        check("2020-02-30", None);
        check("2020-2", Some((2020, 2, 1)));
        check(" 12 ", Some((12, 1, 1)));
        check("2020-02-01-01", None);
        check("2020-00-01", None);
        check("10000", None);
        check("", None);
        check("-1", None);
        assert!(read_date("9223372036854775807").is_err());
    }

    #[test]
    fn other_texts_are_read_as_jdbc_reads_them() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(read_jdbc(text).map(|time| time.to_string()).as_deref(), expected, "{text}");
        };
        check(" 2020-2-9 01:02:03.5 ", Some("2020-02-09 01:02:03.500"));
        check("2020-2-30", Some("2020-03-01 00:00:00"));
        check("2020-2-9 25:02:03", Some("2020-02-10 01:02:03"));
        check("2020-13-9", None);
        check("2020-2-32", None);
        check("2020-2-9 1:2", None);
        check("20-2-9", None);
    }
}
