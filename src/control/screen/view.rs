//! What is shown: one of three views over the newest status, with messages below and keys at the
//! bottom.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::collections::VecDeque;

use super::theme::Theme;
use super::{cores, operators, overview, table, words};
use crate::control::status::Status;

/// Messages kept.
const MESSAGES_MAX: usize = 200;

/// Lines that messages take while the view needs more room than there is.
const MESSAGES_SHOWN_MIN: usize = 3;

/// A view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    Overview,
    Operators,
    Cores,
}

impl Page {
    const ALL: [(Page, char, &'static str); 3] = [
        (Page::Overview, '1', "overview"),
        (Page::Operators, '2', "operators"),
        (Page::Cores, '3', "cores"),
    ];

    fn neighbour(self, step: usize) -> Page {
        let place = Page::ALL.iter().position(|(page, ..)| *page == self).unwrap_or(0);
        Page::ALL[(place + step) % Page::ALL.len()].0
    }
}

/// What an event asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reaction {
    Nothing,
    Draw,
    /// The screen is left, the job goes on.
    Leave,
    /// As Ctrl-C elsewhere.
    Interrupt,
}

/// The screen's state.
#[derive(Debug)]
pub(super) struct View {
    pub(super) status: Option<Status>,
    theme: Theme,
    page: Page,
    /// Lines of the view that are above the screen.
    scrolled: usize,
    messages: VecDeque<String>,
}

impl View {
    pub(super) fn new(theme: Theme) -> View {
        let (page, messages) = (Page::Overview, VecDeque::new());
        View { status: None, theme, page, scrolled: 0, messages }
    }

    pub(super) fn message(&mut self, line: String) {
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(line);
    }

    pub(super) fn into_messages(self) -> Vec<String> {
        self.messages.into()
    }

    pub(super) fn on_event(&mut self, event: &Event) -> Reaction {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.on_key(key),
            Event::Resize(..) => Reaction::Draw,
            _ => Reaction::Nothing,
        }
    }

    fn on_key(&mut self, key: &KeyEvent) -> Reaction {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Reaction::Interrupt,
                KeyCode::Char('l') => Reaction::Draw,
                _ => Reaction::Nothing,
            };
        }
        let page = match key.code {
            KeyCode::Tab | KeyCode::Right => Some(self.page.neighbour(1)),
            KeyCode::BackTab | KeyCode::Left => Some(self.page.neighbour(Page::ALL.len() - 1)),
            KeyCode::Char(digit) => {
                Page::ALL.iter().find(|(_, own, _)| *own == digit).map(|(page, ..)| *page)
            }
            _ => None,
        };
        if let Some(page) = page {
            (self.page, self.scrolled) = (page, 0);
            return Reaction::Draw;
        }
        self.scrolled = match key.code {
            KeyCode::Char('q') => return Reaction::Leave,
            KeyCode::Down | KeyCode::Char('j') => self.scrolled.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scrolled.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scrolled.saturating_add(10),
            KeyCode::PageUp => self.scrolled.saturating_sub(10),
            KeyCode::Home => 0,
            _ => return Reaction::Nothing,
        };
        Reaction::Draw
    }

    /// Draws everything into whatever room there is.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let rows = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)];
        let [top, body, bottom] = Layout::vertical(rows).areas(frame.area());
        let width = usize::from(body.width);
        let lines = match &self.status {
            None => vec![Line::raw(""), Line::raw("the job is starting")],
            Some(status) => match self.page {
                Page::Overview => overview::lines(status, width, self.theme),
                Page::Operators => operators::lines(status, width, self.theme),
                Page::Cores => cores::lines(status, width, self.theme),
            },
        };
        frame.render_widget(Paragraph::new(self.heading(usize::from(top.width))), top);
        let is_cut = self.draw_body(frame, body, lines);
        frame.render_widget(Paragraph::new(self.keys(usize::from(bottom.width), is_cut)), bottom);
    }

    /// The view's lines, and messages in the room below them; true when lines are out of sight.
    fn draw_body(&mut self, frame: &mut Frame<'_>, body: Rect, lines: Vec<Line<'_>>) -> bool {
        let height = usize::from(body.height);
        let wanted = lines.len() + usize::from(!self.messages.is_empty());
        let messages = self.messages.len().min(if wanted + MESSAGES_SHOWN_MIN <= height {
            height - wanted
        } else {
            MESSAGES_SHOWN_MIN.min(height / 4)
        });
        let heading = usize::from(messages > 0);
        let shown = height - messages - heading;
        self.scrolled = self.scrolled.min(lines.len().saturating_sub(shown));
        let is_cut = lines.len() > shown;
        let shown_rows = u16::try_from(shown).unwrap_or(body.height);
        let [above, below] =
            Layout::vertical([Constraint::Length(shown_rows), Constraint::Fill(1)]).areas(body);
        let in_sight: Vec<Line<'_>> = lines.into_iter().skip(self.scrolled).take(shown).collect();
        frame.render_widget(Paragraph::new(in_sight), above);
        if messages > 0 {
            let newest = self.messages.iter().skip(self.messages.len() - messages);
            let width = usize::from(body.width);
            let newest = newest.map(|line| Line::raw(table::cut(line, width, self.theme)));
            let title = Line::styled("messages", self.theme.heading());
            let newest: Vec<Line<'_>> = std::iter::once(title).chain(newest).collect();
            frame.render_widget(Paragraph::new(newest), below);
        }
        is_cut
    }

    /// Which job, and how it is.
    fn heading(&self, width: usize) -> Line<'static> {
        let left = match &self.status {
            None => " pelton".to_owned(),
            Some(status) => {
                let state = match (status.stopping, status.ready) {
                    (true, _) => "stopping",
                    (false, true) => "running",
                    (false, false) => "starting",
                };
                let Status { job, run, .. } = status;
                format!(" {job}  {state} for {}  run {run}", words::seconds(status.uptime_seconds))
            }
        };
        let right = self.status.as_ref().map_or_else(String::new, |status| {
            let (memory, peak) = (status.memory_bytes, status.memory_peak_bytes);
            format!("memory {}, peak {} ", in_bytes(memory), in_bytes(peak))
        });
        let left = table::cut(&left, width, self.theme);
        let room = width.saturating_sub(Span::raw(&left).width());
        let right = if Span::raw(&right).width() + 1 > room { String::new() } else { right };
        let gap = " ".repeat(room - Span::raw(&right).width());
        Line::styled(format!("{left}{gap}{right}"), self.theme.bar())
    }

    /// What the keys do; the view that is shown is marked.
    fn keys(&self, width: usize, is_cut: bool) -> Line<'static> {
        let mut spans = Vec::new();
        for (page, digit, name) in Page::ALL {
            let style =
                if page == self.page { self.theme.bar() } else { ratatui::style::Style::new() };
            spans.push(Span::styled(format!(" {digit} {name} "), style));
        }
        let scroll = match (is_cut, self.theme.is_unicode) {
            (false, _) => "",
            (true, true) => "  ↑↓ more",
            (true, false) => "  j k more",
        };
        let emphasis = ratatui::style::Style::new().add_modifier(Modifier::BOLD);
        let rest = format!("  Tab next{scroll}  q leave  Ctrl-C stop the job");
        let used: usize = spans.iter().map(Span::width).sum();
        let rest = table::cut(&rest, width.saturating_sub(used), self.theme);
        spans.push(Span::styled(rest, emphasis));
        Line::from(spans)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn in_bytes(bytes: u64) -> String {
    words::bytes(bytes as f64)
}
