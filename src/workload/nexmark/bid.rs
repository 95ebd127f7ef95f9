//! Bids: somebody offers a price. Nearly all events are bids, so this is what has to be fast.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;

use super::calendar::{Event, FIRST_AUCTION_ID, FIRST_PERSON_ID, hot, is_hot};
use super::column::{Numbers, Texts, row_of};
use super::text::extra;
use super::{Nexmark, shape};
use crate::workload::Random;

/// Added to the id of a bidder. The original adds the first person's id twice: a bidder's id is
/// that of the person so many further on.
const BIDDER_OFFSET: i64 = 2 * FIRST_PERSON_ID;

/// What numbers and the time count for in a bid's size: four of eight bytes. Texts do not count.
const NUMBERS_BYTES: usize = 32;

/// The columns of `bid`.
pub(super) struct Bids {
    auctions: Numbers,
    bidders: Numbers,
    prices: Numbers,
    /// Rows and their channels, whose texts are copied at the end: so the processor fetches many from
    /// memory at a time.
    channel_of: Vec<(usize, u32)>,
    channels: Texts,
    urls: Texts,
    times: Numbers,
    extras: Texts,
}

impl Bids {
    pub(super) fn with_rows(rows: usize) -> Bids {
        let texts = |row_bytes| Texts::with_rows(rows, row_bytes, 1);
        let numbers = || Numbers::with_rows(rows);
        Bids {
            auctions: numbers(),
            bidders: numbers(),
            prices: numbers(),
            channel_of: Vec::with_capacity(rows),
            channels: texts(10),
            urls: texts(66),
            times: numbers(),
            extras: texts(74),
        }
    }

    pub(super) fn add(&mut self, row: usize, event: &Event, of: &Nexmark, random: &mut Random) {
        let ratios = &of.options.hot_ratios;
        let auction = match is_hot(ratios.auction, random) {
            true => hot(event.auction),
            false => event.any_auction(random),
        };
        // The second of its group, so that who buys most is not who sells most.
        let bidder = match is_hot(ratios.bidder, random) {
            true => hot(event.person) + 1,
            false => event.any_person(random),
        };
        self.auctions.set(row, auction + FIRST_AUCTION_ID);
        self.bidders.set(row, bidder + BIDDER_OFFSET);
        self.prices.set(row, of.prices.price(random.bits()));
        self.times.set(row, event.time_ms);
        self.channel_of.push((row, of.channels.any(random)));
        extra(random, NUMBERS_BYTES, of.options.mean_bytes.bid, self.extras.begin(row));
    }

    pub(super) fn finish(mut self, rows: usize, present: NullBuffer, of: &Nexmark) -> ArrayRef {
        for &(row, channel) in &self.channel_of {
            let (name, url) = of.channels.parts(channel);
            self.channels.set(row, name);
            self.urls.set(row, url);
        }
        let columns = vec![
            self.auctions.finish(&present),
            self.bidders.finish(&present),
            self.prices.finish(&present),
            self.channels.finish(rows, &present),
            self.urls.finish(rows, &present),
            self.times.finish_times(&present),
            self.extras.finish(rows, &present),
        ];
        row_of(shape::bid(), columns, present)
    }
}
