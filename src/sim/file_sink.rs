//! File sinks on a disk whose power can be cut: what is visible is what the epochs that exist have.
//!
//! A few sinks write numbers into one directory, epoch by epoch, are cut off at any moment, recovered
//! (which is cut off, too), and go on with what the last epoch that exists does not have; until they come
//! to their end. An epoch exists from any moment on at which all sinks have called it durable; they learn
//! of it later, or never.
//!
//! Checked
//! - At any moment: what is visible is whole parts, with numbers of epochs that exist alone, each once.
//! - After a recovery: it is all of them, in order core by core, and no open part is left.
//! - What belongs to others stays as it is.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::disk::{Fault, SimDisk, SimIo};
use crate::format::Encoder;
use crate::record::{Batch, Epoch};
use crate::sink::{
    FileSink, FileSinkOptions, PartOwner, PartRelease, RecoveredParts, Sink, recover_parts,
};
use crate::stdx::{CoreId, FailureClass};

/// Seeds in an ordinary run of the tests.
const SEEDS: u64 = 300;

/// Set to one seed to replay it.
const SEED: &str = "PELTON_FILE_SINK_SEED";

/// Steps between two looks at what is visible: looking takes longer than a step.
const CHECKED_STEPS: u32 = 40;

const OUT: &str = "/out";
const OWNER: u64 = 0xab;

/// Files in the directory that are somebody else's.
const OTHERS: [&str; 3] = [
    "/out/.part-0001-00-00000.txt.open",
    "/out/.part-0001-00-00000.txt.00000000000000cd.open",
    "/out/notes.txt",
];

/// Says which seed it was, should the test fail.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to replay: {SEED}={}", self.0);
        }
    }
}

/// Every number on a line of its own, between a first line and a last one that says how many there are.
#[derive(Default)]
struct CountedLines {
    count: u64,
}

impl Encoder for CountedLines {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.count = 0;
        out.extend_from_slice(b"begin\n");
    }
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        for number in rows.column(0).as_primitive::<Int64Type>().values() {
            self.count += 1;
            out.extend_from_slice(format!("{number}\n").as_bytes());
        }
    }
    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("end {}\n", self.count).as_bytes());
    }
}

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]));
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    Batch::new(RecordBatch::try_new(schema, vec![column]).unwrap(), 0)
}

/// The numbers of a part; it is whole.
fn numbers_of(name: &str, bytes: Vec<u8>) -> Vec<i64> {
    let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{name}: no text"));
    let lines: Vec<&str> = text.lines().collect();
    let [first, numbers @ .., last] = &lines[..] else { panic!("{name}: {text:?}") };
    let end = format!("end {}", numbers.len());
    assert_eq!((*first, *last, text.ends_with('\n')), ("begin", &end[..], true), "{name}: {text}");
    assert!(!numbers.is_empty(), "{name} has no rows");
    numbers.iter().map(|number| number.parse().expect("a number")).collect()
}

/// How far an epoch has come on each core, and what is known of its sink.
#[derive(Clone, Default)]
struct Known {
    next: Vec<i64>,
    positions: Vec<(CoreId, Vec<u8>)>,
}

/// What came about.
#[derive(Default, Debug)]
struct Coverage {
    crashes: u32,
    completed: u32,
    cut_recoveries: u32,
    failed: u32,
    waiting: u32,
}

struct Simulation<'a> {
    disk: SimDisk,
    rng: fastrand::Rng,
    run: u32,
    epoch: u64,
    /// Of the last epoch that exists.
    known: Known,
    coverage: &'a mut Coverage,
}

/// The sinks of one run.
struct Cores {
    sinks: Vec<(FileSink, SimIo)>,
    next: Vec<i64>,
    /// The epoch that has ended and does not exist yet.
    ended: Option<(Epoch, Known)>,
    /// The one that exists and was not said to exist.
    untold: Option<Epoch>,
    /// Numbers are no longer written.
    at_end: bool,
}

impl Simulation<'_> {
    fn begin(&mut self, core_count: u16) -> Cores {
        self.run += 1;
        let owner = Arc::new(PartOwner::alone(OWNER));
        let part_bytes_max = [1, 30, 200, 5000][self.rng.usize(..4)];
        let part_age_ns_max = [1, 50, 1 << 40][self.rng.usize(..3)] * 1_000_000;
        let sinks = CoreId::all(core_count).map(|core| {
            let sink = FileSink::new(FileSinkOptions {
                directory: OUT.into(),
                run: self.run,
                core,
                extension: "txt".into(),
                encoder: Box::new(CountedLines::default()),
                part_bytes_max,
                part_age_ns_max,
                release: PartRelease::Commit(Arc::clone(&owner)),
            });
            (sink, SimIo::new(&self.disk, self.rng.u64(..1 << 30)))
        });
        let (sinks, next) = (sinks.collect(), self.known.next.clone());
        Cores { sinks, next, ended: None, untold: None, at_end: false }
    }

    /// Something happens on some core; false when a sink has failed.
    fn step(&mut self, cores: &mut Cores) -> bool {
        let core = self.rng.usize(..cores.sinks.len());
        let (sink, io) = &mut cores.sinks[core];
        match self.rng.u8(..20) {
            0..4 if !sink.is_full() && !cores.at_end => {
                let rows = self.rng.i64(1..80);
                let next = &mut cores.next[core];
                sink.write(&batch(*next..*next + rows), io);
                *next += rows;
            }
            4 => io.clock.advance_ms(self.rng.u64(..30)),
            5 if cores.ended.is_none() && cores.untold.is_none() => self.end_epoch(cores),
            6 => self.commit(cores),
            7 => self.tell(cores),
            _ if cores.at_end => {
                sink.finish(io);
            }
            _ => {
                sink.poll(io);
            }
        }
        !cores.sinks.iter_mut().any(|(it, _)| it.take_failure().is_some())
    }

    fn end_epoch(&mut self, cores: &mut Cores) {
        self.epoch += 1;
        let epoch = Epoch::new(self.epoch);
        let mut positions = Vec::new();
        for ((sink, io), core) in cores.sinks.iter_mut().zip((0..).map(CoreId::new)) {
            sink.end_epoch(epoch, io);
            positions.extend(sink.position().map(|position| (core, position)));
        }
        cores.ended = Some((epoch, Known { next: cores.next.clone(), positions }));
    }

    /// The epoch exists, if everything it needs is durable.
    fn commit(&mut self, cores: &mut Cores) {
        let sinks = &cores.sinks;
        let is_durable =
            |(epoch, _): &mut (Epoch, Known)| sinks.iter().all(|(sink, _)| sink.is_durable(*epoch));
        if let Some((epoch, known)) = cores.ended.take_if(is_durable) {
            (self.known, cores.untold) = (known, Some(epoch));
        }
    }

    fn tell(&mut self, cores: &mut Cores) {
        if let Some(epoch) = cores.untold.take() {
            cores.sinks.iter_mut().for_each(|(sink, io)| sink.commit(epoch, io));
        }
    }

    /// The numbers that are visible, core by core, in the order of the parts' names.
    fn visible(&self, core_count: usize) -> Vec<Vec<i64>> {
        let mut visible = vec![Vec::new(); core_count];
        for path in self.disk.paths() {
            let Some(name) = path.strip_prefix("/out/part-") else { continue };
            let core: usize = name.split('-').nth(1).unwrap().parse().unwrap();
            visible[core].extend(numbers_of(name, self.disk.bytes(&path)));
        }
        visible
    }

    /// Nothing is visible that the epochs that exist do not have, and nothing twice.
    fn check(&self) {
        for (core, numbers) in self.visible(self.known.next.len()).into_iter().enumerate() {
            assert!(numbers.is_sorted_by(|one, next| one < next), "core {core} shows {numbers:?}");
            let all = 0..self.known.next[core];
            assert!(
                numbers.last().is_none_or(|last| all.contains(last)),
                "core {core}: {numbers:?}"
            );
        }
    }

    /// Everything that the epochs that exist have is visible.
    fn check_all(&self) {
        self.check();
        for (core, numbers) in self.visible(self.known.next.len()).iter().enumerate() {
            assert!(numbers.iter().copied().eq(0..self.known.next[core]), "core {core}");
        }
        for path in self.disk.paths() {
            let is_open = path.ends_with(&format!("{OWNER:016x}.open"));
            assert!(!is_open, "{path} is still open");
        }
        for other in OTHERS {
            assert_eq!(self.disk.bytes(other), other.as_bytes());
        }
    }

    fn crash(&mut self, cores: Cores) {
        drop(cores);
        self.coverage.crashes += 1;
        if self.disk.is_off() || self.rng.u8(..4) > 0 {
            self.disk.cut_power();
        } else {
            self.disk.kill();
        }
    }

    /// Starts until a start succeeds.
    fn recover(&mut self) {
        for attempt in 0.. {
            if attempt < 3 && self.rng.bool() {
                let fault = match self.rng.u8(..4) {
                    0 => Fault::Error(std::io::ErrorKind::TimedOut),
                    1 => Fault::FailedSync,
                    _ => Fault::Cut,
                };
                self.disk.plan(self.rng.u64(1..12), fault);
            }
            let positions = self.known.positions.iter();
            let positions: Vec<(CoreId, &[u8])> =
                positions.map(|(core, position)| (*core, &position[..])).collect();
            match recover_parts(&self.disk, Path::new(OUT), OWNER, &positions) {
                Ok(RecoveredParts { notes, run_max }) if !self.disk.is_off() => {
                    assert!(run_max <= self.run);
                    assert!(!notes.iter().any(|note| note.contains("gone")), "{notes:?}");
                    self.coverage.completed += u32::from(!notes.is_empty());
                    self.disk.forget_plans();
                    return;
                }
                Ok(_) => {}
                Err(failure) => assert_eq!(failure.class, FailureClass::Io, "{failure:?}"),
            }
            self.coverage.cut_recoveries += 1;
            if self.disk.is_off() {
                self.disk.cut_power()
            } else {
                self.disk.kill()
            }
            self.check();
        }
    }
}

fn simulate(seed: u64, coverage: &mut Coverage) {
    let _seed = Seed(seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let disk = SimDisk::new(seed);
    OTHERS.iter().for_each(|other| disk.put(other, other.as_bytes()));
    let core_count = rng.u16(1..=3);
    let known = Known { next: vec![0; usize::from(core_count)], positions: Vec::new() };
    let runs = rng.u32(2..6);
    let mut simulation = Simulation { disk, rng, run: 0, epoch: 0, known, coverage };
    for _ in 0..runs {
        let mut cores = simulation.begin(core_count);
        match simulation.rng.u8(..4) {
            0 => simulation.disk.plan(simulation.rng.u64(1..300), Fault::FailedSync),
            1 => simulation.disk.plan(simulation.rng.u64(1..300), Fault::Cut),
            _ => {}
        }
        for step in 0..simulation.rng.u32(..800) {
            if simulation.disk.is_off() {
                break;
            }
            if !simulation.step(&mut cores) {
                simulation.coverage.failed += 1;
                break;
            }
            if step % CHECKED_STEPS == 0 {
                simulation.check();
            }
        }
        simulation.check();
        let is_hidden = |path: &String| path.ends_with("ab.open");
        let hidden = simulation.disk.paths().iter().filter(|path| is_hidden(path)).count();
        simulation.coverage.waiting += u32::from(hidden > usize::from(core_count));
        simulation.crash(cores);
        simulation.recover();
        simulation.check_all();
    }
    finish(&mut simulation, core_count);
}

/// The last run comes to its end.
fn finish(simulation: &mut Simulation<'_>, core_count: u16) {
    let mut cores = simulation.begin(core_count);
    for _ in 0..200 {
        assert!(simulation.step(&mut cores));
    }
    cores.at_end = true;
    for step in 0..100_000 {
        assert!(simulation.step(&mut cores));
        if step % CHECKED_STEPS == 0 {
            simulation.check();
        }
        if cores.next == simulation.known.next
            && cores.untold.is_none()
            && cores.sinks.iter_mut().all(|(sink, io)| sink.finish(io))
        {
            simulation.check_all();
            return;
        }
    }
    panic!("the sinks do not come to their end");
}

#[test]
fn what_is_visible_is_what_the_epochs_have() {
    let alone: Option<u64> = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let mut coverage = Coverage::default();
    for seed in alone.map_or(0..SEEDS, |seed| seed..seed + 1) {
        simulate(seed, &mut coverage);
    }
    let Coverage { crashes, completed, cut_recoveries, failed, waiting } = coverage;
    let is_enough = [crashes, completed, cut_recoveries, failed, waiting].iter().all(|it| *it > 30);
    assert!(alone.is_some() || is_enough, "{coverage:?}");
}
