//! Maxima: the highest watermark of all chunks before a given one, once all of them are known.
//!
//! In:  each chunk's own maximum, from whichever core decoded it, in any order.
//! Out: the prefix maximum, as far as this core's position and an unbroken prefix allow.
//!
//! Invariant: what is remembered reaches from this core's position to the furthest chunk begun,
//! which is less than twice as many chunks as there are cores, and those behind it.

use std::collections::VecDeque;

use crate::record::Timestamp;

/// See the module.
#[derive(Debug)]
pub(super) struct Maxima {
    /// Chunks before this one are folded into `prefix`.
    base: u64,
    prefix: Timestamp,
    /// Maxima of `base` and later, where known.
    known: VecDeque<Option<Timestamp>>,
}

impl Maxima {
    /// `prefix` is the maximum of all chunks before `base`.
    pub(super) fn new(base: u64, prefix: Timestamp) -> Maxima {
        Maxima { base, prefix, known: VecDeque::new() }
    }

    /// A chunk has been decoded; MIN: it had no valid row. Said once per chunk.
    pub(super) fn record(&mut self, chunk: u64, watermark: Timestamp) {
        assert!(chunk >= self.base, "a chunk's maximum is known before it is folded");
        let index = usize::try_from(chunk - self.base).expect("chunks in flight are few");
        if self.known.len() <= index {
            self.known.resize(index + 1, None);
        }
        assert!(self.known[index].is_none(), "a chunk is decoded once");
        self.known[index] = Some(watermark);
    }

    /// Folds what is known before `chunk`, this core's position, which never goes back. The
    /// maximum of all chunks before it, if they are all known.
    pub(super) fn advance_to(&mut self, chunk: u64) -> Option<Timestamp> {
        assert!(chunk >= self.base, "a position never goes back");
        while self.base < chunk {
            let watermark = self.known.front().copied().flatten()?;
            self.prefix = self.prefix.max(watermark);
            self.known.pop_front();
            self.base += 1;
        }
        Some(self.prefix)
    }

    /// The maximum of the chunks folded so far: a bound below every watermark still to come.
    pub(super) fn prefix(&self) -> Timestamp {
        self.prefix
    }

    /// The first chunk that is not folded.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Later chunks whose maxima are known.
    pub(super) fn known(&self) -> impl Iterator<Item = (u64, Timestamp)> + '_ {
        (self.base..).zip(&self.known).filter_map(|(chunk, known)| Some((chunk, (*known)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `3=7` records chunk 3 with maximum 7 (`3=` none), `@4` advances; shows the answers.
    #[track_caller]
    fn check(script: &str, expected: &str) {
        let mut maxima = Maxima::new(0, Timestamp::MIN);
        let mut answers = Vec::new();
        for step in script.split(' ') {
            if let Some(chunk) = step.strip_prefix('@') {
                let prefix = maxima.advance_to(chunk.parse().unwrap());
                answers.push(prefix.map_or("?".to_string(), |time| match time {
                    Timestamp::MIN => "min".into(),
                    time => time.millis().to_string(),
                }));
            } else {
                let (chunk, time) = step.split_once('=').unwrap();
                let time = time.parse().map_or(Timestamp::MIN, Timestamp::from_millis);
                maxima.record(chunk.parse().unwrap(), time);
            }
        }
        assert_eq!(answers.join(" "), expected, "{script}");
    }

    #[test]
    fn a_prefix_is_known_when_all_its_chunks_are() {
        check("@0", "min");
        check("@1 0=5 @1", "? 5");
        check("1=9 @2 0=5 @2 @3 2=1 @3", "? 9 ? 9");
        check("0= @1 1= @2 2=3 @3", "min min 3");
    }

    #[test]
    fn later_chunks_do_not_count() {
        check("0=1 1=100 @1 @2", "1 100");
    }

    #[test]
    fn what_is_known_beyond_the_prefix_is_told() {
        let mut maxima = Maxima::new(5, Timestamp::from_millis(3));
        maxima.record(6, Timestamp::from_millis(9));
        assert_eq!(maxima.advance_to(6), None);
        maxima.record(5, Timestamp::MIN);
        assert_eq!(maxima.advance_to(6), Some(Timestamp::from_millis(3)));
        assert_eq!(maxima.base(), 6);
        assert_eq!(maxima.known().collect::<Vec<_>>(), [(6, Timestamp::from_millis(9))]);
    }
}
