//! Manifest: what an epoch consists of on one core; the last entry of the core's part of it.
//!
//! All numbers are little-endian; texts and byte strings stand behind their length (4 bytes).
//!
//! | bytes | manifest |
//! |---|---|
//! | 2 | version, 1 |
//! | 2 | core |
//! | 2 | number of cores |
//! | 2 | number of key groups |
//! | 8 | epoch |
//! | 4 | checksum of the definition |
//! | 4, then 16 each | bases of each range of key groups: first epoch to be read for the newest, and for the one before (0 when there is none) |
//! | 4, then each | sources: name, is there a position (1), position |
//! | 4, then each | sinks: the same |
//!
//! The definition names the operators that keep something and says what their state consists of. It
//! changes only with the job, so it is an entry of its own, written again when the one before it is no
//! longer needed for anything else.

use crate::record::{Epoch, KeyGroup};
use crate::state::{StateKey, StateSchema};
use crate::stdx::{ByteReader, ByteWriter, CoreId, Malformed, crc32c};

const VERSION: u16 = 1;

/// What an epoch is on one core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Whose.
    pub core: CoreId,
    /// Cores of the run that wrote it.
    pub core_count: u16,
    /// Which epoch.
    pub epoch: Epoch,
    /// Of the definition that holds for it.
    pub definition_checksum: u32,
    /// Bases of the ranges that the core's key groups are cut into.
    pub bases: Vec<RangeBases>,
    /// Where the core's sources stood, in the order of the job.
    pub sources: Vec<NamedPosition>,
    /// What is to be known of the core's sinks, in the order of the job.
    pub sinks: Vec<NamedPosition>,
}

/// Where reading must begin for a range of key groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeBases {
    /// The first epoch that is needed with the newest base.
    pub newest: Epoch,
    /// The same with the base before it, equal if there is none; [`RangeBases::NONE`] without any base.
    pub before: Epoch,
}

impl RangeBases {
    /// There is no base: everything since the first epoch is needed.
    pub const NONE: Epoch = Epoch::new(0);

    /// The first epoch that is kept of the range.
    pub fn kept_from(&self) -> Epoch {
        if self.before == RangeBases::NONE { self.newest } else { self.before }
    }
}

/// Where one source or sink stood on one core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedPosition {
    /// Its name.
    pub name: String,
    /// In its own words; `None` for one that has no position.
    pub position: Option<Vec<u8>>,
}

/// The operators that keep something.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Definition {
    /// In the order of their keys.
    pub operators: Vec<OperatorDefinition>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorDefinition {
    /// What its state goes by.
    pub key: StateKey,
    /// What that consists of.
    pub schema: StateSchema,
}

impl Manifest {
    /// The first epoch whose entries must be read to restore this one.
    pub fn replayed_from(&self) -> Epoch {
        self.bases.iter().map(|bases| bases.newest).min().unwrap_or(self.epoch)
    }

    /// The first epoch that is kept.
    pub fn kept_from(&self) -> Epoch {
        self.bases.iter().map(RangeBases::kept_from).min().unwrap_or(self.epoch)
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = ByteWriter::new();
        out.u16(VERSION);
        out.u16(self.core.number());
        out.u16(self.core_count);
        out.u16(KeyGroup::COUNT);
        out.u64(self.epoch.number());
        out.u32(self.definition_checksum);
        out.count(self.bases.len());
        for bases in &self.bases {
            out.u64(bases.newest.number());
            out.u64(bases.before.number());
        }
        encode_positions(&self.sources, &mut out);
        encode_positions(&self.sinks, &mut out);
        out.finish()
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// When it is no manifest of a version this program knows, or says what cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, Malformed> {
        let mut from = ByteReader::new(bytes);
        if from.u16()? != VERSION {
            return Err(from.malformed("a version of manifests that this program does not know"));
        }
        let (core, core_count) = (from.u16()?, from.u16()?);
        if core >= core_count {
            return Err(from.malformed("a core that the job does not have"));
        }
        if from.u16()? != KeyGroup::COUNT {
            return Err(from.malformed("another number of key groups than this program has"));
        }
        let (epoch, definition_checksum) = (from.u64()?, from.u32()?);
        let bases = from.count(16)?;
        let bases: Result<Vec<RangeBases>, Malformed> = (0..bases)
            .map(|_| {
                let (newest, before) = (from.u64()?, from.u64()?);
                if before > newest || newest > epoch {
                    return Err(from.malformed("a base of a later epoch"));
                }
                Ok(RangeBases { newest: Epoch::new(newest), before: Epoch::new(before) })
            })
            .collect();
        let bases = bases?;
        if bases.is_empty() {
            return Err(from.malformed("no range of key groups"));
        }
        let (sources, sinks) = (decode_positions(&mut from)?, decode_positions(&mut from)?);
        from.finish()?;
        let (core, epoch) = (CoreId::new(core), Epoch::new(epoch));
        Ok(Manifest { core, core_count, epoch, definition_checksum, bases, sources, sinks })
    }
}

fn encode_positions(positions: &[NamedPosition], out: &mut ByteWriter) {
    out.count(positions.len());
    for NamedPosition { name, position } in positions {
        out.bytes(name.as_bytes());
        out.u8(u8::from(position.is_some()));
        out.bytes(position.as_deref().unwrap_or_default());
    }
}

fn decode_positions(from: &mut ByteReader<'_>) -> Result<Vec<NamedPosition>, Malformed> {
    let count = from.count(9)?;
    let position = |_| {
        let name = from.text()?.to_owned();
        let has_position = from.u8()? != 0;
        let position = from.bytes()?.to_vec();
        Ok(NamedPosition { name, position: has_position.then_some(position) })
    };
    (0..count).map(position).collect()
}

impl Definition {
    /// As bytes, and their checksum.
    pub fn encode(&self) -> (Vec<u8>, u32) {
        let mut out = ByteWriter::new();
        out.u16(VERSION);
        out.count(self.operators.len());
        for OperatorDefinition { key, schema } in &self.operators {
            out.u64(key.operator);
            out.u16(key.part);
            schema.encode(&mut out);
        }
        let bytes = out.finish();
        let checksum = crc32c(&[&bytes]);
        (bytes, checksum)
    }

    /// Reads what was written; its checksum.
    ///
    /// # Errors
    /// When it is no definition of a version this program knows.
    pub fn decode(bytes: &[u8]) -> Result<(Definition, u32), Malformed> {
        let mut from = ByteReader::new(bytes);
        if from.u16()? != VERSION {
            return Err(from.malformed("a version of definitions that this program does not know"));
        }
        let operators = from.count(18)?;
        let operators: Result<Vec<OperatorDefinition>, Malformed> = (0..operators)
            .map(|_| {
                let key = StateKey { operator: from.u64()?, part: from.u16()? };
                Ok(OperatorDefinition { key, schema: StateSchema::decode(&mut from)? })
            })
            .collect();
        let operators = operators?;
        from.finish()?;
        Ok((Definition { operators }, crc32c(&[bytes])))
    }

    /// What is kept under `key`.
    pub fn schema(&self, key: StateKey) -> Option<&StateSchema> {
        let found = self.operators.iter().find(|operator| operator.key == key);
        found.map(|operator| &operator.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{TableSchema, ValueKind, ValueSchema};

    fn manifest() -> Manifest {
        let bases =
            |newest, before| RangeBases { newest: Epoch::new(newest), before: Epoch::new(before) };
        Manifest {
            core: CoreId::new(1),
            core_count: 3,
            epoch: Epoch::new(70),
            definition_checksum: 7,
            bases: vec![bases(40, 30), bases(35, 35)],
            sources: vec![
                NamedPosition { name: "bid".into(), position: Some(vec![1, 2, 3]) },
                NamedPosition { name: "größe".into(), position: None },
            ],
            sinks: vec![NamedPosition { name: "out".into(), position: Some(Vec::new()) }],
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_not_otherwise() {
        let manifest = manifest();
        assert_eq!(
            (manifest.replayed_from(), manifest.kept_from()),
            (Epoch::new(35), Epoch::new(30))
        );
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let long = [&bytes[..], &[0]].concat();
        assert!(Manifest::decode(&long).is_err());
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut Manifest), expected: &str) {
        let mut manifest = manifest();
        change(&mut manifest);
        let error = Manifest::decode(&manifest.encode()).unwrap_err();
        assert_eq!(error.reason, expected);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        check_refused(|it| it.core = CoreId::new(3), "a core that the job does not have");
        check_refused(|it| it.bases[0].newest = Epoch::new(71), "a base of a later epoch");
        check_refused(|it| it.bases.clear(), "no range of key groups");
    }

    #[test]
    fn a_definition_is_read_as_it_was_written_and_not_otherwise() {
        let table = TableSchema {
            name: "groups".into(),
            keys: vec!["k BIGINT".into()],
            values: vec![ValueSchema { name: "SUM(v)".into(), kind: ValueKind::Decimal }],
            is_set: false,
        };
        let schema = StateSchema { purpose: "TUMBLE(ts, 10 s)".into(), tables: vec![table] };
        let key = StateKey { operator: 9, part: 1 };
        let definition = Definition { operators: vec![OperatorDefinition { key, schema }] };
        let (bytes, checksum) = definition.encode();
        assert_eq!(Definition::decode(&bytes), Ok((definition.clone(), checksum)));
        assert!(definition.schema(key).is_some());
        assert_eq!(definition.schema(StateKey { operator: 9, part: 0 }), None);
        for cut in 0..bytes.len() {
            assert!(Definition::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
