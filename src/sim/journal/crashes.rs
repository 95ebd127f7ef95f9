//! Faults at any step, over several runs: a start finds the newest epoch that was reported durable or a
//! newer one that was committed, whole, and never an older one.

use std::io::ErrorKind;

use super::super::disk::{Fault, SimDisk};
use super::Model;
use super::life::{Ended, Life, Shape, begin};
use crate::stdx::FailureClass;

/// Set to one seed to replay it.
const SEED: &str = "PELTON_JOURNAL_SEED";

/// Says which seed it was, should the test fail.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to replay: {SEED}={}", self.0);
        }
    }
}

/// Starts until a start succeeds: the power may go, and the disk may fail, during starts too.
fn begin_again(model: &mut Model, disk: &SimDisk, shape: Shape, seed: u64) -> Life {
    for _ in 0..20 {
        match begin(model, disk, shape, seed) {
            Ok(life) => return life,
            Err(error) => {
                let is_io = matches!(error, crate::journal::JournalError::Io { .. });
                assert!(is_io, "nothing is damaged, but: {error}");
                if disk.is_off() { disk.cut_power() } else { disk.kill() }
            }
        }
    }
    panic!("no start succeeds");
}

fn shape(rng: &mut fastrand::Rng) -> Shape {
    Shape {
        cores: rng.u16(1..=3),
        segment_bytes: [32, 48, 64][rng.usize(..3)] * 1024,
        payload_max: [200, 3_000, 30_000][rng.usize(..3)],
    }
}

/// Several runs, each ended by something else; the last one must go on undisturbed.
fn many_lives(seed: u64) {
    let _seed = Seed(seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let disk = SimDisk::new(seed);
    let mut model = Model::default();
    for _ in 0..rng.u32(2..5) {
        let shape = shape(&mut rng);
        let at = rng.u64(1..400);
        disk.set_free(u64::MAX);
        match rng.u32(..8) {
            0..4 => disk.plan(at, Fault::Cut),
            4 => disk.plan(at, Fault::Error(ErrorKind::TimedOut)),
            5 => disk.plan(at, Fault::FailedSync),
            6 => disk.plan(at, Fault::Error(ErrorKind::StorageFull)),
            _ => {}
        }
        let mut life = begin_again(&mut model, &disk, shape, rng.u64(..1 << 40));
        let ended = life.run(&mut model, rng.u32(1..6));
        match ended {
            Ended::Off => disk.cut_power(),
            Ended::Failed(class) if class != FailureClass::Io => panic!("{class:?}"),
            _ if rng.bool() => disk.kill(),
            _ => disk.cut_power(),
        }
    }
    disk.forget_plans();
    let mut life = begin_again(&mut model, &disk, shape(&mut rng), seed);
    match life.run(&mut model, 3) {
        Ended::Done => {}
        ended => panic!("nothing disturbed it: {ended:?}"),
    }
}

fn seeds(count: u64) {
    match std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => many_lives(seed),
        None => (0..count).for_each(many_lives),
    }
}

#[test]
fn an_epoch_that_was_reported_is_found() {
    seeds(300);
}

#[test]
#[ignore = "minutes"]
fn an_epoch_that_was_reported_is_found_with_many_seeds() {
    seeds(40_000);
}

/// A short life, with what happens at a step of it; says how many steps it took.
fn short_life(cores: u16, fault: Option<(u64, Fault)>, is_killed: bool) -> u64 {
    let seed = 5 + u64::from(cores);
    let disk = SimDisk::new(seed + fault.map_or(0, |(at, _)| at));
    let mut model = Model::default();
    let shape = Shape { cores, segment_bytes: 32 * 1024, payload_max: 3_000 };
    // Another run before, so that there are segments to be sealed, recycled and removed.
    let mut first = begin_again(&mut model, &disk, shape, seed);
    assert!(matches!(first.run(&mut model, 2), Ended::Done));
    drop(first);
    disk.kill();
    let before = disk.steps();
    if let Some((at, fault)) = fault {
        disk.plan(at, fault);
    }
    let mut life = begin_again(&mut model, &disk, shape, seed + 1);
    let _ = life.run(&mut model, 3);
    let steps = disk.steps() - before;
    drop(life);
    if disk.is_off() || !is_killed {
        disk.cut_power();
    } else {
        disk.kill();
    }
    disk.forget_plans();
    let mut last = begin_again(&mut model, &disk, shape, seed + 2);
    assert!(matches!(last.run(&mut model, 2), Ended::Done));
    steps
}

/// `fault` at every step of a short life, every `stride`th from `first`.
fn sweep(cores: u16, fault: Fault, stride: usize) {
    let steps = short_life(cores, None, true);
    assert!(steps > 200, "{steps} steps");
    for at in (1..=steps).step_by(stride) {
        let _seed = Seed(at);
        short_life(cores, Some((at, fault)), at % 2 == 0);
    }
}

#[test]
fn the_power_may_go_at_any_step() {
    sweep(1, Fault::Cut, 2);
    sweep(2, Fault::Cut, 17);
}

#[test]
fn any_step_may_fail() {
    sweep(1, Fault::Error(ErrorKind::TimedOut), 5);
    sweep(2, Fault::Error(ErrorKind::StorageFull), 17);
}

#[test]
fn any_sync_may_fail_once() {
    sweep(1, Fault::FailedSync, 5);
}

#[test]
#[ignore = "minutes"]
fn every_fault_at_every_step() {
    for cores in [1, 2, 3] {
        for fault in [
            Fault::Cut,
            Fault::Error(ErrorKind::TimedOut),
            Fault::Error(ErrorKind::StorageFull),
            Fault::FailedSync,
        ] {
            sweep(cores, fault, 1);
        }
    }
}

#[test]
fn without_space_appends_wait_and_go_on_when_there_is_some() {
    let disk = SimDisk::new(3);
    let mut model = Model::default();
    let shape = Shape { cores: 2, segment_bytes: 32 * 1024, payload_max: 3_000 };
    let mut life = begin_again(&mut model, &disk, shape, 3);
    assert!(matches!(life.run(&mut model, 2), Ended::Done));
    disk.set_free(0);
    // Epochs free segments, and those are used again: it goes on even so, for a while at least.
    assert!(matches!(life.run(&mut model, 4), Ended::Done));
    assert!(life.no_space_seen, "a writer says why there is no room");
    disk.set_free(u64::MAX);
    assert!(matches!(life.run(&mut model, 12), Ended::Done));
}

#[test]
fn files_are_closed_and_segments_recycled() {
    let disk = SimDisk::new(4);
    let mut model = Model::default();
    let shape = Shape { cores: 1, segment_bytes: 32 * 1024, payload_max: 3_000 };
    let mut life = begin_again(&mut model, &disk, shape, 4);
    assert!(matches!(life.run(&mut model, 60), Ended::Done));
    // Per journal: the segment in use, the next, some that wait for a sync.
    assert!(life.open_files() <= 3 * 6, "{} files are open", life.open_files());
    assert!(disk.paths().len() <= 1 + 3 * 12, "{:?}", disk.paths());
    drop(life);
    disk.kill();
    let before = disk.paths();
    drop(begin_again(&mut model, &disk, shape, 5));
    let leftovers = disk.paths().into_iter().filter(|path| path.ends_with(".new")).count();
    assert_eq!(leftovers, 0, "{before:?}");
}
