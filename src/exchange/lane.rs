//! Lanes: one bounded queue of an edge, from one core to one core. A core's lane to itself is a
//! plain queue; the others are rings of the mesh. The two ends of a local lane never leave their core.

use crate::reactor::{MeshReceiver, MeshSender, Wake, channel};
use crate::record::Element;
use crate::stdx::CoreId;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Sending end.
#[derive(Debug)]
pub struct LaneSender(Sender);

#[derive(Debug)]
enum Sender {
    Local { queue: Rc<RefCell<VecDeque<Element>>>, elements_max: usize },
    Mesh(MeshSender<Element>),
}

/// Receiving end.
#[derive(Debug)]
pub struct LaneReceiver(Receiver);

#[derive(Debug)]
enum Receiver {
    Local(Rc<RefCell<VecDeque<Element>>>),
    Mesh(MeshReceiver<Element>),
}

/// A lane of `elements_max` slots inside one core.
pub fn local_lane(elements_max: usize) -> (LaneSender, LaneReceiver) {
    let queue = Rc::new(RefCell::new(VecDeque::with_capacity(elements_max)));
    let receiver = LaneReceiver(Receiver::Local(Rc::clone(&queue)));
    (LaneSender(Sender::Local { queue, elements_max }), receiver)
}

/// One edge's rings to and from one core. May be sent to that core's thread, which connects them.
#[derive(Debug)]
pub struct EdgePorts {
    own: CoreId,
    elements_max: usize,
    /// To each core, in order; `None` to itself.
    senders: Vec<Option<MeshSender<Element>>>,
    /// From each core, in order; `None` from itself.
    receivers: Vec<Option<MeshReceiver<Element>>>,
}

impl EdgePorts {
    /// One edge's ports for every core, in order; `wakers[i]` wakes core `i`.
    pub fn for_all_cores(elements_max: usize, wakers: &[Arc<dyn Wake>]) -> Vec<EdgePorts> {
        let count = u16::try_from(wakers.len()).expect("limits::CORES_MAX cores at most");
        let ports = |own| EdgePorts {
            own,
            elements_max,
            senders: Vec::with_capacity(wakers.len()),
            receivers: Vec::with_capacity(wakers.len()),
        };
        let mut all: Vec<EdgePorts> = CoreId::all(count).map(ports).collect();
        for from in 0..wakers.len() {
            for (to, waker) in wakers.iter().enumerate() {
                let ring = (from != to).then(|| channel(elements_max, Arc::clone(waker)));
                let (sender, receiver) = ring.unzip();
                all[from].senders.push(sender);
                all[to].receivers.push(receiver);
            }
        }
        all
    }

    /// The lanes of this core, to each core and from each core. Called on the core's own thread.
    pub fn connect(self) -> (Vec<LaneSender>, Vec<LaneReceiver>) {
        assert!(self.senders[self.own.index()].is_none());
        assert!(self.receivers[self.own.index()].is_none());
        let (local_sender, local_receiver) = local_lane(self.elements_max);
        (lanes(self.senders, local_sender), lanes(self.receivers, local_receiver))
    }
}

/// `rings` as lanes, with `local` in the one empty place.
fn lanes<R, L: From<R>>(rings: Vec<Option<R>>, local: L) -> Vec<L> {
    let mut local = Some(local);
    let place = |ring: Option<R>| match ring {
        Some(ring) => L::from(ring),
        None => local.take().expect("a core has one lane to itself"),
    };
    rings.into_iter().map(place).collect()
}

impl From<MeshSender<Element>> for LaneSender {
    fn from(ring: MeshSender<Element>) -> LaneSender {
        LaneSender(Sender::Mesh(ring))
    }
}

impl From<MeshReceiver<Element>> for LaneReceiver {
    fn from(ring: MeshReceiver<Element>) -> LaneReceiver {
        LaneReceiver(Receiver::Mesh(ring))
    }
}

impl LaneSender {
    /// Appends. The caller has looked at [`LaneSender::free_slots`].
    pub(super) fn push(&mut self, element: Element) {
        assert!(self.free_slots() > 0);
        match &mut self.0 {
            Sender::Local { queue, .. } => queue.borrow_mut().push_back(element),
            Sender::Mesh(ring) => ring.push(element).expect("free slots do not vanish"),
        }
    }

    /// At least this many pushes succeed.
    pub(super) fn free_slots(&self) -> usize {
        match &self.0 {
            Sender::Local { queue, elements_max } => elements_max - queue.borrow().len(),
            Sender::Mesh(ring) => ring.free_slots(),
        }
    }

    /// Slots in all.
    pub(super) fn elements_max(&self) -> usize {
        match &self.0 {
            Sender::Local { elements_max, .. } => *elements_max,
            Sender::Mesh(ring) => ring.capacity(),
        }
    }
}

#[cfg(test)]
impl LaneSender {
    /// A second local lane with the same elements, for the model to go on from.
    pub(super) fn fork(&self) -> (LaneSender, LaneReceiver) {
        let Sender::Local { queue, elements_max } = &self.0 else { panic!("a local lane") };
        let (mut sender, receiver) = local_lane(*elements_max);
        queue.borrow().iter().for_each(|element| sender.push(element.clone()));
        (sender, receiver)
    }

    /// Shows what is in a local lane.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Element)) {
        let Sender::Local { queue, .. } = &self.0 else { panic!("a local lane") };
        queue.borrow().iter().for_each(visit);
    }
}

impl LaneReceiver {
    /// The oldest element.
    pub(super) fn pop(&mut self) -> Option<Element> {
        match &mut self.0 {
            Receiver::Local(queue) => queue.borrow_mut().pop_front(),
            Receiver::Mesh(ring) => ring.pop(),
        }
    }

    /// True when a pop would find nothing.
    pub(super) fn is_empty(&self) -> bool {
        match &self.0 {
            Receiver::Local(queue) => queue.borrow().is_empty(),
            Receiver::Mesh(ring) => ring.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Epoch;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_core_reaches_every_core_and_wakes_the_others() {
        let woken: Vec<Arc<Woken>> = (0..3).map(|_| Arc::default()).collect();
        let wakers: Vec<Arc<dyn Wake>> = woken.iter().map(|woken| woken.clone() as _).collect();
        let ports = EdgePorts::for_all_cores(4, &wakers);
        let (mut senders, mut receivers): (Vec<_>, Vec<_>) =
            ports.into_iter().map(EdgePorts::connect).unzip();
        for (from, lanes) in (0..).zip(&mut senders) {
            for (to, lane) in (0..).zip(lanes.iter_mut()) {
                assert_eq!((lane.elements_max(), lane.free_slots()), (4, 4));
                lane.push(Element::Barrier(Epoch::new(from * 10 + to)));
                assert_eq!(lane.free_slots(), 3);
            }
        }
        for (to, lanes) in (0..).zip(&mut receivers) {
            for (from, lane) in (0..).zip(lanes.iter_mut()) {
                let Some(Element::Barrier(epoch)) = lane.pop() else { panic!("one barrier") };
                assert_eq!(epoch, Epoch::new(from * 10 + to));
                assert!(lane.is_empty());
            }
        }
        let wakes: Vec<usize> = woken.iter().map(|woken| woken.0.load(Ordering::Relaxed)).collect();
        assert_eq!(wakes, [2, 2, 2]);
    }
}
