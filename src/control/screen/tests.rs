//! Pictures of a job, as text.

use super::theme::Theme;
use super::view::{Reaction, View};
use crate::control::status::{
    BlockedState, CoreState, ExchangeState, LatencyPartsState, LatencyState, OperatorState,
    SinkState, SourceState, Status, WatermarkState,
};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use std::collections::BTreeMap;

const PLAIN: Theme = Theme { is_coloured: false, is_unicode: false };

fn latency(rows: u64, p50: f64) -> LatencyState {
    LatencyState { rows, p50, p99: p50 * 4.0, p99_9: p50 * 100.0, max: p50 * 200.0 }
}

fn source() -> SourceState {
    SourceState {
        name: "bid".into(),
        connector: "tcp, listening on 127.0.0.1:9000".into(),
        records_in: 12_345_678,
        bytes_in: 1_234_567_890,
        rows_out: 12_345_600,
        records_per_second: 123_456.0,
        bytes_per_second: 12_345_678.0,
        late_rows: 3,
        rejected: BTreeMap::from([("decode".to_owned(), 78), ("time_null".to_owned(), 0)]),
        splits_open: 2,
        splits_opened: 2,
        newest_time: Some("2026-01-01 00:00:07.000".into()),
        lag_seconds: Some(0.25),
        watermark: Some(WatermarkState {
            time: "2026-01-01 00:00:03.000".into(),
            split: "bid:127.0.0.1:40112".into(),
            since_seconds: 1.5,
            ..WatermarkState::default()
        }),
        ..SourceState::default()
    }
}

fn operators() -> Vec<OperatorState> {
    let filter = OperatorState {
        id: "n1".into(),
        operator: "filter price > 100".into(),
        rows_in: 12_345_600,
        rows_out: 45_678,
        rows_per_second: 123_456.0,
        filtered: 12_299_922,
        busy_share: 0.41,
        busy_share_by_core: vec![0.4, 0.01],
        turn_us: latency(100, 3.0),
        ..OperatorState::default()
    };
    let window = OperatorState {
        id: "n2r".into(),
        operator: "window HOP 10s every 2s by auction: COUNT(*), MAX(price)".into(),
        rows_in: 45_678,
        rows_out: 1_234,
        rows_per_second: 456.0,
        late: 3,
        held: 999,
        busy_share: 0.05,
        state_entries: 5_000,
        state_bytes: 400_000,
        watermark: Some("2026-01-01 00:00:03.000".into()),
        busy_share_by_core: vec![0.03, 0.02],
        ..OperatorState::default()
    };
    vec![filter, window]
}

fn status(core_count: u16) -> Status {
    let core = |core: u16| CoreState {
        core,
        cpu: usize::from(core) + 2,
        busy_share: 0.5 + f64::from(core) * 0.1,
        parked_share: 0.2,
        turns: 1_234_567,
        queue_fill: 0.03,
        reported_seconds_ago: 0.04,
    };
    Status {
        job: "hot-items".into(),
        run: 3,
        ready: true,
        uptime_seconds: 754.0,
        memory_bytes: 123 << 20,
        memory_peak_bytes: 234 << 20,
        late_rows: 3,
        rejected_records: 78,
        sources: vec![source()],
        operators: operators(),
        exchanges: vec![ExchangeState {
            exchange: 1,
            rows: 45_678,
            queued_elements: 3,
            queued_elements_max: 28,
            busy_share: 0.02,
            hottest_key_group: Some(77),
            hottest_key_group_core: Some(1),
            hottest_key_group_share: 0.5,
        }],
        sinks: vec![SinkState {
            name: "hot".into(),
            rows_out: 1_234,
            bytes_out: 123_456,
            rows_per_second: 12.0,
            bytes_per_second: 1_234.0,
            latency_us: latency(100, 45.6),
            latency_us_overall: latency(1_234, 50.0),
            latency_parts_us: LatencyPartsState {
                queue: latency(100, 20.0),
                compute: latency(100, 5.6),
                release_wait: latency(100, 10.0),
                watermark_wait: latency(100, 1_000_000.0),
                oldest_age: latency(100, 1_000_045.6),
            },
            ..SinkState::default()
        }],
        cores: (0..core_count).map(core).collect(),
        ..Status::default()
    }
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// The view's picture at that size, without blanks at line ends.
fn picture(view: &mut View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |row: u16| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(|row| line(row) + "\n").collect()
}

fn view_of(status: Status, page: char) -> View {
    let mut view = View::new(PLAIN);
    view.status = Some(status);
    assert_eq!(view.on_event(&key(KeyCode::Char(page))), Reaction::Draw);
    view
}

#[track_caller]
fn check(view: &mut View, width: u16, height: u16, expected: &str) {
    let actual = picture(view, width, height);
    assert_eq!(actual, expected, "\n{actual}");
}

#[test]
fn the_overview_fits_80_columns_and_24_lines() {
    let mut view = view_of(status(2), '1');
    view.message("note: source bid: listening on 127.0.0.1:9000".into());
    check(&mut view, 80, 24, include_str!("tests/overview.txt"));
}

#[test]
fn operators_fit_80_columns() {
    let mut shown = status(2);
    shown.blocked = vec![BlockedState {
        stage: "source bid".into(),
        by: "core 1 (exchange 1)".into(),
        share: 0.5,
        ..BlockedState::default()
    }];
    check(&mut view_of(shown, '2'), 80, 24, include_str!("tests/operators.txt"));
}

#[test]
fn cores_fit_80_columns() {
    check(&mut view_of(status(4), '3'), 80, 24, include_str!("tests/cores.txt"));
}

#[test]
fn a_picture_before_the_first_status_says_so() {
    let picture = picture(&mut View::new(PLAIN), 80, 24);
    assert!(picture.contains("the job is starting"), "{picture}");
}

#[test]
fn every_size_can_be_drawn() {
    for page in ['1', '2', '3'] {
        let mut view = view_of(status(128), page);
        (0..300).for_each(|number| view.message(format!("note {number}\u{1b}[31m ö 東京")));
        for (width, height) in [(1, 1), (2, 2), (3, 5), (20, 3), (40, 10), (79, 23), (200, 60)] {
            let shown = picture(&mut view, width, height);
            assert_eq!(shown.lines().count(), usize::from(height));
            assert!(!shown.contains('\u{1b}'), "{shown}");
        }
    }
}

#[test]
fn a_long_view_scrolls_to_its_end_and_no_further() {
    let mut view = view_of(status(128), '3');
    assert!(picture(&mut view, 80, 24).contains("core 0 on CPU 2"));
    for _ in 0..100 {
        view.on_event(&key(KeyCode::PageDown));
    }
    let end = picture(&mut view, 80, 24);
    assert!(end.contains("core 127 on CPU 129") && end.contains("j k more"), "{end}");
    view.on_event(&key(KeyCode::Up));
    assert!(!picture(&mut view, 80, 24).contains("core 127 on CPU 129"));
    view.on_event(&key(KeyCode::Home));
    assert!(picture(&mut view, 80, 24).contains("core 0 on CPU 2"));
}

#[test]
fn a_sink_that_waits_is_marked_and_named() {
    let mut shown = status(2);
    shown.sinks[0].blocked_by = Some("subscriber 10.0.0.9:4000 has 4194304 bytes to take".into());
    let picture = picture(&mut view_of(shown, '1'), 80, 24);
    assert!(picture.contains("! waits: subscriber 10.0.0.9:4000 has"), "{picture}");
}

/// Nothing is told by colour alone: with and without, the text is the same.
#[test]
fn without_colour_there_is_none_and_nothing_is_missing() {
    let mut shown = status(2);
    shown.sinks[0].blocked_by = Some("somebody".into());
    let mut pictures = Vec::new();
    for is_coloured in [false, true] {
        let mut view = View::new(Theme { is_coloured, is_unicode: true });
        view.status = Some(shown.clone());
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        let has_colour = cells.iter().any(|cell| cell.fg != Color::Reset);
        assert_eq!(has_colour, is_coloured);
        pictures.push(cells.iter().map(|cell| cell.symbol().to_owned()).collect::<String>());
    }
    assert_eq!(pictures[0], pictures[1]);
}

#[test]
fn keys_choose_views_and_leave() {
    let mut view = View::new(PLAIN);
    let after = |shown: &mut View, code| {
        shown.on_event(&key(code));
        picture(shown, 80, 24)
    };
    view.status = Some(status(2));
    assert!(after(&mut view, KeyCode::Tab).contains("bottleneck"));
    assert!(after(&mut view, KeyCode::Tab).contains("looking for work"));
    assert!(after(&mut view, KeyCode::Tab).contains("records/s"));
    assert!(after(&mut view, KeyCode::BackTab).contains("looking for work"));
    assert_eq!(view.on_event(&key(KeyCode::Char('q'))), Reaction::Leave);
    assert_eq!(view.on_event(&key(KeyCode::Char('x'))), Reaction::Nothing);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.on_event(&Event::Key(interrupt)), Reaction::Interrupt);
    assert_eq!(view.on_event(&Event::Resize(10, 10)), Reaction::Draw);
}
