//! Nexmark: people, auctions and bids of an auction house, as the Nexmark project's Flink connector
//! makes them.
//!
//! In:  options, a position in the stream.
//! Out: batches of the connector's nested table: `event_type`, and one of three rows.
//!
//! Read: `calendar` (which event is what, and when) · `shape` (the columns) · `person` · `auction` · `bid`,
//! made of `price`, `text` and `channels` · `column` (columns being filled).
//!
//! Ids, times, mix, hot keys and the distributions of every value are the original's. The values
//! themselves are not: the original draws them from a generator without a seed, ours are a function
//! of the seed and the event's number.

mod auction;
mod bid;
mod calendar;
mod channels;
mod column;
mod person;
mod price;
mod shape;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::SchemaRef;

use super::Random;
use crate::limits::{BATCH_BYTES_MAX, GENERATED_BATCH_ROWS};
use auction::Auctions;
use bid::Bids;
use calendar::{Calendar, Kind};
use channels::Channels;
use person::People;
use price::Prices;

/// What can be set, under the connector's names in other words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NexmarkOptions {
    /// Everything that is random follows from it.
    pub seed: u64,
    /// Event time of the beginning, in milliseconds.
    pub base_time_ms: i64,
    /// Events per second of event time; positive.
    pub events_per_second: u32,
    /// How many of `proportions.total()` events are of which kind.
    pub proportions: Proportions,
    /// Mean sizes of events, counted as the original counts.
    pub mean_bytes: MeanBytes,
    /// How hot the hot keys are.
    pub hot_ratios: HotRatios,
}

/// Of so many events, how many are of which kind. Not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proportions {
    /// New people.
    pub person: u32,
    /// New auctions.
    pub auction: u32,
    /// Bids.
    pub bid: u32,
}

/// Mean sizes of events: `extra` fills up what the other columns leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeanBytes {
    /// Of a new person.
    pub person: u32,
    /// Of a new auction.
    pub auction: u32,
    /// Of a bid.
    pub bid: u32,
}

/// `n` means that all but one in `n` choices fall on a hot key. Positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HotRatios {
    /// Auctions that are bid on.
    pub auction: u32,
    /// People who bid.
    pub bidder: u32,
    /// People who sell.
    pub seller: u32,
}

impl NexmarkOptions {
    /// 2015-07-15 00:00:00, when the first Nexmark streams of this form began.
    pub const BASE_TIME_MS: i64 = 1_436_918_400_000;

    /// The connector's defaults, with a base time that is the same in every run.
    pub const PUBLISHED: NexmarkOptions = NexmarkOptions {
        seed: 0,
        base_time_ms: NexmarkOptions::BASE_TIME_MS,
        events_per_second: 10_000,
        proportions: Proportions { person: 1, auction: 3, bid: 46 },
        mean_bytes: MeanBytes { person: 200, auction: 500, bid: 100 },
        hot_ratios: HotRatios { auction: 2, bidder: 4, seller: 4 },
    };
}

impl Proportions {
    fn total(self) -> i64 {
        let [person, auction, bid] = [self.person, self.auction, self.bid].map(i64::from);
        person + auction + bid
    }
}

/// The stream.
#[derive(Debug)]
pub struct Nexmark {
    options: NexmarkOptions,
    calendar: Calendar,
    schema: SchemaRef,
    prices: Prices,
    channels: Channels,
}

impl Nexmark {
    /// A stream; the same one for the same options.
    pub fn new(options: NexmarkOptions) -> Nexmark {
        assert!(options.proportions.total() > 0);
        Nexmark {
            calendar: Calendar::new(&options),
            schema: shape::schema(),
            prices: Prices::new(),
            channels: Channels::new(options.seed),
            options,
        }
    }

    /// The columns: those a table over this connector must declare.
    pub fn schema() -> SchemaRef {
        shape::schema()
    }

    /// Rows of one batch at most, so that its texts fit one.
    pub fn batch_rows_max(&self) -> usize {
        let MeanBytes { person, auction, bid } = self.options.mean_bytes;
        let mean = usize::try_from(person.max(auction).max(bid)).unwrap_or(usize::MAX);
        // The largest is a fifth above the mean, or all name and description.
        let largest = mean.saturating_mul(2).saturating_add(256);
        (BATCH_BYTES_MAX / largest).clamp(1, GENERATED_BATCH_ROWS)
    }

    /// Events `first..first + rows` of the stream, the first one being number 0.
    pub fn batch(&self, first: u64, rows: usize) -> RecordBatch {
        let mut people = People::with_rows(rows);
        let mut auctions = Auctions::with_rows(rows);
        let mut bids = Bids::with_rows(rows);
        let mut kinds = Vec::with_capacity(rows);
        for ((row, index), event) in (0..rows).zip(first..).zip(self.calendar.events(first)) {
            let mut random = Random::new(self.options.seed, index);
            match event.kind {
                Kind::Person => people.add(row, &event, self, &mut random),
                Kind::Auction => auctions.add(row, &event, self, &mut random),
                Kind::Bid => bids.add(row, &event, self, &mut random),
            }
            kinds.push(event.kind);
        }
        let present = |kind: Kind| {
            NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| kinds[row] == kind))
        };
        let event_types = kinds.iter().map(|kind| kind.event_type());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(event_types)),
            people.finish(rows, present(Kind::Person)),
            auctions.finish(rows, present(Kind::Auction)),
            bids.finish(rows, present(Kind::Bid), self),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("the columns have the schema's types and equal lengths")
    }
}
