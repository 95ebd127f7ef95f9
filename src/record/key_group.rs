//! Key groups: hash to group to core. Fixed for the life of the data.

use crate::stdx::CoreId;

/// Smallest unit of keyed state that can move between cores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyGroup(u16);

impl KeyGroup {
    /// Number of key groups; a power of two, so that a group is a mask of the hash.
    pub const COUNT: u16 = 4096;

    /// The group of a key hash.
    pub const fn of_hash(hash: u64) -> KeyGroup {
        #[expect(clippy::cast_possible_truncation, reason = "a remainder is below its divisor")]
        KeyGroup((hash % Self::COUNT as u64) as u16)
    }

    /// Its number, `0..COUNT`.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Numbers of the groups that `core` owns.
    pub fn owned_by(core: CoreId, core_count: u16) -> std::ops::Range<u16> {
        let first = |index: usize| {
            let groups = usize::from(Self::COUNT) * index;
            let first = groups.div_ceil(usize::from(core_count));
            u16::try_from(first).expect("a core is one of core_count")
        };
        first(core.index())..first(core.index() + 1)
    }

    /// The core that owns the group. Ranges are contiguous, so that a core's groups are one range.
    pub fn owner(self, core_count: u16) -> CoreId {
        assert!(0 < core_count && core_count <= Self::COUNT);
        let core = u32::from(self.0) * u32::from(core_count) / u32::from(Self::COUNT);
        CoreId::new(u16::try_from(core).expect("the quotient is below core_count"))
    }
}

const _: () = assert!(KeyGroup::COUNT.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_owns_one_contiguous_range() {
        for core_count in [1, 2, 3, 5, 16, 128, 4096] {
            let owners: Vec<CoreId> =
                (0..KeyGroup::COUNT).map(|group| KeyGroup(group).owner(core_count)).collect();
            assert!(owners.is_sorted(), "{core_count} cores");
            for core in CoreId::all(core_count) {
                let range = KeyGroup::owned_by(core, core_count);
                assert!(range.clone().all(|group| owners[usize::from(group)] == core));
                assert_eq!(range.len(), owners.iter().filter(|&&owner| owner == core).count());
                let owned = owners.iter().filter(|&&owner| owner == core).count();
                let even = usize::from(KeyGroup::COUNT / core_count);
                assert!(owned == even || owned == even + 1, "{core_count} cores, core {core}");
            }
        }
    }
}
