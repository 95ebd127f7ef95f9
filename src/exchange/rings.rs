//! Edges over real rings and threads: what the model leaves out.

use super::{EdgePorts, Inbox, KeyPartitioning, Outbox, Partitioner};
use crate::reactor::Wake;
use crate::record::{Batch, Cause, Element, Epoch, KeyHasher, Timestamp, Watermark};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// Rows every core sends, in batches of random size, with a watermark and a barrier now and then.
const ROWS: i64 = 20_000;

fn numbers(start: i64, end: i64) -> Batch {
    let values: ArrayRef = Arc::new((start..end).map(Some).collect::<Int64Array>());
    Batch::new(RecordBatch::try_from_iter([("n", values)]).expect("one column"), 0)
}

/// Runs one core until its inbox has ended: the rows it received, and how many epochs.
fn run(ports: EdgePorts, seed: u64, core_count: u16) -> (Vec<i64>, u64) {
    let schema = numbers(0, 1).rows.schema();
    let hasher = KeyHasher::new(seed);
    let options = KeyPartitioning { schema: &schema, columns: &[0], hasher, core_count };
    let (senders, receivers) = ports.connect();
    let partitioner = Partitioner::by_key(&options).expect("BIGINT is a key type");
    let (mut outbox, mut inbox) = (Outbox::new(partitioner, senders), Inbox::new(receivers));
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut next, mut received, mut epochs, mut high) = (0, Vec::new(), 0, i64::MIN);
    loop {
        match inbox.next() {
            Some(Element::Batch(batch)) => {
                let values = batch.rows.column(0).as_primitive::<Int64Type>().values();
                assert!(values.iter().all(|&value| high < value), "seed {seed}: too late");
                received.extend_from_slice(values);
            }
            Some(Element::Watermark(Watermark::At(time), _)) => high = time.millis(),
            Some(Element::Watermark(Watermark::Idle, _)) => panic!("seed {seed}: nobody is idle"),
            Some(Element::Barrier(epoch)) => {
                epochs += 1;
                assert_eq!(epoch, Epoch::new(epochs), "seed {seed}");
            }
            Some(Element::End) => break,
            None => std::thread::yield_now(),
        }
        if next < ROWS && !outbox.is_full() {
            let end = (next + rng.i64(1..100)).min(ROWS);
            outbox.push(numbers(next, end));
            if next / 1000 < end / 1000 {
                outbox.barrier(Epoch::new(end.unsigned_abs() / 1000));
            }
            outbox.watermark(Watermark::At(Timestamp::from_millis(end - 1)), Cause::default());
            next = end;
            if next == ROWS {
                outbox.end();
            }
        }
        outbox.flush();
    }
    // Others may still have to take what this core sent.
    while !outbox.is_drained() {
        outbox.flush();
        std::thread::yield_now();
    }
    (received, epochs)
}

#[test]
fn threads_exchange_every_row_once() {
    for (seed, core_count) in [(1, 2), (2, 3), (3, 4)] {
        let wakers: Vec<Arc<dyn Wake>> = (0..core_count).map(|_| Arc::new(Awake) as _).collect();
        let ports = EdgePorts::for_all_cores(4, &wakers);
        let results: Vec<(Vec<i64>, u64)> = std::thread::scope(|scope| {
            let handles: Vec<_> = ports
                .into_iter()
                .map(|ports| scope.spawn(move || run(ports, seed, core_count)))
                .collect();
            handles.into_iter().map(|handle| handle.join().expect("no assertion failed")).collect()
        });
        let mut all: Vec<i64> = Vec::new();
        for (rows, epochs) in results {
            assert_eq!(epochs, 20, "seed {seed}");
            assert!(!rows.is_empty(), "seed {seed}");
            all.extend(rows);
        }
        all.sort_unstable();
        let expected: Vec<i64> =
            (0..ROWS).flat_map(|row| std::iter::repeat_n(row, usize::from(core_count))).collect();
        assert!(all == expected, "seed {seed}: {} rows", all.len());
    }
}
