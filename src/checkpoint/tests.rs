//! One core's part in epochs, step by step, over a journal and an operator that do what they are told.

use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::journal::{JournalId, JournalRange, Kind, Position};
use crate::reactor::Io;
use crate::reactor::testing::{TestFiles, TestIo};
use crate::record::Epoch;
use crate::state::{
    CorruptState, LoadOptions, Loaded, Record, SliceWriter, StateKey, StateSchema, Stateful,
};
use crate::stdx::{CoreId, Failure};

const KEY: StateKey = StateKey { operator: 5, part: 0 };

/// Notes what is appended: `S3` a slice in epoch 3, `s` a part of one, `D` a definition, `M` a manifest, `E` an end, `C` a
/// commit record, `R` what is no longer needed.
#[derive(Default)]
struct NotedLog {
    notes: Vec<String>,
    has_room: bool,
    ended: u64,
    durable: u64,
    commit: Option<Epoch>,
    bytes: u64,
    manifest: Option<Manifest>,
}

impl StateLog for NotedLog {
    fn append(&mut self, tag: EntryTag, epoch: Epoch, payload: &[u8]) -> Appended {
        if !self.has_room {
            return Appended::NoRoom;
        }
        let letter = match tag {
            EntryTag::Slice => "S",
            EntryTag::SlicePart => "s",
            EntryTag::Definition => "D",
            EntryTag::Manifest => {
                self.manifest = Some(Manifest::decode(payload).expect("just encoded"));
                "M"
            }
        };
        self.bytes += payload.len() as u64;
        self.notes.push(format!("{letter}{}", epoch.number()));
        Appended::Yes
    }

    fn end_epoch(&mut self, epoch: Epoch, needed: Epoch) -> LogRange {
        self.notes.push(format!("E{}", epoch.number()));
        self.ended = epoch.number();
        let at = |offset| LogPosition { segment: 0, offset };
        LogRange { from: at(needed.number()), to: at(epoch.number()), sequence: 0 }
    }

    fn sync(&mut self, _: &mut dyn Io) {}

    fn poll(&mut self, _: &mut dyn Io) -> Option<Failure> {
        None
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        epoch.number() <= self.durable
    }

    fn append_commit(&mut self, epoch: Epoch, cores: &[CoreRanges]) -> Appended {
        if !self.has_room {
            return Appended::NoRoom;
        }
        self.commit = Some(epoch);
        self.notes.push(format!("C{}/{}", epoch.number(), cores.len()));
        Appended::Yes
    }

    fn is_commit_durable(&self, epoch: Epoch) -> bool {
        self.commit == Some(epoch) && self.durable > epoch.number()
    }

    fn committed(&mut self, _: Epoch, needed: Epoch) {
        self.notes.push(format!("R{}", needed.number()));
    }

    fn bytes_since(&self, _: Epoch) -> u64 {
        self.bytes
    }
}

/// Has so many slices of changes, and so many of a base.
struct Slices {
    schema: StateSchema,
    changes: usize,
    base: usize,
    base_left: usize,
}

impl Stateful for Slices {
    fn schema(&self) -> &StateSchema {
        &self.schema
    }

    fn bytes(&self) -> usize {
        100
    }

    fn write_changes(&mut self, out: &mut SliceWriter) -> bool {
        if self.changes > 0 {
            out.operator_note(&[7]);
            self.changes -= 1;
        }
        self.changes == 0
    }

    fn begin_base(&mut self) {
        self.base_left = self.base;
    }

    fn write_base(&mut self, _: &Range<u16>, out: &mut SliceWriter) -> bool {
        out.operator_note(&[8]);
        self.base_left -= 1;
        self.base_left == 0
    }

    fn load(&mut self, _: Record<'_>, _: &LoadOptions) -> Result<(), CorruptState> {
        unreachable!("nothing is loaded")
    }

    fn end_of_core(&mut self) -> Result<(), CorruptState> {
        unreachable!("nothing is loaded")
    }

    fn loaded(&mut self) -> Loaded {
        Loaded::AsWritten
    }
}

struct Machine {
    participant: Participant,
    log: NotedLog,
    operator: Slices,
    io: TestIo,
    position: u8,
    /// Where the side journal ends.
    side: u64,
    others_are_durable: bool,
    said: Vec<String>,
}

impl Machine {
    fn new(start: ParticipantStart, kept: KeptLimits) -> Machine {
        let schema = StateSchema { purpose: "slices".into(), tables: vec![] };
        let operators = vec![OperatorDefinition { key: KEY, schema: schema.clone() }];
        let options = ParticipantOptions {
            core: CoreId::ZERO,
            core_count: 1,
            definition: Definition { operators },
            start,
            // One slice a turn.
            limits: CaptureLimits { turn_bytes: 10, slice_bytes: 10, part_bytes: 100, kept },
        };
        Machine {
            participant: Participant::new(options),
            log: NotedLog { has_room: true, ..NotedLog::default() },
            operator: Slices { schema, changes: 0, base: 2, base_left: 0 },
            io: TestIo::new(&TestFiles::default(), 1, 1),
            position: 0,
            side: 0,
            others_are_durable: true,
            said: Vec::new(),
        }
    }

    /// One turn, as a worker has it.
    fn turn(&mut self) {
        let Machine { participant, log, operator, io, others_are_durable, .. } = self;
        participant.begin_turn(log);
        if participant.open_epoch().is_some() {
            participant.capture(KEY, operator, log);
            if participant.is_captured() {
                let position = Some(vec![self.position]);
                let positions = vec![NamedPosition { name: "s".into(), position }];
                participant.seal(positions, Vec::new(), vec![side_range(self.side)]);
            }
        } else if participant.writes_base() {
            participant.write_base(KEY, operator, log);
        }
        participant.poll(io, log, &|_| *others_are_durable).expect("this journal never fails");
        while let Some(message) = participant.take_message() {
            self.said.push(match message {
                FromCore::Ready => "ready".into(),
                FromCore::Changed => "changed".into(),
                FromCore::Sealed { epoch, is_written: true, .. } => {
                    format!("sealed{}", epoch.number())
                }
                FromCore::Sealed { epoch, .. } => format!("same{}", epoch.number()),
                FromCore::CommitWritten(epoch) => format!("written{}", epoch.number()),
                FromCore::Ended => "ended".into(),
            });
        }
    }

    fn receive(&mut self, message: ToCore) {
        self.participant.receive(message, &mut self.log);
    }

    /// `b4` begins epoch 4, `w4` has its record written, `c4` says that it exists; `x3` makes three
    /// slices of changes, `p` moves the source, `i` appends to the side journal, `d4` makes epoch 4 durable,
    /// `-` and `+` take and give room, `o` and `O` say that other parts are not and are durable, `t` is a turn,
    /// `tt` two.
    #[track_caller]
    fn check(&mut self, script: &str, appended: &str, said: &str) {
        for word in script.split_whitespace() {
            let number: u64 = word[1..].parse().unwrap_or(0);
            let epoch = Epoch::new(number);
            match &word[..1] {
                "b" => self.receive(ToCore::Begin(epoch)),
                "w" => self.receive(ToCore::WriteCommit { epoch, cores: Arc::from([]) }),
                "c" => self.receive(ToCore::Committed { epoch, is_written: true }),
                "x" => self.operator.changes = usize::try_from(number).unwrap(),
                "p" => self.position += 1,
                "d" => self.log.durable = number,
                "i" => self.side += 1,
                "-" => self.log.has_room = false,
                "+" => self.log.has_room = true,
                "o" => self.others_are_durable = false,
                "O" => self.others_are_durable = true,
                _ => word.chars().for_each(|_| self.turn()),
            }
        }
        let (notes, words) = (std::mem::take(&mut self.log.notes), std::mem::take(&mut self.said));
        assert_eq!(
            (notes.join(" ").as_str(), words.join(" ").as_str()),
            (appended, said),
            "{script}"
        );
    }
}

fn side_range(offset: u64) -> JournalRange {
    let journal = JournalId { kind: Kind::Ingest, core: CoreId::ZERO };
    let to = Position { segment: 1, offset };
    JournalRange { journal, from: Position::BEGINNING, to, sequence: offset }
}

fn machine(start: ParticipantStart) -> Machine {
    Machine::new(start, KeptLimits::default())
}

#[test]
fn an_epoch_is_captured_slice_by_slice_sealed_and_reported() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(4)));
    machine.check("t", "", "ready");
    machine.check("x3 b4 t", "S4", "");
    machine.check("tt", "S4 S4 D4 M4 E4", "");
    machine.check("t d4 t", "", "sealed4");
    machine.check("w4 t d5 t", "C4/0", "written4");
    machine.check("c4", "R4", "");
    machine.check("p b5 t d5 t c5", "M5 E5 R4", "sealed5");
}

#[test]
fn an_epoch_waits_for_what_sinks_and_side_journals_make_durable() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(1)));
    machine.check("b1 o tt d1 tt", "D1 M1 E1", "ready");
    machine.check("O t", "", "sealed1");
}

#[test]
fn without_room_everything_waits_and_nothing_is_lost() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(1)));
    machine.check("x3 b1 - ttt", "", "ready");
    assert!(machine.participant.waits_for_room());
    // What has waited, and one more.
    machine.check("+ t - tt", "S1 S1", "");
    machine.check("+ tt", "S1 D1 M1 E1", "");
    machine.check("d1 t w1 - t", "", "sealed1");
    machine.check("+ t", "C1/0", "");
    assert!(machine.participant.status(&machine.log).turns_without_room > 3);
}

#[test]
fn a_long_slice_is_appended_in_parts() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(1)));
    machine.participant.set_part_bytes(10);
    // A header of 24 bytes, and a note of 10.
    machine.check("x1 b1 t t - t", "s1 s1", "ready");
    machine.check("+ t t", "s1 S1 D1 M1 E1", "");
}

#[test]
fn what_has_not_changed_is_not_written() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(1)));
    machine.check("b1 tt d1 t c1", "D1 M1 E1 R1", "ready sealed1");
    machine.check("b2 t c2", "R1", "same2");
    machine.check("x1 b3 t t d3 t", "S3 M3 E3", "sealed3");
}

#[test]
fn what_changed_in_a_side_journal_alone_is_written() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(1)));
    machine.check("b1 tt d1 t c1 b2 t c2", "D1 M1 E1 R1 R1", "ready sealed1 same2");
    machine.check("i b3 t d3 t c3 b4 t", "M3 E3 R1", "sealed3 same4");
}

#[test]
fn a_change_is_said_once_per_epoch() {
    let mut machine = machine(ParticipantStart::Fresh(Epoch::new(1)));
    machine.participant.note_change();
    machine.participant.note_change();
    machine.check("b1 t", "D1 M1 E1", "ready changed");
    machine.participant.note_change();
    machine.check("t", "", "changed");
}

#[test]
fn state_that_was_arranged_otherwise_is_written_before_the_first_epoch() {
    let mut machine = machine(ParticipantStart::Rebased(Epoch::new(9)));
    machine.check("t", "S9", "");
    machine.check("t", "S9", "ready changed");
    machine.check("b9 tt", "D9 M9 E9", "");
    let manifest = machine.log.manifest.as_ref().unwrap();
    assert_eq!((manifest.replayed_from(), manifest.kept_from()), (Epoch::new(9), Epoch::new(9)));
}

#[test]
fn bases_are_written_between_epochs_and_belong_to_the_next() {
    let kept = KeptLimits { percent_max: 0, bytes_min: 1 };
    let mut machine = Machine::new(ParticipantStart::Fresh(Epoch::new(1)), kept);
    machine.operator.base = 5;
    // Due as soon as there is an epoch, and two slices a turn since too much is kept.
    machine.check("b1 t d1 t c1 t", "D1 M1 E1 R1 S2 S2", "ready sealed1");
    machine.check("x1 b2 t", "S2 M2 E2", "");
    let range = |it: &Machine| it.log.manifest.as_ref().unwrap().bases[0];
    let none = RangeBases { newest: Epoch::new(1), before: RangeBases::NONE };
    assert_eq!(range(&machine), none);
    machine.check("d2 tttt", "S3 S3 S3", "sealed2");
    machine.check("c2 p b3 t", "R1 M3 E3", "");
    let one = RangeBases { newest: Epoch::new(2), before: Epoch::new(2) };
    assert_eq!(range(&machine), one);
}
