//! Every order of the model's steps, and long random ones.

use super::{Flushing, Machine, Script};
use std::collections::HashSet;

/// How much of a core's turn the others see as one step.
#[derive(Clone, Copy)]
enum Grain {
    /// One stage.
    Stage,
    /// All stages, from the sink backwards, each served once.
    Turn,
}

/// What a search found.
struct Explored {
    states: usize,
    /// States from which no step leads on although not everything has ended.
    stuck: usize,
}

/// Goes through every state that `start` can reach.
fn explore(start: Machine, grain: Grain) -> Explored {
    let steps: &[&[usize]] = match grain {
        Grain::Stage => &[&[0], &[1], &[2]],
        Grain::Turn => &[&[0, 1, 2]],
    };
    let mut known = HashSet::from([start.fingerprint()]);
    let mut open = vec![start];
    let mut stuck = 0;
    while let Some(machine) = open.pop() {
        let here = machine.fingerprint();
        let mut moves = false;
        for core in 0..machine.cores.len() {
            for stages in steps {
                let mut next = machine.fork();
                stages.iter().for_each(|&stage| next.step(core, stage));
                let there = next.fingerprint();
                moves |= here != there;
                if known.insert(there) {
                    open.push(next);
                }
            }
        }
        assert!(!(moves && machine.is_complete()), "something moves behind the end");
        stuck += usize::from(!moves && !machine.is_complete());
    }
    Explored { states: known.len(), stuck }
}

/// Every interleaving of `cores` cores that run `script` ends.
#[track_caller]
fn check(cores: u16, script: &'static str, grain: Grain) {
    let start = Machine::new(cores, Script(script.as_bytes()), Flushing::Always);
    let found = explore(start, grain);
    assert_eq!(found.stuck, 0, "{cores} cores, script {script}");
    assert!(found.states > 100, "{cores} cores, script {script}: that was no search");
}

/// One random walk for machines too large to go through.
fn walk(seed: u64, cores: u16, script: &'static str) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut machine = Machine::new(cores, Script(script.as_bytes()), Flushing::Always);
    // Some cores are slower than others.
    let speeds: Vec<u32> = (0..cores).map(|_| rng.u32(1..20)).collect();
    let steps_max = 200_000;
    for _ in 0..steps_max {
        if machine.is_complete() {
            return;
        }
        let core = rng.usize(0..usize::from(cores));
        if rng.u32(0..20) < speeds[core] {
            machine.step(core, rng.usize(0..3));
        }
    }
    panic!("seed {seed}, {cores} cores, script {script}: not ended after {steps_max} steps");
}

#[test]
fn every_interleaving_of_two_cores_ends() {
    for script in ["$", "b$", "b#b$", "b|#b$", "bb|#b|$", "b|#b|#b$"] {
        check(2, script, Grain::Stage);
    }
}

#[test]
fn every_interleaving_of_three_cores_ends() {
    check(3, "$", Grain::Stage);
    for script in ["#$", "b$", "b#$"] {
        check(3, script, Grain::Turn);
    }
}

#[test]
#[ignore = "minutes: four million states"]
fn every_interleaving_of_three_cores_ends_stage_by_stage() {
    check(3, "#$", Grain::Stage);
    check(3, "b$", Grain::Stage);
    check(3, "b|#b$", Grain::Turn);
}

#[test]
fn random_interleavings_of_long_scripts_end() {
    for seed in 1..=300 {
        walk(seed, 2, "b|bb|#bb|b|#b|#bb|b$");
        walk(seed, 3, "b|bb|#b|#bb|$");
    }
}

#[test]
fn the_search_finds_a_worker_that_does_not_flush_what_it_skips() {
    let start = Machine::new(2, Script(b"b|#b$"), Flushing::WithRoom);
    assert!(explore(start, Grain::Stage).stuck > 0);
}
