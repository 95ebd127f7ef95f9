//! A store against a model: random changes, drops, barriers, partial captures and walks; every epoch
//! that can be restored is, on several numbers of cores, and must be the model as it was then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::record::{KeyGroup, KeyHasher};
use crate::stdx::CoreId;

const HASHER: KeyHasher = KeyHasher::new(3);
const KEY: StateKey = StateKey { operator: 77, part: 0 };

/// Words of an entry: a count, a double, a decimal, a text.
const COUNT: usize = 0;
const DOUBLE: usize = 1;
const DECIMAL: usize = 2;
const TEXT: usize = 4;
const WORDS: usize = 6;

impl PaneName for i64 {
    fn words(self) -> PaneWords {
        [self, -self]
    }

    fn from_words([pane, mirrored]: PaneWords) -> Option<i64> {
        (pane == -mirrored).then_some(pane)
    }
}

#[derive(Debug)]
struct Content {
    tables: Tables,
    rows: u64,
}

impl PaneContent for Content {
    fn tables(&self) -> &Tables {
        &self.tables
    }
    fn tables_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }
    fn rows(&self) -> u64 {
        self.rows
    }
    fn set_rows(&mut self, rows: u64) {
        self.rows = rows;
    }
}

fn schema() -> Arc<StateSchema> {
    let value = |kind| ValueSchema { name: "v".into(), kind };
    let kinds = [ValueKind::Int, ValueKind::Float, ValueKind::Decimal, ValueKind::Text];
    let groups = TableSchema {
        name: "groups".into(),
        keys: vec![],
        values: kinds.map(value).to_vec(),
        is_set: false,
    };
    let set = TableSchema { name: "set".into(), keys: vec![], values: vec![], is_set: true };
    Arc::new(StateSchema { purpose: String::new(), tables: vec![groups, set] })
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct ModelEntry {
    count: u64,
    double: u64,
    decimal: [u64; 2],
    text: Option<Vec<u8>>,
    members: BTreeSet<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct ModelPane {
    rows: u64,
    entries: BTreeMap<Vec<u8>, ModelEntry>,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Model {
    note: i64,
    panes: BTreeMap<i64, ModelPane>,
}

/// A store, its model, and everything written.
struct Machine {
    random: fastrand::Rng,
    schema: Arc<StateSchema>,
    store: Store<i64, Content>,
    model: Model,
    /// Barriers so far; the model at each.
    epochs: Vec<Model>,
    /// Epoch being written, if not all of it is.
    writing: bool,
    base: Option<OpenBase>,
    /// Bases that are complete.
    bases: Vec<Base>,
    bases_begun: usize,
    /// In the order in which it was written.
    slices: Vec<(Written, Vec<u8>)>,
}

struct OpenBase {
    cursor: BaseCursor<i64>,
    number: usize,
    after: usize,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    number: usize,
    /// The epoch whose barrier it began behind.
    after: usize,
    /// First epoch it can restore.
    from: usize,
}

/// Where increments begin when there is no base.
const NOTHING: Base = Base { number: 0, after: 0, from: 1 };

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Written {
    Increment(usize),
    /// Of the base with this number.
    Base(usize),
}

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![5];
    key.extend_from_slice(&number.to_le_bytes());
    key.resize(9 + usize::try_from(number % 4).unwrap(), 7);
    key
}

impl Machine {
    fn new(seed: u64) -> Machine {
        Machine {
            random: fastrand::Rng::with_seed(seed),
            schema: schema(),
            store: Store::new(Tracking::On),
            model: Model::default(),
            epochs: vec![],
            writing: false,
            base: None,
            bases: vec![],
            bases_begun: 0,
            slices: vec![],
        }
    }

    fn step(&mut self) {
        match self.random.u32(0..100) {
            0..45 => self.change(),
            45..48 => self.drop_pane(),
            48..52 => {
                self.store.free_some();
            }
            52..74 => self.write_changes(),
            74..80 if self.base.is_none() => self.begin_base(),
            80..93 => self.write_base(),
            _ if !self.writing => self.barrier(),
            _ => {}
        }
    }

    /// Some rows of one pane.
    fn change(&mut self) {
        let pane = self.random.i64(0..5);
        let rows = self.random.usize(1..30);
        let keys: Vec<Vec<u8>> = (0..rows).map(|_| key(self.random.u64(0..60))).collect();
        let hashes: Vec<u64> = keys.iter().map(|key| HASHER.hash(key)).collect();
        let schema = Arc::clone(&self.schema);
        let make = || Content { tables: Tables::new(&schema, Tracking::On), rows: 0 };
        let content = self.store.to_change(pane, make);
        let model = self.model.panes.entry(pane).or_default();
        content.rows += rows as u64;
        model.rows += rows as u64;
        let mut found = Vec::new();
        content.tables.groups_mut().to_change(&hashes, |row| &keys[row], &[0; WORDS], &mut found);
        for (key, &entry) in keys.iter().zip(&found) {
            let groups = content.tables.groups_mut();
            let expected = model.entries.entry(key.clone()).or_default();
            groups.rows_mut().update(entry, COUNT, |[count]: [u64; 1]| [count + 1]);
            expected.count += 1;
            let bits = self.random.u64(..);
            groups.rows_mut().update(entry, DOUBLE, |_: [u64; 1]| [bits]);
            groups.rows_mut().update(entry, DECIMAL, |_: [u64; 2]| [bits, !bits]);
            (expected.double, expected.decimal) = (bits, [bits, !bits]);
            if self.random.bool() {
                let text = "ä".repeat(self.random.usize(0..20)).into_bytes();
                groups.set_value(entry, TEXT, &text);
                expected.text = Some(text);
            }
            let member = vec![self.random.u8(0..6); self.random.usize(0..3)];
            let mut set_key = entry.number().to_le_bytes().to_vec();
            set_key.extend_from_slice(&member);
            let set = content.tables.set_mut(0);
            let is_new = set.add_member(HASHER.hash(&member), entry.number(), &set_key);
            assert_eq!(is_new, expected.members.insert(member));
        }
    }

    fn drop_pane(&mut self) {
        let names: Vec<i64> = self.model.panes.keys().copied().collect();
        let Some(&name) = self.random.choice(&names) else { return };
        self.store.drop_pane(name);
        self.model.panes.remove(&name);
    }

    fn barrier(&mut self) {
        self.model.note += self.random.i64(0..2);
        self.store.on_barrier(&[self.model.note]);
        self.epochs.push(self.model.clone());
        self.writing = true;
    }

    fn write_changes(&mut self) {
        if !self.writing {
            return;
        }
        let mut out = SliceWriter::default();
        out.begin(KEY, 0, self.random.usize(1..1500));
        self.writing = !self.store.write_changes(&mut out);
        let written = Written::Increment(self.epochs.len());
        self.slices.extend(out.finish().map(|bytes| (written, bytes.to_vec())));
    }

    fn begin_base(&mut self) {
        // Behind a barrier that all of what came before is written for.
        if !self.writing {
            self.bases_begun += 1;
            let (cursor, after) = (BaseCursor::default(), self.epochs.len());
            self.base = Some(OpenBase { cursor, number: self.bases_begun, after });
        }
    }

    fn write_base(&mut self) {
        let Some(OpenBase { mut cursor, number, after }) = self.base.take() else { return };
        let mut out = SliceWriter::default();
        out.begin(KEY, 0, self.random.usize(1..12_000));
        let note = [self.model.note];
        let done = self.store.write_base(&note, &(0..KeyGroup::COUNT), &mut cursor, &mut out);
        self.slices.extend(out.finish().map(|bytes| (Written::Base(number), bytes.to_vec())));
        if done {
            self.bases.push(Base { number, after, from: self.epochs.len() + 1 });
        } else {
            self.base = Some(OpenBase { cursor, number, after });
        }
    }

    /// The state at epoch `at`, read back from a base.
    fn restored(&self, base: Base, at: usize, base_first: bool, core_count: u16) -> Model {
        let counts = |written: Written| match written {
            Written::Increment(epoch) => base.after < epoch && epoch <= at,
            Written::Base(number) => number == base.number,
        };
        let mut slices: Vec<_> =
            self.slices.iter().filter(|(written, _)| counts(*written)).collect();
        if base_first {
            slices.sort_by_key(|(written, _)| matches!(written, Written::Increment(_)));
        }
        let mut model = Model::default();
        for core in CoreId::all(core_count) {
            let options = LoadOptions {
                groups: KeyGroup::owned_by(core, core_count),
                hasher: HASHER,
                takes_notes: core == CoreId::ZERO,
            };
            let mut store: Store<i64, Content> = Store::new(Tracking::On);
            for (_, bytes) in &slices {
                let mut slice = Slice::parse(bytes).unwrap();
                assert_eq!(slice.key, KEY);
                while let Some(record) = slice.next_record().unwrap() {
                    if let Record::OperatorNote(words) = &record {
                        model.note = words[0];
                    }
                    let make =
                        || Content { tables: Tables::new(&self.schema, Tracking::On), rows: 0 };
                    store.load(record, &options, make).unwrap();
                }
            }
            add_to_model(&store, &mut model);
        }
        model
    }
}

fn add_to_model(store: &Store<i64, Content>, model: &mut Model) {
    for (name, content) in store.iter() {
        let pane = model.panes.entry(name).or_default();
        pane.rows += content.rows;
        let groups = content.tables.groups();
        let mut cursor = Cursor::default();
        while let Some(entry) = groups.rows().next(&mut cursor) {
            let slot = HeapSlot::from_words([entry.word(TEXT), entry.word(TEXT + 1)]);
            let read = ModelEntry {
                count: entry.word(COUNT),
                double: entry.word(DOUBLE),
                decimal: [entry.word(DECIMAL), entry.word(DECIMAL + 1)],
                text: groups.value(slot).map(<[u8]>::to_vec),
                members: BTreeSet::new(),
            };
            let before = pane.entries.insert(entry.key.to_vec(), read);
            assert!(before.is_none(), "one key, one core");
        }
        let (mut members, set) = (Cursor::default(), content.tables.set(0));
        while let Some((owner, member)) = set.next_member(&mut members) {
            let owner = groups.rows().read(owner).key;
            pane.entries.get_mut(owner).unwrap().members.insert(member.to_vec());
        }
    }
}

#[test]
fn every_epoch_is_restored_as_it_was() {
    let mut bases = 0;
    for seed in 1..=40 {
        let mut machine = Machine::new(seed);
        for _ in 0..400 {
            machine.step();
        }
        let written = machine.epochs.len() - usize::from(machine.writing);
        for at in 1..=written {
            let expected = &machine.epochs[at - 1];
            if at % 3 == 0 {
                let core_count = machine.random.u16(1..4);
                let restored = machine.restored(NOTHING, at, false, core_count);
                assert!(&restored == expected, "seed {seed} epoch {at}");
            }
            for base in machine.bases.iter().copied().filter(|base| base.from <= at) {
                bases += 1;
                for base_first in [true, false] {
                    let restored = machine.restored(base, at, base_first, 2);
                    assert!(&restored == expected, "seed {seed} {base:?} epoch {at}");
                }
            }
        }
    }
    assert!(bases > 50, "{bases} restored from bases");
}

/// What has been restored and changed again is written and restored as before.
#[test]
fn increments_follow_what_was_restored() {
    for seed in 1..=30 {
        let mut machine = Machine::new(seed);
        (0..300).for_each(|_| machine.step());
        while machine.writing {
            machine.write_changes();
        }
        machine.barrier();
        while machine.writing {
            machine.write_changes();
        }
        machine.base = None;
        let mut store: Store<i64, Content> = Store::new(Tracking::On);
        let options = LoadOptions { groups: 0..KeyGroup::COUNT, hasher: HASHER, takes_notes: true };
        for (_, bytes) in
            machine.slices.iter().filter(|(to, _)| matches!(to, Written::Increment(_)))
        {
            let mut slice = Slice::parse(bytes).unwrap();
            while let Some(record) = slice.next_record().unwrap() {
                let schema = &machine.schema;
                let make = || Content { tables: Tables::new(schema, Tracking::On), rows: 0 };
                store.load(record, &options, make).unwrap();
            }
        }
        machine.store = store;
        (0..300).for_each(|_| machine.step());
        let written = machine.epochs.len() - usize::from(machine.writing);
        let expected = &machine.epochs[written - 1];
        assert!(&machine.restored(NOTHING, written, false, 2) == expected, "seed {seed}");
    }
}

#[test]
fn an_epoch_without_change_writes_nothing() {
    let mut machine = Machine::new(1);
    machine.change();
    machine.barrier();
    while machine.writing {
        machine.write_changes();
    }
    let slices = machine.slices.len();
    assert!(slices > 0);
    machine.store.on_barrier(&[machine.model.note]);
    machine.writing = true;
    machine.write_changes();
    assert_eq!((machine.writing, machine.slices.len()), (false, slices));
}

#[test]
fn slices_are_bounded() {
    let mut machine = Machine::new(5);
    (0..200).for_each(|_| machine.change());
    machine.barrier();
    let mut out = SliceWriter::default();
    for bytes_max in (100..).step_by(10) {
        out.begin(KEY, 0, bytes_max);
        let done = machine.store.write_changes(&mut out);
        // One entry beyond: 8 + 4 + 12 + 8 + 8 + 16 + 4 + 40.
        let bytes = out.finish().map_or(0, <[u8]>::len);
        assert!(bytes <= bytes_max + 130, "{bytes} bytes in a slice of {bytes_max}");
        if done {
            return;
        }
    }
}
