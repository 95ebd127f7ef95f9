//! English names of months, days and their parts.

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// From Monday.
pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];

/// How much of a name is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    Short,
    Full,
    Narrow,
}

impl Style {
    /// By the number of letters, from three on.
    pub(super) fn of(count: usize) -> Style {
        match count {
            ..=3 => Style::Short,
            4 => Style::Full,
            _ => Style::Narrow,
        }
    }

    /// The name of a month or day in this style.
    pub(super) fn name(self, full: &'static str) -> &'static str {
        match self {
            Style::Short => &full[..3],
            Style::Full => full,
            Style::Narrow => &full[..1],
        }
    }
}

/// The name `text` begins with, by its index, and what is behind it; the longest one counts.
pub(super) fn read_name<'a>(
    names: &[&'static str],
    style: Style,
    text: &'a str,
) -> Option<(usize, &'a str)> {
    names
        .iter()
        .map(|full| style.name(full))
        .enumerate()
        .filter_map(|(index, name)| text.strip_prefix(name).map(|rest| (index, rest)))
        .min_by_key(|(_, rest)| rest.len())
}

/// The same in any case and any style but the narrow.
pub(super) fn read_any_name<'a>(names: &[&'static str], text: &'a str) -> Option<(usize, &'a str)> {
    let behind = |name: &str| {
        let start = text.get(..name.len())?;
        start.eq_ignore_ascii_case(name).then(|| &text[name.len()..])
    };
    names
        .iter()
        .enumerate()
        .filter_map(|(index, full)| {
            behind(full).or_else(|| behind(&full[..3])).map(|rest| (index, rest))
        })
        .min_by_key(|(_, rest)| rest.len())
}
