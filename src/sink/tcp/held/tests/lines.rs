//! Lines, which nobody acknowledges: each at least once to whoever was there.

use super::*;

/// A number a line, after a first line.
pub(super) struct Numbers;

impl Encoder for Numbers {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"begin\n");
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        for number in rows.column(0).as_primitive::<Int64Type>().values() {
            out.extend_from_slice(format!("{number}\n").as_bytes());
        }
    }
}

fn setup() -> Setup {
    Setup { frames: false, ..Setup::new() }
}

/// Numbers behind the first line.
#[track_caller]
fn numbers(text: &[u8]) -> Vec<i64> {
    let text = std::str::from_utf8(text).unwrap();
    let lines = text.strip_prefix("begin\n").expect("a connection begins with the first line");
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

#[track_caller]
fn check(text: &[u8], expected: std::ops::Range<i64>) {
    assert_eq!(numbers(text), expected.collect::<Vec<_>>());
}

fn take(bench: &mut Bench, peer: &SimPeer) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..300 {
        bench.turn();
        text.extend(peer.receive(usize::MAX));
    }
    text
}

#[test]
fn lines_leave_with_their_epoch_to_those_who_are_there() {
    for remembers_little in [false, true] {
        let mut bench = Bench::new(Setup { remembers_little, ..setup() }, 1);
        bench.epoch(10);
        let first = bench.connect();
        assert!(bench.write(10));
        let mut text = take(&mut bench, &first);
        check(&text, 0..0);
        bench.end_epoch();
        bench.commit();
        text.extend(take(&mut bench, &first));
        check(&text, 10..20);
        let second = bench.connect();
        bench.epoch(500);
        text.extend(take(&mut bench, &first));
        check(&text, 10..520);
        check(&take(&mut bench, &second), 20..520);
        bench.check(520, 510, 10, 0);
        first.close();
        second.close();
        bench.turns(2);
        bench.epoch(10);
        bench.check(530, 510, 20, 0);
        bench.act(|sink, io| sink.stop(io));
        assert!(bench.act(|sink, io| sink.finish(io)));
    }
}

#[test]
fn what_nobody_is_known_to_have_is_sent_again_after_a_crash() {
    let mut bench = Bench::new(setup(), 2);
    let before = bench.connect();
    bench.epoch(100);
    let mut text = take(&mut bench, &before);
    // What it has taken is part of the epoch that ends next.
    bench.epoch(100);
    text.extend(take(&mut bench, &before));
    check(&text, 0..200);
    assert!(bench.write(50));
    bench.end_epoch();
    bench.commit_unheard();
    bench.crash(true);
    // Whoever comes first gets the rest, some of it for the second time.
    bench.epoch(30);
    let after = bench.connect();
    let again = numbers(&take(&mut bench, &after));
    let first = again[0];
    assert!((1..=200).contains(&first), "{first}");
    assert_eq!(again, (first..280).collect::<Vec<_>>());
    // Who comes then gets what is new.
    let later = bench.connect();
    bench.epoch(10);
    check(&take(&mut bench, &later), 280..290);
}

#[test]
fn what_is_left_of_an_earlier_run_does_not_hold_the_job_up() {
    let mut small = setup();
    small.keeping.bytes_max = 5_000;
    let mut bench = Bench::new(small, 3);
    let before = bench.connect();
    bench.epoch(10);
    bench.crash(false);
    drop(before);
    for _ in 0..100 {
        assert!(!bench.sink.is_full());
        bench.epoch(100);
    }
    let after = bench.connect();
    bench.epoch(10);
    check(&take(&mut bench, &after), 10_010..10_020);
}
