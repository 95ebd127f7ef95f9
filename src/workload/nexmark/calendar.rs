//! Calendar: what the event at a position is, when it happens, and which ids there are by then.
//!
//! Ids count from 0 here; the columns add `FIRST_AUCTION_ID` and `FIRST_PERSON_ID`. Before the first
//! person or auction the last id is −1.

use super::{NexmarkOptions, Proportions};
use crate::workload::Random;

/// The first auction has this id, so that ids of different things are easily told apart from counts.
pub(super) const FIRST_AUCTION_ID: i64 = 1_000;

/// The first person has this id.
pub(super) const FIRST_PERSON_ID: i64 = 1_000;

/// The event at position 0 has this number, which gives its time …
const FIRST_EVENT_NUMBER: i64 = 1;

/// … and this id, which gives its kind: the stream begins with the second auction.
const FIRST_EVENT_ID: i64 = 2;

/// Auctions before the newest that may still be bid on.
const AUCTIONS_IN_FLIGHT: i64 = 100;

/// People before the newest that may bid and sell.
const PEOPLE_ACTIVE: i64 = 1_000;

/// Ids ahead of the newest that are used already, as if events had been swapped on the way.
const IDS_AHEAD: i64 = 10;

/// Of so many consecutive ids one is hot at a time.
pub(super) const HOT_GROUP: i64 = 100;

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Person,
    Auction,
    Bid,
}

impl Kind {
    /// Value of the column.
    pub(super) fn event_type(self) -> i32 {
        match self {
            Kind::Person => 0,
            Kind::Auction => 1,
            Kind::Bid => 2,
        }
    }
}

/// One event, before its values are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// Event time, in milliseconds.
    pub(super) time_ms: i64,
    /// Gives the time.
    pub(super) number: i64,
    /// The newest person: this event's, if it is one.
    pub(super) person: i64,
    /// The newest auction, in the same way.
    pub(super) auction: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Calendar {
    base_time_ms: i64,
    /// Between two events.
    delay_us: f64,
    person: i64,
    auction: i64,
    total: i64,
}

impl Calendar {
    pub(super) fn new(options: &NexmarkOptions) -> Calendar {
        let Proportions { person, auction, .. } = options.proportions;
        Calendar {
            base_time_ms: options.base_time_ms,
            delay_us: 1_000_000.0 / f64::from(options.events_per_second.max(1)),
            person: i64::from(person),
            auction: i64::from(auction),
            total: options.proportions.total(),
        }
    }

    /// The events from position `first` on, without an end.
    pub(super) fn events(&self, first: u64) -> impl Iterator<Item = Event> {
        let first = i64::try_from(first).unwrap_or(i64::MAX - FIRST_EVENT_ID);
        let id = first + FIRST_EVENT_ID;
        // One division for all of them: it would be a tenth of a bid's time.
        let (mut round, mut offset) = (id / self.total, id % self.total);
        let mut number = first + FIRST_EVENT_NUMBER;
        std::iter::repeat_with(move || {
            let event = self.event(number, round, offset);
            number = number.saturating_add(1);
            offset += 1;
            if offset == self.total {
                (round, offset) = (round + 1, 0);
            }
            event
        })
    }

    /// The event with this number, at `offset` of the mix's `round`-th repetition.
    fn event(&self, number: i64, round: i64, offset: i64) -> Event {
        let person = round * self.person + offset.min(self.person - 1);
        let (kind, auction) = if offset < self.person {
            (Kind::Person, round * self.auction - 1)
        } else if offset < self.person + self.auction {
            (Kind::Auction, round * self.auction + offset - self.person)
        } else {
            (Kind::Bid, round * self.auction + self.auction - 1)
        };
        Event { kind, time_ms: self.time_ms(number), number, person, auction }
    }

    fn time_ms(&self, number: i64) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "times beyond the range stay at its end"
        )]
        let since_us = (number as f64 * self.delay_us) as i64;
        self.base_time_ms.saturating_add(since_us / 1_000)
    }

    /// When an auction that opens with `event` closes: on average, when so many auctions have been
    /// opened as may be in flight.
    pub(super) fn expiry_ms(&self, event: &Event, random: &mut Random) -> i64 {
        let events_ahead = AUCTIONS_IN_FLIGHT * self.total / self.auction;
        let horizon_ms = self.time_ms(event.number.saturating_add(events_ahead)) - event.time_ms;
        let length_ms = 1 + random.below_signed((horizon_ms * 2).max(1));
        event.time_ms.saturating_add(length_ms)
    }
}

impl Event {
    /// One of the auctions in flight, or a few to come.
    pub(super) fn any_auction(&self, random: &mut Random) -> i64 {
        let first = (self.auction - AUCTIONS_IN_FLIGHT).max(0);
        first + random.below_signed(self.auction - first + 1 + IDS_AHEAD)
    }

    /// One of the active people, or a few to come.
    pub(super) fn any_person(&self, random: &mut Random) -> i64 {
        let people = self.person + 1;
        let active = people.min(PEOPLE_ACTIVE);
        people - active + random.below_signed(active + IDS_AHEAD)
    }
}

/// True for all but one in `ratio` choices.
pub(super) fn is_hot(ratio: u32, random: &mut Random) -> bool {
    random.below(u64::from(ratio.max(1))) > 0
}

/// The newest id that is hot: the first of its group.
pub(super) fn hot(newest: i64) -> i64 {
    newest / HOT_GROUP * HOT_GROUP
}
