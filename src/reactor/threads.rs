//! Threads that are no core: housekeeping and helpers, kept off the cores' CPUs.

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle, Thread};
use std::time::Duration;

use super::{Wake, sys, topology};

/// Starts a thread. It runs on the allowed CPUs that are not in `core_cpus`, or anywhere when
/// every CPU has a core.
///
/// # Errors
/// The operating system's, when there can be no more threads.
pub fn spawn_thread<T: Send + 'static>(
    name: &str,
    core_cpus: &[usize],
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let helper_cpus = topology::helper_cpus(&topology::allowed_cpus()?, core_cpus);
    Builder::new().name(name.into()).spawn(move || {
        hold_to(&helper_cpus);
        body()
    })
}

/// Starts a thread that runs on `cpu` alone; for a loop that polls and is no core. It ends with an
/// error, `body` unrun, when it may not run there.
///
/// # Errors
/// The operating system's, when there can be no more threads.
pub fn spawn_pinned<T: Send + 'static>(
    name: &str,
    cpu: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<io::Result<T>>> {
    Builder::new().name(name.into()).spawn(move || sys::set_affinity(&[cpu]).map(|()| body()))
}

/// Moves the calling thread off the cores' CPUs, if there are others. A thread it starts afterwards
/// begins there too.
///
/// # Errors
/// When the operating system does not tell which CPUs are allowed.
pub fn leave_core_cpus(core_cpus: &[usize]) -> io::Result<()> {
    hold_to(&topology::helper_cpus(&topology::allowed_cpus()?, core_cpus));
    Ok(())
}

fn hold_to(helper_cpus: &[usize]) {
    if !helper_cpus.is_empty() {
        // Where it fails the thread shares a core's CPU, which is slower and not wrong.
        let _ = sys::set_affinity(helper_cpus);
    }
}

/// Wakes a thread that is no core.
#[derive(Default)]
pub struct ThreadBell {
    thread: OnceLock<Thread>,
}

impl ThreadBell {
    /// The calling thread is the one that is woken, from now on.
    pub fn attach(&self) {
        self.thread.get_or_init(std::thread::current);
    }

    /// Blocks the thread that was attached until it is woken, or was since the last wait, or for so
    /// long.
    pub fn wait(&self, at_most: Duration) {
        std::thread::park_timeout(at_most);
    }
}

impl Wake for ThreadBell {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Blocks the calling thread; for threads that are no core.
#[expect(clippy::disallowed_methods, reason = "the one place threads may wait in")]
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_pinned_thread_runs_on_its_cpu() {
        let last = *topology::allowed_cpus().unwrap().last().unwrap();
        let ran_on = spawn_pinned("poller", last, || topology::allowed_cpus().unwrap());
        assert_eq!(ran_on.unwrap().join().unwrap().unwrap(), [last]);
        let nowhere = spawn_pinned("poller", 100_000, || ());
        assert!(nowhere.unwrap().join().unwrap().is_err());
    }

    #[test]
    fn a_thread_is_woken() {
        let bell = Arc::new(ThreadBell::default());
        let (attached, is_attached) = std::sync::mpsc::channel();
        let waiting = Arc::clone(&bell);
        let thread = spawn_thread("waits", &[], move || {
            waiting.attach();
            attached.send(()).unwrap();
            waiting.wait(Duration::from_secs(600));
        });
        is_attached.recv().unwrap();
        bell.wake();
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_helper_runs_beside_the_cores() {
        let allowed = topology::allowed_cpus().unwrap();
        let (cores, helpers) = allowed.split_at(allowed.len() - 1);
        let ran_on = spawn_thread("helper", cores, || topology::allowed_cpus().unwrap());
        assert_eq!(ran_on.unwrap().join().unwrap(), helpers);
        let anywhere = spawn_thread("helper", &allowed, || topology::allowed_cpus().unwrap());
        assert_eq!(anywhere.unwrap().join().unwrap(), allowed);
    }
}
