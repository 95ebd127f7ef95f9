//! Flow: what of its output a connection has been given, how much of that its kernel has taken, and what of
//! it is not acknowledged.

use std::collections::VecDeque;

use crate::format::FramePosition;
use crate::sink::output::Place;

/// Bytes that are told apart.
const PARCEL_BYTES: u64 = 64 * 1024;

/// Places that are remembered of what is not acknowledged.
const PLACES_MAX: usize = 256;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Flow {
    given: u64,
    parcels: VecDeque<Parcel>,
    /// Behind frames that were given: where to go on when they are acknowledged.
    unacknowledged: VecDeque<Place>,
}

/// Some of what was given.
#[derive(Debug)]
struct Parcel {
    /// Bytes given up to its end, and to its beginning.
    until: u64,
    from: u64,
    rows: (u64, u64),
    place: Place,
}

impl Flow {
    /// Bytes that are no rows.
    pub(super) fn give(&mut self, bytes: usize) {
        self.given += bytes as u64;
    }

    /// The end of a frame or of lines, behind which the reader is at `place`; it was at row `row` before.
    pub(super) fn give_whole(&mut self, row: u64, place: Place) {
        if let Some(last) = self.parcels.back_mut()
            && last.rows.1 == row
            && self.given - last.from <= PARCEL_BYTES
        {
            (last.until, last.rows.1, last.place) = (self.given, place.rows, place);
            return;
        }
        let from = self.parcels.back().map_or(self.given, |last| last.until);
        let rows = (row, place.rows);
        self.parcels.push_back(Parcel { until: self.given, from, rows, place });
    }

    /// All but the last `unsent` bytes have been taken: `tell` of their rows. Says how far they reach.
    pub(super) fn taken(&mut self, unsent: usize, tell: &mut dyn FnMut(u64, u64)) -> Option<Place> {
        let taken = self.given - unsent as u64;
        let mut reached = None;
        while let Some(parcel) = self.parcels.pop_front_if(|parcel| parcel.until <= taken) {
            tell(parcel.rows.0, parcel.rows.1);
            reached = Some(parcel.place);
        }
        reached
    }

    /// Remembers a place, to which an acknowledgement may come.
    pub(super) fn expect(&mut self, place: Place) {
        // The ends of epochs stay, and of an epoch a place now and then.
        let is_close = |before: &Place| {
            let same_epoch = before.frame.epoch == place.frame.epoch;
            same_epoch && place.bytes - before.bytes <= PARCEL_BYTES
        };
        if self.unacknowledged.iter().rev().nth(1).is_some_and(is_close) {
            self.unacknowledged.pop_back();
        }
        self.unacknowledged.push_back(place);
        let mut behind = self.unacknowledged.len();
        if behind > PLACES_MAX {
            self.unacknowledged.retain(|_| {
                behind -= 1;
                behind.is_multiple_of(2)
            });
        }
    }

    /// Everything up to `frame` is acknowledged. The last place before which nothing need be sent again.
    pub(super) fn acknowledged(&mut self, frame: FramePosition) -> Option<Place> {
        let mut last = None;
        while let Some(place) = self.unacknowledged.pop_front_if(|place| place.frame <= frame) {
            last = Some(place);
        }
        last
    }
}

#[cfg(test)]
impl Flow {
    /// Rows that were given and not taken.
    fn missed_rows(&self) -> u64 {
        self.parcels.iter().map(|parcel| parcel.rows.1 - parcel.rows.0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;

    fn place(epoch: u64, sequence: u64) -> Place {
        let at = Position { segment: 1, offset: 64 * (1_000 * epoch + sequence) };
        let rows = 1_000 * epoch + sequence;
        Place { frame: FramePosition { epoch, sequence }, at, rows, bytes: 10_000 * rows }
    }

    #[test]
    fn rows_are_taken_with_the_last_byte_of_their_frames() {
        let (mut flow, mut told) = (Flow::default(), Vec::new());
        flow.give(100);
        for sequence in 1..=20 {
            flow.give(10_000);
            flow.give_whole(1_000 + sequence - 1, place(1, sequence));
        }
        assert!(flow.parcels.len() < 6, "{}", flow.parcels.len());
        assert_eq!(flow.missed_rows(), 20);
        let mut reached = None;
        for unsent in (0..=200_000).rev().step_by(1_000) {
            let now = flow.taken(unsent, &mut |from, to| told.push((from, to)));
            reached = now.or(reached);
            let taken = (200_100 - unsent as u64).saturating_sub(100) / 10_000;
            assert!(told.last().is_none_or(|(_, to)| *to <= 1_000 + taken), "{unsent} {told:?}");
        }
        assert_eq!(reached, Some(place(1, 20)));
        assert_eq!((told[0].0, told[told.len() - 1].1), (1_000, 1_020));
        assert!(told.windows(2).all(|pair| pair[0].1 == pair[1].0));
        assert_eq!(flow.missed_rows(), 0);
    }

    #[test]
    fn an_acknowledgement_leads_to_the_last_place_before_it() {
        let mut flow = Flow::default();
        for (epoch, frames) in [(1, 30), (2, 3)] {
            (1..=frames).for_each(|sequence| flow.expect(place(epoch, sequence)));
        }
        let first = flow.acknowledged(FramePosition { epoch: 1, sequence: 9 }).unwrap();
        assert!(first.frame <= FramePosition { epoch: 1, sequence: 9 }, "{first:?}");
        let end = FramePosition { epoch: 1, sequence: 30 };
        assert_eq!(flow.acknowledged(end), Some(place(1, 30)), "ends of epochs are exact");
        assert_eq!(flow.acknowledged(end), None);
        for epoch in 3..5_000 {
            flow.expect(place(epoch, 1));
        }
        assert!(flow.unacknowledged.len() <= PLACES_MAX);
        let last = FramePosition { epoch: 4_999, sequence: 1 };
        assert_eq!(flow.acknowledged(last), Some(place(4_999, 1)));
    }
}
