//! Tables: a heading and rows, the first column as wide as the others leave room for.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::theme::Theme;

/// The first column is not narrower than this, whatever is lost at the right edge.
const NAME_WIDTH_MIN: usize = 8;

/// Nor wider than this: its cells are to be read across.
const NAME_WIDTH_MAX: usize = 72;

/// Columns of one table.
pub(super) struct Table<'a> {
    theme: Theme,
    width: usize,
    /// Of the first column.
    name: &'a str,
    /// Of the others, with their widths.
    columns: &'a [(&'a str, usize)],
}

impl<'a> Table<'a> {
    pub(super) fn new(
        theme: Theme,
        width: usize,
        name: &'a str,
        columns: &'a [(&'a str, usize)],
    ) -> Table<'a> {
        Table { theme, width, name, columns }
    }

    /// Of the first column.
    pub(super) fn name_width(&self) -> usize {
        let others: usize = self.columns.iter().map(|(_, width)| width + 1).sum();
        self.width.saturating_sub(others).clamp(NAME_WIDTH_MIN, NAME_WIDTH_MAX)
    }

    /// The columns' names.
    pub(super) fn heading(&self) -> Line<'static> {
        let style = self.theme.heading();
        let cells = self.columns.iter().map(|(name, _)| Span::styled((*name).to_owned(), style));
        self.row(Span::styled(self.name.to_owned(), style), cells)
    }

    /// One row: a name at the left, then its cells at the right edges of their columns.
    pub(super) fn row(
        &self,
        name: Span<'static>,
        cells: impl IntoIterator<Item = Span<'static>>,
    ) -> Line<'static> {
        let name_width = self.name_width();
        let name = Span::styled(cut(&name.content, name_width, self.theme), name.style);
        let mut spans = vec![blanks(name_width.saturating_sub(name.width()))];
        spans.insert(0, name);
        for ((_, width), cell) in self.columns.iter().zip(cells) {
            let cell = Span::styled(cut(&cell.content, *width, self.theme), cell.style);
            spans.push(blanks(width + 1 - cell.width()));
            spans.push(cell);
        }
        Line::from(spans)
    }
}

/// `text` in so many columns of the terminal.
pub(super) fn cut(text: &str, width: usize, theme: Theme) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if Span::raw(&kept).width() >= width {
            kept.pop();
            break;
        }
    }
    if width == 0 { kept } else { kept + theme.cut() }
}

/// A cell in plain style.
pub(super) fn plain(text: impl Into<String>) -> Span<'static> {
    Span::styled(text.into(), Style::new())
}

fn blanks(count: usize) -> Span<'static> {
    Span::raw(" ".repeat(count))
}
