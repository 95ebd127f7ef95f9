//! Marks: ends of epochs that exist, so that whoever has lost what it missed goes on at one of them.

use std::collections::VecDeque;

use crate::sink::output::Place;
use crate::stdx::{ByteReader, ByteWriter, Malformed};

/// Marks that are kept; with more, every second one goes.
const MARKS_MAX: usize = 512;

/// Of which so many are part of an epoch.
const ENCODED_MAX: usize = 64;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Marks {
    /// Each with when there was it, in wall clock ms; ascending.
    marks: VecDeque<(Place, i64)>,
}

impl Marks {
    /// Another epoch ends.
    pub(super) fn add(&mut self, place: Place, now_ms: i64) {
        self.marks.push_back((place, now_ms));
        let mut behind = self.marks.len();
        if behind > MARKS_MAX {
            self.marks.retain(|_| {
                behind -= 1;
                behind.is_multiple_of(2)
            });
        }
    }

    /// The first one with so many bytes before it, and not released before a moment.
    pub(super) fn first(&self, bytes: u64, oldest_ms: Option<i64>) -> Option<Place> {
        // What was released in the moment after a mark lies behind it.
        let mut after_ms = self.marks.iter().skip(1).map(|(_, ms)| *ms).chain([i64::MAX]);
        let found = self.marks.iter().find(|(place, _)| {
            let is_young = after_ms.next() >= oldest_ms;
            place.bytes >= bytes && is_young
        });
        found.map(|(place, _)| *place)
    }

    /// True when what lies behind `place` was released before `oldest_ms`.
    pub(super) fn is_older(&self, place: Place, oldest_ms: i64) -> bool {
        let behind = self.marks.iter().find(|(mark, _)| mark.at > place.at);
        behind.is_some_and(|(_, ms)| *ms < oldest_ms)
    }

    pub(super) fn encode(&self, out: &mut ByteWriter) {
        let step = self.marks.len().div_ceil(ENCODED_MAX).max(1);
        let first = self.marks.len().checked_sub(1).map_or(0, |last| last % step);
        let some: Vec<_> = self.marks.iter().skip(first).step_by(step).collect();
        out.count(some.len());
        for (place, ms) in some {
            place.encode(out);
            out.i64(*ms);
        }
    }

    pub(super) fn decode(from: &mut ByteReader<'_>) -> Result<Marks, Malformed> {
        let mut marks = VecDeque::new();
        for _ in 0..from.count(8 * 7)? {
            marks.push_back((Place::decode(from)?, from.i64()?));
        }
        if !marks.iter().is_sorted_by_key(|(place, _)| place.at) {
            return Err(from.malformed("marks that do not ascend"));
        }
        Ok(Marks { marks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::FramePosition;
    use crate::journal::Position;

    fn place(epoch: u64) -> Place {
        let at = Position { segment: 1, offset: 4096 * epoch };
        let frame = FramePosition { epoch, sequence: 1 };
        Place { frame, at, rows: epoch, bytes: 10 * epoch }
    }

    #[test]
    fn marks_are_few_and_the_last_is_among_them() {
        let mut marks = Marks::default();
        for epoch in 1..5_000 {
            marks.add(place(epoch), i64::try_from(epoch).unwrap());
            assert_eq!(marks.first(10 * epoch, None), Some(place(epoch)));
            assert_eq!(marks.first(10 * epoch + 1, None), None);
        }
        assert!(marks.marks.len() <= MARKS_MAX);
        let mut out = ByteWriter::new();
        marks.encode(&mut out);
        let bytes = out.finish();
        let again = Marks::decode(&mut ByteReader::new(&bytes)).unwrap();
        assert!((ENCODED_MAX / 2..=ENCODED_MAX).contains(&again.marks.len()));
        assert_eq!(again.first(49_990, None), Some(place(4_999)));
        let gap = again.marks.iter().zip(again.marks.iter().skip(1));
        assert!(gap.into_iter().all(|(a, b)| a.0.at < b.0.at));
    }

    #[test]
    fn age_is_that_of_what_lies_behind() {
        let mut marks = Marks::default();
        (1..=4).for_each(|epoch| marks.add(place(epoch), 100 * i64::try_from(epoch).unwrap()));
        let first = |oldest| marks.first(0, Some(oldest)).map(|place| place.frame.epoch);
        assert_eq!(
            [150, 200, 201, 400, 401].map(first),
            [Some(1), Some(1), Some(2), Some(3), Some(4)]
        );
        assert!(marks.is_older(place(0), 101) && !marks.is_older(place(0), 100));
        assert!(!marks.is_older(place(4), i64::MAX));
    }
}
