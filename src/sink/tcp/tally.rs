//! Tally: which rows of an output some subscriber's kernel has taken, and which nobody will.
//!
//! Rows go by their number in the output, over all runs. A row is *out* when a subscriber has taken it, and
//! *discarded* when nobody needs it any more and nobody has; those of earlier runs are not counted again.

/// Stretches of taken rows that are told apart.
const STRETCHES_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Tally {
    /// All rows before this are counted.
    settled: u64,
    /// Behind it, rows that are out: from and to, in order, none next to another.
    taken: Vec<(u64, u64)>,
    pub(super) rows_out: u64,
    pub(super) rows_discarded: u64,
}

impl Tally {
    /// Rows from `first` on are this run's.
    pub(super) fn new(first: u64) -> Tally {
        Tally { settled: first, taken: Vec::new(), rows_out: 0, rows_discarded: 0 }
    }

    /// A subscriber has taken the rows from `from` to `to`.
    pub(super) fn take(&mut self, from: u64, to: u64) {
        let from = from.max(self.settled);
        if from >= to {
            return;
        }
        let first = self.taken.partition_point(|(_, end)| *end < from);
        let last = self.taken.partition_point(|(begin, _)| *begin <= to);
        let touched = &self.taken[first..last];
        let known: u64 = touched.iter().map(|(begin, end)| end.min(&to) - begin.max(&from)).sum();
        let begin = touched.first().map_or(from, |(begin, _)| from.min(*begin));
        let end = touched.last().map_or(to, |(_, end)| to.max(*end));
        self.rows_out += to - from - known;
        self.taken.splice(first..last, [(begin, end)]);
        self.settle();
        if self.taken.len() > STRETCHES_MAX {
            // What lies between the first two counts as out. It may yet be.
            let first_two = self.taken.remove(0);
            let second = &mut self.taken[0];
            self.rows_out += second.0 - first_two.1;
            second.0 = first_two.0;
        }
    }

    /// Nobody needs a row before `from` who has not taken it.
    pub(super) fn need(&mut self, from: u64) {
        while self.settled < from {
            let next = self.taken.first().map_or(from, |(begin, _)| *begin).min(from);
            self.rows_discarded += next - self.settled;
            self.settled = next;
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some((begin, end)) = self.taken.first().copied()
            && begin <= self.settled
        {
            self.settled = self.settled.max(end);
            self.taken.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `t3-7`: rows 3 to 7 are taken; `n5`: nobody needs a row before 5.
    #[track_caller]
    fn check(first: u64, script: &str, rows_out: u64, rows_discarded: u64) {
        let mut tally = Tally::new(first);
        for word in script.split(' ') {
            match word.split_at(1) {
                ("t", range) => {
                    let (from, to) = range.split_once('-').unwrap();
                    tally.take(from.parse().unwrap(), to.parse().unwrap());
                }
                ("n", from) => tally.need(from.parse().unwrap()),
                _ => panic!("{word}"),
            }
        }
        assert_eq!((tally.rows_out, tally.rows_discarded), (rows_out, rows_discarded), "{script}");
    }

    #[test]
    fn a_row_counts_once() {
        check(0, "t0-5 t0-5 t5-8 t3-6", 8, 0);
        check(0, "t4-6 t8-9 t0-10 n10", 10, 0);
        check(0, "t4-6 n3 n8 t6-8 n9", 2, 7);
        check(0, "n5 t3-7 n7 n7", 2, 5);
        check(100, "t0-50 t90-110 n105 n120", 10, 10);
    }

    #[test]
    fn it_agrees_with_a_set_of_rows() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut tally, mut state, mut needed) = (Tally::new(0), [0_u8; 200], 0);
            for _ in 0..100 {
                if rng.bool() {
                    let from = rng.usize(..190);
                    let to = from + rng.usize(..10);
                    tally.take(from as u64, to as u64);
                    state[from..to].iter_mut().filter(|row| **row == 0).for_each(|row| *row = 1);
                } else {
                    needed = rng.usize(needed..(needed + 5).min(200));
                    tally.need(needed as u64);
                    state[..needed].iter_mut().filter(|row| **row == 0).for_each(|row| *row = 2);
                }
                let count = |what| state.iter().filter(|row| **row == what).count() as u64;
                let counted = (tally.rows_out, tally.rows_discarded);
                assert_eq!(counted, (count(1), count(2)), "seed {seed}");
            }
        }
    }

    #[test]
    fn stretches_are_few() {
        let mut tally = Tally::new(0);
        for number in 0..1_000 {
            tally.take(10 * number + 5, 10 * number + 10);
        }
        assert!(tally.taken.len() <= STRETCHES_MAX);
        tally.take(0, 10_000);
        tally.need(10_000);
        assert_eq!((tally.rows_out, tally.rows_discarded), (10_000, 0));
    }
}
