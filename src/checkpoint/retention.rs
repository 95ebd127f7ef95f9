//! Retention: how much of a core's journal is kept, and when the next base is due.
//!
//! The core's key groups are cut into ranges, which get their bases in turn: one range's base at a time
//! is written beside the two that are kept of it. So what is kept is two bases of every range, a third
//! of one, and the increments since the older ones; a base is begun early enough that this stays below
//! two and a half times the state.
//!
//! A base needs the entries from the epoch on in which it was begun. An older base of a range is given
//! up when a second newer one is complete, and what came before the first base when that one is.

use std::ops::Range;

use super::manifest::RangeBases;
use crate::limits::{BASE_RANGES, JOURNAL_KEPT_BYTES_MIN, JOURNAL_KEPT_PERCENT_MAX};
use crate::record::Epoch;

/// Of what may be kept, the part at which a base is begun, in percent: what is added until something can
/// be given up must still fit. That is the base and its increments.
const DUE_PERCENT: u64 = 85;

/// The same while some range has less than two bases: then nothing can be given up before every range has
/// one more.
const FIRST_DUE_PERCENT: u64 = 50;

/// See the module.
#[derive(Clone, Debug)]
pub struct Retention {
    groups: Range<u16>,
    bases: Vec<RangeBases>,
}

/// How much of a journal may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptLimits {
    /// In percent of what operators keep in memory.
    pub percent_max: u64,
    /// So much may be kept in any case.
    pub bytes_min: u64,
}

impl Default for KeptLimits {
    fn default() -> KeptLimits {
        KeptLimits { percent_max: JOURNAL_KEPT_PERCENT_MAX, bytes_min: JOURNAL_KEPT_BYTES_MIN }
    }
}

/// How urgent it is to write a base.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// Nothing has to be written.
    None,
    /// A base is due.
    Due,
    /// More is kept than should be.
    Pressing,
}

impl Retention {
    /// Everything there is was written from epoch `first` on, and no base yet.
    pub fn new(groups: Range<u16>, first: Epoch) -> Retention {
        let bases = RangeBases { newest: first, before: RangeBases::NONE };
        Retention { groups, bases: vec![bases; BASE_RANGES] }
    }

    /// There is one base of everything, which needs what is written from epoch `first` on.
    pub fn with_base(groups: Range<u16>, first: Epoch) -> Retention {
        let bases = RangeBases { newest: first, before: first };
        Retention { groups, bases: vec![bases; BASE_RANGES] }
    }

    /// As an earlier run left it. Cut otherwise, all of it is one base.
    pub fn resumed(groups: Range<u16>, bases: &[RangeBases]) -> Retention {
        if bases.len() == BASE_RANGES {
            return Retention { groups, bases: bases.to_vec() };
        }
        let first = bases.iter().map(|bases| bases.newest).min().unwrap_or(Epoch::new(1));
        let before = bases.iter().map(RangeBases::kept_from).min().unwrap_or(first);
        Retention { groups, bases: vec![RangeBases { newest: first, before }; BASE_RANGES] }
    }

    /// Where reading must begin, range by range.
    pub fn bases(&self) -> &[RangeBases] {
        &self.bases
    }

    /// The first epoch that is kept.
    pub fn kept_from(&self) -> Epoch {
        self.bases.iter().map(RangeBases::kept_from).min().expect("there are ranges")
    }

    /// Whether a base is to be written, when the journal keeps `kept_bytes` of a state of `live_bytes`.
    pub fn urgency(&self, limits: KeptLimits, kept_bytes: u64, live_bytes: u64) -> Urgency {
        let most = (live_bytes / 100).saturating_mul(limits.percent_max).max(limits.bytes_min);
        let has_two =
            |bases: &RangeBases| bases.before != RangeBases::NONE && bases.before < bases.newest;
        let due_percent =
            if self.bases.iter().all(has_two) { DUE_PERCENT } else { FIRST_DUE_PERCENT };
        if kept_bytes > most {
            Urgency::Pressing
        } else if kept_bytes > most / 100 * due_percent {
            Urgency::Due
        } else {
            Urgency::None
        }
    }

    /// The range whose base is to be written next: the one with the oldest. Its number and its groups.
    pub fn next(&self) -> (usize, Range<u16>) {
        let oldest = self.bases.iter().enumerate().min_by_key(|(_, bases)| bases.newest);
        let (index, _) = oldest.expect("there are ranges");
        (index, self.groups_of(index))
    }

    /// Key groups of a range.
    fn groups_of(&self, index: usize) -> Range<u16> {
        let count = usize::from(self.groups.end - self.groups.start);
        let bound = |range: usize| {
            let offset = u16::try_from(count * range / BASE_RANGES).expect("below the count");
            self.groups.start + offset
        };
        bound(index)..bound(index + 1)
    }

    /// The base of a range is complete, which was begun when entries of epoch `begun` were appended.
    pub fn complete(&mut self, range: usize, begun: Epoch) {
        let bases = &mut self.bases[range];
        assert!(bases.newest <= begun);
        let is_first = bases.before == RangeBases::NONE;
        *bases = RangeBases { newest: begun, before: if is_first { begun } else { bases.newest } };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_groups_and_come_in_turn() {
        for groups in [0..4096, 5..37, 7..9] {
            let mut retention = Retention::new(groups.clone(), Epoch::new(1));
            let mut end = groups.start;
            for epoch in 2..2 + BASE_RANGES as u64 {
                let (range, of_range) = retention.next();
                assert_eq!(of_range.start, end);
                end = of_range.end;
                assert_eq!(retention.kept_from(), Epoch::new(1));
                retention.complete(range, Epoch::new(epoch));
            }
            assert_eq!(end, groups.end);
            assert_eq!(retention.next().1.start, groups.start);
            assert_eq!(retention.kept_from(), Epoch::new(2));
            retention.complete(0, Epoch::new(100));
            assert_eq!(retention.bases()[0].before, Epoch::new(2));
            assert_eq!(retention.kept_from(), Epoch::new(2));
            retention.complete(0, Epoch::new(200));
            assert_eq!(retention.kept_from(), Epoch::new(3));
        }
    }

    #[test]
    fn an_earlier_run_is_gone_on_with() {
        let mut retention = Retention::new(0..64, Epoch::new(3));
        retention.complete(0, Epoch::new(9));
        let bases = retention.bases().to_vec();
        assert_eq!(Retention::resumed(0..64, &bases).bases(), bases);
        let one = [RangeBases { newest: Epoch::new(9), before: Epoch::new(4) }];
        assert_eq!(Retention::resumed(0..64, &one).kept_from(), Epoch::new(4));
    }

    /// One core's journal: bytes of every epoch, of which some are kept.
    struct Journal {
        retention: Retention,
        epochs: Vec<u64>,
        /// Range, epoch in which it was begun, and bytes still to be written.
        base: Option<(usize, u64, u64)>,
    }

    impl Journal {
        fn kept(&self) -> u64 {
            let from = usize::try_from(self.retention.kept_from().number()).unwrap() - 1;
            self.epochs[from..].iter().sum()
        }

        /// An epoch of `increment` bytes, of a state that takes `live` bytes and would be `encoded`.
        fn epoch(&mut self, increment: u64, live: u64, encoded: u64) {
            self.epochs.push(increment);
            let epoch = self.epochs.len() as u64;
            let urgency = self.retention.urgency(KeptLimits::default(), self.kept(), live);
            if self.base.is_none() && urgency > Urgency::None {
                self.base = Some((self.retention.next().0, epoch, encoded / BASE_RANGES as u64));
            }
            // Turns in one epoch, each with a slice or four.
            let most = increment * if urgency == Urgency::Pressing { 16 } else { 4 };
            if let Some((range, begun, left)) = &mut self.base {
                let written = most.min(*left);
                self.epochs[usize::try_from(epoch).unwrap() - 1] += written;
                *left -= written;
                if *left == 0 {
                    self.retention.complete(*range, Epoch::new(*begun));
                    self.base = None;
                }
            }
        }
    }

    /// Keeps at most two and a half times the state, whatever part of it changes in an epoch, and
    /// whatever an entry takes in the journal compared to memory.
    #[test]
    fn what_is_kept_stays_below_the_limit() {
        const LIVE: u64 = 4 << 30;
        for encoded_percent in [30, 60, 75] {
            for changed_permille in [1, 10, 20] {
                let mut journal = Journal {
                    retention: Retention::new(0..4096, Epoch::new(1)),
                    epochs: Vec::new(),
                    base: None,
                };
                let encoded = LIVE / 100 * encoded_percent;
                let increment = encoded / 1000 * changed_permille;
                for epoch in 0..20_000 / changed_permille {
                    journal.epoch(increment, LIVE, encoded);
                    let most = LIVE / 100 * JOURNAL_KEPT_PERCENT_MAX;
                    let kept = journal.kept();
                    let case = format!("{encoded_percent} %, {changed_permille} ‰, epoch {epoch}");
                    assert!(kept <= most, "{case}: {kept} bytes kept");
                }
            }
        }
    }

    #[test]
    fn a_small_state_is_left_alone() {
        let first = Retention::new(0..8, Epoch::new(1));
        let mut later = Retention::with_base(0..8, Epoch::new(1));
        for range in 0..BASE_RANGES {
            later.complete(range, Epoch::new(2));
        }
        let check = |retention: &Retention, kept, live, expected| {
            assert_eq!(retention.urgency(KeptLimits::default(), kept, live), expected);
        };
        check(&first, JOURNAL_KEPT_BYTES_MIN / 4, 0, Urgency::None);
        check(&first, JOURNAL_KEPT_BYTES_MIN / 4 * 3, 0, Urgency::Due);
        check(&later, JOURNAL_KEPT_BYTES_MIN / 2, 0, Urgency::None);
        check(&later, JOURNAL_KEPT_BYTES_MIN + 1, 0, Urgency::Pressing);
        check(&later, 240 << 30, 100 << 30, Urgency::Due);
    }
}
