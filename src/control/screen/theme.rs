//! How things look: emphasis by weight and by signs first, colour second, so that nothing is told by
//! colour alone. Blue-green and yellow are told apart by nearly everybody.

use ratatui::style::{Color, Modifier, Style};

/// Colours and signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Theme {
    pub(super) is_coloured: bool,
    /// Signs beyond ASCII.
    pub(super) is_unicode: bool,
}

impl Theme {
    /// As `NO_COLOR` and the locale say.
    pub(super) fn of_environment() -> Theme {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // The first that is set counts.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(|name| is_set(name));
        let locale = locale.and_then(std::env::var_os).unwrap_or_default();
        let locale = locale.to_string_lossy().to_uppercase();
        Theme {
            is_coloured: !is_set("NO_COLOR"),
            is_unicode: locale.contains("UTF-8") || locale.contains("UTF8"),
        }
    }

    /// Names and headings.
    pub(super) fn heading(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What somebody should look at; it also has a sign.
    pub(super) fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// The line at the top, and the view that is shown.
    pub(super) fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A warning's style when `is_wrong`, else none.
    pub(super) fn warning_if(self, is_wrong: bool) -> Style {
        if is_wrong { self.warning() } else { Style::new() }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }

    /// For a part of a bar: work, waiting asleep, looking for work.
    pub(super) fn signs(self) -> [char; 3] {
        if self.is_unicode { ['█', '·', '░'] } else { ['#', '.', '-'] }
    }

    /// In place of what is left out of a text.
    pub(super) fn cut(self) -> &'static str {
        if self.is_unicode { "…" } else { "~" }
    }
}
