//! Real files in a directory of the test.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::limits::DISK_STEP_BYTES;
use crate::reactor::core_io::CoreIo;
use crate::reactor::core_io::testing::CoreParts;
use crate::reactor::{Disk, FileStatus, sleep, spawn_thread};

struct Place {
    io: CoreIo,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { io: CoreIo::for_test(), directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    fn result(&mut self, operation: OperationId) -> DiskResult {
        self.io.until(|io| io.take_result(operation))
    }

    #[track_caller]
    fn open(&mut self, name: &str, mode: OpenMode) -> FileId {
        let path = self.path(name);
        let operation = self.io.open(&path, mode);
        match self.result(operation) {
            DiskResult::Opened(file) => file,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn done(&mut self, operation: OperationId) {
        match self.result(operation) {
            DiskResult::Done => {}
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn failed(&mut self, operation: OperationId) -> io::ErrorKind {
        match self.result(operation) {
            DiskResult::Failed(error) => error.kind(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn status(&mut self, operation: OperationId) -> FileStatus {
        match self.result(operation) {
            DiskResult::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Vec<u8> {
        let operation = self.io.read(file, offset, length, vec![9; 3]);
        match self.result(operation) {
            DiskResult::Read(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[test]
fn what_is_written_in_steps_is_read_in_steps() {
    let mut place = Place::new();
    let whole = pattern(3 * DISK_STEP_BYTES + 77);
    let file = place.open("a", OpenMode::CreateNew);
    let (first, second) = whole.split_at(DISK_STEP_BYTES + 5);
    // In any order.
    let writes = [
        place.io.write(file, first.len() as u64, second.to_vec()),
        place.io.write(file, 0, first.to_vec()),
    ];
    for (operation, written) in writes.into_iter().zip([second, first]) {
        match place.result(operation) {
            DiskResult::Written(bytes) => assert!(bytes == written),
            other => panic!("{other:?}"),
        }
    }
    let synced = place.io.sync(file);
    place.done(synced);
    assert!(fs::read(place.path("a")).unwrap() == whole);
    assert!(place.read(file, 0, whole.len()) == whole);
    assert!(place.read(file, 0, 2 * whole.len()) == whole, "short at the end of the file");
    assert!(place.read(file, 1_000, 5) == whole[1_000..1_005]);
    assert!(place.read(file, whole.len() as u64, 10).is_empty());
    assert!(place.read(file, 0, 0).is_empty());
    let closed = place.io.close(file);
    place.done(closed);
}

#[test]
fn a_file_is_closed_after_what_was_begun_before() {
    let mut place = Place::new();
    let whole = pattern(2 * DISK_STEP_BYTES);
    fs::write(place.path("a"), &whole).unwrap();
    let file = place.open("a", OpenMode::Read);
    let read = place.io.read(file, 0, whole.len(), Vec::new());
    let close = place.io.close(file);
    match place.result(read) {
        DiskResult::Read(bytes) => assert!(bytes == whole),
        other => panic!("{other:?}"),
    }
    place.done(close);
}

#[test]
fn names_change_without_replacing_anything() {
    let mut place = Place::new();
    fs::write(place.path("a"), b"a").unwrap();
    fs::write(place.path("b"), b"bb").unwrap();
    let (a, b, c) = (place.path("a"), place.path("b"), place.path("c"));
    let refused = place.io.rename(&a, &b);
    assert_eq!(place.failed(refused), io::ErrorKind::AlreadyExists);
    let looked = place.io.stat_path(&a);
    let status = place.status(looked);
    assert_eq!(status.bytes, 1);
    let renamed = place.io.rename(&a, &c);
    place.done(renamed);
    let file = place.open("c", OpenMode::Read);
    let looked_again = place.io.stat_file(file);
    assert_eq!(place.status(looked_again), status, "identity survives a rename");
    let removed = place.io.remove(&b);
    place.done(removed);
    let directory = place.directory.path().to_owned();
    let listed = place.io.sync_directory(&directory);
    place.done(listed);
    let names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [c]);
}

#[test]
fn what_cannot_be_done_is_an_error() {
    let mut place = Place::new();
    let (absent, nul) = (place.path("absent"), PathBuf::from("a\0b"));
    let operations = [
        place.io.open(&absent, OpenMode::Read),
        place.io.stat_path(&absent),
        place.io.remove(&absent),
        place.io.sync_directory(&absent),
        place.io.rename(&absent, &nul),
        place.io.open(&nul, OpenMode::Read),
    ];
    let kinds = operations.map(|operation| place.failed(operation));
    assert_eq!(kinds[..4], [io::ErrorKind::NotFound; 4]);
    assert_eq!(kinds[4..], [io::ErrorKind::InvalidInput; 2]);
    fs::write(&absent, b"").unwrap();
    let opened = place.io.open(&absent, OpenMode::CreateNew);
    assert_eq!(place.failed(opened), io::ErrorKind::AlreadyExists);
    let file = place.open("absent", OpenMode::Read);
    let written = place.io.write(file, 0, b"x".to_vec());
    assert!(matches!(place.result(written), DiskResult::Failed(_)));
}

#[test]
#[should_panic(expected = "a result is taken once")]
fn a_result_is_taken_once() {
    let mut place = Place::new();
    let absent = place.path("absent");
    let operation = place.io.remove(&absent);
    place.failed(operation);
    place.io.take_result(operation);
}

/// Writes to a pipe whose reader is slow, through a descriptor that blocks or does not.
#[track_caller]
fn check_stream(is_nonblocking: bool) {
    let mut place = Place::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(is_nonblocking).unwrap();
    let file = place.io.add_stream_for_test(ours.into());
    let whole = pattern(3_000_000);
    let expected = whole.clone();
    let reader = spawn_thread("reader", &[], move || {
        sleep(Duration::from_millis(20));
        let mut bytes = vec![0; expected.len()];
        theirs.read_exact(&mut bytes).unwrap();
        assert!(bytes == expected);
    });
    let operations: Vec<_> =
        whole.chunks(700_000).map(|part| place.io.write(file, 0, part.to_vec())).collect();
    for operation in operations {
        assert!(matches!(place.result(operation), DiskResult::Written(_)));
    }
    reader.unwrap().join().unwrap();
}

#[test]
fn writes_to_a_stream_keep_their_order() {
    check_stream(false);
    check_stream(true);
}

#[test]
fn standard_output_takes_writes() {
    let mut place = Place::new();
    let file = place.io.standard_output();
    let operation = place.io.write(file, 0, Vec::new());
    assert!(matches!(place.result(operation), DiskResult::Written(_)));
}

/// A buffer whose bytes from the returned index on are aligned.
fn aligned(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut buffer: Vec<u8> = Vec::with_capacity(bytes.len() + DIRECT_ALIGNMENT);
    let begin = buffer.as_ptr().align_offset(DIRECT_ALIGNMENT);
    buffer.resize(begin, 0);
    buffer.extend_from_slice(bytes);
    (buffer, begin)
}

/// A file that exists, opened for direct writes; nothing where the file system knows none.
fn open_direct(place: &mut Place, bytes: usize) -> Option<FileId> {
    fs::write(place.path("direct"), vec![0; bytes]).unwrap();
    let path = place.path("direct");
    let operation = place.io.open(&path, OpenMode::Direct);
    match place.result(operation) {
        DiskResult::Opened(file) => Some(file),
        DiskResult::Failed(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn aligned_buffers_go_past_the_page_cache_and_ranges_become_durable() {
    let mut place = Place::new();
    let whole = pattern(DISK_STEP_BYTES + 3 * DIRECT_ALIGNMENT);
    let Some(file) = open_direct(&mut place, whole.len() + DIRECT_ALIGNMENT) else { return };
    let (buffer, begin) = aligned(&whole);
    let operation = place.io.write_from(file, DIRECT_ALIGNMENT as u64, buffer, begin);
    match place.result(operation) {
        DiskResult::Written(bytes) => assert!(bytes[begin..] == whole),
        other => panic!("{other:?}"),
    }
    let synced = place.io.sync_range(file, DIRECT_ALIGNMENT as u64, whole.len() as u64);
    place.done(synced);
    assert!(fs::read(place.path("direct")).unwrap()[DIRECT_ALIGNMENT..] == whole);
    let nothing = place.io.write_from(file, 0, vec![1; 8], 8);
    assert!(matches!(place.result(nothing), DiskResult::Written(_)));
}

#[test]
fn a_direct_write_cut_within_a_block_goes_on_at_the_block() {
    let mut place = Place::new();
    let whole = pattern(3 * DIRECT_ALIGNMENT);
    let Some(file) = open_direct(&mut place, whole.len()) else { return };
    let CoreParts { files, ring } = place.io.parts_for_test();
    let (buffer, begin) = aligned(&whole);
    let step = Step::Write { file, offset: 0, from: begin, stalls: 0 };
    let id = files.begin_on_file(file, step);
    // As if the kernel had written a block and a half.
    files.on_completion(ring, id, Outcome::Moved(buffer, DIRECT_ALIGNMENT * 3 / 2));
    match &files.pending[&id] {
        Step::Write { offset, from, .. } => {
            assert_eq!((*offset, *from), (4096, begin + DIRECT_ALIGNMENT));
        }
        _ => panic!("it goes on"),
    }
    assert!(matches!(place.result(id), DiskResult::Written(_)));
    assert!(fs::read(place.path("direct")).unwrap()[4096..] == whole[4096..]);
}

#[test]
fn a_write_that_moves_nothing_fails_in_the_end() {
    let mut place = Place::new();
    let Some(file) = open_direct(&mut place, 2 * DIRECT_ALIGNMENT) else { return };
    let CoreParts { files, ring } = place.io.parts_for_test();
    let (buffer, begin) = aligned(&pattern(2 * DIRECT_ALIGNMENT));
    let step = Step::Write { file, offset: 0, from: begin, stalls: STALLS_MAX };
    let id = files.begin_on_file(file, step);
    files.on_completion(ring, id, Outcome::Moved(buffer, 100));
    assert_eq!(place.failed(id), io::ErrorKind::WriteZero);
}
