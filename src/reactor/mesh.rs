//! The mesh: bounded single-producer, single-consumer rings between cores, polled by their reader.

use std::fmt;
use std::sync::Arc;

/// Wakes a parked core. Implemented by `park`; a counter in models and tests.
pub trait Wake: Send + Sync {
    /// Called after every push. Cheap while the core is awake.
    fn wake(&self);
}

/// The sending end of one ring.
pub struct MeshSender<T> {
    ring: rtrb::Producer<T>,
    receiver: Arc<dyn Wake>,
}

/// The receiving end of one ring.
pub struct MeshReceiver<T> {
    ring: rtrb::Consumer<T>,
}

/// A ring of `capacity` slots towards the core that `receiver` wakes.
pub fn channel<T>(capacity: usize, receiver: Arc<dyn Wake>) -> (MeshSender<T>, MeshReceiver<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    (MeshSender { ring: producer, receiver }, MeshReceiver { ring: consumer })
}

impl<T> MeshSender<T> {
    /// Appends, or gives `value` back when the ring is full.
    ///
    /// # Errors
    /// The value, when there is no free slot.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        match self.ring.push(value) {
            Ok(()) => {
                self.receiver.wake();
                Ok(())
            }
            Err(rtrb::PushError::Full(value)) => Err(value),
        }
    }

    /// Free slots; at least this many pushes succeed.
    pub fn free_slots(&self) -> usize {
        self.ring.slots()
    }

    /// True when the receiving core has ended: what is pushed goes nowhere.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Slots in all.
    pub fn capacity(&self) -> usize {
        self.ring.buffer().capacity()
    }
}

impl<T> MeshReceiver<T> {
    /// The oldest value.
    pub fn pop(&mut self) -> Option<T> {
        self.ring.pop().ok()
    }

    /// The oldest value, left in place.
    pub fn peek(&self) -> Option<&T> {
        self.ring.peek().ok()
    }

    /// True when a pop would find nothing.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

impl<T> fmt::Debug for MeshSender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MeshSender({} free)", self.free_slots())
    }
}

impl<T> fmt::Debug for MeshReceiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MeshReceiver({} waiting)", self.ring.slots())
    }
}
