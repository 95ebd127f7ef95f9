//! A clock on the wall of a time zone: what windows over instants are aligned to.
//!
//! A *reading* is what the clock shows, as milliseconds since the reading 1970-01-01 00:00. When clocks
//! go forward some readings are left out, when they go back some come twice. An instant's reading
//! is certain; when a reading is over is decided as Flink decides it for its timers.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use std::fmt;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Around an instant without a change of clocks within this, readings are instants moved.
const QUIET_MS: i64 = 4 * HOUR_MS;

/// Beyond what the calendar's crate can express clocks stand as at its end.
const INSTANT_MS_MAX: i64 = 8_000_000_000_000_000;

/// The clock of one zone, which is not UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallClock {
    zone: Tz,
    /// Clocks still go back and forth in our days.
    has_summer_time: bool,
}

impl fmt::Display for WallClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.zone.name())
    }
}

impl WallClock {
    /// The clock of `zone`; `None` when readings are instants.
    pub fn of(zone: Tz) -> Option<WallClock> {
        // A year behind all that was decided so far.
        const MONTHS_2035: i64 = 2_051_222_400_000;
        let offsets = (0..12).map(|month| offset_ms(zone, MONTHS_2035 + month * 30 * DAY_MS));
        let mut offsets: Vec<i64> = offsets.collect();
        offsets.dedup();
        (zone != Tz::UTC).then_some(WallClock { zone, has_summer_time: offsets.len() > 1 })
    }

    /// What the clock shows at each instant.
    pub fn readings(self, instants: &[i64]) -> Vec<i64> {
        let mut quiet = Quiet::default();
        let reading = |&instant: &i64| instant.saturating_add(quiet.offset(self.zone, instant).1);
        instants.iter().map(reading).collect()
    }

    /// What the clock shows at one instant.
    pub fn reading(self, instant: i64) -> i64 {
        instant.saturating_add(offset_ms(self.zone, instant))
    }

    /// For each watermark the last reading that is over at it.
    pub fn all_passed(self, watermarks: &[i64]) -> Vec<i64> {
        let mut quiet = Quiet::default();
        watermarks.iter().map(|&watermark| self.passed_with(&mut quiet, watermark)).collect()
    }

    /// The last reading that is over at `watermark`: windows up to it are complete.
    pub fn passed(self, watermark: i64) -> i64 {
        self.passed_with(&mut Quiet::default(), watermark)
    }

    fn passed_with(self, quiet: &mut Quiet, watermark: i64) -> i64 {
        if watermark.unsigned_abs() > INSTANT_MS_MAX.unsigned_abs() {
            return watermark;
        }
        let (is_quiet, offset) = quiet.offset(self.zone, watermark);
        if is_quiet {
            return watermark + offset;
        }
        // Readings are over one after the other: half the distance, again and again.
        let (mut over, mut open) = (watermark - 2 * DAY_MS, watermark + 2 * DAY_MS);
        while open - over > 1 {
            let middle = over + (open - over) / 2;
            match self.over_at(middle) <= watermark {
                true => over = middle,
                false => open = middle,
            }
        }
        over
    }

    /// The watermark at which `reading` is over: Flink's rule for the timers of windows. Of a reading
    /// that comes twice it is the second time; those that are left out are over at once.
    pub fn over_at(self, reading: i64) -> i64 {
        let Some(local) = at(reading) else { return reading };
        let first = self.first_instant(local);
        if !self.has_summer_time {
            return first;
        }
        let hour_later = self.first_instant(local + TimeDelta::milliseconds(HOUR_MS));
        match hour_later - first {
            0 => first - first % HOUR_MS,
            apart if apart > HOUR_MS => first + HOUR_MS,
            _ => first,
        }
    }

    /// The instant of a reading: of one that comes twice the first; one that is left out is as much
    /// later as clocks go forward.
    fn first_instant(self, local: NaiveDateTime) -> i64 {
        let earliest = |at: NaiveDateTime| self.zone.from_local_datetime(&at).earliest();
        if let Some(instant) = earliest(local) {
            return instant.timestamp_millis();
        }
        // No clock went forward by more than a day and a bit, and few by more than three hours.
        let back = |hours: i64| local.checked_sub_signed(TimeDelta::hours(hours));
        let found = [3, 27].into_iter().find_map(|hours| Some((hours, earliest(back(hours)?)?)));
        found.map_or_else(
            || local.and_utc().timestamp_millis(),
            |(hours, before)| before.timestamp_millis() + hours * HOUR_MS,
        )
    }
}

/// The day last asked for, when clocks do not change in it or near it.
#[derive(Default)]
struct Quiet {
    /// Day since the epoch, and the offset all day.
    day: Option<(i64, i64)>,
}

impl Quiet {
    /// Whether no clock changes near `instant`, and how far the clock is ahead of it.
    fn offset(&mut self, zone: Tz, instant: i64) -> (bool, i64) {
        let day = instant.div_euclid(DAY_MS);
        if let Some((known, offset)) = self.day
            && known == day
        {
            return (true, offset);
        }
        let from = (day * DAY_MS).saturating_sub(QUIET_MS);
        let ends = [from, from.saturating_add(DAY_MS + 2 * QUIET_MS)];
        let [first, last] = ends.map(|end| offset_ms(zone, end));
        let offset = offset_ms(zone, instant);
        let is_quiet = first == last && first == offset;
        self.day = is_quiet.then_some((day, offset));
        (is_quiet, offset)
    }
}

fn at(millis: i64) -> Option<NaiveDateTime> {
    let within = (-INSTANT_MS_MAX..INSTANT_MS_MAX).contains(&millis);
    DateTime::from_timestamp_millis(millis).filter(|_| within).map(|time| time.naive_utc())
}

/// Milliseconds the clock of `zone` is ahead at an instant.
fn offset_ms(zone: Tz, instant: i64) -> i64 {
    let time = at(instant.clamp(1 - INSTANT_MS_MAX, INSTANT_MS_MAX - 1));
    let time = time.expect("it is within the range");
    i64::from(zone.offset_from_utc_datetime(&time).fix().local_minus_utc()) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        let format = "%Y-%m-%d %H:%M:%S%.3f";
        NaiveDateTime::parse_from_str(text, format).unwrap().and_utc().timestamp_millis()
    }

    /// `(instant, reading)` and `(reading, instant at which it is over)`.
    #[track_caller]
    fn check(zone: Tz, readings: &[(&str, &str)], over: &[(&str, &str)]) {
        let clock = WallClock::of(zone).unwrap();
        for (instant, reading) in readings {
            let instant = millis(instant);
            assert_eq!(clock.reading(instant), millis(reading), "{instant}");
            assert_eq!(clock.readings(&[instant, instant]), [millis(reading); 2]);
        }
        for (reading, instant) in over {
            assert_eq!(clock.over_at(millis(reading)), millis(instant), "{reading}");
        }
    }

    #[test]
    fn clocks_go_forward_and_back() {
        check(
            Tz::Europe__Berlin,
            &[
                ("2020-03-29 00:59:59.999", "2020-03-29 01:59:59.999"),
                ("2020-03-29 01:00:00.000", "2020-03-29 03:00:00.000"),
                ("2020-10-25 00:30:00.000", "2020-10-25 02:30:00.000"),
                ("2020-10-25 01:30:00.000", "2020-10-25 02:30:00.000"),
            ],
            &[
                ("2020-03-29 01:59:59.999", "2020-03-29 00:59:59.999"),
                ("2020-03-29 02:00:00.000", "2020-03-29 01:00:00.000"),
                ("2020-03-29 02:59:59.999", "2020-03-29 01:00:00.000"),
                ("2020-03-29 03:00:00.000", "2020-03-29 01:00:00.000"),
                ("2020-10-25 01:59:59.999", "2020-10-24 23:59:59.999"),
                ("2020-10-25 02:30:00.000", "2020-10-25 01:30:00.000"),
                ("2020-10-25 03:00:00.000", "2020-10-25 02:00:00.000"),
            ],
        );
        let plain = [("2020-06-01 12:00:00.000", "2020-06-01 17:30:00.000")];
        check(Tz::Asia__Kolkata, &plain, &plain.map(|(instant, reading)| (reading, instant)));
        assert_eq!(WallClock::of(Tz::UTC), None);
    }

    /// `passed` is the inverse of `over_at`, around every change of clocks.
    #[test]
    fn the_last_reading_that_is_over_is_found() {
        for zone in [Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Asia__Tokyo]
        {
            let clock = WallClock::of(zone).unwrap();
            for start in ["2020-03-08 00:00:00.000", "2020-03-28 20:00:00.000"]
                .into_iter()
                .chain(["2020-10-24 20:00:00.000", "2020-11-01 00:00:00.000"])
            {
                let watermarks: Vec<i64> =
                    (0..160).map(|step| millis(start) + step * 10 * 60_000 - step % 3).collect();
                let all = clock.all_passed(&watermarks);
                for (&watermark, &reading) in watermarks.iter().zip(&all) {
                    assert_eq!(clock.passed(watermark), reading);
                    assert!(clock.over_at(reading) <= watermark, "{zone} {watermark}");
                    assert!(clock.over_at(reading + 1) > watermark, "{zone} {watermark}");
                }
            }
        }
    }

    #[test]
    fn no_time_is_too_far() {
        let clock = WallClock::of(Tz::America__New_York).unwrap();
        for time in [i64::MIN, i64::MAX, i64::MIN + 1, 1 << 60, -(1 << 60)] {
            assert_eq!(clock.passed(time), time);
            assert_eq!(clock.over_at(time), time);
            let _ = clock.readings(&[time, 0, time]);
        }
    }
}
