//! Time, passed in.

/// The only way to learn the time. [`SystemClock`] in production, a simulated one in tests.
pub trait Clock {
    /// For measuring: nanoseconds; never goes back, meaningless across restarts.
    fn monotonic_ns(&self) -> u64;
    /// For stamping records: milliseconds since the epoch; may jump.
    fn wall_ms(&self) -> i64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;
