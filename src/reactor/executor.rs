//! The executor: one pinned thread per core that turns the core's [`Task`], spins, sleeps and wakes.
//!
//! In:  a task per core, built on its core.
//! Out: turns; at the end, how each core ended.
//!
//! A round is: take completions, turn the task, yield to glommio. After `spin` without work the
//! core parks: it announces that it will sleep, does one more round, and waits for its doorbell,
//! which other cores, its own ring and its timer ring.
//!
//! Deliberately absent: what a task does, and what happens to the process when one panics (the
//! panic hook decides; here a panic ends one core and is reported by `join`).

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};

use super::core_io::CoreIo;
use super::park::Parker;
use super::probe::Obstacle;
use super::{Task, Turn, Wake, sys, topology};
use crate::stdx::CoreId;

/// Registered memory and depth of glommio's own rings: it carries one read of an eventfd.
const GLOMMIO_MEMORY_BYTES: usize = 64 * 1024;
const GLOMMIO_RING_DEPTH: usize = 16;

/// How long a core without work looks again and again before it sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spin {
    /// Never sleeps: the core's CPU is always busy.
    Always,
    /// Sleeps after so long without work.
    For(Duration),
}

/// How the cores run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReactorOptions {
    /// The CPU of each core; one may serve several.
    pub cpus: Vec<usize>,
    /// Before a core sleeps.
    pub spin: Spin,
}

/// Builds a core's task, on that core.
pub type TaskFactory = Box<dyn FnOnce(CoreId) -> Box<dyn Task> + Send>;

/// Cores that can already be woken, so that channels between them can be made, but do not run yet.
pub struct Cores {
    options: ReactorOptions,
    parkers: Vec<Arc<Parker>>,
}

/// Cores that run.
pub struct RunningCores {
    threads: Vec<ExecutorJoinHandle<Result<(), CoreFailure>>>,
}

/// Why a core ended before its task was finished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CoreFailure {
    /// The task, or the reactor itself, panicked with this message.
    Panicked(String),
    /// The ring failed: what the kernel said.
    Ring(String),
    /// Another core could not be started.
    NotStarted,
}

impl Cores {
    /// Cores with these options, one for each CPU named.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn prepare(options: ReactorOptions) -> Result<Cores, Obstacle> {
        assert!(!options.cpus.is_empty(), "the configuration names at least one core");
        let parkers = options.cpus.iter().map(|_| Parker::new()).collect::<io::Result<Vec<_>>>();
        let parkers = parkers.map_err(|error| Obstacle {
            what: "cannot create an eventfd per core".into(),
            why: error.to_string(),
            remedy: "raise the limit of open files (ulimit -n)".into(),
        })?;
        Ok(Cores { options, parkers })
    }

    /// What wakes each core, in core order; for mesh channels, and for threads that are no core.
    pub fn wakers(&self) -> Vec<Arc<dyn Wake>> {
        self.parkers.iter().map(|parker| Arc::clone(parker) as Arc<dyn Wake>).collect()
    }

    /// Starts every core; returns once all of them run, or none does.
    ///
    /// # Errors
    /// When some core gets no thread or no ring.
    pub fn start(self, factories: Vec<TaskFactory>) -> Result<RunningCores, Obstacle> {
        assert_eq!(factories.len(), self.parkers.len(), "one task per core");
        let allowed = topology::allowed_cpus().unwrap_or_default();
        let helper_cpus = topology::helper_cpus(&allowed, &self.options.cpus);
        let (ready, readiness) = mpsc::channel();
        let mut threads = Vec::new();
        let mut starters = Vec::new();
        for (index, (factory, parker)) in factories.into_iter().zip(self.parkers).enumerate() {
            let (go, gone) = mpsc::channel();
            let seat = Seat {
                core: CoreId::new(u16::try_from(index).expect("CORES_MAX is checked before")),
                parker,
                spin: self.options.spin,
                helper_cpus: helper_cpus.clone(),
            };
            threads.push(spawn(self.options.cpus[index], seat, factory, ready.clone(), gone)?);
            starters.push(go);
        }
        drop(ready);
        for _ in 0..threads.len() {
            // Dropping `starters` tells those that are ready to give up.
            let Ok(reported) = readiness.recv() else {
                drop(starters);
                return Err(glommio_failed(threads));
            };
            reported?;
        }
        for go in starters {
            // A core that is gone again already has a reason, which `join` tells.
            let _ = go.send(());
        }
        Ok(RunningCores { threads })
    }
}

impl RunningCores {
    /// Waits for every core to end; how each did, in core order.
    pub fn join(self) -> Vec<Result<(), CoreFailure>> {
        self.threads.into_iter().map(join_one).collect()
    }
}

/// What a core needs besides its task.
struct Seat {
    core: CoreId,
    parker: Arc<Parker>,
    spin: Spin,
    helper_cpus: Vec<usize>,
}

fn spawn(
    cpu: usize,
    seat: Seat,
    factory: TaskFactory,
    ready: mpsc::Sender<Result<(), Obstacle>>,
    go: mpsc::Receiver<()>,
) -> Result<ExecutorJoinHandle<Result<(), CoreFailure>>, Obstacle> {
    LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name(&format!("core-{}", seat.core))
        .io_memory(GLOMMIO_MEMORY_BYTES)
        .ring_depth(GLOMMIO_RING_DEPTH)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .spawn(move || async move {
            let io = match CoreIo::new(seat.parker.doorbell(), &seat.helper_cpus) {
                Ok(io) => io,
                Err(error) => {
                    // The starter is waiting for this.
                    let _ = ready.send(Err(Obstacle::ring(&error)));
                    return Err(CoreFailure::NotStarted);
                }
            };
            let doorbell = seat.parker.doorbell().try_clone_to_owned();
            let doorbell = doorbell.map_err(|error| CoreFailure::Ring(error.to_string()))?;
            // The starter is waiting for this.
            let _ = ready.send(Ok(()));
            drop(ready);
            if go.recv().is_err() {
                return Err(CoreFailure::NotStarted);
            }
            let task = guarded(|| factory(seat.core))?;
            let doorbell = sys::glommio_file(doorbell);
            Core { io, task, parker: seat.parker, spin: seat.spin, doorbell }.run().await
        })
        .map_err(|error| Obstacle {
            what: format!("cannot start a thread on CPU {cpu}"),
            why: error.to_string(),
            remedy: "name CPUs that are online and allowed in `reactor.cores`".into(),
        })
}

/// What a round found.
enum Round {
    Worked,
    Idle { wakes_at_ns: Option<u64> },
    Finished,
}

/// A running core.
struct Core {
    // Before `io`: a task may hold buffers of the ring.
    task: Box<dyn Task>,
    io: CoreIo,
    parker: Arc<Parker>,
    spin: Spin,
    doorbell: glommio::io::BufferedFile,
}

impl Core {
    async fn run(mut self) -> Result<(), CoreFailure> {
        let mut idle_since_ns = None;
        loop {
            let round = match (self.spin, idle_since_ns) {
                (Spin::For(spin), Some(since_ns)) if self.has_idled(since_ns, spin) => {
                    idle_since_ns = None;
                    self.park().await?
                }
                _ => self.round()?,
            };
            match round {
                Round::Worked => idle_since_ns = None,
                Round::Idle { .. } if idle_since_ns.is_none() => {
                    idle_since_ns = Some(self.now_ns())
                }
                Round::Idle { .. } => {}
                Round::Finished => return self.end(),
            }
            glommio::executor().yield_now().await;
        }
    }

    fn now_ns(&self) -> u64 {
        super::Io::clock(&self.io).monotonic_ns()
    }

    fn has_idled(&self, since_ns: u64, spin: Duration) -> bool {
        u128::from(self.now_ns() - since_ns) >= spin.as_nanos()
    }

    /// Takes completions and turns the task once.
    fn round(&mut self) -> Result<Round, CoreFailure> {
        guarded(|| {
            let found = self.io.poll().map_err(|error| CoreFailure::Ring(error.to_string()))?;
            Ok(match self.task.turn(&mut self.io) {
                Turn::Busy => Round::Worked,
                Turn::Idle { .. } if found => Round::Worked,
                Turn::Idle { wakes_at_ns } => Round::Idle { wakes_at_ns },
                Turn::Finished => Round::Finished,
            })
        })?
    }

    /// Sleeps until there may be work; or finds some when it looks again, and returns that round.
    async fn park(&mut self) -> Result<Round, CoreFailure> {
        self.parker.announce();
        self.io.arm_doorbell(true);
        let round = self.round();
        if let Ok(Round::Idle { wakes_at_ns }) = round
            && self.may_sleep(wakes_at_ns)?
        {
            let parked_ns = self.now_ns();
            let rung = self.doorbell.read_at(0, size_of::<u64>()).await;
            rung.map_err(|error| CoreFailure::Ring(error.to_string()))?;
            self.io.note_parked(self.now_ns().saturating_sub(parked_ns));
        }
        self.io.arm_doorbell(false);
        self.parker.retract();
        round
    }

    /// The last look: submits what the round began, and the timer.
    fn may_sleep(&mut self, wakes_at_ns: Option<u64>) -> Result<bool, CoreFailure> {
        if wakes_at_ns.is_some_and(|at_ns| at_ns <= self.now_ns()) {
            return Ok(false);
        }
        self.io.set_timer(wakes_at_ns);
        let found = self.io.poll().map_err(|error| CoreFailure::Ring(error.to_string()))?;
        Ok(!found && !self.io.has_work())
    }

    /// The task is complete: what it sent last is submitted.
    fn end(mut self) -> Result<(), CoreFailure> {
        let polled = self.io.poll().map_err(|error| CoreFailure::Ring(error.to_string()));
        polled.map(drop)
    }
}

/// A panic becomes a failure; the panic hook has run by then.
fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, CoreFailure> {
    catch_unwind(AssertUnwindSafe(body))
        .map_err(|panic| CoreFailure::Panicked(panic_message(panic.as_ref())))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

fn join_one(thread: ExecutorJoinHandle<Result<(), CoreFailure>>) -> Result<(), CoreFailure> {
    match thread.join() {
        Ok(ended) => ended,
        Err(error) => Err(CoreFailure::Panicked(error.to_string())),
    }
}

/// A thread ended before it could say that it was ready: glommio itself did not start.
fn glommio_failed(threads: Vec<ExecutorJoinHandle<Result<(), CoreFailure>>>) -> Obstacle {
    let reasons = threads.into_iter().filter_map(|thread| thread.join().err());
    Obstacle {
        what: "cannot start the cores".into(),
        why: reasons.map(|error| error.to_string()).next().unwrap_or_else(|| "no reason".into()),
        remedy: "see `pelton doctor`".into(),
    }
}

impl fmt::Display for CoreFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoreFailure::Panicked(message) => write!(formatter, "panicked: {message}"),
            CoreFailure::Ring(message) => write!(formatter, "io_uring failed: {message}"),
            CoreFailure::NotStarted => formatter.write_str("not started"),
        }
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cores({:?})", self.options)
    }
}

impl fmt::Debug for RunningCores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RunningCores({})", self.threads.len())
    }
}

#[cfg(test)]
mod tests;
