//! The third view: what each core's time goes into, and how full its queues are.

use ratatui::text::Line;

use super::table::{Table, plain};
use super::theme::Theme;
use super::words;
use crate::control::status::{CoreState, Status};

const COLUMNS: &[(&str, usize)] =
    &[("busy", 6), ("idle", 6), ("parked", 6), ("queues", 6), ("turns", 8), ("seen", 7)];

/// Of a line, what is before the bar: `core 12 on CPU 12`.
const NAME_WIDTH: usize = 18;

pub(super) fn lines(status: &Status, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let [work, asleep, looking] = theme.signs();
    let mut lines = vec![
        Line::raw(format!("{work} working   {looking} looking for work   {asleep} asleep")),
        Line::raw(""),
    ];
    lines.extend(table(status, width, theme, status.cores.len()));
    lines
}

/// The first cores, and how many more there are.
pub(super) fn summary(
    status: &Status,
    width: usize,
    theme: Theme,
    cores_max: usize,
) -> Vec<Line<'static>> {
    let mut lines = table(status, width, theme, cores_max);
    if let Some(more) = status.cores.len().checked_sub(cores_max).filter(|more| *more > 0) {
        let busiest = status.cores.iter().map(|core| core.busy_share).fold(0.0, f64::max);
        let busiest = words::share(busiest);
        lines.push(Line::raw(format!("and {more} more; the busiest of all works {busiest}")));
    }
    lines
}

/// The busiest first where not all are shown.
fn table(status: &Status, width: usize, theme: Theme, cores_max: usize) -> Vec<Line<'static>> {
    let table = Table::new(theme, width, "core", COLUMNS);
    let room = table.name_width().saturating_sub(NAME_WIDTH + 1);
    let mut cores: Vec<&CoreState> = status.cores.iter().collect();
    if cores.len() > cores_max {
        cores.sort_by(|one, other| other.busy_share.total_cmp(&one.busy_share));
        cores.truncate(cores_max);
    }
    let mut lines = vec![table.heading()];
    lines.extend(cores.into_iter().map(|core| row(&table, core, room, theme)));
    lines
}

fn row(table: &Table<'_>, core: &CoreState, room: usize, theme: Theme) -> Line<'static> {
    let idle = (1.0 - core.busy_share - core.parked_share).max(0.0);
    let name = format!("core {} on CPU {}", core.core, core.cpu);
    let name = format!("{name:NAME_WIDTH$}{}", bar(core, room, theme));
    table.row(
        plain(name),
        [
            plain(words::share(core.busy_share)),
            plain(words::share(idle)),
            plain(words::share(core.parked_share)),
            plain(words::share(core.queue_fill)),
            plain(words::count(core.turns)),
            plain(words::seconds(core.reported_seconds_ago)),
        ],
    )
}

/// A core's time in `room` signs.
fn bar(core: &CoreState, room: usize, theme: Theme) -> String {
    let [work, asleep, looking] = theme.signs();
    let working = signs(core.busy_share, room);
    let sleeping = signs(core.parked_share, room).min(room - working);
    let part = |sign: char, count: usize| std::iter::repeat_n(sign, count);
    let rest = room - working - sleeping;
    part(work, working).chain(part(looking, rest)).chain(part(asleep, sleeping)).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of a terminal's width"
)]
fn signs(share: f64, room: usize) -> usize {
    ((share.clamp(0.0, 1.0) * room as f64).round() as usize).min(room)
}
