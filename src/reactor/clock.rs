//! Time, passed in.

use std::cell::Cell;

use super::sys;

/// The only way to learn the time. [`SystemClock`] in production, [`ManualClock`] where a run must
/// be a function of its input.
pub trait Clock {
    /// For measuring: nanoseconds; never goes back, meaningless across restarts.
    fn monotonic_ns(&self) -> u64;
    /// For stamping records: milliseconds since the epoch; may jump.
    fn wall_ms(&self) -> i64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic_ns(&self) -> u64 {
        sys::monotonic_ns()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the Clock the others ask")]
    fn wall_ms(&self) -> i64 {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// A clock that stands still until it is told to go on.
#[derive(Default, Debug)]
pub struct ManualClock {
    monotonic_ns: Cell<u64>,
    wall_ms: Cell<i64>,
}

impl ManualClock {
    /// A clock at `wall_ms`.
    pub fn new(wall_ms: i64) -> ManualClock {
        ManualClock { monotonic_ns: Cell::new(0), wall_ms: Cell::new(wall_ms) }
    }

    /// Both clocks go on by `ms` milliseconds.
    pub fn advance_ms(&self, ms: u32) {
        self.monotonic_ns.set(self.monotonic_ns.get() + u64::from(ms) * 1_000_000);
        self.wall_ms.set(self.wall_ms.get() + i64::from(ms));
    }

    /// The wall clock jumps; the monotonic one does not notice.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.wall_ms.set(wall_ms);
    }
}

impl Clock for ManualClock {
    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.get()
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_goes_on_and_the_wall_clock_is_in_this_century() {
        let before = SystemClock.monotonic_ns();
        while SystemClock.monotonic_ns() == before {}
        assert!(before < SystemClock.monotonic_ns());
        let wall_ms = SystemClock.wall_ms();
        assert!((1_600_000_000_000..4_000_000_000_000).contains(&wall_ms), "{wall_ms}");
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::new(1_000);
        clock.advance_ms(5);
        assert_eq!((clock.monotonic_ns(), clock.wall_ms()), (5_000_000, 1_005));
        clock.set_wall_ms(7);
        assert_eq!((clock.monotonic_ns(), clock.wall_ms()), (5_000_000, 7));
    }
}
