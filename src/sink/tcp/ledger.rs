//! Ledger of a TCP sink: which rows some subscriber's kernel has taken, and which nobody has.
//!
//! A batch is *out* when at least one subscriber took all of it, and *discarded* when the last one
//! that was to get it went before. In both cases it is counted once.

use std::collections::VecDeque;

/// A batch some subscriber has not yet taken or given up.
#[derive(Debug)]
struct Entry {
    rows: u64,
    /// Subscribers that may still take it.
    holders: u32,
    is_out: bool,
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
    /// Rows that are out.
    pub(super) rows_out: u64,
    /// Rows nobody took.
    pub(super) rows_discarded: u64,
}

/// What one subscriber has been given and has not taken.
#[derive(Default, Debug)]
pub(super) struct Account {
    /// (Bytes given when the batch had been given, its number).
    batches: VecDeque<(u64, u64)>,
    bytes_given: u64,
}

impl Ledger {
    /// A batch of `rows` rows goes to `holders` subscribers. Returns its number.
    pub(super) fn open(&mut self, rows: u64, holders: u32) -> u64 {
        self.entries.push_back(Entry { rows, holders, is_out: false });
        let number = self.first + self.entries.len() as u64 - 1;
        self.settle();
        number
    }

    /// True when every batch is counted.
    pub(super) fn is_settled(&self) -> bool {
        self.entries.is_empty()
    }

    /// A holder of batch `number` has taken it, or never will.
    pub(super) fn release(&mut self, number: u64, is_taken: bool) {
        let index = usize::try_from(number - self.first).expect("entries are few");
        let entry = &mut self.entries[index];
        entry.holders -= 1;
        entry.is_out |= is_taken;
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.holders == 0) {
            self.first += 1;
            match entry.is_out {
                true => self.rows_out += entry.rows,
                false => self.rows_discarded += entry.rows,
            }
        }
    }
}

impl Account {
    /// Bytes that belong to no batch.
    pub(super) fn give(&mut self, bytes: usize) {
        self.bytes_given += bytes as u64;
    }

    /// The bytes of batch `number`.
    pub(super) fn give_batch(&mut self, bytes: usize, number: u64) {
        self.give(bytes);
        self.batches.push_back((self.bytes_given, number));
    }

    /// All but the last `unsent` bytes have been taken.
    pub(super) fn taken(&mut self, unsent: usize, ledger: &mut Ledger) {
        let taken = self.bytes_given - unsent as u64;
        while let Some((_, number)) = self.batches.pop_front_if(|(until, _)| *until <= taken) {
            ledger.release(number, true);
        }
    }

    /// The subscriber is gone. Returns how many batches it missed.
    pub(super) fn close(self, ledger: &mut Ledger) -> usize {
        let missed = self.batches.len();
        self.batches.into_iter().for_each(|(_, number)| ledger.release(number, false));
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ledger: &Ledger, rows_out: u64, rows_discarded: u64, is_settled: bool) {
        assert_eq!((ledger.rows_out, ledger.rows_discarded), (rows_out, rows_discarded));
        assert_eq!(ledger.is_settled(), is_settled);
    }

    #[test]
    fn a_batch_counts_once_however_many_take_it() {
        let mut ledger = Ledger::default();
        let (mut fast, mut slow) = (Account::default(), Account::default());
        assert_eq!(ledger.open(3, 0), 0);
        check(&ledger, 0, 3, true);
        for rows in [10, 20] {
            let number = ledger.open(rows, 2);
            fast.give_batch(100, number);
            slow.give_batch(100, number);
        }
        fast.taken(1, &mut ledger);
        check(&ledger, 0, 3, false);
        fast.taken(0, &mut ledger);
        slow.taken(100, &mut ledger);
        check(&ledger, 10, 3, false);
        assert_eq!(slow.close(&mut ledger), 1);
        check(&ledger, 30, 3, true);
        let number = ledger.open(7, 1);
        fast.give_batch(5, number);
        assert_eq!(fast.close(&mut ledger), 1);
        check(&ledger, 30, 10, true);
    }
}
