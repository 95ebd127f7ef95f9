//! The live screen of `run` on a terminal: how the job stands, once a second, in views that keys choose.
//!
//! In:  a [`Status`] now and then, messages for the user, keys.
//! Out: a full-screen picture on standard error, which is put back as it was at the end, on a panic
//!      and on signals.
//!
//! Read: `terminal` (taking it and giving it back) · `view` (state, keys, the frame) · `overview`,
//! `operators`, `cores` (what is in it) · `table`, `words`, `theme`.
//!
//! Invariants
//! - Only the screen's own thread writes to the terminal while the screen is there. Whoever has
//!   something to show never waits for it: a terminal that takes nothing costs it old pictures.
//! - Leaving the screen leaves the job alone. Messages shown meanwhile are said again afterwards.

mod cores;
mod operators;
mod overview;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod view;
mod words;

pub(super) use terminal::restore;

use crossterm::event;
use signal_hook::consts::SIGINT;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::status::Status;
use crate::reactor::{is_in_foreground, spawn_thread};
use terminal::OpenTerminal;
use theme::Theme;
use view::{Reaction, View};

/// Pictures and messages that wait for the screen's thread; more are dropped.
const WAITING_MAX: usize = 64;

/// How long a picture may wait behind the wait for a key.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How many tenths of that a terminal may take to be given back.
const CLOSE_LOOKS: u32 = 200;

/// What the screen is given.
enum News {
    Status(Box<Status>),
    Message(String),
    Close,
}

/// A screen that is shown.
#[derive(Debug)]
pub(super) struct Screen {
    news: SyncSender<News>,
    /// Ends with the messages it had.
    thread: JoinHandle<Vec<String>>,
}

/// True when standard error is a terminal that this process may draw on. `prints` says that the
/// job's rows go to standard output: on the same terminal they would tear the picture.
pub(super) fn is_possible(prints: bool) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stderr().is_terminal()
        && io::stdin().is_terminal()
        && !is_dumb
        && !(prints && io::stdout().is_terminal())
        && is_in_foreground(&io::stderr())
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// The terminal's, or when there can be no thread.
    pub(super) fn open(core_cpus: &[usize]) -> io::Result<Screen> {
        let terminal = OpenTerminal::open()?;
        let view = View::new(Theme::of_environment());
        let (news, coming) = sync_channel(WAITING_MAX);
        let thread = spawn_thread("screen", core_cpus, move || show(terminal, view, &coming))?;
        Ok(Screen { news, thread })
    }

    /// A new picture. False when nobody looks at the screen any more.
    pub(super) fn show(&self, status: Status) -> bool {
        let picture = News::Status(Box::new(status));
        !matches!(self.news.try_send(picture), Err(TrySendError::Disconnected(_)))
    }

    /// Takes lines for the user; says false when nobody looks at the screen any more.
    pub(super) fn messenger(&self) -> impl Fn(&str) -> bool + Send + use<> {
        let news = self.news.clone();
        move |line: &str| {
            let message = News::Message(line.to_owned());
            !matches!(news.try_send(message), Err(TrySendError::Disconnected(_)))
        }
    }

    /// Gives the terminal back; the messages that were shown on it.
    pub(super) fn close(self) -> Vec<String> {
        // One that has left already is not told.
        let _ = self.news.try_send(News::Close);
        for _ in 0..CLOSE_LOOKS {
            if self.thread.is_finished() {
                return self.thread.join().unwrap_or_default();
            }
            crate::reactor::sleep(LOOK_INTERVAL / 10);
        }
        // The terminal takes nothing: neither a picture nor what would be said.
        Vec::new()
    }
}

/// Until the user leaves, the job ends, or the terminal fails: it is gone, and the job goes on.
fn show(mut terminal: OpenTerminal, mut view: View, coming: &Receiver<News>) -> Vec<String> {
    while let Ok(true) = keep_up(&mut terminal, &mut view, coming) {}
    view.into_messages()
}

/// Waits for a key or for some time, then draws what is new; false when it is over.
fn keep_up(
    terminal: &mut OpenTerminal,
    view: &mut View,
    coming: &Receiver<News>,
) -> io::Result<bool> {
    let mut is_new = false;
    if event::poll(LOOK_INTERVAL)? {
        match view.on_event(&event::read()?) {
            Reaction::Nothing => {}
            Reaction::Draw => is_new = true,
            Reaction::Leave => return Ok(false),
            // As the terminal itself would do, if it did not hand every key over.
            Reaction::Interrupt => signal_hook::low_level::raise(SIGINT)?,
        }
    }
    loop {
        match coming.try_recv() {
            Ok(News::Status(status)) => view.status = Some(*status),
            Ok(News::Message(line)) => view.message(line),
            Ok(News::Close) | Err(TryRecvError::Disconnected) => return Ok(false),
            Err(TryRecvError::Empty) => break,
        }
        is_new = true;
    }
    if is_new {
        terminal.draw(|frame| view.draw(frame))?;
    }
    Ok(true)
}
