//! Making Nexmark events: all columns of all events, one core, no operator behind it.
//!
//! `cargo bench --bench nexmark`; a batch is dropped as soon as it is made.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pelton::workload::{Nexmark, NexmarkOptions};

/// The program's: with the system's, every large column is mapped and unmapped, which takes a third of
/// the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn generate(criterion: &mut Criterion) {
    let stream = Nexmark::new(NexmarkOptions::PUBLISHED);
    let rows = stream.batch_rows_max();
    let mut group = criterion.benchmark_group("nexmark");
    group.throughput(Throughput::Elements(rows as u64));
    let mut first = 0;
    group.bench_function("all columns", |bencher| {
        bencher.iter(|| {
            first += rows as u64;
            black_box(stream.batch(first, rows))
        });
    });
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
