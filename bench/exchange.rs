//! Exchange: what one core pays to give a batch of 8,192 bids to two cores, and the parts of it.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pelton::exchange::{Inbox, KeyPartitioning, Outbox, Partitioner, local_lane};
use pelton::limits::{BATCH_ROWS_MAX, EDGE_ELEMENTS_MAX};
use pelton::record::{Batch, EncodedKeys, KeyEncoder, KeyHasher};
use std::hint::black_box;
use std::sync::Arc;

const HASHER: KeyHasher = KeyHasher::new(0x9e37_79b9_7f4a_7c15);

/// Bids on many auctions, tagged with watermarks as behind a source.
fn bids() -> Batch {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut numbers = |max: i64| -> ArrayRef {
        Arc::new((0..BATCH_ROWS_MAX).map(|_| Some(rng.i64(0..max))).collect::<Int64Array>())
    };
    let (auction, bidder, price) = (numbers(100_000), numbers(10_000), numbers(1_000_000));
    let channels = (0..BATCH_ROWS_MAX).map(|_| Some(format!("channel-{}", rng.u32(0..10_000))));
    let channel: ArrayRef = Arc::new(channels.collect::<StringArray>());
    let times: Vec<i64> = (0..).take(BATCH_ROWS_MAX).collect();
    let ts: ArrayRef = Arc::new(TimestampMillisecondArray::from(times.clone()));
    let columns = [
        ("auction", auction),
        ("bidder", bidder),
        ("price", price),
        ("channel", channel),
        ("ts", ts),
    ];
    let rows = RecordBatch::try_from_iter(columns).expect("columns are equally long");
    let mut batch = Batch::new(rows, 0);
    batch.tags.watermarks = Some(times.into());
    batch
}

/// By auction.
fn partitioner(batch: &Batch, core_count: u16) -> Partitioner {
    let schema = batch.rows.schema_ref();
    let options = KeyPartitioning { schema, columns: &[0], hasher: HASHER, core_count };
    Partitioner::by_key(&options).expect("BIGINT is a key type")
}

fn keys(criterion: &mut Criterion) {
    let batch = bids();
    let mut group = criterion.benchmark_group("key");
    group.throughput(Throughput::Elements(BATCH_ROWS_MAX as u64));
    for (name, indices) in [("bigint", &[0][..]), ("string", &[3]), ("bigint and string", &[0, 3])]
    {
        let columns: Vec<ArrayRef> =
            indices.iter().map(|&index| batch.rows.column(index).clone()).collect();
        let types: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
        let encoder = KeyEncoder::new(&types).expect("numbers and strings are keys");
        let mut out = EncodedKeys::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| encoder.encode(black_box(&columns), BATCH_ROWS_MAX, HASHER, &mut out));
        });
    }
    group.finish();
}

fn scatter(criterion: &mut Criterion) {
    let bids = bids();
    let mut group = criterion.benchmark_group("scatter");
    group.throughput(Throughput::Elements(BATCH_ROWS_MAX as u64));
    for core_count in [1, 2, 4] {
        let mut partitioner = partitioner(&bids, core_count);
        group.bench_function(format!("{core_count} cores"), |bencher| {
            let emit = |core, part| drop(black_box((core, part)));
            bencher.iter_batched(
                || bids.clone(),
                |batch| partitioner.partition(batch, emit),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Push, flush and take, on one thread: the whole edge without the cache misses between cores.
fn edge(criterion: &mut Criterion) {
    let bids = bids();
    let mut group = criterion.benchmark_group("edge");
    group.throughput(Throughput::Elements(BATCH_ROWS_MAX as u64));
    for rows in [BATCH_ROWS_MAX, 64] {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..2).map(|_| local_lane(EDGE_ELEMENTS_MAX)).unzip();
        let mut outbox = Outbox::new(partitioner(&bids, 2), senders);
        let mut inboxes: Vec<Inbox> =
            receivers.into_iter().map(|lane| Inbox::new(vec![lane])).collect();
        let parts: Vec<Batch> =
            (0..BATCH_ROWS_MAX).step_by(rows).map(|start| bids.slice(start, rows)).collect();
        group.bench_function(format!("2 cores, {rows} rows a batch"), |bencher| {
            bencher.iter(|| {
                for part in &parts {
                    outbox.push(part.clone());
                    if outbox.is_full() {
                        hand_over(&mut outbox, &mut inboxes);
                    }
                }
                while !outbox.is_drained() {
                    hand_over(&mut outbox, &mut inboxes);
                }
                hand_over(&mut outbox, &mut inboxes);
            });
        });
    }
    group.finish();
}

fn hand_over(outbox: &mut Outbox, inboxes: &mut [Inbox]) {
    outbox.flush();
    for inbox in inboxes {
        while let Some(element) = inbox.next() {
            black_box(element);
        }
    }
}

criterion_group!(benches, keys, scatter, edge);
criterion_main!(benches);
