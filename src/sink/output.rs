//! Output: what a sink has been given, kept until its epoch exists and whoever is to have it has got it.
//!
//! Read: `piece` (what is appended to the journal, and places in it) · `tail` (what is in memory).
//!
//! In:  pieces, frames or lines; ends and commits of epochs.
//! Out: the pieces of epochs that exist, in their order, for any number of readers, each at its place: from
//!      memory where it keeps up, else read back from the journal.
//!
//! Invariants
//! - A piece is given out once its epoch exists, and after a crash again, byte by byte the same.
//! - Memory is bounded: of what is in the journal only the newest pieces are kept, and what has found no
//!   room there yet makes the sink full.
//! - One reader at a time reads from the journal; the others wait.

mod piece;
mod tail;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use crate::format::FramePosition;
use crate::journal::{Followed, FollowedEntry, Follower, Position, SideJournal};
use crate::limits::{SINK_TAIL_BYTES_MAX, SINK_UNWRITTEN_BYTES_MAX};
use crate::reactor::Disk;
use crate::record::Epoch;
use crate::stdx::{Failure, crc32c};
pub(in crate::sink) use piece::Place;
use piece::{HEAD_BYTES, Head};
use tail::Tail;

/// Where a sink's output is kept.
#[derive(Clone)]
pub struct OutputJournal {
    /// The core's output journal.
    pub journal: Rc<RefCell<dyn SideJournal>>,
    /// Which of its users the sink is.
    pub user: usize,
    /// Where its segments lie.
    pub directory: PathBuf,
}

/// See the module.
pub(in crate::sink) struct Output {
    journal: Rc<RefCell<dyn SideJournal>>,
    user: usize,
    /// Of the sink's entries.
    tag: u32,
    tail: Tail,
    /// Pieces of the tail that are in the journal.
    appended: usize,
    /// Bytes of those that are not.
    waiting_bytes: usize,
    /// What is in memory no more ends here.
    evicted: Position,
    follower: Follower,
    /// The reader that it reads for.
    follows: Option<u64>,
    /// What is written now belongs to it.
    epoch: Epoch,
    /// Rows and bytes written so far, in all runs.
    written: (u64, u64),
    /// Behind the last piece of each epoch that is not known to exist.
    undecided: VecDeque<(Epoch, Place)>,
    /// Behind the last piece of all epochs that exist.
    released: Place,
    /// What lies before is needed no more.
    needed: Position,
    /// Bytes that are kept in memory of what is in the journal.
    tail_bytes_max: usize,
}

/// What a reader gets next.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::sink) enum Next<'a> {
    /// A piece, behind which its place is now.
    Piece {
        /// Of the frame or the lines.
        bytes: &'a [u8],
        /// It ends one.
        is_whole: bool,
        /// Its epoch.
        epoch: u64,
        /// Number of the first of its rows, in all runs.
        row: u64,
    },
    /// It is being read: ask again in a later turn.
    Waits,
    /// There is nothing more for now.
    End,
}

impl Output {
    /// The output of the sink called `name`, which ended at `found` when the last epoch that exists did.
    pub(in crate::sink) fn new(
        name: &str,
        options: OutputJournal,
        epoch: Epoch,
        found: Option<Place>,
    ) -> Output {
        let OutputJournal { journal, user, directory } = options;
        let side = journal.borrow();
        let released = found.unwrap_or(Place { at: side.position(), ..Place::BEGINNING });
        let follower = Follower::new(directory, side.journal());
        drop(side);
        Output {
            journal,
            user,
            tag: output_tag(name),
            tail: Tail::default(),
            appended: 0,
            waiting_bytes: 0,
            evicted: released.at,
            follower,
            follows: None,
            epoch,
            written: (released.rows, released.bytes),
            undecided: VecDeque::new(),
            released,
            needed: Position::BEGINNING,
            tail_bytes_max: SINK_TAIL_BYTES_MAX,
        }
    }

    /// Takes a frame, or lines, with `rows` rows and this number.
    pub(in crate::sink) fn write(&mut self, sequence: u64, rows: u32, bytes: &[u8]) {
        let payload_max = self.journal.borrow().payload_bytes_max() - HEAD_BYTES;
        let parts = bytes.len().div_ceil(payload_max);
        for (number, part) in (1..).zip(bytes.chunks(payload_max)) {
            let (is_whole, (rows_before, bytes_before)) = (number == parts, self.written);
            let rows = if is_whole { rows } else { 0 };
            let head = Head { rows, is_whole, sequence, rows_before, bytes_before };
            self.tail.push(self.epoch.number(), head, part);
            self.waiting_bytes += part.len();
            self.written.0 += u64::from(rows);
            self.written.1 += part.len() as u64;
        }
        self.append();
    }

    /// Appends what has found no room yet; true when something was.
    pub(in crate::sink) fn append(&mut self) -> bool {
        let mut side = self.journal.borrow_mut();
        let before = self.appended;
        while let Some(piece) = self.tail.get(self.appended) {
            let (epoch, bytes) = (Epoch::new(piece.epoch), self.tail.bytes_of(piece));
            let head = piece.head.to_bytes();
            let Ok(begin) = side.append(epoch, self.tag, &[&head, bytes]) else { break };
            let end = side.position();
            if self.undecided.back().is_none_or(|(last, _)| *last < epoch) {
                let last = self.undecided.back().map_or(self.released, |(_, place)| *place);
                self.undecided.push_back((epoch, last));
            }
            let (_, place) = self.undecided.back_mut().expect("there is one now");
            place.pass(piece.epoch, &piece.head, bytes.len(), end);
            self.waiting_bytes -= bytes.len();
            self.tail.set_entry(self.appended, begin, end);
            self.appended += 1;
        }
        let open = side.open_epoch().number();
        let waits = self.tail.get(self.appended);
        side.hold(self.user, waits.is_some_and(|piece| piece.epoch == open));
        drop(side);
        let has_appended = self.appended > before;
        while self.tail.bytes() > self.tail_bytes_max && self.appended > 0 {
            self.evict();
        }
        has_appended
    }

    fn evict(&mut self) {
        let piece = self.tail.pop().expect("some of it is in the journal");
        let (_, end) = piece.entry.expect("the first ones are in the journal");
        self.appended -= 1;
        self.evicted = end;
    }

    /// True when no more may be written for now.
    pub(in crate::sink) fn is_full(&self) -> bool {
        self.waiting_bytes >= SINK_UNWRITTEN_BYTES_MAX
    }

    /// True when something is in an epoch that is not known to exist.
    pub(in crate::sink) fn is_undecided(&self) -> bool {
        !self.undecided.is_empty() || self.appended < self.tail.len()
    }

    /// Why what is written finds no room, when the disk has no space.
    pub(in crate::sink) fn no_space(&self) -> Option<String> {
        let is_waiting = self.appended < self.tail.len();
        self.journal.borrow().no_space().filter(|_| is_waiting).map(str::to_owned)
    }

    /// What is written from here on belongs to the epoch behind `epoch`, in which nothing is needed of what
    /// lies before `needed`, or with `None` of what there is now.
    pub(in crate::sink) fn end_epoch(&mut self, epoch: Epoch, needed: Option<Position>) {
        self.epoch = epoch.next();
        let mut side = self.journal.borrow_mut();
        let needed = needed.unwrap_or(side.position()).max(self.needed);
        let journal = side.journal();
        side.need_from(self.user, journal, Some(needed));
        self.needed = needed;
    }

    /// All epochs up to `epoch` exist: what was written in them may be given out. Says where it ends when
    /// that is news.
    pub(in crate::sink) fn commit(&mut self, epoch: Epoch) -> Option<Place> {
        let mut news = None;
        while let Some((_, place)) = self.undecided.pop_front_if(|(ended, _)| *ended <= epoch) {
            self.released = place;
            news = Some(place);
        }
        news
    }

    /// Behind everything that may be given out.
    pub(in crate::sink) fn released(&self) -> Place {
        self.released
    }

    /// Behind everything in the journal: where the epoch that has just ended ends.
    pub(in crate::sink) fn ended(&self) -> Place {
        self.undecided.back().map_or(self.released, |(_, place)| *place)
    }

    /// Where somebody begins who is to get what is released from now on.
    pub(in crate::sink) fn begin(&self) -> Place {
        Place { at: self.released.at.max(self.needed), ..self.released }
    }

    /// The next piece behind `place`, of a reader with this number.
    ///
    /// # Errors
    /// When the journal cannot be read back.
    pub(in crate::sink) fn next_piece(
        &mut self,
        reader: u64,
        place: &mut Place,
        disk: &mut dyn Disk,
    ) -> Result<Next<'_>, Failure> {
        loop {
            if place.at >= self.released.at {
                self.let_go(reader, disk);
                return Ok(Next::End);
            }
            let found = match place.at >= self.evicted {
                true => self.remember(place),
                false => match self.follow(reader, place, disk)? {
                    Some(found) => found,
                    None => return Ok(Next::Waits),
                },
            };
            match found {
                Found::Nothing => {}
                Found::InTail(index) => {
                    self.let_go(reader, disk);
                    let piece = self.tail.get(index).expect("found just now");
                    let (bytes, epoch) = (self.tail.bytes_of(piece), piece.epoch);
                    let Head { is_whole, rows_before: row, .. } = piece.head;
                    return Ok(Next::Piece { bytes, is_whole, epoch, row });
                }
                Found::Followed(entry, head) => {
                    let bytes = &self.follower.payload(&entry)[HEAD_BYTES..];
                    let Head { is_whole, rows_before: row, .. } = head;
                    return Ok(Next::Piece { bytes, is_whole, epoch: entry.epoch, row });
                }
            }
        }
    }

    /// A reader has enough for now, or is gone.
    pub(in crate::sink) fn let_go(&mut self, reader: u64, disk: &mut dyn Disk) {
        if self.follows == Some(reader) {
            self.follows = None;
            self.follower.rest(disk);
        }
    }

    /// Pieces that end at `at` or before it need not be in memory.
    pub(in crate::sink) fn forget_before(&mut self, at: Position) {
        while let Some(piece) = self.tail.get(0)
            && piece.entry.is_some_and(|(_, end)| end <= at)
        {
            self.evict();
        }
    }

    /// The next piece in memory; there is one, as the place is not that where everything ends.
    fn remember(&self, place: &mut Place) -> Found {
        let index = self.tail.find(place.at);
        let piece = self.tail.get(index).expect("what was released is in memory, or evicted");
        let (_, end) = piece.entry.expect("what was released is in the journal");
        let length = self.tail.bytes_of(piece).len();
        match pass(place, piece.epoch, &piece.head, length, end) {
            true => Found::InTail(index),
            false => Found::Nothing,
        }
    }

    /// The next entry in the journal; `None` while it is being read, for this reader or another.
    fn follow(
        &mut self,
        reader: u64,
        place: &mut Place,
        disk: &mut dyn Disk,
    ) -> Result<Option<Found>, Failure> {
        if *self.follows.get_or_insert(reader) != reader {
            return Ok(None);
        }
        self.follower.seek(place.at);
        let side = self.journal.borrow();
        let entry = match self.follower.next_entry(self.released.at, &*side, disk)? {
            Followed::Entry(entry) => entry,
            Followed::Waits => return Ok(None),
            Followed::End => {
                place.at = self.released.at;
                return Ok(Some(Found::Nothing));
            }
        };
        place.at = entry.end;
        if entry.tag != self.tag {
            return Ok(Some(Found::Nothing));
        }
        let malformed = |error| {
            let (journal, begin) = (side.journal(), entry.begin);
            Failure::data(format!("{journal}, entry {begin}: {error}"))
        };
        let (head, bytes) = Head::parse(self.follower.payload(&entry)).map_err(malformed)?;
        Ok(Some(match pass(place, entry.epoch, &head, bytes.len(), entry.end) {
            true => Found::Followed(entry, head),
            false => Found::Nothing,
        }))
    }
}

/// Where a piece was found.
enum Found {
    /// It was none, or one that the reader has; its place has moved on.
    Nothing,
    InTail(usize),
    Followed(FollowedEntry, Head),
}

/// Goes behind a piece; false when the reader has it already.
fn pass(place: &mut Place, epoch: u64, head: &Head, length: usize, end: Position) -> bool {
    let frame = FramePosition { epoch, sequence: head.sequence };
    let is_new = frame > place.frame;
    if is_new {
        place.pass(epoch, head, length, end);
    } else {
        place.at = end;
    }
    is_new
}

#[cfg(test)]
impl Output {
    /// Nearly everything is read back from the journal.
    pub(in crate::sink) fn remember_little(&mut self) {
        self.tail_bytes_max = 500;
    }
}

/// What a sink's entries go by in the journal, for as long as it has its name.
pub fn output_tag(name: &str) -> u32 {
    crc32c(&[name.as_bytes()])
}
