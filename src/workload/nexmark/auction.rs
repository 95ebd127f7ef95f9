//! Auctions: somebody puts something up for sale.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;

use super::calendar::{Event, FIRST_AUCTION_ID, FIRST_PERSON_ID, hot, is_hot};
use super::column::{Numbers, Texts, row_of};
use super::text::{extra, words};
use super::{Nexmark, shape};
use crate::workload::Random;

/// Categories have ids from this one on …
const FIRST_CATEGORY_ID: i64 = 10;

/// … and are so many.
const CATEGORIES: i64 = 5;

/// Names are shorter than this.
const NAME_BYTES_END: u64 = 20;

/// Descriptions are shorter than this.
const DESCRIPTION_BYTES_END: u64 = 100;

/// What numbers and times count for in an auction's size: six of eight bytes.
const NUMBERS_BYTES: usize = 48;

/// Auctions are three in fifty.
const SHARE: usize = 12;

/// The columns of `auction`.
pub(super) struct Auctions {
    ids: Numbers,
    names: Texts,
    descriptions: Texts,
    initial_bids: Numbers,
    reserves: Numbers,
    times: Numbers,
    expiries: Numbers,
    sellers: Numbers,
    categories: Numbers,
    extras: Texts,
}

impl Auctions {
    pub(super) fn with_rows(rows: usize) -> Auctions {
        let texts = |row_bytes| Texts::with_rows(rows, row_bytes, SHARE);
        let numbers = || Numbers::with_rows(rows);
        Auctions {
            ids: numbers(),
            names: texts(12),
            descriptions: texts(60),
            initial_bids: numbers(),
            reserves: numbers(),
            times: numbers(),
            expiries: numbers(),
            sellers: numbers(),
            categories: numbers(),
            extras: texts(450),
        }
    }

    pub(super) fn add(&mut self, row: usize, event: &Event, of: &Nexmark, random: &mut Random) {
        self.ids.set(row, event.auction + FIRST_AUCTION_ID);
        self.times.set(row, event.time_ms);
        let seller = match is_hot(of.options.hot_ratios.seller, random) {
            true => hot(event.person),
            false => event.any_person(random),
        };
        self.sellers.set(row, seller + FIRST_PERSON_ID);
        self.categories.set(row, FIRST_CATEGORY_ID + random.below_signed(CATEGORIES));
        let initial_bid = of.prices.price(random.bits());
        self.initial_bids.set(row, initial_bid);
        self.reserves.set(row, initial_bid + of.prices.price(random.bits()));
        self.expiries.set(row, of.calendar.expiry_ms(event, random));
        words(random, NAME_BYTES_END, b' ', self.names.begin(row));
        words(random, DESCRIPTION_BYTES_END, b' ', self.descriptions.begin(row));
        let used = NUMBERS_BYTES + self.names.len_of_last() + self.descriptions.len_of_last();
        extra(random, used, of.options.mean_bytes.auction, self.extras.begin(row));
    }

    pub(super) fn finish(self, rows: usize, present: NullBuffer) -> ArrayRef {
        let columns = vec![
            self.ids.finish(&present),
            self.names.finish(rows, &present),
            self.descriptions.finish(rows, &present),
            self.initial_bids.finish(&present),
            self.reserves.finish(&present),
            self.times.finish_times(&present),
            self.expiries.finish_times(&present),
            self.sellers.finish(&present),
            self.categories.finish(&present),
            self.extras.finish(rows, &present),
        ];
        row_of(shape::auction(), columns, present)
    }
}
