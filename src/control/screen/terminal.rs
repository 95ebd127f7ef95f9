//! Taking a terminal, and giving it back however the process ends.
//!
//! Whether it is taken is known to crossterm, process-wide, so that a panic hook and a thread that
//! ends the process can ask.

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    is_raw_mode_enabled,
};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use std::io::{self, BufWriter, Stderr, stderr};

/// The terminal of standard error, taken. Dropped, it is as it was.
#[derive(Debug)]
pub(super) struct OpenTerminal(Terminal<CrosstermBackend<BufWriter<Stderr>>>);

impl OpenTerminal {
    /// Takes it: a second screen, no cursor, every key.
    pub(super) fn open() -> io::Result<OpenTerminal> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        let taken = execute!(stderr(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::new(stderr()))));
        if taken.is_err() {
            restore();
        }
        taken.map(OpenTerminal)
    }

    /// Draws one picture; what has not changed is not written again.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(picture).map(drop)
    }
}

impl Drop for OpenTerminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it was taken. For whoever ends the process without a further word.
pub(in crate::control) fn restore() {
    if is_raw_mode_enabled().unwrap_or(false) {
        // A terminal that is gone needs nothing.
        let _ = execute!(stderr(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
