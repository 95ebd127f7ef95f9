//! Journals on the real disk: the helper thread, the core's ring, mapped and direct files.
//!
//! Read: `lab` (a process to be cut off) · `figures` (what stores and syncs take).

mod figures;
mod lab;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::*;
use crate::reactor::{Clock, CoreIo, Io, SystemClock, ThreadBell, Wake};

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 1024 * 1024,
    populate_bytes: 64 * 1024,
    buffer_bytes: 64 * 1024,
    buffers_max: 4,
};

/// What was appended: journal, epoch, tag, payload.
type Appended = Vec<(JournalId, u64, u32, Vec<u8>)>;

/// Calls `act` until it gives something, polling everything in between.
#[track_caller]
fn until<T>(
    io: &mut CoreIo,
    writers: &mut [Writer],
    mut act: impl FnMut(&mut CoreIo, &mut [Writer]) -> Option<T>,
) -> T {
    let give_up_ns = SystemClock.monotonic_ns() + 60_000_000_000;
    loop {
        if let Some(done) = act(io, writers) {
            return done;
        }
        io.poll().unwrap();
        for writer in &mut *writers {
            writer.poll(io.disk()).unwrap();
        }
        assert!(SystemClock.monotonic_ns() < give_up_ns, "it never happened");
        std::thread::yield_now();
    }
}

fn payload(epoch: u64, number: u32, kind: Kind) -> Vec<u8> {
    // Some are longer than a buffer and than what is populated ahead.
    let length = [0, 10, 700, 5_000, 200_000][number as usize % 5];
    let first = u8::try_from((epoch * 31 + u64::from(number) * 7) % 256).unwrap();
    (0..length).map(|at: usize| first ^ at.to_le_bytes()[0] ^ kind.name().as_bytes()[0]).collect()
}

/// A run of one core.
struct Run {
    recovered: Recovered<Files>,
    io: CoreIo,
    /// State, ingest, output.
    writers: Vec<Writer>,
    supply: JoinHandle<()>,
}

fn begin(path: &Path) -> Run {
    let mut directory = Directory::open(path, "j", false, 1).unwrap();
    directory.begin_run(Vec::new()).unwrap();
    let files = Files::new(path);
    let request = RecoveryRequest { run: directory.run(), fresh: false, new_id: 99 };
    let recovered = recover(&files, request).unwrap();
    let (mut supply, bell) = (Supply::default(), Arc::new(ThreadBell::default()));
    let mut writers: Vec<Writer> = Vec::new();
    for kind in Kind::ALL {
        let start = recovered.start(JournalId { kind, core: CoreId::ZERO }, 3);
        let bell: Arc<dyn Wake> = bell.clone();
        writers.push(supply.add(&files, &start, OPTIONS, (Arc::new(Awake), bell)));
    }
    let supply = start_supply(supply, bell, &[]).unwrap();
    Run { recovered, io: CoreIo::for_test(), writers, supply }
}

/// A run that appends `entries` to every journal in each of `epochs` epochs, and to the ingest journal
/// after that.
fn run(path: &Path, epochs: u64, entries: u32) -> (u64, Appended) {
    let Run { recovered, mut io, mut writers, supply } = begin(path);
    let mut appended = Vec::new();
    let mut epoch = recovered.next_epoch();
    for _ in 0..epochs {
        append(&mut io, &mut writers, epoch, entries, &mut appended);
        commit(&mut io, &mut writers, epoch);
        epoch += 1;
    }
    let received = JournalId { kind: Kind::Ingest, core: CoreId::ZERO };
    let mut late = Appended::new();
    append(&mut io, &mut writers, epoch, 3, &mut late);
    appended.extend(late.into_iter().filter(|(journal, ..)| *journal == received));
    let writer = &mut writers[1];
    writer.sync(io.disk());
    let end = writer.position();
    until(&mut io, &mut writers, |_, writers| (writers[1].durable() == end).then_some(()));
    drop(writers);
    supply.join().unwrap();
    (epoch - 1, appended)
}

fn append(
    io: &mut CoreIo,
    writers: &mut [Writer],
    epoch: u64,
    entries: u32,
    appended: &mut Appended,
) {
    for (number, at) in (0..entries).flat_map(|number| [(number, 0), (number, 1), (number, 2)]) {
        let journal = writers[at].journal();
        let payload = payload(epoch, number, journal.kind);
        until(io, writers, |_, writers| writers[at].append(number, epoch, &[&payload]).ok());
        appended.push((journal, epoch, number, payload));
    }
}

fn commit(io: &mut CoreIo, writers: &mut [Writer], epoch: u64) {
    let mut ranges: Vec<EpochRange> = Vec::new();
    for writer in &mut *writers {
        ranges.push(writer.end_epoch(epoch));
        writer.sync(io.disk());
    }
    until(io, writers, |_, writers| {
        let all = writers.iter().zip(&ranges).all(|(writer, range)| writer.durable() >= range.to);
        all.then_some(())
    });
    let ranges = ranges.iter().map(|range| range.needed_from(range.from)).collect();
    let record = CommitRecord { epoch, ranges };
    for _ in 0..2 {
        until(io, writers, |_, writers| writers[0].append_commit(&record).ok());
    }
    writers[0].sync(io.disk());
    let end = writers[0].position();
    until(io, writers, |_, writers| (writers[0].durable() >= end).then_some(()));
    for (writer, range) in writers.iter_mut().zip(&record.ranges) {
        writer.note_committed(epoch);
        writer.recycle_before(range.from);
    }
}

/// A start finds the last epoch and what was received behind it.
fn check(path: &Path, run: u32, (epoch, appended): &(u64, Appended)) {
    let request = RecoveryRequest { run, fresh: false, new_id: 1 };
    let recovered = recover(&Files::new(path), request).unwrap();
    assert_eq!(recovered.epoch(), *epoch);
    for kind in Kind::ALL {
        let journal = JournalId { kind, core: CoreId::ZERO };
        let mut entries = recovered.entries(journal).unwrap();
        let expected = appended.iter().filter(|(of, at, ..)| *of == journal && *at >= *epoch);
        for (_, at, tag, payload) in expected {
            let entry = entries.next_entry().unwrap().unwrap();
            assert_eq!((entry.epoch, entry.tag), (*at, *tag), "{journal}");
            assert!(entry.payload == payload, "{journal}: {}", entry.position);
        }
        assert_eq!(entries.next_entry().unwrap(), None, "{journal}");
    }
}

#[test]
fn what_runs_append_is_found_by_the_next() {
    // On a disk: where temporary files are kept in memory there are no direct writes.
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = directory.path();
    let first = run(path, 3, 20);
    check(path, 2, &first);
    // The check was a start of its own.
    Directory::open(path, "j", false, 1).unwrap().begin_run(Vec::new()).unwrap();
    let second = run(path, 4, 11);
    check(path, 4, &second);
    let names = Files::new(path).names().unwrap();
    assert!(names.iter().all(|name| !name.ends_with(LEFTOVER_SUFFIX)), "{names:?}");
    // 5 MiB per epoch and journal at most, of which the last is kept.
    assert!(names.len() < 30, "{names:?}");
}
