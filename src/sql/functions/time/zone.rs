//! Time zones by name: Java's `TimeZone.getTimeZone`, which knows more than regions.

use chrono::NaiveDateTime;
use chrono_tz::Tz;

use super::super::super::cast::instant_of;
use super::super::calendar::{java_instant_millis, java_offset_millis};

/// A time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Zone {
    Region(Tz),
    /// Always so many milliseconds.
    Fixed(i64),
}

/// Abbreviations Java keeps for old programs.
const ABBREVIATIONS: [(&str, Tz); 25] = [
    ("ACT", Tz::Australia__Darwin),
    ("AET", Tz::Australia__Sydney),
    ("AGT", Tz::America__Argentina__Buenos_Aires),
    ("ART", Tz::Africa__Cairo),
    ("AST", Tz::America__Anchorage),
    ("BET", Tz::America__Sao_Paulo),
    ("BST", Tz::Asia__Dhaka),
    ("CAT", Tz::Africa__Harare),
    ("CNT", Tz::America__St_Johns),
    ("CST", Tz::America__Chicago),
    ("CTT", Tz::Asia__Shanghai),
    ("EAT", Tz::Africa__Addis_Ababa),
    ("ECT", Tz::Europe__Paris),
    ("IET", Tz::America__Indiana__Indianapolis),
    ("IST", Tz::Asia__Kolkata),
    ("JST", Tz::Asia__Tokyo),
    ("MIT", Tz::Pacific__Apia),
    ("NET", Tz::Asia__Yerevan),
    ("NST", Tz::Pacific__Auckland),
    ("PLT", Tz::Asia__Karachi),
    ("PNT", Tz::America__Phoenix),
    ("PRT", Tz::America__Puerto_Rico),
    ("PST", Tz::America__Los_Angeles),
    ("SST", Tz::Pacific__Guadalcanal),
    ("VST", Tz::Asia__Ho_Chi_Minh),
];

impl Zone {
    /// A region, an abbreviation or `GMT+8`; UTC for everything else, as Java decides.
    pub(super) fn lenient(name: &str) -> Zone {
        let fixed = || {
            let offset = name.strip_prefix("GMT")?;
            offset_millis(offset).filter(|millis| millis.abs() < 24 * 3_600_000)
        };
        if let Some((_, region)) = ABBREVIATIONS.iter().find(|(short, _)| *short == name) {
            return Zone::Region(*region);
        }
        match (name.parse(), fixed()) {
            (Ok(region), _) => Zone::Region(region),
            (Err(_), Some(millis)) => Zone::Fixed(millis),
            _ => Zone::Fixed(0),
        }
    }

    /// What Java's `ZoneId.of` takes: a region, `UTC+1`, `+01:00` or `Z`.
    pub(super) fn strict(name: &str) -> Option<Zone> {
        if let Ok(region) = name.parse() {
            return Some(Zone::Region(region));
        }
        let offset = ["UTC", "GMT", "UT", ""].iter().find_map(|prefix| {
            let rest = name.strip_prefix(prefix)?;
            rest.starts_with(['+', '-']).then_some(rest)
        });
        match offset {
            Some(offset) => offset_millis(offset)
                .filter(|millis| millis.abs() <= 18 * 3_600_000)
                .map(Zone::Fixed),
            None => matches!(name, "Z" | "UT").then_some(Zone::Fixed(0)),
        }
    }

    /// Milliseconds the wall clock is ahead of `millis`.
    pub(super) fn offset(self, millis: i64) -> i64 {
        match self {
            Zone::Region(region) => java_offset_millis(region, millis),
            Zone::Fixed(offset) => offset,
        }
    }

    /// The instant of a reading in milliseconds, as `java.util.Calendar` finds it.
    pub(super) fn instant(self, local: i64) -> i64 {
        match self {
            Zone::Region(region) => java_instant_millis(region, local),
            Zone::Fixed(offset) => local.saturating_sub(offset),
        }
    }

    /// The instant of a reading, as `java.time` finds it.
    pub(super) fn instant_of(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Zone::Region(region) => instant_of(local, region).map(|instant| instant.naive_utc()),
            Zone::Fixed(offset) => {
                local.checked_sub_signed(chrono::TimeDelta::milliseconds(offset))
            }
        }
    }
}

/// `+h`, `+hh`, `+hhmm` or `+h[h]:mm`.
fn offset_millis(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number = |part: &str| {
        let valid = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| valid)
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(sign * (hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names_and_offsets() {
        let check = |name: &str, lenient: Zone, strict: Option<Zone>| {
            assert_eq!(Zone::lenient(name), lenient, "{name}");
            assert_eq!(Zone::strict(name), strict, "{name}");
        };
        let berlin = Zone::Region(Tz::Europe__Berlin);
        check("Europe/Berlin", berlin, Some(berlin));
        check("PST", Zone::Region(Tz::America__Los_Angeles), None);
        check("GMT-08:00", Zone::Fixed(-28_800_000), Some(Zone::Fixed(-28_800_000)));
        check("GMT+8", Zone::Fixed(28_800_000), Some(Zone::Fixed(28_800_000)));
        check("+01:30", Zone::Fixed(0), Some(Zone::Fixed(5_400_000)));
        check("Z", Zone::Fixed(0), Some(Zone::Fixed(0)));
        check("Nowhere/Land", Zone::Fixed(0), None);
        check("GMT+99", Zone::Fixed(0), None);
        check("", Zone::Fixed(0), None);
    }
}
