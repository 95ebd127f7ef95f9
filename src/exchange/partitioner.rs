//! Partitioner: which core each row belongs to, and one batch per core.
//!
//! In:  a batch.
//! Out: the same rows as at most one batch per core, in their order, with their key hashes.
//!
//! A batch whose rows all belong to one core is passed on as it is.

use crate::record::{Batch, EncodedKeys, KeyEncoder, KeyGroup, KeyHasher, UnsupportedKeyType};
use crate::stdx::{CoreId, take_with_room};
use arrow::array::{ArrayRef, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Schema};

/// Splits batches between cores.
#[derive(Clone, Debug)]
pub struct Partitioner {
    rule: Rule,
}

/// What partitioning by key must know.
#[derive(Debug)]
pub struct KeyPartitioning<'a> {
    /// Schema of the edge.
    pub schema: &'a Schema,
    /// Its key columns; none of them means one group, on one core.
    pub columns: &'a [usize],
    /// The job's.
    pub hasher: KeyHasher,
    /// Cores of the appliance.
    pub core_count: u16,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Every row to one core.
    ToCore(CoreId),
    /// Each row to the core that owns its key.
    ByKey(Box<ByKey>),
}

impl Partitioner {
    /// Each row to the owner of its key. On one core nothing is hashed and every batch passes as it
    /// is. Hashes that a batch already carries are those of this edge's key and are used.
    ///
    /// # Errors
    /// When a key column's type cannot be a key.
    pub fn by_key(options: &KeyPartitioning<'_>) -> Result<Partitioner, UnsupportedKeyType> {
        let fields = options.schema.fields();
        let types: Vec<DataType> =
            options.columns.iter().map(|&column| fields[column].data_type().clone()).collect();
        let encoder = KeyEncoder::new(&types)?;
        if options.core_count == 1 {
            return Ok(Partitioner::to_core(CoreId::ZERO));
        }
        let by_key = ByKey {
            columns: options.columns.to_vec(),
            encoder,
            hasher: options.hasher,
            core_count: options.core_count,
            keys: EncodedKeys::default(),
            owners: Vec::new(),
            ends: vec![0; usize::from(options.core_count)],
        };
        Ok(Partitioner { rule: Rule::ByKey(Box::new(by_key)) })
    }

    /// Each row to the owner of the key hash it carries; every batch must carry them.
    pub fn by_hash(core_count: u16) -> Partitioner {
        let options = KeyPartitioning {
            schema: &Schema::empty(),
            columns: &[],
            hasher: KeyHasher::new(0),
            core_count,
        };
        Partitioner::by_key(&options).expect("no columns, none of an unsupported type")
    }

    /// All rows to `core`: for a sink that has one connection.
    pub fn to_core(core: CoreId) -> Partitioner {
        Partitioner { rule: Rule::ToCore(core) }
    }

    /// Hands each core's part of `batch` to `emit`, in the order of cores. Nothing for no rows.
    pub fn partition(&mut self, batch: Batch, mut emit: impl FnMut(CoreId, Batch)) {
        if batch.is_empty() {
            return;
        }
        match &mut self.rule {
            Rule::ToCore(core) => emit(*core, batch),
            Rule::ByKey(by_key) => by_key.partition(batch, emit),
        }
    }
}

/// Partitioning by key, with its buffers.
#[derive(Clone, Debug)]
struct ByKey {
    columns: Vec<usize>,
    encoder: KeyEncoder,
    hasher: KeyHasher,
    core_count: u16,
    keys: EncodedKeys,
    /// Core of each row.
    owners: Vec<CoreId>,
    /// Per core: first its number of rows, then where its rows end.
    ends: Vec<u32>,
}

impl ByKey {
    fn partition(&mut self, mut batch: Batch, mut emit: impl FnMut(CoreId, Batch)) {
        let hashes = match batch.tags.hashes.take() {
            Some(hashes) => hashes,
            None => self.hash(&batch),
        };
        assert_eq!(hashes.len(), batch.len());
        find_owners(&hashes, self.core_count, &mut self.owners, &mut self.ends);
        batch.tags.hashes = Some(hashes);
        let first = self.owners[0];
        if self.ends[first.index()] as usize == batch.len() {
            return emit(first, batch);
        }
        let indices = group_rows(&self.owners, &mut self.ends);
        let mut start = 0;
        for (core, &end) in CoreId::all(self.core_count).zip(&self.ends) {
            let end = end as usize;
            if start < end {
                let rows = UInt32Array::new(indices.slice(start, end - start), None);
                let part = batch.take(&rows).expect("the indices are rows of the batch");
                emit(core, part);
            }
            start = end;
        }
    }

    fn hash(&mut self, batch: &Batch) -> ScalarBuffer<u64> {
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|&column| batch.rows.column(column).clone()).collect();
        self.encoder.encode(&columns, batch.len(), self.hasher, &mut self.keys);
        ScalarBuffer::from(take_with_room(&mut self.keys.hashes))
    }
}

/// Hot: the core of each row, and how many rows each core gets.
fn find_owners(hashes: &[u64], core_count: u16, owners: &mut Vec<CoreId>, counts: &mut [u32]) {
    assert_eq!(counts.len(), usize::from(core_count));
    owners.clear();
    counts.fill(0);
    owners.extend(hashes.iter().map(|&hash| {
        let core = KeyGroup::of_hash(hash).owner(core_count);
        counts[core.index()] += 1;
        core
    }));
}

/// Hot: the rows of core 0, then of core 1, …, each in their order. `counts` become ends.
fn group_rows(owners: &[CoreId], counts: &mut [u32]) -> ScalarBuffer<u32> {
    let mut next = 0;
    for count in counts.iter_mut() {
        next += std::mem::replace(count, next);
    }
    let mut rows = vec![0; owners.len()];
    for (row, &owner) in (0..).zip(owners) {
        let place = &mut counts[owner.index()];
        rows[*place as usize] = row;
        *place += 1;
    }
    rows.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{Field, Int64Type};
    use std::sync::Arc;

    fn schema() -> Schema {
        let text = Field::new("word", DataType::Utf8, true);
        Schema::new(vec![Field::new("n", DataType::Int64, false), text])
    }

    fn random_batch(rng: &mut fastrand::Rng) -> Batch {
        let rows = rng.usize(0..50);
        let distinct = rng.i64(1..20);
        let words: StringArray =
            (0..rows).map(|_| rng.bool().then(|| format!("w{}", rng.i64(0..distinct)))).collect();
        let numbers: Int64Array = (0..).take(rows).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(words)];
        let mut batch = Batch::new(RecordBatch::try_new(Arc::new(schema()), columns).unwrap(), 3);
        batch.tags.watermarks = Some((0..).take(rows).collect::<Vec<i64>>().into());
        batch
    }

    fn numbers(batch: &Batch) -> Vec<i64> {
        batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    fn words(batch: &Batch) -> Vec<Option<String>> {
        batch.rows.column(1).as_string::<i32>().iter().map(|w| w.map(str::to_owned)).collect()
    }

    fn by_word(columns: &[usize], core_count: u16) -> Partitioner {
        let hasher = KeyHasher::new(7);
        let options = KeyPartitioning { schema: &schema(), columns, hasher, core_count };
        Partitioner::by_key(&options).unwrap()
    }

    fn split(partitioner: &mut Partitioner, batch: &Batch) -> Vec<(CoreId, Batch)> {
        let mut parts = Vec::new();
        partitioner.partition(batch.clone(), |core, part| parts.push((core, part)));
        parts
    }

    #[test]
    fn every_row_goes_once_in_order_to_the_owner_of_its_key() {
        for seed in 1..=200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let core_count = rng.u16(1..6);
            let mut partitioner = by_word(&[1], core_count);
            let batch = random_batch(&mut rng);
            let parts = split(&mut partitioner, &batch);
            let mut owner_of = std::collections::HashMap::new();
            for (core, part) in &parts {
                assert!(!part.is_empty(), "seed {seed}");
                let own = numbers(part);
                assert!(own.is_sorted(), "seed {seed}: {own:?}");
                let watermarks = part.tags.watermarks.as_ref().unwrap();
                assert_eq!(watermarks.as_ref(), own, "seed {seed}: tags follow their rows");
                for word in words(part) {
                    let owner = owner_of.entry(word).or_insert(*core);
                    assert_eq!(owner, core, "seed {seed}: one key, one core");
                }
                if core_count == 1 {
                    continue;
                }
                for &hash in part.tags.hashes.as_ref().unwrap().iter() {
                    assert_eq!(KeyGroup::of_hash(hash).owner(core_count), *core, "seed {seed}");
                }
            }
            let mut all: Vec<i64> = parts.iter().flat_map(|(_, part)| numbers(part)).collect();
            all.sort_unstable();
            assert_eq!(all, numbers(&batch), "seed {seed}");
            assert!(parts.is_sorted_by_key(|(core, _)| *core), "seed {seed}");
        }
    }

    #[test]
    fn a_batch_for_one_core_is_not_copied() {
        let mut rng = fastrand::Rng::with_seed(1);
        let batch = random_batch(&mut rng);
        let gather = Partitioner::to_core(CoreId::new(2));
        for (mut partitioner, carries_hashes) in
            [(by_word(&[], 4), true), (by_word(&[1], 1), false), (gather, false)]
        {
            let parts = split(&mut partitioner, &batch);
            let [(_, part)] = parts.as_slice() else { panic!("one part") };
            assert_eq!(part.tags.hashes.is_some(), carries_hashes);
            for (before, after) in batch.rows.columns().iter().zip(part.rows.columns()) {
                assert!(before.to_data().ptr_eq(&after.to_data()));
            }
        }
    }

    #[test]
    fn hashes_that_are_there_decide() {
        let mut rng = fastrand::Rng::with_seed(4);
        let mut batch = random_batch(&mut rng);
        let group_of_core_1 = u64::from(KeyGroup::COUNT - 1);
        batch.tags.hashes = Some(vec![group_of_core_1; batch.len()].into());
        let parts = split(&mut by_word(&[1], 2), &batch);
        assert_eq!(parts.iter().map(|(core, _)| *core).collect::<Vec<_>>(), [CoreId::new(1)]);
    }
}
