//! The segments of one journal: prepared, populated, taken back.
//!
//! Invariants
//! - A segment gets its name only when its first block is durable, and is handed over only when its
//!   name is durable.
//! - A file that is used again loses its name, durably, before its first block is overwritten.

use std::collections::VecDeque;
use std::io;

use super::super::entry::BLOCK_BYTES;
use super::super::error::JournalError;
use super::super::segment::{LEFTOVER_SUFFIX, SEGMENT_BEGIN, SegmentHeader, file_id, segment_name};
use super::super::storage::{SegmentPages, Storage};
use super::super::{JournalId, Kind};
use super::{FromSupply, JournalOptions, JournalStart, Supplied, ToSupply};
use crate::reactor::{MeshReceiver, MeshSender};
use crate::stdx::{Failpoint, Failure};

/// Segments prepared ahead of the one in use.
const SEGMENTS_AHEAD: u32 = 1;

/// Bytes made present at once, after which other journals have their turn.
const POPULATE_STEP_BYTES: u64 = 1024 * 1024;

/// What a step of a journal found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LineTurn {
    Busy,
    Idle,
    Full,
}

/// Whether a segment could be had.
enum Prepared<M> {
    Yes(Supplied<M>),
    NoSpace(io::Error),
}

/// A segment whose writer stores into it, or will.
struct Mapped<P> {
    number: u64,
    pages: P,
    populated: u64,
    wanted: u64,
    bytes: u64,
}

/// One journal's.
pub(super) struct Line<S: Storage> {
    storage: S,
    journal: JournalId,
    run: u32,
    directory_id: u64,
    options: JournalOptions,
    next_number: u64,
    previous: u64,
    outbox: MeshSender<FromSupply<S::Memory>>,
    inbox: MeshReceiver<ToSupply<S::Memory>>,
    /// What the outbox had no room for.
    unsent: VecDeque<FromSupply<S::Memory>>,
    /// Segments handed over and not yet begun.
    ahead: u32,
    mapped: Vec<Mapped<S::Pages>>,
    /// A file to be used again: its name.
    spare: Option<String>,
    /// Waits to try again.
    is_full: bool,
    /// The writer knows.
    has_said_full: bool,
    has_failed: bool,
}

type Ends<M> = (MeshSender<FromSupply<M>>, MeshReceiver<ToSupply<M>>);

impl<S: Storage> Line<S> {
    pub(super) fn new(
        storage: &S,
        start: &JournalStart,
        options: JournalOptions,
        (outbox, inbox): Ends<S::Memory>,
    ) -> Line<S> {
        Line {
            storage: storage.clone(),
            journal: start.journal,
            run: start.run,
            directory_id: start.directory_id,
            options,
            next_number: start.next_number,
            previous: start.writer.position.segment,
            outbox,
            inbox,
            unsent: VecDeque::new(),
            ahead: 0,
            mapped: Vec::new(),
            spare: None,
            is_full: false,
            has_said_full: false,
            has_failed: false,
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.outbox.is_abandoned()
    }

    pub(super) fn retry(&mut self) {
        self.is_full = false;
    }

    /// One piece of work.
    pub(super) fn step(&mut self) -> LineTurn {
        if self.has_failed || self.is_abandoned() {
            self.flush();
            return LineTurn::Idle;
        }
        match self.try_step() {
            Ok(turn) => {
                self.flush();
                turn
            }
            Err(failure) => {
                self.has_failed = true;
                self.send(FromSupply::Failed(failure));
                LineTurn::Busy
            }
        }
    }

    fn try_step(&mut self) -> Result<LineTurn, Failure> {
        let mut turn = LineTurn::Idle;
        while let Some(message) = self.inbox.pop() {
            turn = LineTurn::Busy;
            match message {
                ToSupply::Wanted { segment, to } => self.want(segment, to),
                ToSupply::Begun => self.ahead -= 1,
                ToSupply::Left { segment, memory: _ } => {
                    self.mapped.retain(|mapped| mapped.number != segment);
                }
                ToSupply::Recycle { segment } => {
                    Failpoint::Recycle.pass();
                    self.recycle(segment)?;
                }
            }
        }
        if self.populate()? {
            return Ok(LineTurn::Busy);
        }
        if self.ahead >= SEGMENTS_AHEAD {
            return Ok(turn);
        }
        if self.is_full {
            return Ok(if turn == LineTurn::Busy { turn } else { LineTurn::Full });
        }
        match self.prepare()? {
            Prepared::Yes(supplied) => {
                self.has_said_full = false;
                self.ahead += 1;
                self.send(FromSupply::Segment(supplied));
            }
            Prepared::NoSpace(error) => {
                self.is_full = true;
                if !self.has_said_full {
                    self.has_said_full = true;
                    self.send(FromSupply::Full(self.words_for(&error)));
                }
            }
        }
        Ok(LineTurn::Busy)
    }

    fn words_for(&self, no_space: &io::Error) -> String {
        format!(
            "{}: no space for a segment of {} bytes of the {}: {no_space}; what would be written \
             there waits until there is",
            self.storage.path("").display(),
            self.options.segment_bytes,
            self.journal
        )
    }

    fn want(&mut self, segment: u64, to: u64) {
        if let Some(mapped) = self.mapped.iter_mut().find(|mapped| mapped.number == segment) {
            mapped.wanted = mapped.wanted.max(to.min(mapped.bytes));
        }
    }

    /// Makes some pages present; false when all are that were asked for.
    fn populate(&mut self) -> Result<bool, Failure> {
        let lacks = |mapped: &&mut Mapped<S::Pages>| mapped.populated < mapped.wanted;
        let Some(mapped) = self.mapped.iter_mut().find(lacks) else { return Ok(false) };
        let to = mapped.wanted.min(mapped.populated + POPULATE_STEP_BYTES);
        let segment = mapped.number;
        mapped.pages.populate(mapped.populated, to).map_err(|error| {
            let path = self.storage.path(&segment_name(self.journal, segment));
            Failure::io(format!(
                "{}: pages {}..{to} cannot be had: {error}; look at the disk",
                path.display(),
                mapped.populated
            ))
        })?;
        mapped.populated = to;
        self.send(FromSupply::Populated { segment, to });
        Ok(true)
    }

    /// The next segment, from its first block to its name.
    fn prepare(&mut self) -> Result<Prepared<S::Memory>, Failure> {
        let header = SegmentHeader {
            journal: self.journal,
            number: self.next_number,
            previous: self.previous,
            bytes: self.options.segment_bytes,
            run: self.run,
            file_id: file_id(self.directory_id, self.run, self.journal, self.next_number),
        };
        let name = segment_name(self.journal, self.next_number);
        let draft = match self.spare.take() {
            Some(spare) => spare,
            None => {
                let draft = format!("{name}{LEFTOVER_SUFFIX}");
                match self.create(&draft)? {
                    None => draft,
                    Some(no_space) => return Ok(Prepared::NoSpace(no_space)),
                }
            }
        };
        let storage = &self.storage;
        match storage.write(&draft, 0, &header.to_bytes()) {
            // A file system that copies what it writes needs space for every block.
            Err(error) if is_no_space(&error) => {
                self.spare = Some(draft);
                return Ok(Prepared::NoSpace(error));
            }
            written => self.done("write", &draft, written)?,
        }
        self.done("make durable", &draft, storage.sync(&draft))?;
        self.done("rename", &draft, storage.rename(&draft, &name))?;
        self.done("make the names durable beside", &name, storage.sync_directory())?;
        let (memory, populated) = match self.journal.kind {
            Kind::State => {
                let (memory, pages) = self.done("map", &name, storage.map(&name))?;
                let populated = SEGMENT_BEGIN.max(self.first_pages());
                self.done("populate", &name, pages.populate(0, populated))?;
                let (number, bytes) = (header.number, header.bytes);
                let wanted = populated;
                self.mapped.push(Mapped { number, pages, populated, wanted, bytes });
                (Some(memory), populated)
            }
            Kind::Ingest | Kind::Output => (None, 0),
        };
        self.previous = self.next_number;
        self.next_number += 1;
        let path = self.storage.path(&name);
        Ok(Prepared::Yes(Supplied { header, path, memory, populated }))
    }

    /// Pages a new segment begins with.
    fn first_pages(&self) -> u64 {
        let first = SEGMENT_BEGIN + self.options.populate_bytes.min(POPULATE_STEP_BYTES);
        first.next_multiple_of(BLOCK_BYTES).min(self.options.segment_bytes)
    }

    /// Creates a file; says so when there is no space.
    fn create(&self, draft: &str) -> Result<Option<io::Error>, Failure> {
        match self.storage.create(draft, self.options.segment_bytes) {
            Err(error) if is_no_space(&error) => {
                // It may not even have been created.
                match self.storage.remove(draft) {
                    Err(left) if left.kind() != io::ErrorKind::NotFound => {
                        self.done("remove", draft, Err(left))?;
                    }
                    _ => {}
                }
                Ok(Some(error))
            }
            created => self.done("create", draft, created).map(|()| None),
        }
    }

    /// Keeps the file for the next segment, or removes it.
    fn recycle(&mut self, segment: u64) -> Result<(), Failure> {
        let name = segment_name(self.journal, segment);
        let has_size = match self.storage.length(&name) {
            Ok(bytes) => bytes == self.options.segment_bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return self.done("look at", &name, Err(error)),
        };
        // Either way there is a segment more, or space.
        self.is_full = false;
        if !has_size || self.spare.is_some() {
            return self.done("remove", &name, self.storage.remove(&name));
        }
        let spare = format!("spare-{name}{LEFTOVER_SUFFIX}");
        self.done("rename", &name, self.storage.rename(&name, &spare))?;
        self.done("make the names durable beside", &spare, self.storage.sync_directory())?;
        self.spare = Some(spare);
        Ok(())
    }

    fn done<T>(
        &self,
        operation: &'static str,
        name: &str,
        result: io::Result<T>,
    ) -> Result<T, Failure> {
        let path = self.storage.path(name).display().to_string();
        result.map_err(|error| JournalError::io(operation, path)(error).failure())
    }

    fn send(&mut self, message: FromSupply<S::Memory>) {
        self.unsent.push_back(message);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.unsent.pop_front() {
            if let Err(message) = self.outbox.push(message) {
                self.unsent.push_front(message);
                return;
            }
        }
    }
}

fn is_no_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
