//! What a record's latency is made of, counted per part.

use super::{LatencyCounts, LatencyDelta};

/// A part of the time between a batch's arrival and its release, or a sum of such.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LatencyPart {
    /// From arrival to release. Rows of a window arrive with the batch that makes it fire.
    Total,
    /// Of it: not being worked on, before the sink.
    Queue,
    /// Of it: being decoded, computed, encoded.
    Compute,
    /// Of it: in the sink, written and not yet gone.
    ReleaseWait,
    /// Before it: from the arrival of the oldest batch in a window's rows to that of the batch that
    /// made it fire.
    WatermarkWait,
    /// All of it: from the arrival of the oldest batch in the rows to their release.
    OldestAge,
}

impl LatencyPart {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every part.
    pub const ALL: [LatencyPart; LatencyPart::COUNT] = [
        LatencyPart::Total,
        LatencyPart::Queue,
        LatencyPart::Compute,
        LatencyPart::ReleaseWait,
        LatencyPart::WatermarkWait,
        LatencyPart::OldestAge,
    ];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            LatencyPart::Total => "total",
            LatencyPart::Queue => "queue",
            LatencyPart::Compute => "compute",
            LatencyPart::ReleaseWait => "release_wait",
            LatencyPart::WatermarkWait => "watermark_wait",
            LatencyPart::OldestAge => "oldest_age",
        }
    }
}

/// Counts of every part.
#[derive(Clone, Default, Debug)]
pub struct LatencyParts([LatencyCounts; LatencyPart::COUNT]);

/// What was counted since it was asked last.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LatencyPartsDelta([LatencyDelta; LatencyPart::COUNT]);

impl LatencyParts {
    /// `count` records took `latency_ns` in `part`.
    pub fn record(&mut self, part: LatencyPart, latency_ns: u64, count: u64) {
        self.0[part as usize].record(latency_ns, count);
    }

    /// Counts of `part`.
    pub fn of(&self, part: LatencyPart) -> &LatencyCounts {
        &self.0[part as usize]
    }

    /// Adds what another has counted.
    pub fn add(&mut self, delta: &LatencyPartsDelta) {
        self.0.iter_mut().zip(&delta.0).for_each(|(counts, delta)| counts.add(delta));
    }

    /// Takes back what was added once: it is too old.
    pub fn remove(&mut self, delta: &LatencyPartsDelta) {
        self.0.iter_mut().zip(&delta.0).for_each(|(counts, delta)| counts.remove(delta));
    }

    /// Everything so far, which then is nothing.
    pub fn take(&mut self) -> LatencyPartsDelta {
        LatencyPartsDelta(std::array::from_fn(|part| self.0[part].take()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_apart_and_handed_over_once() {
        let mut counted = LatencyParts::default();
        counted.record(LatencyPart::Queue, 1_000, 2);
        counted.record(LatencyPart::OldestAge, 9_000, 1);
        let delta = counted.take();
        assert_eq!(counted.take(), LatencyPartsDelta::default());
        let mut sum = LatencyParts::default();
        sum.add(&delta);
        sum.add(&delta);
        sum.remove(&delta);
        let counts = LatencyPart::ALL.map(|part| sum.of(part).count());
        assert_eq!(counts, [0, 2, 0, 0, 0, 1]);
    }
}
