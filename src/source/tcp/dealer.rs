//! Dealer: on core 0, how many connections each core serves, and who gets the next one.

use crate::stdx::CoreId;

/// See the module.
#[derive(Debug)]
pub(super) struct Dealer {
    /// Connections by core.
    served: Vec<u32>,
    connections_max: u32,
    has_dealt: bool,
}

impl Dealer {
    /// No connections yet.
    pub(super) fn new(core_count: u16, connections_max: u32) -> Dealer {
        Dealer { served: vec![0; usize::from(core_count)], connections_max, has_dealt: false }
    }

    /// The core for the next connection: the first of those with fewest. `None` when all cores
    /// together have as many as are allowed.
    pub(super) fn deal(&mut self) -> Option<CoreId> {
        if self.total() >= self.connections_max {
            return None;
        }
        let (core, served) = CoreId::all(u16::try_from(self.served.len()).expect("was 16 bits"))
            .zip(&mut self.served)
            .min_by_key(|(_, served)| **served)
            .expect("there is at least one core");
        *served += 1;
        self.has_dealt = true;
        Some(core)
    }

    /// The one connection that was made from here: core 0 serves it, also while rows of the one
    /// before it still wait for room.
    pub(super) fn dial(&mut self) {
        self.served[CoreId::ZERO.index()] += 1;
        self.has_dealt = true;
    }

    /// A connection of `core` is gone.
    pub(super) fn closed(&mut self, core: CoreId) {
        let served = &mut self.served[core.index()];
        *served = served.checked_sub(1).expect("a core closes what it was given");
    }

    /// True when there have been connections, and there are none.
    pub(super) fn all_have_gone(&self) -> bool {
        self.has_dealt && self.total() == 0
    }

    fn total(&self) -> u32 {
        self.served.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_with_fewest_gets_the_next() {
        let mut dealer = Dealer::new(3, 5);
        assert!(!dealer.all_have_gone());
        let dealt: Vec<_> = (0..6).map(|_| dealer.deal().map(CoreId::index)).collect();
        assert_eq!(dealt, [Some(0), Some(1), Some(2), Some(0), Some(1), None]);
        dealer.closed(CoreId::new(1));
        dealer.closed(CoreId::new(1));
        assert_eq!(dealer.deal(), Some(CoreId::new(1)));
        for core in [0, 0, 1, 2] {
            assert!(!dealer.all_have_gone());
            dealer.closed(CoreId::new(core));
        }
        assert!(dealer.all_have_gone());
    }

    #[test]
    fn a_dialed_connection_is_core_0s_while_the_one_before_is_still_served() {
        let mut dealer = Dealer::new(2, 1);
        dealer.dial();
        dealer.dial();
        dealer.closed(CoreId::ZERO);
        assert!(!dealer.all_have_gone());
        dealer.closed(CoreId::ZERO);
        assert!(dealer.all_have_gone());
    }
}
