//! Model: two edges in a row between two and three cores, with the smallest lanes there are, in every
//! order in which the cores' steps can follow each other.
//!
//! A step is one stage of one core served once, as the worker does it: the sink takes an element;
//! the middle takes one unless its outbox is full, and passes it on; the source does the next thing
//! of its script unless its outbox is full (barrier and end do not ask). Serving flushes.
//!
//! From every state that can be reached some step changes something, until every sink has ended
//! (steps only ever move elements forward, so this means that every interleaving ends). On the way:
//! every row arrives once and at its place, a barrier comes exactly behind the rows before it, and
//! no row comes behind a watermark that covers it.
//!
//! Read: this file (the machine and its steps) · `search` (all orders of them).

mod search;

use super::{Inbox, KeyPartitioning, Outbox, Partitioner, local_lane};
use crate::record::{Batch, Cause, Element, Epoch, KeyGroup, KeyHasher, Timestamp, Watermark};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Slots of a lane.
const QUEUE: usize = 2;

/// What every source does, in order: `b` a batch with one row for each core, `|` the watermark of
/// everything before, `#` a barrier, `$` the end.
#[derive(Clone, Copy)]
struct Script(&'static [u8]);

impl Script {
    /// How often `item` comes before position `end`.
    fn count(self, item: u8, end: usize) -> usize {
        self.0[..end].iter().filter(|&&other| other == item).count()
    }

    /// Where the barrier of `epoch` stands.
    fn barrier(self, epoch: u64) -> usize {
        (0..self.0.len())
            .find(|&at| self.0[at] == b'#' && self.count(b'#', at + 1) as u64 == epoch)
            .expect("the script has this barrier")
    }
}

/// One row: who made it, in which of its batches, first for which core.
#[derive(Clone, Copy)]
struct Row {
    source: usize,
    batch: usize,
    first: usize,
}

impl Row {
    fn from_value(value: i64) -> Row {
        let value = usize::try_from(value).unwrap();
        Row { source: value / 100, batch: value / 10 % 10, first: value % 10 }
    }

    fn value(self) -> i64 {
        i64::try_from(self.source * 100 + self.batch * 10 + self.first).unwrap()
    }

    /// The core whose sink it belongs to.
    fn sink(self, cores: usize) -> usize {
        (self.source + self.batch + self.first) % cores
    }

    /// Its bit in the set of all rows.
    fn bit(self, cores: usize) -> u64 {
        1 << ((self.batch * cores + self.source) * cores + self.first)
    }
}

struct Core {
    /// How far the source is.
    position: usize,
    outboxes: [Outbox; 2],
    inboxes: [Inbox; 2],
    /// Rows the sink has, as bits.
    seen: u64,
    epochs: u64,
    watermark: Timestamp,
    is_ended: bool,
}

/// When a stage flushes its outbox.
#[derive(Clone, Copy)]
enum Flushing {
    /// Whenever it is served: the worker's rule.
    Always,
    /// Only when it had room: what the model must find to be wrong.
    WithRoom,
}

struct Machine {
    script: Script,
    flushing: Flushing,
    schema: Arc<Schema>,
    cores: Vec<Core>,
}

impl Machine {
    fn new(core_count: u16, script: Script, flushing: Flushing) -> Machine {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let hasher = KeyHasher::new(0);
        let options = KeyPartitioning { schema: &schema, columns: &[0], hasher, core_count };
        let partitioner = Partitioner::by_key(&options).unwrap();
        let edge = || edge(usize::from(core_count), &partitioner);
        let core = |((out_1, in_1), (out_2, in_2))| Core {
            position: 0,
            outboxes: [out_1, out_2],
            inboxes: [in_1, in_2],
            seen: 0,
            epochs: 0,
            watermark: Timestamp::MIN,
            is_ended: false,
        };
        let cores = edge().into_iter().zip(edge()).map(core).collect();
        Machine { script, flushing, schema, cores }
    }

    fn fork(&self) -> Machine {
        let (mut outboxes, mut lanes): (Vec<[Outbox; 2]>, Vec<[_; 2]>) = (Vec::new(), Vec::new());
        for core in &self.cores {
            let [(out_1, lanes_1), (out_2, lanes_2)] = core.outboxes.each_ref().map(Outbox::fork);
            outboxes.push([out_1, out_2]);
            lanes.push([lanes_1.into_iter(), lanes_2.into_iter()]);
        }
        let cores = self.cores.iter().zip(outboxes).map(|(core, outboxes)| {
            // Each sender's lanes are in the order of receivers, as the cores are here.
            let mut inbox = |edge: usize| {
                let from_all = lanes.iter_mut().map(|lanes| lanes[edge].next().unwrap());
                core.inboxes[edge].fork(from_all.collect())
            };
            let inboxes = [inbox(0), inbox(1)];
            Core { outboxes, inboxes, ..*core }
        });
        let cores = cores.collect();
        let (script, flushing) = (self.script, self.flushing);
        Machine { script, flushing, schema: self.schema.clone(), cores }
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for core in &self.cores {
            (core.position, core.seen, core.epochs, core.watermark, core.is_ended)
                .hash(&mut hasher);
            for (outbox, inbox) in core.outboxes.iter().zip(&core.inboxes) {
                outbox.visit(&mut |element| hash_element(element, &mut hasher));
                inbox.fingerprint().hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    fn is_complete(&self) -> bool {
        self.cores.iter().all(|core| core.is_ended)
    }

    /// Serves one stage of one core, stages from the sink backwards.
    fn step(&mut self, core: usize, stage: usize) {
        match stage {
            0 => self.step_sink(core),
            1 => self.step_middle(core),
            _ => self.step_source(core),
        }
        for outbox in &self.cores[core].outboxes {
            // Staged behind a full lane: a batch, a watermark, a barrier and the end.
            assert!(outbox.queued() <= self.cores.len() * (QUEUE + 4), "an outbox grows");
        }
    }

    fn step_source(&mut self, index: usize) {
        let cores = self.cores.len();
        let core = &mut self.cores[index];
        let [outbox, _] = &mut core.outboxes;
        let item = self.script.0.get(core.position).copied();
        let batches = self.script.count(b'b', core.position);
        let waits = outbox.is_full() && matches!(item, Some(b'b' | b'|'));
        if !waits {
            match item {
                Some(b'b') => {
                    let row_for = |first| Row { source: index, batch: batches, first };
                    let rows: Vec<Row> = (0..cores).map(row_for).collect();
                    outbox.push(batch(&self.schema, &rows, cores, |row| row.first));
                }
                Some(b'|') => {
                    outbox.watermark(Watermark::At(time_of_batch(batches)), Cause::default())
                }
                Some(b'#') => {
                    let epochs = self.script.count(b'#', core.position);
                    outbox.barrier(Epoch::new(epochs as u64 + 1));
                }
                Some(b'$') => outbox.end(),
                Some(other) => panic!("no script has {other}"),
                None => {}
            }
            core.position = (core.position + 1).min(self.script.0.len());
        }
        flush(outbox, self.flushing);
    }

    fn step_middle(&mut self, index: usize) {
        let cores = self.cores.len();
        let core = &mut self.cores[index];
        let [_, outbox] = &mut core.outboxes;
        let element = if outbox.is_full() { None } else { core.inboxes[0].next() };
        match element {
            Some(Element::Batch(received)) => {
                let rows: Vec<Row> = rows(&received).map(Row::from_value).collect();
                assert!(rows.iter().all(|row| row.first == index), "a row lost its way");
                outbox.push(batch(&self.schema, &rows, cores, |row| row.sink(cores)));
            }
            Some(Element::Watermark(watermark, cause)) => outbox.watermark(watermark, cause),
            Some(Element::Barrier(epoch)) => outbox.barrier(epoch),
            Some(Element::End) => outbox.end(),
            None => {}
        }
        flush(outbox, self.flushing);
    }

    fn step_sink(&mut self, index: usize) {
        let cores = self.cores.len();
        let element = self.cores[index].inboxes[1].next();
        match element {
            Some(Element::Batch(received)) => {
                let core = &mut self.cores[index];
                for row in rows(&received).map(Row::from_value) {
                    assert_eq!(row.sink(cores), index, "a row lost its way");
                    assert_eq!(core.seen & row.bit(cores), 0, "a row came twice");
                    let covered = core.watermark >= time_of_batch(row.batch + 1);
                    assert!(!covered, "a row came too late");
                    core.seen |= row.bit(cores);
                }
            }
            Some(Element::Watermark(Watermark::At(time), _)) => {
                assert!(self.cores[index].watermark < time, "a watermark went back");
                self.cores[index].watermark = time;
                let batches = usize::try_from(time.millis()).unwrap();
                let covered = self.rows_before(index, batches);
                assert_eq!(self.cores[index].seen & covered, covered, "a row is missing");
            }
            Some(Element::Watermark(Watermark::Idle, _)) => panic!("nobody is idle"),
            Some(Element::Barrier(epoch)) => {
                self.cores[index].epochs += 1;
                assert_eq!(epoch, Epoch::new(self.cores[index].epochs));
                let batches = self.script.count(b'b', self.script.barrier(epoch.number()));
                assert_eq!(self.cores[index].seen, self.rows_before(index, batches), "{epoch:?}");
            }
            Some(Element::End) => {
                let batches = self.script.count(b'b', self.script.0.len());
                assert_eq!(self.cores[index].seen, self.rows_before(index, batches));
                let epochs = self.script.count(b'#', self.script.0.len()) as u64;
                assert_eq!(self.cores[index].epochs, epochs);
                self.cores[index].is_ended = true;
            }
            None => {}
        }
    }

    /// The rows of the first `batches` batches of all sources that belong to `sink`.
    fn rows_before(&self, sink: usize, batches: usize) -> u64 {
        let cores = self.cores.len();
        let mut bits = 0;
        for (batch, source, first) in (0..batches)
            .flat_map(|b| (0..cores).flat_map(move |s| (0..cores).map(move |f| (b, s, f))))
        {
            let row = Row { source, batch, first };
            if row.sink(cores) == sink {
                bits |= row.bit(cores);
            }
        }
        bits
    }
}

fn flush(outbox: &mut Outbox, flushing: Flushing) {
    if matches!(flushing, Flushing::Always) || !outbox.is_full() {
        outbox.flush();
    }
}

/// One edge between `cores` cores, by core.
fn edge(cores: usize, partitioner: &Partitioner) -> Vec<(Outbox, Inbox)> {
    let mut from_all: Vec<Vec<_>> = (0..cores).map(|_| Vec::new()).collect();
    let mut outboxes = Vec::new();
    for _ in 0..cores {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..cores).map(|_| local_lane(QUEUE)).unzip();
        outboxes.push(Outbox::new(partitioner.clone(), senders));
        from_all.iter_mut().zip(receivers).for_each(|(lanes, lane)| lanes.push(lane));
    }
    outboxes.into_iter().zip(from_all.into_iter().map(Inbox::new)).collect()
}

/// The watermark behind the first `batches` batches: their number.
fn time_of_batch(batches: usize) -> Timestamp {
    Timestamp::from_millis(i64::try_from(batches).unwrap())
}

/// `rows` with hashes that send each to its `target`.
fn batch(
    schema: &Arc<Schema>,
    rows: &[Row],
    cores: usize,
    target: impl Fn(&Row) -> usize,
) -> Batch {
    let column: ArrayRef =
        Arc::new(rows.iter().map(|row| Some(row.value())).collect::<Int64Array>());
    let mut batch = Batch::new(RecordBatch::try_new(schema.clone(), vec![column]).unwrap(), 0);
    let first_group = |core: usize| (core * usize::from(KeyGroup::COUNT)).div_ceil(cores) as u64;
    let hashes: Vec<u64> = rows.iter().map(|row| first_group(target(row))).collect();
    batch.tags.hashes = Some(hashes.into());
    batch
}

fn rows(batch: &Batch) -> impl Iterator<Item = i64> {
    batch.rows.column(0).as_primitive::<Int64Type>().values().iter().copied()
}

fn hash_element(element: &Element, hasher: &mut DefaultHasher) {
    std::mem::discriminant(element).hash(hasher);
    match element {
        Element::Batch(batch) => rows(batch).for_each(|value| value.hash(hasher)),
        Element::Watermark(watermark, _) => watermark.hash(hasher),
        Element::Barrier(epoch) => epoch.hash(hasher),
        Element::End => {}
    }
}
