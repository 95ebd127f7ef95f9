//! The second view: every operator and exchange, its time, its state, and who waits for whom.

use ratatui::text::{Line, Span};

use super::table::{Table, cut, plain};
use super::theme::Theme;
use super::words;
use crate::control::explain::bottleneck;
use crate::control::status::{OperatorState, Status};
use crate::control::why::HOT_GROUP_SHARE;

const OPERATORS: &[(&str, usize)] =
    &[("rows/s", 8), ("in", 8), ("out", 8), ("busy", 6), ("keys", 8), ("state", 9)];

const EXCHANGES: &[(&str, usize)] = &[("rows", 8), ("busy", 6), ("queued", 8), ("of", 8)];

/// A stage that waits for so much of its time is worth a sign.
const WAITING_SHARE: f64 = 0.1;

pub(super) fn lines(status: &Status, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::from(vec![
            Span::styled("bottleneck: ", theme.heading()),
            plain(cut(&bottleneck(status), width.saturating_sub(12), theme)),
        ]),
        Line::raw(""),
    ];
    let table = Table::new(theme, width, "operator", OPERATORS);
    lines.push(table.heading());
    for operator in &status.operators {
        lines.push(row(&table, operator));
        if let Some(rest) = rest(operator, theme) {
            lines.push(rest);
        }
    }
    if !status.exchanges.is_empty() {
        lines.push(Line::raw(""));
        let exchanges = Table::new(theme, width, "exchange", EXCHANGES);
        lines.push(exchanges.heading());
        for exchange in &status.exchanges {
            lines.push(exchanges.row(
                plain(exchange.exchange.to_string()),
                [
                    plain(words::count(exchange.rows)),
                    plain(words::share(exchange.busy_share)),
                    plain(words::count(exchange.queued_elements)),
                    plain(words::count(exchange.queued_elements_max)),
                ],
            ));
            if let Some(group) = exchange.hottest_key_group {
                let share = exchange.hottest_key_group_share;
                let is_hot = share >= HOT_GROUP_SHARE;
                let mark = if is_hot { "!" } else { "" };
                let text = format!("  {mark}key group {group} has {} of it", words::share(share));
                lines.push(Line::styled(text, theme.warning_if(is_hot)));
            }
        }
    }
    lines.extend(waiting(status, width, theme));
    lines
}

fn row(table: &Table<'_>, operator: &OperatorState) -> Line<'static> {
    let state = match operator.state_bytes {
        0 => ["", ""].map(plain),
        bytes => [plain(words::count(operator.state_entries)), plain(in_bytes(bytes))],
    };
    let counts = [
        plain(words::rate(operator.rows_per_second)),
        plain(words::count(operator.rows_in)),
        plain(words::count(operator.rows_out)),
        plain(words::share(operator.busy_share)),
    ];
    table.row(plain(operator.operator.clone()), counts.into_iter().chain(state))
}

/// What became of rows that did not go on, where its watermark is, how uneven its cores are.
fn rest(operator: &OperatorState, theme: Theme) -> Option<Line<'static>> {
    let mut spans = Vec::new();
    let mut add = |text: String, is_wrong: bool| {
        let mark = if is_wrong { "!" } else { "" };
        spans.push(Span::styled(format!("  {mark}{text}"), theme.warning_if(is_wrong)));
    };
    for (name, count, is_wrong) in [
        ("filtered", operator.filtered, false),
        ("late", operator.late, true),
        ("rejected", operator.rejected, true),
        ("held", operator.held, false),
    ] {
        if count > 0 {
            add(format!("{name} {}", words::count(count)), is_wrong);
        }
    }
    if let Some(watermark) = &operator.watermark {
        add(format!("watermark {watermark}"), false);
    }
    if operator.turn_us.rows > 0 {
        add(format!("p99 {} of a turn", words::micros(operator.turn_us.p99)), false);
    }
    if operator.busy_share_by_core.len() > 1 && operator.busy_share >= 0.01 {
        let shares = operator.busy_share_by_core.iter().map(|share| words::share(*share));
        add(format!("by core {}", shares.collect::<Vec<_>>().join(" ")), false);
    }
    (!spans.is_empty()).then(|| Line::from(spans))
}

/// Stages that wait for somebody, the longest first.
fn waiting(status: &Status, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut blocked: Vec<_> =
        status.blocked.iter().filter(|it| it.share >= WAITING_SHARE).collect();
    blocked.sort_by(|one, other| other.share.total_cmp(&one.share));
    let line = |(index, it): (usize, &crate::control::status::BlockedState)| {
        let mark = if index == 0 { "waits: " } else { "       " };
        let share = words::share(it.share);
        let text = format!("!{} on core {}, {share} of its time, for {}", it.stage, it.core, it.by);
        Line::from(vec![
            Span::styled(mark, theme.heading()),
            Span::styled(cut(&text, width.saturating_sub(mark.len()), theme), theme.warning()),
        ])
    };
    let lines: Vec<Line<'static>> = blocked.into_iter().enumerate().map(line).collect();
    let gap = (!lines.is_empty()).then(|| Line::raw(""));
    gap.into_iter().chain(lines).collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn in_bytes(bytes: u64) -> String {
    words::bytes(bytes as f64)
}
