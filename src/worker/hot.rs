//! Hot key groups: of the rows that cross an exchange, which group has most of them. One row of a batch
//! is looked at, and a handful of candidates kept; old ones fade with each report.
//!
//! In:  key hashes of batches.
//! Out: the group with most hits, and of how many rows they are.

use crate::record::KeyGroup;

/// Candidates kept. A group with more than one in so many rows is among them.
const CANDIDATES: usize = 8;

/// The group that was met most often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HotGroup {
    /// Its number.
    pub group: u16,
    /// Rows of it among those looked at, at least.
    pub hits: u64,
    /// Rows looked at.
    pub looks: u64,
}

/// Counts of one sending end of an exchange.
#[derive(Clone, Default, Debug)]
pub(crate) struct HotGroups {
    candidates: Vec<Candidate>,
    looks: u64,
    /// Makes the row that is looked at.
    random: u64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    group: u16,
    count: u64,
    /// Of the count, what another group may have had before it was replaced.
    inherited: u64,
}

impl HotGroups {
    /// Looks at one row of a batch with these key hashes.
    pub(super) fn look(&mut self, hashes: &[u64]) {
        let rows = hashes.len() as u64;
        if rows == 0 {
            return;
        }
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let row = usize::try_from((self.random >> 33) % rows).expect("a row of the batch");
        self.count(KeyGroup::of_hash(hashes[row]).number());
    }

    fn count(&mut self, group: u16) {
        self.looks += 1;
        if let Some(known) = self.candidates.iter_mut().find(|known| known.group == group) {
            known.count += 1;
            return;
        }
        if self.candidates.len() < CANDIDATES {
            self.candidates.push(Candidate { group, count: 1, inherited: 0 });
            return;
        }
        let rarest = self.candidates.iter_mut().min_by_key(|known| known.count);
        let rarest = rarest.expect("there are candidates");
        *rarest = Candidate { group, count: rarest.count + 1, inherited: rarest.count };
    }

    /// The group that was met most often lately; what is older counts half from now on.
    pub(super) fn take(&mut self) -> Option<HotGroup> {
        let certain = |known: &Candidate| known.count - known.inherited;
        let hottest = self.candidates.iter().max_by_key(|known| certain(known))?;
        let (group, hits, looks) = (hottest.group, certain(hottest), self.looks);
        self.looks /= 2;
        for known in &mut self.candidates {
            (known.count, known.inherited) = (known.count / 2, known.inherited / 2);
        }
        self.candidates.retain(|known| known.count > 0);
        Some(HotGroup { group, hits, looks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_many_rows_is_found_among_many_groups() {
        let mut hot = HotGroups::default();
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..10_000 {
            // Half of the rows are of group 77.
            let hash = |_| if random.bool() { 77 } else { random.u64(..) };
            let hashes: Vec<u64> = (0..9).map(hash).collect();
            hot.look(&hashes);
        }
        let HotGroup { group, hits, looks } = hot.take().expect("rows were looked at");
        assert_eq!((group, looks), (77, 10_000));
        assert!((4_000..5_500).contains(&hits), "{hits}");
    }

    #[test]
    fn what_was_hot_fades() {
        let mut hot = HotGroups::default();
        assert_eq!(hot.take(), None);
        (0..100).for_each(|_| hot.look(&[5]));
        assert_eq!(hot.take(), Some(HotGroup { group: 5, hits: 100, looks: 100 }));
        (0..90).for_each(|_| hot.look(&[6]));
        assert_eq!(hot.take(), Some(HotGroup { group: 6, hits: 90, looks: 140 }));
        for _ in 0..10 {
            hot.take();
        }
        assert_eq!(hot.take(), None);
    }

    /// Groups that are all as rare are none of them hot.
    #[test]
    fn rare_groups_have_few_certain_hits() {
        let mut hot = HotGroups::default();
        let mut random = fastrand::Rng::with_seed(4);
        (0..10_000).for_each(|_| hot.look(&[random.u64(..)]));
        assert!(hot.take().is_some_and(|hottest| hottest.hits < 500));
    }
}
