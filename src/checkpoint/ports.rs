//! Ports: the lines between the coordinator and every core.
//!
//! Messages are few and never dropped: what a full ring does not take waits at its sender, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::CoreRanges;
use crate::limits::CHECKPOINT_MESSAGES_MAX;
use crate::reactor::{MeshReceiver, MeshSender, Wake, channel};
use crate::record::Epoch;
use crate::stdx::CoreId;

/// From the coordinator to a core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToCore {
    /// Let the barrier of this epoch out.
    Begin(Epoch),
    /// Write the commit record of this epoch, and say when it is durable.
    WriteCommit {
        /// The epoch.
        epoch: Epoch,
        /// What it needs of the journals of every core.
        cores: Arc<[CoreRanges]>,
    },
    /// An epoch exists, or nothing changed in it.
    Committed {
        /// Which.
        epoch: Epoch,
        /// Its commit record is durable; else nothing of it was written.
        is_written: bool,
    },
    /// Everything that will ever change is in an epoch.
    Finish,
}

/// From a core to the coordinator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromCore {
    /// Epochs may begin: all there was before is in the journal as this run needs it.
    Ready,
    /// Something has changed since the last barrier; said once per epoch.
    Changed,
    /// The core's part of an epoch is durable.
    Sealed {
        /// The epoch.
        epoch: Epoch,
        /// What it needs of the core's journals.
        ranges: CoreRanges,
        /// Whether there was something to write.
        is_written: bool,
    },
    /// The commit record of this epoch is durable here.
    CommitWritten(Epoch),
    /// The core has nothing left to do; everything it changed was said before.
    Ended,
}

/// One core's ends of the lines.
#[derive(Debug)]
pub struct CheckpointPorts {
    core: CoreId,
    core_count: u16,
    /// To and from core 0; on core 0 none.
    hub: Option<Line<FromCore, ToCore>>,
    /// On core 0: to and from every core, `None` for itself.
    cores: Vec<Option<Line<ToCore, FromCore>>>,
    /// What core 0 says to itself.
    own_to_core: VecDeque<ToCore>,
    own_from_core: VecDeque<FromCore>,
}

#[derive(Debug)]
struct Line<S, R> {
    sender: MeshSender<S>,
    waiting: VecDeque<S>,
    receiver: MeshReceiver<R>,
}

impl<S, R> Line<S, R> {
    fn new(sender: MeshSender<S>, receiver: MeshReceiver<R>) -> Line<S, R> {
        Line { sender, waiting: VecDeque::new(), receiver }
    }

    fn send(&mut self, message: S) {
        self.waiting.push_back(message);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            if let Err(message) = self.sender.push(message) {
                self.waiting.push_front(message);
                break;
            }
        }
    }
}

impl CheckpointPorts {
    /// For every core, in order; `wakers[i]` wakes core `i`.
    pub fn for_all_cores(wakers: &[Arc<dyn Wake>]) -> Vec<CheckpointPorts> {
        let count = u16::try_from(wakers.len()).expect("limits::CORES_MAX cores at most");
        let ports = |core| CheckpointPorts {
            core,
            core_count: count,
            hub: None,
            cores: Vec::new(),
            own_to_core: VecDeque::new(),
            own_from_core: VecDeque::new(),
        };
        let mut all: Vec<CheckpointPorts> = CoreId::all(count).map(ports).collect();
        all[0].cores.push(None);
        for (index, waker) in wakers.iter().enumerate().skip(1) {
            let (down, from_hub) = channel(CHECKPOINT_MESSAGES_MAX, Arc::clone(waker));
            let (up, from_core) = channel(CHECKPOINT_MESSAGES_MAX, Arc::clone(&wakers[0]));
            all[0].cores.push(Some(Line::new(down, from_core)));
            all[index].hub = Some(Line::new(up, from_hub));
        }
        all
    }

    /// Whose ends these are.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// Cores of the job.
    pub fn core_count(&self) -> u16 {
        self.core_count
    }

    /// True when every other core has been told everything.
    pub fn is_flushed(&self) -> bool {
        let up = self.hub.iter().all(|line| line.waiting.is_empty());
        up && self.cores.iter().flatten().all(|line| line.waiting.is_empty())
    }

    /// Tells the coordinator.
    pub fn tell(&mut self, message: FromCore) {
        match &mut self.hub {
            Some(line) => line.send(message),
            None => self.own_from_core.push_back(message),
        }
    }

    /// What the coordinator says.
    pub fn receive(&mut self) -> Option<ToCore> {
        match &mut self.hub {
            Some(line) => line.receiver.pop(),
            None => self.own_to_core.pop_front(),
        }
    }

    /// On core 0: tells a core.
    pub fn tell_core(&mut self, core: CoreId, message: ToCore) {
        match &mut self.cores[core.index()] {
            Some(line) => line.send(message),
            None => self.own_to_core.push_back(message),
        }
    }

    /// On core 0: what a core says.
    pub fn receive_from_core(&mut self, core: CoreId) -> Option<FromCore> {
        match &mut self.cores[core.index()] {
            Some(line) => line.receiver.pop(),
            None => self.own_from_core.pop_front(),
        }
    }

    /// Hands over what there is room for.
    pub fn flush(&mut self) {
        self.hub.iter_mut().for_each(Line::flush);
        self.cores.iter_mut().flatten().for_each(Line::flush);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Awake;

    impl Wake for Awake {
        fn wake(&self) {}
    }

    #[test]
    fn every_core_reaches_the_coordinator_and_is_reached_in_order() {
        let wakers: Vec<Arc<dyn Wake>> = (0..3).map(|_| Arc::new(Awake) as _).collect();
        let mut all = CheckpointPorts::for_all_cores(&wakers);
        let many = u64::try_from(CHECKPOINT_MESSAGES_MAX).unwrap() + 3;
        for (core, ports) in CoreId::all(3).zip(&mut all) {
            assert_eq!(ports.core(), core);
            for epoch in 0..many {
                ports.tell(FromCore::CommitWritten(Epoch::new(epoch)));
            }
        }
        all.iter_mut().for_each(CheckpointPorts::flush);
        assert!(all[0].is_flushed() && !all[1].is_flushed());
        for core in CoreId::all(3) {
            for epoch in 0..many {
                let message = all[0].receive_from_core(core);
                assert_eq!(message, Some(FromCore::CommitWritten(Epoch::new(epoch))), "{core}");
                all[core.index()].flush();
            }
            assert_eq!(all[0].receive_from_core(core), None);
        }
        for core in CoreId::all(3) {
            all[0].tell_core(core, ToCore::Begin(Epoch::new(u64::from(core.number()))));
        }
        for (core, ports) in CoreId::all(3).zip(&mut all) {
            let epoch = Epoch::new(u64::from(core.number()));
            assert_eq!(ports.receive(), Some(ToCore::Begin(epoch)));
            assert_eq!(ports.receive(), None);
        }
    }
}
