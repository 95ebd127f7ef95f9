//! Real connections, dealt to one or several cores.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::testing::{Machine, anywhere, options, send};
use super::*;
use crate::format::{CsvOptions, FormatOptions};
use crate::reactor::spawn_thread;
use crate::source::watermark::testing::delayed;

/// Numbered lines of one client.
fn numbered(client: usize, lines: usize) -> String {
    (0..lines).map(|line| format!("client {client} line {line}\n")).collect()
}

#[test]
fn every_line_of_every_connection_comes_once_and_in_order() {
    for core_count in 1..=4 {
        let options = TcpSourceOptions { end_on_disconnect: true, ..options(anywhere()) };
        let mut machine = Machine::new(&options, core_count);
        let clients: Vec<_> = (0..8).map(|_| machine.client()).collect();
        let origins: Vec<String> =
            clients.iter().map(|client| format!("s:{}", client.local_addr().unwrap())).collect();
        let sending = spawn_thread("clients", &[], move || {
            for (number, client) in clients.into_iter().enumerate() {
                send(client, &numbered(number, 500 * number + 1));
            }
        });
        machine.finish();
        sending.unwrap().join().unwrap();
        let lines = machine.lines();
        for (number, origin) in origins.iter().enumerate() {
            let expected: Vec<_> =
                numbered(number, 500 * number + 1).lines().map(str::to_owned).collect();
            assert!(lines[origin] == expected, "client {number} on {core_count} cores");
        }
        let opened: Vec<_> =
            machine.cores.iter().map(|core| core.source.counters().splits_opened).collect();
        assert!(opened.iter().all(|opened| *opened <= 8_u64.div_ceil(u64::from(core_count))));
        let rows = machine.rows() as u64;
        assert_eq!(machine.total(|counters| counters.rows_out), rows);
        assert_eq!(machine.total(|counters| counters.records_in), rows);
        assert_eq!(machine.total(|counters| counters.rejected), 0);
    }
}

#[test]
fn the_end_of_a_connection_ends_its_last_line() {
    let options = TcpSourceOptions { end_on_disconnect: true, ..options(anywhere()) };
    let mut machine = Machine::new(&options, 2);
    drop(send(machine.client(), "one\ntwo"));
    machine.finish();
    assert_eq!(machine.lines().into_values().collect::<Vec<_>>(), [["one", "two"]]);
}

#[test]
fn a_line_that_is_too_long_is_rejected_and_the_connection_goes_on() {
    let options = TcpSourceOptions { end_on_disconnect: true, ..options(anywhere()) };
    let mut machine = Machine::new(&options, 1);
    drop(send(machine.client(), &format!("one\n{}\ntwo\n", "x".repeat(50_000))));
    machine.finish();
    assert_eq!(machine.lines().into_values().collect::<Vec<_>>(), [["one", "two"]]);
    let rejected = &machine.cores[0].out.rejected;
    assert_eq!(rejected.iter().map(|rejection| rejection.offset).collect::<Vec<_>>(), [4]);
    assert_eq!(machine.total(|counters| counters.rejected), 1);
    assert_eq!(machine.total(|counters| counters.records_in), 3);
}

#[test]
fn without_room_the_peer_waits_and_nothing_is_lost() {
    const LINES: usize = 1_000_000;
    let options = TcpSourceOptions { end_on_disconnect: true, ..options(anywhere()) };
    let mut machine = Machine::new(&options, 1);
    machine.cores[0].out.room_rows = 10_000;
    let client = machine.client();
    let text = numbered(7, LINES);
    let sending = spawn_thread("client", &[], move || drop(send(client, &text))).unwrap();
    machine.steps_for(Duration::from_millis(300));
    let before = machine.total(|counters| counters.bytes_in);
    assert!(machine.rows() >= 10_000);
    assert!(before < 2_000_000, "{before} bytes are taken although there is no room");
    assert!(!sending.is_finished(), "the client had to wait");
    machine.steps_for(Duration::from_millis(20));
    assert_eq!(machine.total(|counters| counters.bytes_in), before);
    let mut rng = fastrand::Rng::with_seed(3);
    machine.until(|machine| {
        machine.cores[0].out.room_rows = rng.usize(0..20_000);
        machine.rows() == LINES
    });
    machine.cores[0].out.room_rows = 1;
    machine.finish();
    sending.join().unwrap();
    let lines = machine.lines().into_values().next().unwrap();
    assert!(lines.iter().enumerate().all(|(n, line)| *line == format!("client 7 line {n}")));
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let options = TcpSourceOptions { connections_max: 3, ..options(anywhere()) };
    let mut machine = Machine::new(&options, 2);
    let mut served: Vec<_> =
        (0..3).map(|number| send(machine.client(), &numbered(number, 1))).collect();
    machine.until(|machine| machine.rows() == 3);
    let mut refused = machine.client();
    machine.until(|machine| machine.total(|counters| counters.connections_refused) == 1);
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(machine.notices[1].ends_with("3 connections are served already"));
    // Whoever leaves makes room.
    served.pop();
    machine.steps_for(Duration::from_millis(50));
    served.push(send(machine.client(), "again\n"));
    machine.until(|machine| machine.rows() == 4);
    assert_eq!(machine.total(|counters| counters.connections_refused), 1);
}

#[test]
fn a_silent_connection_is_closed_and_a_talking_one_is_not() {
    let limit = Some(150_000_000);
    let options = TcpSourceOptions { connection_idle_ns_max: limit, ..options(anywhere()) };
    let mut machine = Machine::new(&options, 1);
    let mut silent = machine.client();
    let mut talking = machine.client();
    for _ in 0..20 {
        talking.write_all(b"still here\n").unwrap();
        machine.steps_for(Duration::from_millis(30));
    }
    assert_eq!(machine.total(|counters| counters.connections_refused), 1);
    silent.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(machine.rows(), 20);
    // While nothing is read, nobody is silent.
    machine.cores[0].out.room_rows = 0;
    machine.steps_for(Duration::from_millis(300));
    talking.write_all(b"and here\n").unwrap();
    machine.cores[0].out.room_rows = 100;
    machine.until(|machine| machine.rows() == 21);
    assert_eq!(machine.total(|counters| counters.connections_refused), 1);
}

#[test]
fn an_outgoing_connection_is_made_again() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = peer.local_addr().unwrap();
    let mut machine = Machine::new(&options(TcpEndpoint::Connect(address)), 2);
    for round in 0..3 {
        let connection = machine.accept(&peer);
        drop(send(connection, &numbered(round, 2)));
        machine.until(|machine| machine.rows() == 2 * (round + 1));
    }
    let notice = format!("source s: no connection to {address}: closed by the peer; trying again");
    machine.until(|machine| machine.notices.len() >= 3);
    assert!(machine.notices.iter().all(|told| *told == notice), "{:?}", machine.notices);
    assert!(machine.cores[1].is_finished, "only core 0 connects");
    assert!(!machine.cores[0].is_finished);
}

#[test]
fn an_outgoing_connection_can_be_the_only_one() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = TcpEndpoint::Connect(peer.local_addr().unwrap());
    let options = TcpSourceOptions { end_on_disconnect: true, ..options(endpoint) };
    let mut machine = Machine::new(&options, 2);
    drop(send(machine.accept(&peer), "one\n"));
    machine.finish();
    assert_eq!(machine.rows(), 1);
    assert!(machine.notices.is_empty());
}

#[test]
fn a_stop_pushes_what_was_received() {
    let mut machine = Machine::new(&options(anywhere()), 2);
    let clients: Vec<_> =
        (0..2).map(|number| send(machine.client(), &numbered(number, 300))).collect();
    machine.until(|machine| machine.rows() > 0);
    machine.cores.iter_mut().for_each(|core| core.out.room_rows = 0);
    let more: Vec<_> =
        clients.into_iter().map(|client| send(client, "more\nhalf of a line")).collect();
    machine.steps_for(Duration::from_millis(20));
    for core in &mut machine.cores {
        core.source.stop(&mut core.io);
    }
    machine.steps_for(Duration::from_millis(5));
    assert!(!machine.cores[0].is_finished);
    machine.cores.iter_mut().for_each(|core| core.out.room_rows = usize::MAX);
    machine.finish();
    assert_eq!(machine.rows(), 602, "whole lines, and whole lines only");
    assert!(TcpStream::connect(machine.address()).is_err(), "nobody listens any more");
    drop(more);
}

#[test]
fn an_address_that_cannot_be_had_is_a_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut machine = Machine::new(&options(TcpEndpoint::Listen(address)), 2);
    let failure = machine.cores[0].source.take_failure().unwrap().message;
    let expected = format!("source s: cannot listen on {address}: Address already in use");
    assert!(failure.starts_with(&expected), "{failure}");
    machine.step();
    assert!(!machine.cores[0].is_finished);
}

/// Times in ms, one a line.
fn timed() -> TcpSourceOptions {
    let rowtime = DataType::Timestamp(TimeUnit::Millisecond, None);
    let mut options = options(anywhere());
    options.decoder.schema = Arc::new(Schema::new(vec![Field::new("ts", rowtime, true)]));
    let csv = CsvOptions { delimiter: b',', header: false, multiline: false };
    options.decoder.format = FormatOptions::Csv(csv);
    options.event_time = Some(EventTimeOptions { rules: delayed(0), idle_timeout_ns: None });
    options
}

#[test]
fn the_watermark_is_that_of_the_slowest_connection_and_of_pushed_rows() {
    let at = |ms: i64| Some(Watermark::At(Timestamp::from_millis(ms)));
    let mut machine = Machine::new(&timed(), 1);
    assert_eq!(machine.cores[0].source.watermark(), Some(Watermark::Idle));
    let fast = send(machine.client(), "1970-01-01 00:00:09\n");
    machine.until(|machine| machine.rows() == 1);
    let slow = send(machine.client(), "1970-01-01 00:00:05\n");
    machine.until(|machine| machine.rows() == 2);
    assert_eq!(machine.cores[0].source.watermark(), at(5_000));
    // Received and decoded, but not pushed: not promised.
    machine.cores[0].out.room_rows = 1;
    let slow = send(slow, "1970-01-01 00:00:06\n");
    machine.until(|machine| machine.rows() == 3);
    let slow = send(slow, "1970-01-01 00:00:08\n");
    machine.steps_for(Duration::from_millis(10));
    assert_eq!(machine.cores[0].source.watermark(), at(6_000));
    machine.cores[0].out.room_rows = 10;
    machine.until(|machine| machine.rows() == 4);
    assert_eq!(machine.cores[0].source.watermark(), at(8_000));
    drop(slow);
    machine.until(|machine| machine.cores[0].source.watermark() == at(9_000));
    drop(fast);
    machine.until(|machine| machine.cores[0].source.watermark() == Some(Watermark::Idle));
}
