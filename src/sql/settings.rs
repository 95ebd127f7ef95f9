//! SET: what of Flink's configuration means something here.

use chrono_tz::Tz;

use super::error::did_you_mean;

/// Session settings, as SET leaves them.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `table.local-time-zone`.
    pub(super) time_zone: Tz,
    /// `table.exec.source.idle-timeout`.
    pub(super) idle_timeout_ms: Option<u64>,
    /// What was accepted and has no effect.
    pub(super) notes: Vec<String>,
}

/// Keys that change something.
const KEYS: [&str; 2] = ["table.local-time-zone", "table.exec.source.idle-timeout"];

/// Keys, and beginnings of keys, that are accepted and change nothing.
const IGNORED: [&str; 5] = [
    "table.exec.mini-batch.",
    "parallelism.default",
    "pipeline.name",
    "execution.runtime-mode",
    "sql-client.",
];

impl Settings {
    /// `SET 'key' = 'value'`.
    ///
    /// # Errors
    /// In words for the user.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "table.local-time-zone" => {
                self.time_zone = value.parse().map_err(|_| {
                    format!("'{value}' is not a time zone; write 'UTC' or 'Europe/Berlin'")
                })?;
            }
            "table.exec.source.idle-timeout" => {
                let millis = duration_millis(value).ok_or_else(|| {
                    format!("'{value}' is not a duration; write '5 s', '500 ms' or '1 min'")
                })?;
                self.idle_timeout_ms = (millis > 0).then_some(millis);
            }
            "execution.runtime-mode" if !value.eq_ignore_ascii_case("streaming") => {
                return Err(format!(
                    "execution.runtime-mode '{value}' is not supported; jobs stream"
                ));
            }
            _ if IGNORED.iter().any(|known| key.starts_with(known)) => {
                self.notes.push(format!("SET '{key}' is accepted and has no effect"));
            }
            _ => {
                let hint = did_you_mean(key, KEYS.into_iter().chain(IGNORED));
                return Err(format!("the setting '{key}' is not supported{hint}"));
            }
        }
        Ok(())
    }
}

/// Flink's durations: a number and a unit.
fn duration_millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" | "" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_flinks() {
        for (text, expected) in [
            ("5 s", Some(5_000)),
            ("500ms", Some(500)),
            ("1 min", Some(60_000)),
            ("7", Some(7)),
            ("s", None),
            ("5 parsecs", None),
            ("99999999999999999999 s", None),
        ] {
            assert_eq!(duration_millis(text), expected, "{text}");
        }
    }
}
