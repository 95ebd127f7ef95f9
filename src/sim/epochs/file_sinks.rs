//! File sinks of a job that is cut off: what is visible, held against what sinks in memory were given.
//!
//! Checked
//! - While a run goes on: what is visible are rows of epochs that some core was told to exist.
//! - After a crash, once the parts are recovered: it is all rows of all epochs that exist, each once.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::super::disk::{Fault, SimDisk};
use super::{EpochSink, Output};
use crate::checkpoint::EpochContents;
use crate::format::{self, FormatOptions, JsonOptions};
use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::{Batch, Epoch};
use crate::sink::{FileSink, FileSinkOptions, PartOwner, PartRelease, Sink, recover_parts};
use crate::stdx::{CoreId, Failure, FailureClass};

/// The job's sinks, by name.
pub(super) const NAMES: [&str; 3] = ["rows", "late", "rejected"];

/// The sinks of all cores in all runs of a job.
pub(super) struct FileSinks {
    disk: SimDisk,
    run: u32,
    /// The last epoch that some sink was told to exist.
    told: Rc<Cell<Option<Epoch>>>,
    /// Recoveries that completed parts.
    completed: Cell<u64>,
}

/// A sink in memory with a file sink beside it.
struct BothSinks {
    record: EpochSink,
    files: FileSink,
    told: Rc<Cell<Option<Epoch>>>,
}

impl FileSinks {
    pub(super) fn new(disk: &SimDisk) -> FileSinks {
        FileSinks { disk: disk.clone(), run: 0, told: Rc::default(), completed: Cell::default() }
    }

    pub(super) fn completed(&self) -> u64 {
        self.completed.get()
    }

    /// Another run begins.
    pub(super) fn begin(&mut self) {
        self.run += 1;
    }

    pub(super) fn sink(
        &self,
        record: EpochSink,
        core: CoreId,
        rng: &mut fastrand::Rng,
    ) -> Box<dyn Sink> {
        let json = FormatOptions::Json(JsonOptions { iso_timestamps: false });
        let files = FileSink::new(FileSinkOptions {
            directory: directory(record.number),
            run: self.run,
            core,
            extension: "json".into(),
            encoder: format::encoder(&json, &record.schema).expect("the types are plain"),
            part_bytes_max: [100, 1_000, 100_000][rng.usize(..3)],
            part_age_ns_max: [5, 50, 1 << 40][rng.usize(..3)] * 1_000_000,
            release: PartRelease::Commit(Arc::new(PartOwner::alone(owner(record.number)))),
        });
        Box::new(BothSinks { record, files, told: Rc::clone(&self.told) })
    }

    /// Rows of epochs that are known to exist, and nothing else.
    pub(super) fn check(&self, output: &Output) {
        let Some(told) = self.told.get() else {
            return (0..NAMES.len()).for_each(|number| assert!(self.visible(number).is_empty()));
        };
        for (number, name) in NAMES.iter().enumerate() {
            let mut allowed = lines_until(output, number, told);
            for line in self.visible(number) {
                let found = allowed.binary_search(&line);
                let found = found.unwrap_or_else(|_| panic!("{name}: {line}"));
                allowed.remove(found);
            }
        }
    }

    /// The process has ended, or the power went; parts are recovered, perhaps in several attempts.
    pub(super) fn recover(
        &self,
        contents: Option<&EpochContents>,
        last: Option<Epoch>,
        output: &Output,
        rng: &mut fastrand::Rng,
    ) {
        self.told.set(last);
        for number in 0..NAMES.len() {
            while !self.try_recover(number, contents, rng) {
                if self.disk.is_off() {
                    self.disk.cut_power()
                } else {
                    self.disk.kill()
                }
                self.check(output);
            }
        }
        self.check_all(output);
    }

    /// False when it was cut off.
    fn try_recover(
        &self,
        number: usize,
        contents: Option<&EpochContents>,
        rng: &mut fastrand::Rng,
    ) -> bool {
        if rng.u8(..4) == 0 {
            self.disk.plan(rng.u64(1..10), Fault::Cut);
        }
        let name = NAMES[number];
        let positions = contents.map(|contents| contents.sink_positions(name)).unwrap_or_default();
        let directory = directory(number);
        match recover_parts(&self.disk, &directory, owner(number), &positions) {
            Ok(recovered) => {
                let is_gone = |note: &String| note.contains("gone");
                assert!(!recovered.notes.iter().any(is_gone), "{recovered:?}");
                self.completed.update(|count| count + u64::from(!recovered.notes.is_empty()));
            }
            Err(failure) => assert_eq!(failure.class, FailureClass::Io, "{failure:?}"),
        }
        let is_done = !self.disk.is_off();
        self.disk.forget_plans();
        is_done
    }

    /// All rows that were recorded, and no open part.
    pub(super) fn check_all(&self, output: &Output) {
        for (number, name) in NAMES.iter().enumerate() {
            let mut visible = self.visible(number);
            visible.sort();
            let recorded = lines_until(output, number, Epoch::new(u64::MAX));
            assert!(visible == recorded, "{name}: {visible:#?}\nand not\n{recorded:#?}");
        }
        let paths = self.disk.paths();
        assert!(!paths.iter().any(|path| path.ends_with(".open")), "{paths:?}");
    }

    fn visible(&self, number: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for path in self.disk.paths() {
            let is_part = Path::new(&path)
                .strip_prefix(directory(number))
                .is_ok_and(|name| name.to_string_lossy().starts_with("part-"));
            if is_part {
                let text = String::from_utf8(self.disk.bytes(&path)).expect("JSON is UTF-8");
                assert!(text.ends_with('\n'), "{path} is not whole: {text}");
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        lines
    }
}

fn directory(number: usize) -> PathBuf {
    Path::new("/out").join(NAMES[number])
}

fn owner(number: usize) -> u64 {
    7 + number as u64
}

/// What was recorded of a sink up to an epoch, sorted.
fn lines_until(output: &Output, number: usize, last: Epoch) -> Vec<String> {
    let output = output.borrow();
    let mut lines: Vec<String> =
        output[number].range(..=last).flat_map(|(_, lines)| lines).cloned().collect();
    lines.sort();
    lines
}

impl Sink for BothSinks {
    fn write(&mut self, batch: &Batch, io: &mut dyn Io) {
        self.record.write(batch, io);
        self.files.write(batch, io);
    }

    fn is_full(&self) -> bool {
        self.files.is_full()
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        self.files.poll(io)
    }

    fn end_epoch(&mut self, epoch: Epoch, io: &mut dyn Io) {
        self.record.end_epoch(epoch, io);
        self.files.end_epoch(epoch, io);
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        self.files.is_durable(epoch)
    }

    fn position(&self) -> Option<Vec<u8>> {
        self.files.position()
    }

    fn commit(&mut self, epoch: Epoch, io: &mut dyn Io) {
        self.told.set(self.told.get().max(Some(epoch)));
        self.files.commit(epoch, io);
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.files.finish(io) && self.record.finish(io)
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        self.files.wakes_at_ns()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.files.take_failure()
    }

    fn counters(&self) -> &SinkCounters {
        self.files.counters()
    }
}
