//! The number of a core inside the appliance.

use std::fmt;

/// Position of a core in the appliance, `0..core_count`. Not an operating-system CPU number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CoreId(u16);

impl CoreId {
    /// The core that starts epochs, owns listeners and serves sinks that have one connection.
    pub const ZERO: CoreId = CoreId(0);

    /// Core number `index`.
    pub const fn new(index: u16) -> CoreId {
        CoreId(index)
    }

    /// As an index into per-core tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// As a number, for documents.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// All cores of an appliance with `core_count` cores, in order.
    pub fn all(core_count: u16) -> impl Iterator<Item = CoreId> + Clone {
        (0..core_count).map(CoreId)
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
