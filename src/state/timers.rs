//! Timers: when each pane is next due. One timer per pane, none per key.

use std::collections::BTreeSet;

use crate::record::Timestamp;

/// Timers of panes named by `P`; each pane has at most the timers it was armed with.
#[derive(Debug)]
pub struct Timers<P> {
    due: BTreeSet<(Timestamp, P)>,
}

impl<P> Default for Timers<P> {
    fn default() -> Timers<P> {
        Timers { due: BTreeSet::new() }
    }
}

impl<P: Ord + Copy> Timers<P> {
    /// Makes `pane` due at `time`.
    pub fn arm(&mut self, time: Timestamp, pane: P) {
        let added = self.due.insert((time, pane));
        assert!(added, "a pane is armed once for a time");
    }

    /// The earliest time at which something is due.
    pub fn first(&self) -> Option<Timestamp> {
        self.due.first().map(|&(time, _)| time)
    }

    /// Takes all panes due at exactly the earliest time, in their order.
    pub fn take_first(&mut self) -> Vec<P> {
        let Some(first) = self.first() else { return Vec::new() };
        let mut panes = Vec::new();
        while let Some(&(time, pane)) = self.due.first()
            && time == first
        {
            self.due.pop_first();
            panes.push(pane);
        }
        panes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_come_first_and_together() {
        let mut timers = Timers::default();
        for (time, pane) in [(30, 'c'), (10, 'b'), (20, 'a'), (10, 'a')] {
            timers.arm(Timestamp::from_millis(time), pane);
        }
        let mut taken = Vec::new();
        while let Some(time) = timers.first() {
            taken.push((time.millis(), timers.take_first()));
        }
        assert_eq!(taken, [(10, vec!['a', 'b']), (20, vec!['a']), (30, vec!['c'])]);
        assert!(timers.take_first().is_empty());
    }
}
