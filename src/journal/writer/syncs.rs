//! Syncs: rounds of making exactly some blocks durable, several at once, counted in order.

use std::collections::VecDeque;

use super::super::Position;
use super::super::entry::BLOCK_BYTES;
use super::part::Part;
use crate::reactor::{Disk, DiskResult, OperationId};
use crate::stdx::Failure;

/// Blocks of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    segment: u64,
    from: u64,
    to: u64,
}

impl Piece {
    /// The bytes from `position` to `end` of its segment were written, too.
    pub(super) fn extend(pieces: &mut Vec<Piece>, position: Position, end: u64) {
        match pieces.last_mut() {
            Some(last) if last.segment == position.segment && last.to == position.offset => {
                last.to = end;
            }
            _ => pieces.push(Piece { segment: position.segment, from: position.offset, to: end }),
        }
    }
}

/// One call to make durable what was written before it.
struct Round {
    /// Then everything before this is durable.
    to: Position,
    /// Begins once so many buffers were written.
    after_write: u64,
    /// To be begun.
    pieces: Vec<Piece>,
    /// Begun.
    operations: Vec<(OperationId, Piece)>,
}

pub(super) struct Syncs {
    rounds: VecDeque<Round>,
    durable: Position,
}

impl Syncs {
    pub(super) fn new(durable: Position) -> Syncs {
        Syncs { rounds: VecDeque::new(), durable }
    }

    pub(super) fn durable(&self) -> Position {
        self.durable
    }

    /// A round for `pieces`, whole blocks, once `after_write` buffers were written.
    pub(super) fn push(&mut self, to: Position, pieces: Vec<Piece>, after_write: u64) {
        for piece in &pieces {
            assert!(piece.from.is_multiple_of(BLOCK_BYTES));
            assert!(piece.to.is_multiple_of(BLOCK_BYTES));
        }
        self.rounds.push_back(Round { to, after_write, pieces, operations: Vec::new() });
    }

    /// Begins and ends syncs. `parts` are the segments that may have been written.
    pub(super) fn advance<'a, M: 'a, P: Iterator<Item = &'a Part<M>>>(
        &mut self,
        disk: &mut dyn Disk,
        written: u64,
        parts: impl Fn() -> P,
    ) -> Result<(), Failure> {
        for round in self.rounds.iter_mut().filter(|round| round.after_write <= written) {
            for piece in round.pieces.drain(..) {
                let part = parts().find(|part| part.header.number == piece.segment);
                let file = part.and_then(|part| part.file);
                let file = file.expect("a segment is open until it is durable");
                let operation = disk.sync_range(file, piece.from, piece.to - piece.from);
                round.operations.push((operation, piece));
            }
        }
        for round in &mut self.rounds {
            while let Some((operation, piece)) = round.operations.last().copied() {
                match disk.take_result(operation) {
                    None => break,
                    Some(DiskResult::Done) => {}
                    Some(DiskResult::Failed(error)) => {
                        let part = parts().find(|part| part.header.number == piece.segment);
                        let path = part.map(|part| part.path.display().to_string());
                        return Err(failed(&path.unwrap_or_default(), piece, &error));
                    }
                    Some(_) => unreachable!("a sync is done or fails"),
                }
                round.operations.pop();
            }
        }
        let is_done = |round: &mut Round| {
            round.after_write <= written && round.pieces.is_empty() && round.operations.is_empty()
        };
        while let Some(round) = self.rounds.pop_front_if(is_done) {
            self.durable = round.to;
        }
        Ok(())
    }
}

fn failed(path: &str, piece: Piece, error: &std::io::Error) -> Failure {
    let Piece { from, to, .. } = piece;
    Failure::io(format!(
        "{path}: bytes {from} to {to} cannot be made durable: {error}; the process stops, and \
         continues from the last checkpoint when started again; look at the disk"
    ))
}
