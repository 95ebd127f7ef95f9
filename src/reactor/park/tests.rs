//! Every interleaving of parking and waking, under a model checker of the memory model.

use loom::sync::Arc;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use super::{Flag, ParkState};

impl Flag for AtomicBool {
    fn clear_flag() -> AtomicBool {
        AtomicBool::new(false)
    }

    fn load(&self) -> bool {
        AtomicBool::load(self, Ordering::Relaxed)
    }

    fn store(&self, value: bool) {
        AtomicBool::store(self, value, Ordering::Relaxed);
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// The same without the fences: what the model must find fault with.
struct Unfenced(AtomicBool);

impl Flag for Unfenced {
    fn clear_flag() -> Unfenced {
        Unfenced(AtomicBool::new(false))
    }

    fn load(&self) -> bool {
        Flag::load(&self.0)
    }

    fn store(&self, value: bool) {
        Flag::store(&self.0, value);
    }

    fn fence() {}
}

/// An eventfd: rung before or while its reader waits, it ends the wait once.
struct Doorbell(Notify);

impl Doorbell {
    fn ring(&self) {
        self.0.notify();
    }

    fn wait(&self) {
        self.0.wait();
    }
}

/// A core with one mesh ring per sender: `tails[i]` is that ring's tail, published with Release and
/// read with Acquire, as a single-producer ring does.
struct Core<F> {
    state: ParkState<F>,
    doorbell: Doorbell,
    tails: Vec<AtomicUsize>,
}

impl<F: Flag> Core<F> {
    fn new(senders: usize) -> Core<F> {
        Core {
            state: ParkState::new(),
            doorbell: Doorbell(Notify::new()),
            tails: (0..senders).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// What `MeshSender::push` does.
    fn push(&self, sender: usize) {
        self.tails[sender].fetch_add(1, Ordering::Release);
        self.state.wake(|| self.doorbell.ring());
    }

    fn pushed(&self) -> usize {
        self.tails.iter().map(|tail| tail.load(Ordering::Acquire)).sum()
    }

    /// What the executor does, without the spinning: take; announce, look again, sleep.
    fn receive(&self, expected: usize) {
        let mut taken = self.pushed();
        while taken < expected {
            self.state.announce();
            let found = self.pushed();
            if found == taken {
                self.doorbell.wait();
            }
            self.state.retract();
            taken = self.pushed();
        }
    }
}

/// A lost wake-up is a receiver that waits for ever, which the checker reports as a deadlock.
fn check<F: Flag + Send + Sync + 'static>(senders: usize, pushes: usize, preemptions_max: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions_max);
    model.check(move || {
        let core = Arc::new(Core::<F>::new(senders));
        let threads: Vec<_> = (0..senders)
            .map(|sender| {
                let core = Arc::clone(&core);
                loom::thread::spawn(move || (0..pushes).for_each(|_| core.push(sender)))
            })
            .collect();
        core.receive(senders * pushes);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_sender_never_loses_a_wake_up() {
    check::<AtomicBool>(1, 2, 4);
}

#[test]
fn two_senders_never_lose_a_wake_up() {
    check::<AtomicBool>(2, 1, 3);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fences_a_wake_up_is_lost() {
    check::<Unfenced>(1, 1, 4);
}
