//! What a core of a simulated machine sees of the world: a clock that is set, the disk, no network.

use super::{SimCore, SimDisk};
use crate::reactor::testing::TestClock;
use crate::reactor::{Clock, Disk, Io, Network};

/// See the module.
pub(crate) struct SimIo {
    /// The clock; set it.
    pub(crate) clock: TestClock,
    disk: SimCore,
}

impl SimIo {
    /// A core of the machine that has this disk.
    pub(crate) fn new(disk: &SimDisk, seed: u64) -> SimIo {
        SimIo { clock: TestClock::default(), disk: SimCore::new(disk, seed) }
    }
}

impl Io for SimIo {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
    fn network(&mut self) -> &mut dyn Network {
        unreachable!("this core has no network")
    }
    fn disk(&mut self) -> &mut dyn Disk {
        &mut self.disk
    }
}
