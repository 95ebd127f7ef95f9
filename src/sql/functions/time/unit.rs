//! Units of time, by the names users write.

use super::super::calendar::Span;

/// A unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// So many milliseconds.
    Millis(i64),
    /// Days, in spans of the calendar.
    Days(Span),
}

impl Unit {
    /// A unit from MILLISECOND to MILLENNIUM.
    pub(super) fn of(name: &str) -> Result<Unit, String> {
        let upper = name.to_ascii_uppercase();
        Ok(match upper.strip_prefix("SQL_TSI_").unwrap_or(&upper) {
            "MILLISECOND" => Unit::Millis(1),
            "SECOND" => Unit::Millis(1_000),
            "MINUTE" => Unit::Millis(60_000),
            "HOUR" => Unit::Millis(3_600_000),
            "DAY" => Unit::Days(Span::Day),
            "WEEK" => Unit::Days(Span::Week),
            "MONTH" => Unit::Days(Span::Month),
            "QUARTER" => Unit::Days(Span::Quarter),
            "YEAR" => Unit::Days(Span::Year),
            "DECADE" => Unit::Days(Span::Decade),
            "CENTURY" => Unit::Days(Span::Century),
            "MILLENNIUM" => Unit::Days(Span::Millennium),
            _ => return Err(format!("the unit {name} is not supported")),
        })
    }

    /// Its length, as far as it always has the same.
    pub(super) fn length(self) -> Length {
        match self {
            Unit::Millis(millis) => Length::Millis(millis),
            Unit::Days(span) => match span {
                Span::Day => Length::Millis(86_400_000),
                Span::Week => Length::Millis(7 * 86_400_000),
                Span::Month => Length::Months(1),
                Span::Quarter => Length::Months(3),
                Span::Year => Length::Months(12),
                Span::Decade => Length::Months(120),
                Span::Century => Length::Months(1_200),
                Span::Millennium => Length::Months(12_000),
            },
        }
    }
}

/// The length of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Length {
    Millis(i64),
    Months(i64),
}
