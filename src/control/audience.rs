//! Audience: who is told how a running job stands without having asked. The user, on a screen or in
//! lines, and the service manager.

use super::live::Live;
use super::log::{self, Log, LogFormat};
use super::notify::Notifier;
use super::progress::Progress;
use super::screen::Screen;
use super::totals::Totals;

/// See the module.
pub(super) struct Audience<'a> {
    log: &'a Log,
    progress: Progress,
    /// The CPUs of the cores, until a screen that is wanted has been opened.
    unopened: Option<Vec<usize>>,
    screen: Option<Screen>,
    notifier: Notifier,
    /// It is known that the job is stopping.
    told_stopping: bool,
}

impl<'a> Audience<'a> {
    /// With a screen where one is `wanted`, and people read the log.
    pub(super) fn gather(log: &'a Log, core_cpus: &[usize], wanted: bool) -> Audience<'a> {
        let is_shown = wanted && log.format == LogFormat::Text;
        Audience {
            log,
            progress: Progress::default(),
            unopened: is_shown.then(|| core_cpus.to_vec()),
            screen: None,
            notifier: Notifier::of_environment(),
            told_stopping: false,
        }
    }

    /// When `often` is next needed: monotonic ns.
    pub(super) fn due_ns(&self) -> u64 {
        self.notifier.due_ns()
    }

    /// After every report: that the job is ready, that it lives, that it was told to stop.
    pub(super) fn often(&mut self, live: &Live, now_ns: u64, stopping: bool) {
        self.stopping(stopping);
        if live.is_ready() {
            self.notifier.ready();
        }
        self.notifier.watchdog(now_ns, live.silent_core().is_none());
    }

    /// Once a second: what went in and out. `times` are seconds since the start, and since the last
    /// time.
    pub(super) fn regularly(
        &mut self,
        live: &Live,
        totals: &Totals,
        (elapsed, interval): (f64, f64),
        stopping: bool,
    ) {
        // Not before: a job that ends at once does not flicker.
        if let Some(core_cpus) = self.unopened.take() {
            self.screen = open_screen(self.log, &core_cpus);
        }
        if let Some(line) = self.progress.next(totals, elapsed, interval) {
            self.notifier.status(&line.text);
            if self.screen.is_none() {
                line.tell();
            }
        }
        let gone = self.screen.as_ref().is_some_and(|screen| !screen.show(live.status(stopping)));
        if gone {
            self.leave_screen();
        }
    }

    /// The job has ended, in one way or another.
    pub(super) fn end(&mut self, stopping: bool) {
        self.stopping(stopping);
        self.notifier.stopping();
        self.leave_screen();
    }

    /// Said once.
    fn stopping(&mut self, stopping: bool) {
        if stopping && !self.told_stopping {
            self.told_stopping = true;
            self.notifier.stopping();
            log::state("stopping: reading has ended, what is in flight is being finished");
        }
    }

    /// What was said on the screen is said again: it goes with its picture.
    fn leave_screen(&mut self) {
        if let Some(screen) = self.screen.take() {
            self.log.say_again(screen.close());
        }
    }
}

/// A job runs without it all the same.
fn open_screen(log: &Log, core_cpus: &[usize]) -> Option<Screen> {
    match Screen::open(core_cpus) {
        Ok(screen) => {
            log.show_on(screen.messenger());
            Some(screen)
        }
        Err(error) => {
            log::note(&format!("no live screen on this terminal: {error}"));
            None
        }
    }
}
