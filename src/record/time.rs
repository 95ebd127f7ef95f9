//! Event time: one number type, in the unit in which Flink's watermarks count.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before every record: the watermark of a split that has seen nothing.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// After every record: the watermark at the end of bounded input.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// `millis` milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::MIN => formatter.write_str("none"),
            Timestamp::MAX => formatter.write_str("end"),
            Timestamp(millis) => match chrono::DateTime::from_timestamp_millis(millis) {
                Some(time) => write!(formatter, "{}", time.format("%Y-%m-%d %H:%M:%S%.3f")),
                None => write!(formatter, "{millis} ms"),
            },
        }
    }
}
