//! Ends: the epochs that end at a sink, counted: what each needs to be durable, and which of them exist.
//!
//! In:  an end, with all parts that are not released, and how long they are then.
//! Out: whether that is durable; how many of the ends belong to epochs that exist.
//!
//! Rows that come after *n* ends belong to the epoch of end *n + 1*, whatever its number will be.

use std::collections::VecDeque;

use super::position::{PartPosition, Position};
use crate::record::Epoch;

/// A place in the parts of a sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// Number of the part.
    pub(super) part: u32,
    /// Bytes of it before the place.
    pub(super) bytes: u64,
}

/// See the module.
pub(super) struct Ends {
    /// How many there were.
    count: u64,
    /// The first so many belong to epochs that exist.
    committed: u64,
    /// The others, in their order.
    open: VecDeque<End>,
    last: Option<Epoch>,
    /// Where the last one is; `None` when nothing before it is unreleased.
    mark: Option<Mark>,
    /// The last epoch of which everything is durable.
    durable: Option<Epoch>,
    position: Position,
    /// As of the last end; `None` without parts.
    encoded: Option<Vec<u8>>,
}

struct End {
    epoch: Epoch,
    /// From 1.
    number: u64,
    /// Rows that came before it.
    rows: u64,
}

impl Ends {
    /// Before the first; `position` has no parts.
    pub(super) fn new(position: Position) -> Ends {
        Ends {
            count: 0,
            committed: 0,
            open: VecDeque::new(),
            last: None,
            mark: None,
            durable: None,
            encoded: None,
            position,
        }
    }

    /// An epoch ends, after `rows` rows in all.
    pub(super) fn end(&mut self, epoch: Epoch, rows: u64, parts: Vec<PartPosition>) {
        assert!(self.last < Some(epoch), "epochs end in their order");
        self.count += 1;
        self.open.push_back(End { epoch, number: self.count, rows });
        self.last = Some(epoch);
        self.mark = parts.last().map(|part| Mark { part: part.number, bytes: part.bytes });
        self.position.parts = parts;
        self.encoded = self.mark.map(|_| self.position.encode());
    }

    /// An epoch exists. How many of the rows belong to it and those before; `None` when nothing of it ended here.
    pub(super) fn commit(&mut self, epoch: Epoch) -> Option<u64> {
        let mut rows = None;
        while let Some(end) = self.open.pop_front_if(|end| end.epoch <= epoch) {
            self.committed = end.number;
            rows = Some(end.rows);
        }
        rows
    }

    /// The first so many ends belong to epochs that exist.
    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    /// The end that rows before this place, the newest there is, belong to.
    pub(super) fn of_rows_before(&self, place: Mark) -> u64 {
        if self.mark == Some(place) { self.count } else { self.count + 1 }
    }

    /// Where the last end is, if it is in this part.
    pub(super) fn mark_in(&self, part: u32) -> Option<Mark> {
        self.mark.filter(|mark| mark.part == part)
    }

    /// Notes whether everything before the last end is durable.
    pub(super) fn note_durable(&mut self, is_durable: impl FnOnce(Mark) -> bool) {
        if self.durable < self.last && self.mark.is_none_or(is_durable) {
            self.durable = self.last;
        }
    }

    /// True when everything of an epoch that has ended is durable.
    pub(super) fn is_durable(&self, epoch: Epoch) -> bool {
        self.durable >= Some(epoch)
    }

    /// As of the last end; `None` when nothing is unreleased.
    pub(super) fn position(&self) -> Option<&[u8]> {
        self.encoded.as_deref()
    }
}
