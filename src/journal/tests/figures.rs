//! What stores and syncs of a journal take, beside a bare sync of the same length.

use std::os::unix::fs::FileExt;

use super::*;
use crate::metrics::LatencyHistogram;

const EPOCHS: u32 = 300;

/// What an epoch changes: 30 KiB.
const ENTRIES: usize = 10;
const ENTRY_BYTES: usize = 3_000;

/// Bytes of a bare write and sync.
const BARE_BYTES: usize = 32 * 1024;

fn said(name: &str, times: &LatencyHistogram) {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|at| times.quantile_ns(at) as f64 / 1e3);
    println!("{name:<36} p50 {p50:>9.1}  p99 {p99:>9.1}  p99.9 {p999:>9.1} us");
}

#[test]
#[ignore = "measures for some seconds; run it alone, with --nocapture"]
fn an_epoch_beside_a_bare_sync() {
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let floor = std::fs::File::create(directory.path().join("floor")).unwrap();
    // Written before, as a segment that is used again.
    floor.write_all_at(&vec![0; BARE_BYTES * EPOCHS as usize], 0).unwrap();
    floor.sync_all().unwrap();
    let Run { recovered, mut io, mut writers, supply } = begin(&directory.path().join("j"));
    let [mut stores, mut syncs, mut commits, mut bare] =
        std::array::from_fn(|_| LatencyHistogram::new());
    let payload = vec![7; ENTRY_BYTES];
    for (number, epoch) in (0..EPOCHS).zip(recovered.next_epoch()..) {
        crate::reactor::sleep(std::time::Duration::from_millis(5));
        for _ in 0..ENTRIES {
            until(&mut io, &mut writers, |_, writers| {
                let began_ns = SystemClock.monotonic_ns();
                let appended = writers[0].append(1, epoch, &[&payload]).ok();
                if appended.is_some() {
                    stores.record(SystemClock.monotonic_ns() - began_ns, 1);
                }
                appended
            });
        }
        let began_ns = SystemClock.monotonic_ns();
        let ranges: Vec<EpochRange> =
            writers.iter_mut().map(|writer| writer.end_epoch(epoch)).collect();
        writers[0].sync(io.disk());
        let ended = ranges[0].to;
        until(&mut io, &mut writers, |_, writers| (writers[0].durable() >= ended).then_some(()));
        let synced_ns = SystemClock.monotonic_ns();
        let needed = ranges.iter().map(|range| range.needed_from(range.from)).collect();
        let record = CommitRecord { epoch, ranges: needed };
        for _ in 0..2 {
            until(&mut io, &mut writers, |_, writers| writers[0].append_commit(&record).ok());
        }
        writers[0].sync(io.disk());
        let end = writers[0].position();
        until(&mut io, &mut writers, |_, writers| (writers[0].durable() >= end).then_some(()));
        let committed_ns = SystemClock.monotonic_ns();
        syncs.record(synced_ns - began_ns, 1);
        commits.record(committed_ns - began_ns, 1);
        for writer in &mut writers {
            writer.note_committed(epoch);
        }
        writers[0].recycle_before(end);
        let bare_ns = SystemClock.monotonic_ns();
        let offset = u64::from(number) * BARE_BYTES as u64;
        floor.write_all_at(&vec![1; BARE_BYTES], offset).unwrap();
        floor.sync_data().unwrap();
        bare.record(SystemClock.monotonic_ns() - bare_ns, 1);
    }
    said("append of 3,000 bytes", &stores);
    said("30 KiB made durable", &syncs);
    said("30 KiB and its commit made durable", &commits);
    said("bare write and sync of 32 KiB", &bare);
    drop(writers);
    supply.join().unwrap();
}
