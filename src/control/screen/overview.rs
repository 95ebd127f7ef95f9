//! The first view: what goes in and out, how late it is, who holds it up.

use ratatui::text::{Line, Span};

use super::table::{Table, cut, plain};
use super::theme::Theme;
use super::{cores, words};
use crate::control::status::{LatencyState, SinkState, SourceState, Status};
use crate::control::why::why;

/// Cores that have a line of their own here.
const CORES_SHOWN_MAX: usize = 4;

/// Reasons shown.
const REASONS_MAX: usize = 3;

const SOURCES: &[(&str, usize)] = &[
    ("records/s", 9),
    ("bytes/s", 9),
    ("records", 8),
    ("bytes", 9),
    ("lag", 8),
    ("late", 7),
    ("rejected", 8),
];

const SINKS: &[(&str, usize)] = &[
    ("rows/s", 9),
    ("bytes/s", 9),
    ("rows", 8),
    ("bytes", 9),
    ("p50", 8),
    ("p99", 8),
    ("p99.9", 8),
];

pub(super) fn lines(status: &Status, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (index, reason) in why(status).iter().take(REASONS_MAX).enumerate() {
        let mark = if index == 0 { "why: " } else { "     " };
        lines.extend(wrapped(mark, reason, width, 2, theme));
    }
    lines.push(Line::raw(""));
    let sources = Table::new(theme, width, "source", SOURCES);
    lines.push(sources.heading());
    for source in &status.sources {
        lines.push(source_row(&sources, source, theme));
        lines.extend(watermark(source).map(|text| Line::raw(cut(&text, width, theme))));
    }
    lines.push(Line::raw(""));
    let sinks = Table::new(theme, width, "sink", SINKS);
    lines.push(sinks.heading());
    for sink in &status.sinks {
        lines.extend(sink_rows(&sinks, sink));
        lines.extend(parts(sink).map(|text| Line::raw(cut(&text, width, theme))));
        if let Some(by) = &sink.blocked_by {
            lines.push(Line::styled(
                cut(&format!("  ! waits: {by}"), width, theme),
                theme.warning(),
            ));
        }
    }
    lines.push(Line::raw(""));
    lines.extend(cores::summary(status, width, theme, CORES_SHOWN_MAX));
    lines.push(Line::raw(""));
    lines
}

fn source_row(table: &Table<'_>, source: &SourceState, theme: Theme) -> Line<'static> {
    let rejected: u64 = source.rejected.values().sum();
    let lag = source.lag_seconds.map_or_else(|| "-".to_owned(), words::seconds);
    let warn = |count: u64| {
        let mark = if count > 0 { "!" } else { "" };
        Span::styled(format!("{mark}{}", words::count(count)), theme.warning_if(count > 0))
    };
    table.row(
        plain(source.name.clone()),
        [
            plain(words::rate(source.records_per_second)),
            plain(words::bytes(source.bytes_per_second)),
            plain(words::count(source.records_in)),
            plain(in_bytes(source.bytes_in)),
            plain(lag),
            warn(source.late_rows),
            warn(rejected),
        ],
    )
}

/// The watermark, and the split that holds it back.
fn watermark(source: &SourceState) -> Option<String> {
    let watermark = source.watermark.as_ref()?;
    let since = words::seconds(watermark.since_seconds);
    Some(format!("  watermark {} held by {} for {since}", watermark.time, watermark.split))
}

fn sink_rows(table: &Table<'_>, sink: &SinkState) -> [Line<'static>; 2] {
    let latencies = |latency: &LatencyState| {
        [latency.p50, latency.p99, latency.p99_9].map(|us| match latency.rows {
            0 => plain("-"),
            _ => plain(words::micros(us)),
        })
    };
    let counts = [
        plain(words::rate(sink.rows_per_second)),
        plain(words::bytes(sink.bytes_per_second)),
        plain(words::count(sink.rows_out)),
        plain(in_bytes(sink.bytes_out)),
    ];
    let none = ["", "", "", ""].map(plain);
    [
        table.row(plain(sink.name.clone()), counts.into_iter().chain(latencies(&sink.latency_us))),
        table
            .row(plain("  whole run"), none.into_iter().chain(latencies(&sink.latency_us_overall))),
    ]
}

/// What the latency of the last ten seconds is made of.
fn parts(sink: &SinkState) -> Option<String> {
    let parts = &sink.latency_parts_us;
    let p99 = |name: &str, latency: &LatencyState| format!("{name} {}", words::micros(latency.p99));
    let mut text = format!(
        "  p99: {}, {}, {}",
        p99("queue", &parts.queue),
        p99("compute", &parts.compute),
        p99("release", &parts.release_wait)
    );
    if parts.watermark_wait.max > 0.0 {
        text += &format!("; {}", p99("watermark wait", &parts.watermark_wait));
    }
    (sink.latency_us.rows > 0).then_some(text)
}

/// `text` behind `mark`, in at most `lines_max` lines, cut between words.
fn wrapped(
    mark: &str,
    text: &str,
    width: usize,
    lines_max: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let room = width.saturating_sub(mark.len()).max(1);
    let mut parts = vec![String::new()];
    for word in text.split(' ') {
        let last = parts.last_mut().expect("it is never empty");
        let joined = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        if Span::raw(&joined).width() <= room || parts.len() == lines_max {
            *parts.last_mut().expect("it is never empty") = joined;
        } else {
            parts.push(word.to_owned());
        }
    }
    let line = |(index, part): (usize, String)| {
        let blank = " ".repeat(mark.len());
        let mark = if index == 0 { mark.to_owned() } else { blank };
        let mark = Span::styled(mark, theme.heading());
        Line::from(vec![mark, plain(cut(&part, room, theme))])
    };
    parts.into_iter().enumerate().map(line).collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn in_bytes(bytes: u64) -> String {
    words::bytes(bytes as f64)
}
