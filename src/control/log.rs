//! Log: what a running job says, for people or for programs.
//!
//! In:  events of threads that are no core (cores hand theirs over in their reports).
//! Out: lines on standard error, or messages on the live screen.
//!
//! Read: `line` (an event as a line) · `limit` (how many).
//!
//! Invariants
//! - Whoever says something never waits: lines go through a bounded queue to a thread of their own. What
//!   does not fit in it is counted and told.
//! - Notes are limited in number; what is left out is counted and told.
//! - An event is one line, whatever is in it.

mod limit;
mod line;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::{ErrorClass, JobError};
use crate::reactor::{Clock, SystemClock, sleep, spawn_thread};
use limit::RateLimit;
pub(super) use line::Topic;
use line::{Line, Said};

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Lines that wait to be written; more are lost.
const WAITING_MAX: usize = 1024;

/// How long the end may take to write what waits.
const END_TIME_MAX: Duration = Duration::from_secs(2);
const END_LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Events with another target are not the job's: libraries have theirs.
pub(super) const TARGET: &str = "pelton";

/// Something the user should know.
pub(super) fn note(text: &str) {
    tracing::info!(target: TARGET, topic = Topic::Note.name(), "{text}");
}

/// Something the user should do something about.
pub(super) fn warning(text: &str) {
    tracing::warn!(target: TARGET, topic = Topic::Warning.name(), "{text}");
}

/// How the job stands.
pub(super) fn state(text: &str) {
    tracing::info!(target: TARGET, topic = Topic::State.name(), "{text}");
}

/// What ended a command, as it is written at its end.
pub fn error_lines(error: &JobError, format: LogFormat) -> String {
    let line = |text: &String| {
        let said = Said { level: Level::ERROR, topic: Topic::Error, text, fields: None };
        Line { job: None, time_ms: SystemClock.wall_ms() }.of(&said, format)
    };
    error.lines.iter().map(line).collect()
}

/// The log of this process.
#[derive(Debug)]
pub(super) struct Log {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
    pub(super) format: LogFormat,
}

/// Takes a line; says false when nobody looks at the screen any more.
type ScreenLine = Box<dyn Fn(&str) -> bool + Send>;

/// What the log's thread is told.
enum Order {
    Write(String),
    /// Lines go there from now on, if they are taken.
    Screen(ScreenLine),
    /// And no longer.
    NoScreen,
    End,
}

impl Log {
    /// From now on events of `job` are written.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(format: LogFormat, job: &str) -> Result<Log, JobError> {
        let (orders, coming) = sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let collector = Collector {
            format,
            job: job.to_owned(),
            orders: orders.clone(),
            limit: RateLimit::default(),
            lost: Arc::clone(&lost),
        };
        let thread =
            spawn_thread("log", &[], move || write_all(&coming, &lost)).map_err(|error| {
                JobError::new(ErrorClass::Environment, format!("cannot start a thread: {error}"))
            })?;
        // A process has one job; where it had another before, as tests have, its lines are lost.
        let _ = tracing::dispatcher::set_global_default(tracing::Dispatch::new(collector));
        Ok(Log { orders, thread, format })
    }

    /// Lines are messages on a screen from now on, as long as it takes them.
    pub(super) fn show_on(&self, screen: impl Fn(&str) -> bool + Send + 'static) {
        let _ = self.orders.try_send(Order::Screen(Box::new(screen)));
    }

    /// The screen is gone; what was said on it is said again.
    pub(super) fn say_again(&self, messages: Vec<String>) {
        let _ = self.orders.try_send(Order::NoScreen);
        for mut message in messages {
            message.push('\n');
            let _ = self.orders.try_send(Order::Write(message));
        }
    }

    /// Writes what waits, if it is taken in time. Later events are written by whoever has them.
    pub(super) fn end(self) {
        let looks = END_TIME_MAX.as_micros() / END_LOOK_INTERVAL.as_micros();
        let mut is_told = false;
        for _ in 0..looks {
            is_told = is_told || self.orders.try_send(Order::End).is_ok();
            if self.thread.is_finished() {
                return;
            }
            sleep(END_LOOK_INTERVAL);
        }
    }
}

/// Takes events and hands lines on.
struct Collector {
    format: LogFormat,
    job: String,
    orders: SyncSender<Order>,
    limit: RateLimit,
    /// Lines that did not fit into the queue and have not been told of.
    lost: Arc<AtomicU64>,
}

impl Collector {
    fn put(&self, said: &Said<'_>) {
        let line = Line { job: Some(&self.job), time_ms: SystemClock.wall_ms() };
        match self.orders.try_send(Order::Write(line.of(said, self.format))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(Order::Write(late))) => write_line(&late),
            Err(TrySendError::Disconnected(_)) => unreachable!("a line was sent"),
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let said = line::Collected::of(event);
        if said.topic.is_limited() {
            match self.limit.admit(SystemClock.monotonic_ns()) {
                None => return,
                Some(0) => {}
                Some(left_out) => self.put(&Said {
                    level: Level::WARN,
                    topic: Topic::Warning,
                    text: &format!("{left_out} messages were left out: too many in a short time"),
                    fields: None,
                }),
            }
        }
        self.put(&said.said());
    }

    // There are no spans: a line says what it is about.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The log's thread.
fn write_all(coming: &Receiver<Order>, lost: &AtomicU64) {
    let mut screen: Option<ScreenLine> = None;
    while let Ok(order) = coming.recv() {
        match order {
            Order::Write(line) => {
                let shown = screen.as_ref().is_some_and(|screen| screen(line.trim_end()));
                if !shown {
                    write_line(&line);
                }
            }
            Order::Screen(new) => screen = Some(new),
            Order::NoScreen => screen = None,
            Order::End => return,
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => write_line(&format!(
                "warning: {lost} messages were lost: standard error does not keep up\n"
            )),
        }
    }
}

fn write_line(line: &str) {
    // A closed standard error is no reason to stop a job.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
