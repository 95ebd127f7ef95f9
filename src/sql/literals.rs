//! Literals as Flink reads them: which numbers there are, of which type, and what a time looks like.

use sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, TypedString, Value};
use sqlparser::tokenizer::Span;

use super::cast::{is_literal_date, is_literal_time, is_literal_timestamp};
use super::error::{Checked, Fault};
use super::rewrite::text;
use super::types::DECIMAL_PRECISION_MAX;

/// Digits of a second that a time can have.
const TIME_DIGITS_MAX: usize = 3;
const TIMESTAMP_DIGITS_MAX: usize = 9;

/// What DataFusion's planner should read instead of a value, or `None` to leave it.
pub(super) fn value_literal(value: &Value, span: Span) -> Checked<Option<Expr>> {
    match value {
        Value::Number(digits, _) => number_literal(digits, span),
        Value::HexStringLiteral(digits) => {
            let whole = digits.len().is_multiple_of(2);
            match whole && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                true => Ok(None),
                false => {
                    let message = format!("X'{digits}' is not a number of bytes: two digits each");
                    Err(Fault::span(span, message))
                }
            }
        }
        _ => Ok(None),
    }
}

fn number_literal(digits: &str, span: Span) -> Checked<Option<Expr>> {
    let fault = |what: &str| Fault::span(span, format!("the number {digits} {what}"));
    if digits.contains(['e', 'E']) {
        let finite = digits.parse::<f64>().is_ok_and(f64::is_finite);
        let double = DataType::Double(ExactNumberInfo::None);
        return match finite {
            true => Ok(Some(cast_text(digits, double, span))),
            false => Err(fault("is out of range of DOUBLE")),
        };
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // As Flink: the digits of every number are those of a BIGINT, wherever the point is.
    let unscaled = format!("{whole}{fraction}").parse::<u64>().ok();
    let fits = match fraction.is_empty() {
        // What is one above the largest may have a sign before it.
        true => unscaled.is_some_and(|value| value <= i64::MIN.unsigned_abs()),
        false => unscaled.is_some_and(|value| i64::try_from(value).is_ok()),
    };
    if !fits || fraction.len() > usize::from(DECIMAL_PRECISION_MAX) {
        return Err(fault("has more digits than a BIGINT"));
    }
    if fraction.is_empty() {
        let integer = || Expr::Value(Value::Number(whole.into(), false).with_span(span));
        return Ok(digits.ends_with('.').then(integer));
    }
    // Each digit counts, also a leading zero.
    if whole == "0" || (!whole.is_empty() && !whole.starts_with('0')) {
        return Ok(None);
    }
    let count = |wide: usize| u64::try_from(wide).expect("a length is 64 bits");
    let precision = (whole.len() + fraction.len()).min(usize::from(DECIMAL_PRECISION_MAX));
    let scale = i64::try_from(fraction.len()).expect("checked above");
    let info = ExactNumberInfo::PrecisionAndScale(count(precision), scale);
    Ok(Some(cast_text(digits, DataType::Decimal(info), span)))
}

/// A constant of a type that no literal of DataFusion has.
fn cast_text(written: &str, data_type: DataType, span: Span) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text(written, span)),
        data_type,
        array: false,
        format: None,
    }
}

/// DATE, TIME and TIMESTAMP literals have as many digits of a second as are written.
pub(super) fn type_literal(literal: &mut TypedString, span: Span) -> Checked<()> {
    let Value::SingleQuotedString(written) = &literal.value.value else {
        return Err(Fault::span(span, "a literal of a time is written DATE '2020-01-01'"));
    };
    let wrong = |form: &str| Fault::span(span, format!("'{written}' is not one; write {form}"));
    let (form, precision, digits_max) = match &mut literal.data_type {
        DataType::Date if !is_literal_date(written) => return Err(wrong("DATE '2020-01-01'")),
        DataType::Time(precision @ None, _) => ("TIME '10:00:00'", precision, TIME_DIGITS_MAX),
        DataType::Timestamp(precision @ None, _) => {
            ("TIMESTAMP '2020-01-01 10:00:00'", precision, TIMESTAMP_DIGITS_MAX)
        }
        _ => return Ok(()),
    };
    let fraction = written.rsplit_once('.').map(|(_, fraction)| fraction.trim_end());
    let digits = fraction.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let count = digits.map_or(0, str::len);
    // What is beyond the last digit there can be is not read.
    let kept = match count.checked_sub(TIMESTAMP_DIGITS_MAX) {
        Some(beyond) => &written.trim_end()[..written.trim_end().len() - beyond],
        None => written,
    };
    let valid = match form.starts_with("TIMESTAMP") {
        true => is_literal_timestamp(kept),
        false => is_literal_time(kept),
    };
    if !valid {
        return Err(wrong(form));
    }
    *precision = Some(u64::try_from(count.min(digits_max)).expect("at most 9"));
    let kept = kept.to_string();
    literal.value.value = Value::SingleQuotedString(kept);
    Ok(())
}
