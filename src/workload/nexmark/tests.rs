//! The stream against the original: ids, times and mix exactly, figures of 100,000 events closely.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};

use super::{Nexmark, NexmarkOptions, Proportions};

const EVENTS: usize = 100_000;

fn stream() -> RecordBatch {
    Nexmark::new(NexmarkOptions::PUBLISHED).batch(0, EVENTS)
}

fn rows<'a>(batch: &'a RecordBatch, name: &str) -> &'a StructArray {
    batch.column_by_name(name).unwrap().as_struct()
}

/// Values of a column of numbers or times, of the rows that are there.
fn numbers(batch: &RecordBatch, row: &str, column: &str) -> Vec<i64> {
    let values = rows(batch, row).column_by_name(column).unwrap();
    match values.as_primitive_opt::<Int64Type>() {
        Some(values) => values.iter().flatten().collect(),
        None => values.as_primitive::<TimestampMillisecondType>().iter().flatten().collect(),
    }
}

fn texts(batch: &RecordBatch, row: &str, column: &str) -> Vec<String> {
    let values = rows(batch, row).column_by_name(column).unwrap().as_string::<i32>();
    values.iter().flatten().map(str::to_owned).collect()
}

#[test]
fn of_fifty_events_one_is_a_person_and_three_are_auctions() {
    let batch = stream();
    let types = batch.column(0).as_primitive::<Int32Type>().values();
    // The stream begins at the third event of a round.
    let expected = |index: usize| match (index + 2) % 50 {
        0 => 0,
        1..=3 => 1,
        _ => 2,
    };
    assert!(types.iter().enumerate().all(|(index, found)| *found == expected(index)));
    for (row, event_type) in [("person", 0), ("auction", 1), ("bid", 2)] {
        let row = rows(&batch, row);
        let is_present = |index: usize| row.is_valid(index) == (types[index] == event_type);
        assert!((0..EVENTS).all(is_present));
        for column in row.columns() {
            assert_eq!(column.nulls(), row.nulls());
        }
    }
}

#[test]
fn ids_go_up_one_by_one_and_times_by_the_rate() {
    let batch = stream();
    let people = numbers(&batch, "person", "id");
    assert!(people.iter().copied().eq(1_001..3_001), "{:?}", &people[..10]);
    // The first auction of the first round is left out, so is all but one of the last round.
    let auctions = numbers(&batch, "auction", "id");
    assert!(auctions.iter().copied().eq(1_001..7_001), "{:?}", &auctions[..10]);
    let base = NexmarkOptions::PUBLISHED.base_time_ms;
    let bids = numbers(&batch, "bid", "dateTime");
    // The third event is the first bid: number 3 at 100 us each.
    assert_eq!(bids[0], base);
    assert_eq!(*bids.last().unwrap(), base + 9_999);
    assert!(bids.is_sorted());
    let expiries = numbers(&batch, "auction", "expires");
    let opened = numbers(&batch, "auction", "dateTime");
    let lengths: Vec<i64> = expiries.iter().zip(&opened).map(|(end, start)| end - start).collect();
    // 1,666 events of 100 us ahead on average.
    assert!(lengths.iter().all(|length| (1..=334).contains(length)));
    check("mean length of auctions", mean(&lengths), 167.0);
}

/// Within 2 % of the original's figure.
#[track_caller]
fn check(what: &str, found: f64, original: f64) {
    assert!((found / original - 1.0).abs() <= 0.02, "{what}: {found}, originally {original}");
}

fn mean(values: &[i64]) -> f64 {
    values.iter().sum::<i64>() as f64 / values.len() as f64
}

#[test]
fn texts_are_as_long_as_the_originals() {
    let batch = stream();
    for (row, column, original) in [
        ("auction", "itemName", 10.8),
        ("auction", "description", 50.4),
        ("auction", "extra", 391.0),
        ("bid", "channel", 8.9),
        ("bid", "url", 63.0),
        ("bid", "extra", 67.5),
        ("person", "name", 11.5),
        ("person", "emailAddress", 12.7),
        ("person", "creditCard", 19.0),
        ("person", "city", 7.5),
        ("person", "state", 2.0),
        ("person", "extra", 138.0),
    ] {
        let texts = texts(&batch, row, column);
        let bytes: usize = texts.iter().map(String::len).sum();
        check(column, bytes as f64 / texts.len() as f64, original);
    }
}

#[test]
fn values_are_spread_as_the_originals() {
    let batch = stream();
    let mut prices = numbers(&batch, "bid", "price");
    prices.sort_unstable();
    let part = |tenths: usize| prices[prices.len() * tenths / 10] as f64;
    check("price p10", part(1), 398.0);
    check("price p50", part(5), 100_544.0);
    check("price p90", part(9), 24_988_912.0);
    let counts = |values: Vec<i64>| {
        let mut counts = BTreeMap::<i64, u32>::new();
        values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        counts
    };
    let auctions = counts(numbers(&batch, "bid", "auction"));
    check("auctions bid on", auctions.len() as f64, 5_996.0);
    check("bids on the hottest", f64::from(*auctions.values().max().unwrap()), 821.0);
    let bidders = counts(numbers(&batch, "bid", "bidder"));
    check("bidders", bidders.len() as f64, 1_926.0);
    let mut channels = texts(&batch, "bid", "channel");
    channels.sort_unstable();
    let of = |name: &str| channels.iter().filter(|channel| *channel == name).count();
    for hot in ["Google", "Facebook", "Baidu", "Apple"] {
        check(hot, of(hot) as f64, 11_500.0);
    }
    channels.dedup();
    check("channels", channels.len() as f64, 9_892.0);
    let sellers = counts(numbers(&batch, "auction", "seller"));
    // Three of four auctions are the hot seller's: one of each hundred people.
    let hot: u32 = sellers.iter().filter(|(id, _)| *id % 100 == 0).map(|(_, count)| count).sum();
    check("auctions of hot sellers", f64::from(hot), 4_500.0);
    assert!(numbers(&batch, "auction", "category").iter().all(|id| (10..15).contains(id)));
    let (first, reserve) =
        (numbers(&batch, "auction", "initialBid"), numbers(&batch, "auction", "reserve"));
    assert!(first.iter().zip(&reserve).all(|(first, reserve)| first + 100 <= *reserve));
}

#[test]
fn any_part_can_be_made_alone() {
    let stream = Nexmark::new(NexmarkOptions { seed: 9, ..NexmarkOptions::PUBLISHED });
    let whole = stream.batch(0, 5_000);
    for Range { start, end } in [0..1, 1..2, 49..51, 4_000..5_000, 777..1_777] {
        assert_eq!(stream.batch(start as u64, end - start), whole.slice(start, end - start));
    }
    assert_eq!(stream.batch(3, 0).num_rows(), 0);
    assert_ne!(stream.batch(0, 100), Nexmark::new(NexmarkOptions::PUBLISHED).batch(0, 100));
    assert_eq!(whole.schema(), Nexmark::schema());
}

#[test]
fn odd_proportions_make_streams_too() {
    for (person, auction, bid) in [(0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 0, 5), (0, 2, 3), (7, 1, 0)]
    {
        let proportions = Proportions { person, auction, bid };
        let options = NexmarkOptions { proportions, ..NexmarkOptions::PUBLISHED };
        let stream = Nexmark::new(options);
        assert_eq!(stream.batch(0, 1_000).num_rows(), 1_000, "{proportions:?}");
        assert_eq!(stream.batch(u64::MAX - 10, 5).num_rows(), 5, "{proportions:?}");
    }
}
