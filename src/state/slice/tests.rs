//! Every byte of a slice cut off and changed: an error or another slice, never a panic.

use std::sync::Arc;

use super::*;
use crate::state::{StateSchema, TableSchema, Tables, Tracking, ValueKind, ValueSchema};

const KEY: StateKey = StateKey { operator: 0x1122_3344_5566_7788, part: 1 };

fn example() -> Vec<u8> {
    let kinds = [ValueKind::Int, ValueKind::Decimal, ValueKind::Text, ValueKind::Bytes];
    let values = kinds.map(|kind| ValueSchema { name: "v".into(), kind }).to_vec();
    let groups = TableSchema { name: "g".into(), keys: vec![], values, is_set: false };
    let set = TableSchema { name: "s".into(), keys: vec![], values: vec![], is_set: true };
    let schema = StateSchema { purpose: String::new(), tables: vec![groups, set] };
    let mut tables = Tables::new(&Arc::new(schema), Tracking::On);
    let mut found = Vec::new();
    let keys: [&[u8]; 2] = [b"a", b"longer"];
    tables.groups_mut().to_change(&[7, 9], |row| keys[row], &[0; 7], &mut found);
    tables.groups_mut().set_value(found[0], 3, "größe".as_bytes());
    let number = found[1].number();
    let mut key = number.to_le_bytes().to_vec();
    key.extend_from_slice(b"member");
    assert!(tables.set_mut(0).add_member(5, number, &key));
    let mut out = SliceWriter::default();
    out.begin(KEY, 3, 10_000);
    out.operator_note(&[-5, i64::MAX]);
    out.pane_dropped([1, 2]);
    out.pane_note([3, 4], 99);
    tables.end_epoch();
    assert!(tables.write_changes([3, 4], &mut out));
    out.finish().unwrap().to_vec()
}

/// Everything in a slice, as text.
fn read(bytes: &[u8]) -> Result<String, CorruptState> {
    let mut slice = Slice::parse(bytes)?;
    let mut text = format!("{:?} core {}", slice.key, slice.core);
    while let Some(record) = slice.next_record()? {
        match record {
            Record::Entries(mut section) => {
                text += &format!(
                    "; pane {:?} table {} {:?}:",
                    section.pane, section.table, section.kinds
                );
                while let Some(entry) = section.next_entry()? {
                    let values: Vec<Value<'_>> = section.values(&entry).collect();
                    let key = entry.key.escape_ascii();
                    text += &format!(" {} {key} {}", entry.hash, entry.member.escape_ascii());
                    text += &format!(" {values:?}");
                }
            }
            other => text += &format!("; {other:?}"),
        }
    }
    Ok(text)
}

#[test]
fn what_is_written_is_read() {
    let text = read(&example()).unwrap();
    assert_eq!(
        text,
        "StateKey { operator: 1234605616436508552, part: 1 } core 3; \
         OperatorNote([-5, 9223372036854775807]); PaneDropped([1, 2]); \
         PaneNote { pane: [3, 4], rows: 99 }; pane [3, 4] table 0 [Int, Decimal, Text, Bytes]: \
         7 a  [Word(0), Pair([0, 0]), Bytes(Some([103, 114, 195, 182, 195, 159, 101])), Bytes(None)] \
         9 longer  [Word(0), Pair([0, 0]), Bytes(None), Bytes(None)]; \
         pane [3, 4] table 1 []: 9 longer member []"
    );
}

#[test]
fn every_cut_is_an_error() {
    let bytes = example();
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(read(&longer).is_err());
}

#[test]
fn no_changed_byte_makes_a_panic() {
    let bytes = example();
    let good = read(&bytes).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff, random.u8(1..)] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert_ne!(read(&changed).as_ref(), Ok(&good), "byte {at} is not read");
        }
    }
}
