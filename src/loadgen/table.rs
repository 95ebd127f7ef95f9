//! Table: rows of text with columns that line up.

/// Cells by row; the first row is the heading. The first column is aligned left, the others right.
#[derive(Clone, Default, Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Table {
        Table { rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    /// Adds a row, of as many cells as the heading or fewer.
    pub(super) fn add(&mut self, row: Vec<String>) {
        assert!(row.len() <= self.rows[0].len());
        self.rows.push(row);
    }

    /// All rows, each with a line end.
    pub(super) fn render(&self) -> String {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(widest).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                match column {
                    0 => line += &format!("{cell:<width$}"),
                    _ => line += &format!("  {cell:>width$}"),
                }
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// A number with so many digits behind the point, fewer the larger it is.
pub(super) fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1_000.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// Bytes as MiB.
pub(super) fn mebibytes(bytes: u64) -> String {
    figure(bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "p50", "max"]);
        table.add(vec!["relay".into(), "10.1".into(), "7".into()]);
        table.add(vec!["µ".into(), "1".into()]);
        assert_eq!(table.render(), "what    p50  max\nrelay  10.1    7\nµ         1\n");
    }

    #[test]
    fn figures_have_three_digits_or_so() {
        let shown = [0.0, 1.234, 12.345, 123.45, 1234.5, -1234.5].map(figure);
        assert_eq!(shown, ["0.00", "1.23", "12.3", "123.5", "1234", "-1234"]);
        assert_eq!(mebibytes(3 << 19), "1.50");
    }
}
