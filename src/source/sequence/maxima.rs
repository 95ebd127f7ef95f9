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
    core_count: u16,
    /// For each core that stopped early, the first of its chunks that it will not read.
    ends: Vec<u64>,
}

impl Maxima {
    pub(super) fn new(core_count: u16) -> Maxima {
        let (prefix, known) = (Timestamp::MIN, VecDeque::new());
        Maxima { base: 0, prefix, known, core_count, ends: Vec::new() }
    }

    /// The owner of chunk `first` stopped before it, and will read no later one either.
    pub(super) fn end(&mut self, first: u64) {
        self.ends.push(first);
    }

    /// A chunk has been decoded; `None`: it had no valid row. Said once per chunk.
    pub(super) fn record(&mut self, chunk: u64, watermark: Option<Timestamp>) {
        assert!(chunk >= self.base, "a chunk's maximum is known before it is folded");
        let index = usize::try_from(chunk - self.base).expect("chunks in flight are few");
        if self.known.len() <= index {
            self.known.resize(index + 1, None);
        }
        assert!(self.known[index].is_none(), "a chunk is decoded once");
        self.known[index] = Some(watermark.unwrap_or(Timestamp::MIN));
    }

    /// Folds what is known before `chunk`, this core's position, which never goes back. The
    /// maximum of all chunks before it, if they are all known.
    pub(super) fn advance_to(&mut self, chunk: u64) -> Option<Timestamp> {
        assert!(chunk >= self.base, "a position never goes back");
        while self.base < chunk {
            match self.known.front().copied().flatten() {
                Some(watermark) => self.prefix = self.prefix.max(watermark),
                None if self.is_left_out(self.base) => {}
                None => return None,
            }
            self.known.pop_front();
            self.base += 1;
        }
        Some(self.prefix)
    }

    fn is_left_out(&self, chunk: u64) -> bool {
        let cores = u64::from(self.core_count);
        self.ends.iter().any(|first| *first <= chunk && first % cores == chunk % cores)
    }

    /// The maximum of the chunks folded so far: a bound below every watermark still to come.
    pub(super) fn prefix(&self) -> Timestamp {
        self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `3=7` records chunk 3 with maximum 7 (`3=` none), `!3` ends before chunk 3, `@4` advances;
    /// shows the answers, of two cores.
    #[track_caller]
    fn check(script: &str, expected: &str) {
        let mut maxima = Maxima::new(2);
        let mut answers = Vec::new();
        for step in script.split(' ') {
            if let Some(chunk) = step.strip_prefix('@') {
                let prefix = maxima.advance_to(chunk.parse().unwrap());
                answers.push(prefix.map_or("?".to_string(), |time| match time {
                    Timestamp::MIN => "min".into(),
                    time => time.millis().to_string(),
                }));
            } else if let Some(first) = step.strip_prefix('!') {
                maxima.end(first.parse().unwrap());
            } else {
                let (chunk, time) = step.split_once('=').unwrap();
                let time = time.parse().ok().map(Timestamp::from_millis);
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
    fn chunks_that_a_stopped_core_leaves_out_have_no_maximum() {
        check("0=1 !2 1=2 @3 3=3 @5 @6", "2 3 ?");
        check("!1 @1 0=1 @1 @2 @3", "? 1 1 ?");
    }

    #[test]
    fn later_chunks_do_not_count() {
        check("0=1 1=100 @1 @2", "1 100");
    }
}
