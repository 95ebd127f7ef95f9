//! The calendar arithmetic Flink does itself, on days since 1970, beside the calendars of Java.
//!
//! Days are of the proleptic Gregorian calendar except where a Julian one is named.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetComponents, Tz};

pub(super) const MILLIS_PER_DAY: i64 = 86_400_000;

/// 1582-10-15: `java.util.Calendar` is Julian before.
pub(super) const GREGORIAN_CUTOVER: i64 = -141_427;

/// The day numbers of astronomers count from there to 1970-01-01.
const EPOCH_JULIAN_DAY: i64 = 2_440_588;

/// Year, month and day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ymd {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
}

impl Ymd {
    /// Of a day since 1970-01-01.
    pub(super) fn of_days(days: i64) -> Ymd {
        // Years begin on March 1st here, so that the leap day is the last one.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        Ymd::of_march(year + era * 400, of_era - (365 * year + year / 4 - year / 100))
    }

    /// The same, of the Julian calendar.
    pub(super) fn of_julian_days(days: i64) -> Ymd {
        let shifted = days + 719_470;
        let era = shifted.div_euclid(1_461);
        let of_era = shifted.rem_euclid(1_461);
        let year = (of_era - of_era / 1_460) / 365;
        Ymd::of_march(year + era * 4, of_era - 365 * year)
    }

    /// Of a year that begins on March 1st, and a day in it from 0.
    fn of_march(year: i64, of_year: i64) -> Ymd {
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Ymd { year: year + i64::from(month <= 2), month, day }
    }

    /// Days since 1970-01-01; month and day may be out of their ranges.
    pub(super) fn to_days(self) -> i64 {
        let (year, of_year) = self.march();
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
            - 719_468
    }

    /// The same, of the Julian calendar.
    pub(super) fn to_julian_days(self) -> i64 {
        let (year, of_year) = self.march();
        365 * year + year.div_euclid(4) + of_year - 719_470
    }

    /// The inverse of [`Ymd::of_march`].
    fn march(self) -> (i64, i64) {
        let months = self.year * 12 + self.month - 3;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
        (year, (153 * month + 2) / 5 + self.day - 1)
    }

    /// Days of the month.
    fn month_length(self) -> i64 {
        let next = Ymd { month: self.month + 1, day: 1, ..self };
        next.to_days() - Ymd { day: 1, ..self }.to_days()
    }
}

/// The day, so many months later; a day that month does not have is its last.
pub(super) fn add_months(days: i64, months: i64) -> i64 {
    let date = Ymd::of_days(days);
    let total = date.year * 12 + date.month - 1 + months;
    let first = Ymd { year: total.div_euclid(12), month: total.rem_euclid(12) + 1, day: 1 };
    Ymd { day: date.day.min(first.month_length()), ..first }.to_days()
}

/// Whole months from `earlier` to `later`, negative when they are the other way round.
pub(super) fn months_between(later: i64, earlier: i64) -> i64 {
    if later < earlier {
        return -months_between(earlier, later);
    }
    // No month has more than 31 days, so the estimate is not too large.
    let mut months = (later - earlier) / 31;
    while add_months(earlier, months + 1) <= later {
        months += 1;
    }
    months
}

/// Monday is 0.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// Year and number of the ISO week.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - weekday(days) + 3;
    let year = Ymd::of_days(thursday).year;
    (year, (thursday - first_of_year(year)) / 7 + 1)
}

/// The first of January.
pub(super) fn first_of_year(year: i64) -> i64 {
    Ymd { year, month: 1, day: 1 }.to_days()
}

/// Spans of days to which a day can be rounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Span {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

/// The start of the span, or of the next one when `up`.
///
/// This is Flink's arithmetic: it reads days before 1582-10-15 in the Julian calendar and writes
/// them in the Gregorian, and a day up is always the next one.
pub(super) fn rounded_day(span: Span, days: i64, up: bool) -> i64 {
    let julian_day = days + EPOCH_JULIAN_DAY;
    let date = match julian_day > 2_299_160 {
        true => Ymd::of_days(days),
        false => Ymd::of_julian_days(days),
    };
    let Ymd { year, month, day } = date;
    let first_day = month == 1 && day == 1;
    let of_years = |count: i64| {
        let start = count * ((year + count - 1) / count);
        first_of_year(if up { start + 1 } else { start - count + 1 })
    };
    match span {
        Span::Day => date.to_days() + i64::from(up),
        Span::Week => {
            let sunday = (julian_day + 1).rem_euclid(7);
            let offset = if up && sunday > 0 { sunday - 7 } else { sunday };
            date.to_days() - offset
        }
        Span::Month => {
            let month = month + i64::from(up && day > 1);
            Ymd { year, month, day: 1 }.to_days()
        }
        Span::Quarter => {
            let quarter = (month + 2) / 3 + i64::from(up && !first_day);
            Ymd { year, month: quarter * 3 - 2, day: 1 }.to_days()
        }
        Span::Year => first_of_year(year + i64::from(up && !first_day)),
        Span::Decade => first_of_year(10 * (year / 10 + i64::from(up))),
        Span::Century => of_years(100),
        Span::Millennium => of_years(1_000),
    }
}

/// What `java.util.TimeZone` adds to an instant for its wall clock. It knows no local mean time:
/// before 1900 the standard offset of today holds.
pub(super) fn java_offset_millis(zone: Tz, millis: i64) -> i64 {
    const YEAR_1900: i64 = -2_208_988_800_000;
    const YEAR_2024: i64 = 1_704_067_200_000;
    // Beyond what the calendar's crate can express, as at its end.
    const LAST: i64 = 8_000_000_000_000_000;
    if zone == Tz::UTC {
        return 0;
    }
    let at = |instant: i64| {
        let time = DateTime::from_timestamp_millis(instant).expect("it is within the range");
        zone.offset_from_utc_datetime(&time.naive_utc())
    };
    let seconds = if millis < YEAR_1900 {
        at(YEAR_2024).base_utc_offset().num_seconds()
    } else {
        i64::from(at(millis.min(LAST)).fix().local_minus_utc())
    };
    seconds * 1_000
}

/// The instant of a reading of the wall clock, as `java.util.Calendar` finds it: of one that comes
/// twice the last; one that is left out is as much later as the clocks go forward.
pub(super) fn java_instant_millis(zone: Tz, local: i64) -> i64 {
    let standard_guess = local - java_offset_millis(zone, local);
    let candidates = [
        local - java_offset_millis(zone, standard_guess - 2 * 3_600_000),
        local - java_offset_millis(zone, standard_guess + 2 * 3_600_000),
    ];
    let valid = |instant: &i64| *instant + java_offset_millis(zone, *instant) == local;
    match candidates.into_iter().filter(valid).max() {
        Some(instant) => instant,
        // Left out: the offset before the gap holds.
        None => candidates[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-1_000_000..1_000_000).step_by(37).chain([-719_528, 0, 59, 11_016]) {
            assert_eq!(Ymd::of_days(days).to_days(), days);
            assert_eq!(Ymd::of_julian_days(days).to_julian_days(), days);
            let date = chrono::NaiveDate::from_num_days_from_ce_opt(
                i32::try_from(days).unwrap() + 719_163,
            );
            let expected = date.unwrap();
            let Ymd { year, month, day } = Ymd::of_days(days);
            assert_eq!(expected.to_string(), chrono_text(year, month, day));
            let week = chrono::Datelike::iso_week(&expected);
            assert_eq!(iso_week(days), (i64::from(week.year()), i64::from(week.week())));
        }
    }

    fn chrono_text(year: i64, month: i64, day: i64) -> String {
        let date = chrono::NaiveDate::from_ymd_opt(
            i32::try_from(year).unwrap(),
            u32::try_from(month).unwrap(),
            u32::try_from(day).unwrap(),
        );
        date.unwrap().to_string()
    }

    #[test]
    fn the_calendars_meet_at_the_cutover() {
        let first = Ymd { year: 1582, month: 10, day: 15 };
        assert_eq!(first.to_days(), GREGORIAN_CUTOVER);
        let last = Ymd { year: 1582, month: 10, day: 4 };
        assert_eq!(last.to_julian_days(), GREGORIAN_CUTOVER - 1);
    }

    #[test]
    fn months_are_added_and_counted() {
        let day = |year, month, day| Ymd { year, month, day }.to_days();
        assert_eq!(add_months(day(2020, 1, 31), 1), day(2020, 2, 29));
        assert_eq!(add_months(day(2020, 3, 31), -13), day(2019, 2, 28));
        assert_eq!(months_between(day(2020, 2, 29), day(2020, 1, 31)), 1);
        assert_eq!(months_between(day(2020, 2, 29), day(2020, 3, 31)), -1);
        assert_eq!(months_between(day(9999, 12, 31), day(1, 1, 1)), 9_999 * 12 - 1);
    }

    #[test]
    fn days_are_rounded_as_flink_rounds_them() {
        let check = |span, days: (i64, i64, i64), up, expected: (i64, i64, i64)| {
            let of = |(year, month, day)| Ymd { year, month, day };
            let rounded = rounded_day(span, of(days).to_days(), up);
            assert_eq!(Ymd::of_days(rounded), of(expected), "{span:?} {days:?} {up}");
        };
        check(Span::Week, (2020, 2, 29), false, (2020, 2, 23));
        check(Span::Week, (2020, 2, 29), true, (2020, 3, 1));
        check(Span::Week, (1, 1, 1), false, (1, 1, 2));
        check(Span::Week, (1, 1, 1), true, (1, 1, 9));
        check(Span::Day, (2020, 2, 29), true, (2020, 3, 1));
        check(Span::Day, (1, 1, 1), true, (1, 1, 4));
        check(Span::Year, (1, 1, 1), true, (2, 1, 1));
        check(Span::Decade, (2020, 2, 29), false, (2020, 1, 1));
        check(Span::Century, (2000, 2, 29), false, (1901, 1, 1));
        check(Span::Century, (2000, 2, 29), true, (2001, 1, 1));
        check(Span::Millennium, (2020, 2, 29), true, (3001, 1, 1));
        check(Span::Quarter, (2020, 12, 31), true, (2021, 1, 1));
    }

    #[test]
    fn wall_clocks_are_javas() {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        assert_eq!(java_offset_millis(zone, -3_000_000_000_000), 3_600_000);
        // 2020-03-29 02:30 is left out, 2020-10-25 02:30 comes twice.
        assert_eq!(java_instant_millis(zone, 1_585_449_000_000), 1_585_445_400_000);
        assert_eq!(java_instant_millis(zone, 1_603_593_000_000), 1_603_589_400_000);
        assert_eq!(java_instant_millis(zone, 0), -3_600_000);
        assert_eq!(java_offset_millis(zone, i64::MAX), 3_600_000);
    }
}
