//! Interval literals: their length in milliseconds or months.

use sqlparser::ast::{DateTimeField, Expr, Interval, Value};

/// Length of an interval: months do not have one in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IntervalLength {
    /// YEAR and MONTH.
    Months(i64),
    /// DAY to SECOND.
    Millis(i64),
}

/// Digits of an interval's first number, unless its unit says how many: `DAY(3)`.
const DIGITS_DEFAULT: u64 = 2;

/// Length of an interval literal of Flink's forms.
///
/// # Errors
/// In words for the user.
pub(super) fn interval_length(interval: &Interval) -> Result<IntervalLength, String> {
    let written = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(written) | Value::Number(written, _) => written.trim(),
            _ => return Err("an INTERVAL is written INTERVAL '10' SECOND".into()),
        },
        _ => return Err("an INTERVAL is a literal: INTERVAL '10' SECOND".into()),
    };
    if interval.leading_field.is_none()
        && let Some(length) = normalised(written)
    {
        return Ok(length);
    }
    check_precision(interval, written)?;
    let (negative, digits) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let wrong = || format!("INTERVAL '{written}' is not one; write INTERVAL '10' SECOND");
    let length = match (&interval.leading_field, &interval.last_field) {
        (Some(unit), None) => single_unit(digits, unit).ok_or_else(wrong)?,
        (Some(first), Some(last)) => unit_range(digits, first, last).ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    Ok(match length {
        IntervalLength::Months(count) if negative => IntervalLength::Months(-count),
        IntervalLength::Millis(count) if negative => IntervalLength::Millis(-count),
        length => length,
    })
}

/// The first number of an interval has two digits, or as many as its unit says.
fn check_precision(interval: &Interval, written: &str) -> Result<(), String> {
    let first = written.trim_start_matches(['-', '+']);
    let digits = first.find(|c: char| !c.is_ascii_digit()).unwrap_or(first.len());
    let digits_max = interval.leading_precision.unwrap_or(DIGITS_DEFAULT);
    match (u64::try_from(digits).is_ok_and(|digits| digits > digits_max), &interval.leading_field) {
        (true, Some(unit)) => Err(format!(
            "INTERVAL '{written}' {unit}: the first number has more than {digits_max} digits; write \
             INTERVAL '{written}' {unit}({digits})"
        )),
        _ => Ok(()),
    }
}

/// The form this file writes.
fn normalised(written: &str) -> Option<IntervalLength> {
    if let Some(count) = written.strip_suffix(" months") {
        return count.parse().ok().map(IntervalLength::Months);
    }
    written.strip_suffix(" milliseconds")?.parse().ok().map(IntervalLength::Millis)
}

fn unit_millis(unit: &DateTimeField) -> Option<i64> {
    Some(match unit {
        DateTimeField::Week(None) | DateTimeField::Weeks => 7 * 86_400_000,
        DateTimeField::Day | DateTimeField::Days => 86_400_000,
        DateTimeField::Hour | DateTimeField::Hours => 3_600_000,
        DateTimeField::Minute | DateTimeField::Minutes => 60_000,
        DateTimeField::Second | DateTimeField::Seconds => 1_000,
        _ => return None,
    })
}

fn unit_months(unit: &DateTimeField) -> Option<i64> {
    Some(match unit {
        DateTimeField::Year | DateTimeField::Years => 12,
        DateTimeField::Quarter => 3,
        DateTimeField::Month | DateTimeField::Months => 1,
        _ => return None,
    })
}

fn single_unit(digits: &str, unit: &DateTimeField) -> Option<IntervalLength> {
    if let Some(months) = unit_months(unit) {
        return digits.parse::<i64>().ok()?.checked_mul(months).map(IntervalLength::Months);
    }
    let millis = unit_millis(unit)?;
    let length = match digits.split_once('.') {
        Some((whole, fraction)) if millis == 1_000 => whole
            .parse::<i64>()
            .ok()?
            .checked_mul(1_000)?
            .checked_add(fraction_millis(fraction)?)?,
        Some(_) => return None,
        None => digits.parse::<i64>().ok()?.checked_mul(millis)?,
    };
    Some(IntervalLength::Millis(length))
}

fn fraction_millis(digits: &str) -> Option<i64> {
    let valid = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if valid { format!("{digits:0<3}")[..3].parse().ok() } else { None }
}

/// `'1 02:03:04.5' DAY TO SECOND`, `'1-2' YEAR TO MONTH`, ….
fn unit_range(digits: &str, first: &DateTimeField, last: &DateTimeField) -> Option<IntervalLength> {
    if unit_months(first) == Some(12) && unit_months(last) == Some(1) {
        let (years, months) = digits.split_once('-')?;
        let years = years.parse::<i64>().ok()?.checked_mul(12)?;
        return years.checked_add(months.parse::<i64>().ok()?).map(IntervalLength::Months);
    }
    const UNITS: [i64; 4] = [86_400_000, 3_600_000, 60_000, 1_000];
    let position = |unit| UNITS.iter().position(|&millis| Some(millis) == unit_millis(unit));
    let (from, to) = (position(first)?, position(last)?);
    let parts: Vec<&str> = digits.split([' ', ':']).collect();
    if from >= to || parts.len() != to - from + 1 {
        return None;
    }
    let mut total = 0_i64;
    for (part, unit) in parts.iter().zip(&UNITS[from..=to]) {
        let (whole, fraction) = match part.split_once('.') {
            Some((whole, fraction)) if *unit == 1_000 => (whole, fraction_millis(fraction)?),
            Some(_) => return None,
            None => (*part, 0),
        };
        total = total.checked_add(whole.parse::<i64>().ok()?.checked_mul(*unit)?)?;
        total = total.checked_add(fraction)?;
    }
    Some(IntervalLength::Millis(total))
}

#[cfg(test)]
mod tests {
    use super::super::dialect::FlinkDialect;
    use super::*;
    use sqlparser::parser::Parser;

    #[track_caller]
    fn check(text: &str, expected: Option<IntervalLength>) {
        let dialect = FlinkDialect::new(8);
        let mut parser = Parser::new(&dialect).try_with_sql(text).unwrap();
        let Expr::Interval(interval) = parser.parse_expr().unwrap() else { panic!("{text}") };
        assert_eq!(interval_length(&interval).ok(), expected, "{text}");
    }

    #[test]
    fn intervals_have_lengths() {
        use IntervalLength::{Millis, Months};
        check("INTERVAL '10' SECOND", Some(Millis(10_000)));
        check("INTERVAL '0.5' SECOND", Some(Millis(500)));
        check("INTERVAL '-5' MINUTE", Some(Millis(-300_000)));
        check("INTERVAL '2' DAY", Some(Millis(172_800_000)));
        check("INTERVAL '2' HOURS", Some(Millis(7_200_000)));
        check("INTERVAL '1 02:03:04.5' DAY TO SECOND", Some(Millis(93_784_500)));
        check("INTERVAL '02:03' MINUTE TO SECOND", Some(Millis(123_000)));
        check("INTERVAL '3' MONTH", Some(Months(3)));
        check("INTERVAL '1-2' YEAR TO MONTH", Some(Months(14)));
        check("INTERVAL 'x' SECOND", None);
        check("INTERVAL '1.5' MINUTE", None);
        check("INTERVAL '100' DAY", None);
        check("INTERVAL '100' DAY(3)", Some(Millis(8_640_000_000)));
        check("INTERVAL '-100:30' MINUTE(3) TO SECOND", Some(Millis(-6_030_000)));
        check("INTERVAL '100:30' MINUTE TO SECOND", None);
        check("INTERVAL 5 MINUTE", Some(Millis(300_000)));
        check("INTERVAL '99999999999999999' DAY(17)", None);
    }
}
