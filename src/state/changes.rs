//! Changes: which entries of a table the current epoch has touched, and what is still to be written
//! of the one that has ended.
//!
//! In:  entries about to be changed; the end of an epoch; turns in which something may be written.
//! Out: every entry changed in an epoch, once, with its value as of the epoch's end.
//!
//! Every entry carries a mark: 0 (nothing to be written), or one of two marks that take turns, the
//! current epoch's and that of the one before. An entry whose mark is not the current one gets it,
//! and goes to the end of the epoch's list; if it still bears the mark of the epoch before, its value
//! is as it was at that epoch's end, and is written before it changes. The list is walked afterwards
//! and passes over what was written so. An epoch ends by exchanging lists, whatever their length.
//!
//! Invariant: an epoch ends only when all of the one before has been written, so two marks suffice.
//!
//! Tried: links from entry to entry instead of lists. An entry that is touched again while it waits
//! in the chain of the epoch before would have to be in two chains, or be unlinked from the middle.

use std::collections::VecDeque;

/// Entries of one piece of a list: 16 KiB, so that a long list grows without ever being copied.
const PIECE_ENTRIES: usize = 4096;

/// Bytes at which a piece of what was written early ends, so that it is written bit by bit as well.
const EARLY_PIECE_BYTES: usize = 16 * 1024;

/// Mark of entries that need not be written.
pub(super) const UNCHANGED: u32 = 0;

/// The changes of one table.
#[derive(Debug)]
pub(super) struct Changes {
    /// Mark of the current epoch, 1 or 2.
    mark: u32,
    current: List,
    /// Of the epoch that has ended.
    ending: List,
    /// Entries of that epoch written early.
    early: VecDeque<EarlyPiece>,
}

/// Entries, encoded.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct EarlyPiece {
    pub(super) bytes: Vec<u8>,
    pub(super) entries: u32,
}

/// Numbers of entries, in order.
#[derive(Debug, Default)]
struct List {
    pieces: VecDeque<Vec<u32>>,
    /// Taken from the first piece.
    taken: usize,
}

/// What must be done before an entry is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Touch {
    /// Nothing: it has been changed in this epoch.
    Known,
    /// Give it the current mark.
    Mark,
    /// Write its value for the epoch that has ended, then give it the current mark.
    WriteAndMark,
}

impl Changes {
    pub(super) fn new() -> Changes {
        Changes {
            mark: 1,
            current: List::default(),
            ending: List::default(),
            early: VecDeque::new(),
        }
    }

    /// Mark of what the current epoch changes.
    pub(super) fn mark(&self) -> u32 {
        self.mark
    }

    /// Hot: what must be done for an entry that bears `mark` and is about to be changed.
    #[inline]
    pub(super) fn touch(&self, mark: u32) -> Touch {
        match mark {
            mark if mark == self.mark => Touch::Known,
            UNCHANGED => Touch::Mark,
            _ => Touch::WriteAndMark,
        }
    }

    /// Notes an entry that has just been given the current mark.
    #[inline]
    pub(super) fn push(&mut self, number: u32) {
        self.current.push(number);
    }

    /// Where a value is to be written that changes before its turn.
    pub(super) fn early(&mut self) -> &mut Vec<u8> {
        if self.early.back().is_none_or(|piece| piece.bytes.len() >= EARLY_PIECE_BYTES) {
            self.early.push_back(EarlyPiece::default());
        }
        let piece = self.early.back_mut().expect("looked at just now");
        piece.entries += 1;
        &mut piece.bytes
    }

    /// Ends the epoch.
    pub(super) fn end_epoch(&mut self) {
        assert!(!self.is_ending(), "an epoch is written before the next one ends");
        self.ending = std::mem::take(&mut self.current);
        self.mark = 3 - self.mark;
    }

    /// True when something of the epoch that has ended is not written.
    pub(super) fn is_ending(&self) -> bool {
        !self.early.is_empty() || !self.ending.is_empty()
    }

    /// The oldest piece of what was written early.
    pub(super) fn take_early(&mut self) -> Option<EarlyPiece> {
        self.early.pop_front()
    }

    /// The next entry to be written for the epoch that has ended, and its mark. Entries that bear
    /// another one have been written early.
    pub(super) fn next_ending(&mut self) -> Option<(u32, u32)> {
        Some((self.ending.pop()?, 3 - self.mark))
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        (self.current.pieces.len() + self.ending.pieces.len()) * PIECE_ENTRIES * 4
            + self.early.iter().map(|piece| piece.bytes.capacity()).sum::<usize>()
    }
}

impl List {
    #[inline]
    fn push(&mut self, number: u32) {
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE_ENTRIES => piece.push(number),
            _ => self.begin_piece(number),
        }
    }

    #[cold]
    fn begin_piece(&mut self, number: u32) {
        // The first piece grows by doubling, so that a few changes stay small.
        let capacity = if self.pieces.is_empty() { 4 } else { PIECE_ENTRIES };
        let mut piece = Vec::with_capacity(capacity);
        piece.push(number);
        self.pieces.push_back(piece);
    }

    fn pop(&mut self) -> Option<u32> {
        let piece = self.pieces.front()?;
        let number = piece[self.taken];
        self.taken += 1;
        if self.taken == piece.len() {
            self.pieces.pop_front();
            self.taken = 0;
        }
        Some(number)
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_back_what_went_in() {
        let mut list = List::default();
        for count in [0, 1, 5, 4096, 4097, 20_000] {
            (0..count).for_each(|number| list.push(number));
            let back: Vec<u32> = std::iter::from_fn(|| list.pop()).collect();
            assert_eq!(back, (0..count).collect::<Vec<_>>());
            assert!(list.is_empty());
        }
    }

    #[test]
    fn marks_take_turns() {
        let mut changes = Changes::new();
        assert_eq!(changes.touch(UNCHANGED), Touch::Mark);
        assert_eq!((changes.touch(1), changes.touch(2)), (Touch::Known, Touch::WriteAndMark));
        changes.push(7);
        changes.end_epoch();
        assert_eq!((changes.touch(1), changes.touch(2)), (Touch::WriteAndMark, Touch::Known));
        assert_eq!(changes.next_ending(), Some((7, 1)));
        assert!(!changes.is_ending());
        changes.early().push(9);
        assert!(changes.is_ending());
        assert_eq!(changes.take_early(), Some(EarlyPiece { bytes: vec![9], entries: 1 }));
        changes.end_epoch();
        assert_eq!(changes.mark(), 1);
    }
}
