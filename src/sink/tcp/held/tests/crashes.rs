//! Crashes at chosen and at random moments: every subscriber keeps every row once.

use super::*;

#[test]
fn what_was_decided_and_not_sent_is_sent_by_the_next_run() {
    for (seed, remembers_little) in [(1, false), (2, true)] {
        let mut bench = Bench::new(Setup { remembers_little, ..Setup::waiting_for(&["s"]) }, seed);
        let (mut one, mut frames) = (Subscriber::new("s", 1), Frames::new());
        one.connect(&mut bench);
        bench.epoch(100);
        one.take_all(&mut bench, &mut frames);
        assert!(bench.write(50));
        // The epoch exists, and the sink does not know it.
        bench.end_epoch();
        bench.commit_unheard();
        bench.crash(true);
        // Never decided: made again by the job, and in another epoch.
        assert!(bench.write(70));
        bench.crash(true);
        one.connection = None;
        one.connect(&mut bench);
        one.take_all(&mut bench, &mut frames);
        one.check(0..150);
        bench.epoch(20);
        one.take_all(&mut bench, &mut frames);
        one.check(0..170);
    }
}

#[test]
fn what_was_sent_and_not_acknowledged_comes_again_as_it_was() {
    let mut bench = Bench::new(Setup::new(), 3);
    let (mut one, mut frames) = (Subscriber::new("s", 1), Frames::new());
    one.connect(&mut bench);
    bench.epoch(10);
    bench.epoch(100);
    bench.turns(50);
    // It keeps all, and its acknowledgement is lost with the run.
    one.take(usize::MAX, false, &mut frames);
    one.check(0..110);
    let sent = frames.len();
    bench.crash(true);
    one.connection = None;
    one.connect(&mut bench);
    let mut again = Frames::new();
    // It says nothing before everything has come.
    bench.turns(100);
    one.take_all(&mut bench, &mut again);
    one.check(0..110);
    assert_eq!(again.len(), sent);
    assert!(again.iter().all(|(id, bytes)| frames[id] == *bytes));
}

#[test]
fn an_acknowledgement_frees_the_journal_in_the_next_epoch() {
    let segments = |bench: &Bench| {
        bench.disk.paths().iter().filter(|path| path.starts_with("/j/output-")).count()
    };
    let mut bench = Bench::new(Setup::new(), 4);
    let (mut one, mut frames) = (Subscriber::new("s", 1), Frames::new());
    one.connect(&mut bench);
    for _ in 0..40 {
        bench.epoch(500);
    }
    let most = segments(&bench);
    assert!(most > 4, "{most}");
    one.take_all(&mut bench, &mut frames);
    bench.epoch(10);
    bench.turns(50);
    assert!(segments(&bench) <= 3, "{} of {most}", segments(&bench));
    one.take_all(&mut bench, &mut frames);
    one.check(0..20_010);
}

#[test]
fn a_sink_that_is_no_more_keeps_nothing() {
    let mut bench = Bench::new(Setup::new(), 5);
    let mut one = Subscriber::new("s", 1);
    one.connect(&mut bench);
    bench.epoch(100);
    // Another format: what was kept for subscribers of frames means nothing to those of lines.
    bench.crash_into(Setup { frames: false, ..Setup::new() }, false);
    assert!(bench.sink.subscriptions.is_empty());
    bench.epoch(100);
    bench.check(100, 0, 100, 0);
}

/// One seed's life: two subscribers that are waited for, one that comes and goes, crashes of all of them.
fn live(seed: u64) -> u32 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut setup = Setup::waiting_for(&["a", "b"]);
    setup.remembers_little = rng.bool();
    setup.keeping.bytes_max = 1 << rng.u32(12..20);
    let mut bench = Bench::new(setup, seed);
    let (mut frames, mut crashes) = (Frames::new(), 0);
    let mut all =
        [("a", 1), ("b", 0), ("c", 0)].map(|(name, session)| Subscriber::new(name, session));
    for _ in 0..rng.u32(50..400) {
        let one = rng.usize(..all.len());
        match rng.u32(..100) {
            0..40 => bench.turn(),
            40..60 => {
                bench.write(rng.i64(1..50));
            }
            60..68 if !bench.is_ended => bench.end_epoch(),
            60..76 if bench.is_ended => bench.commit(),
            76..90 => all[one].take(rng.usize(..5_000), rng.bool(), &mut frames),
            90..95 if all[one].connection.is_none() => {
                all[one].session += 1;
                if all[one].name == "c" {
                    // It has no session, and begins anew.
                    all[one] = Subscriber::new("c", 0);
                }
                all[one].connect(&mut bench);
            }
            95..97 => {
                all[one].crash();
                bench.turn();
            }
            97 => {
                bench.crash(rng.bool());
                all.iter_mut().for_each(|it| it.connection = None);
                crashes += 1;
            }
            _ => {}
        }
        let kept = &all[..2];
        assert!(kept.iter().all(|it| it.rows.len() as i64 <= bench.committed), "seed {seed}");
    }
    if bench.is_ended {
        bench.commit();
    }
    bench.end_epoch();
    bench.commit();
    for one in &mut all[..2] {
        one.crash();
        bench.turn();
        one.session += 1;
        one.connect(&mut bench);
        one.take_all(&mut bench, &mut frames);
        one.check(0..bench.committed);
        assert_eq!(one.lost, 0);
    }
    let passing = &all[2].rows;
    assert!(passing.windows(2).all(|pair| pair[1] == pair[0] + 1), "seed {seed}");
    let it = *bench.sink.counters();
    let made = it.rows_in;
    assert!(made == it.rows_out + it.rows_discarded + it.rows_kept, "seed {seed}: {it:?}");
    crashes
}

#[test]
fn every_row_is_kept_once_whoever_crashes() {
    let crashes: u32 = (0..150).map(live).sum();
    assert!(crashes > 100, "{crashes}");
}
