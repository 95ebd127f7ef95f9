//! Script: what the records of a load say, so that sender and verifier agree without talking.
//!
//! Key and amount of record `id` are a function of the seed and `id`. Per key, wanted records are
//! numbered from 1 in the order in which they are sent. Every so many records one is *unwanted*: its
//! amount is 0, its sequence 0, and a job that filters is to drop it.

use crate::workload::{Keys, Random};

/// Amounts are 1 to this.
const AMOUNT_MAX: u64 = 1_000_000;

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    /// Its number in the load, from 0.
    pub(super) id: u64,
    pub(super) key: u64,
    /// Its number among the wanted records of its key, from 1; 0 when it is unwanted.
    pub(super) sequence: u64,
    /// When it is due, since the beginning of the load.
    pub(super) due_ns: u64,
    /// 0 when it is unwanted.
    pub(super) amount: u64,
}

/// What all records say but their times and sequences.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) keys: Keys,
    /// Every so many records one is unwanted; 0 for none.
    pub(super) unwanted_every: u64,
}

impl Script {
    pub(super) fn is_wanted(&self, id: u64) -> bool {
        self.unwanted_every == 0 || !id.is_multiple_of(self.unwanted_every)
    }

    /// Key and amount of record `id`.
    pub(super) fn content(&self, id: u64) -> (u64, u64) {
        let mut random = Random::new(self.seed, id);
        let key = self.keys.draw(&mut random);
        let amount = if self.is_wanted(id) { 1 + random.below(AMOUNT_MAX) } else { 0 };
        (key, amount)
    }
}

/// Writes the script down, record by record.
#[derive(Clone, Debug)]
pub(super) struct Author {
    script: Script,
    /// Wanted records of each key so far.
    sequences: Vec<u64>,
    next_id: u64,
}

impl Author {
    pub(super) fn new(script: Script) -> Author {
        let keys = usize::try_from(script.keys.count()).expect("keys are bounded by the options");
        Author { script, sequences: vec![0; keys], next_id: 0 }
    }

    /// The next record, due at this time.
    pub(super) fn next(&mut self, due_ns: u64) -> Record {
        let id = self.next_id;
        self.next_id += 1;
        let (key, amount) = self.script.content(id);
        let mut sequence = 0;
        if amount > 0 {
            let place = usize::try_from(key).expect("keys are bounded by the options");
            self.sequences[place] += 1;
            sequence = self.sequences[place];
        }
        Record { id, key, sequence, due_ns, amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::KeyDistribution;

    #[test]
    fn every_record_is_as_the_script_says_and_numbered_per_key() {
        let script =
            Script { seed: 9, keys: Keys::new(7, KeyDistribution::Uniform), unwanted_every: 10 };
        let mut author = Author::new(script.clone());
        let mut last = [0; 7];
        for id in 0..1_000 {
            let record = author.next(id * 3);
            let Record { key, sequence, amount, .. } = record;
            assert_eq!((record.id, record.due_ns), (id, id * 3));
            assert_eq!((key, amount), script.content(id));
            assert_eq!(amount == 0, id.is_multiple_of(10));
            assert_eq!(amount == 0, sequence == 0);
            if sequence > 0 {
                let before = &mut last[usize::try_from(key).unwrap()];
                assert_eq!(sequence, *before + 1);
                *before = sequence;
            }
        }
        assert_eq!(last.iter().sum::<u64>(), 900);
    }

    #[test]
    fn without_unwanted_records_all_are_wanted() {
        let keys = Keys::new(1, KeyDistribution::Uniform);
        let script = Script { seed: 0, keys, unwanted_every: 0 };
        assert!((0..100).all(|id| script.is_wanted(id) && script.content(id).1 > 0));
    }
}
