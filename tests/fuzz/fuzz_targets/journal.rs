//! Segments of journals: whatever the bytes, they are refused or read without a fault; of a valid
//! segment that was damaged, nothing is read but a beginning of what was written.
//!
//! The first byte says what the others are: a segment, or damage to a valid one, in steps of four bytes
//! (position, how, with what).

#![no_main]

use libfuzzer_sys::fuzz_target;
use pelton::journal::{
    EntryHeader, EntryKind, JournalId, Kind, SegmentHeader, file_id, scan_segment,
};
use pelton::stdx::CoreId;
use std::sync::OnceLock;

const SEGMENT_BYTES: usize = 16 * 4096;

/// Lengths of the entries of the valid segment.
const LENGTHS: [usize; 7] = [0, 1, 64, 100, 4096, 9000, 63];

fn valid() -> &'static [u8] {
    static VALID: OnceLock<Vec<u8>> = OnceLock::new();
    VALID.get_or_init(|| {
        let journal = JournalId { kind: Kind::Output, core: CoreId::new(1) };
        let file_id = file_id(3, 2, journal, 4);
        let bytes = SEGMENT_BYTES as u64;
        let header = SegmentHeader { journal, number: 4, previous: 3, bytes, run: 2, file_id };
        let mut segment = header.to_bytes();
        for (sequence, length) in (10_u8..).zip(LENGTHS) {
            let payload = vec![sequence; length];
            let entry = EntryHeader {
                kind: EntryKind::Data,
                payload_bytes: u32::try_from(length).expect("it is short"),
                file_id,
                sequence: u64::from(sequence),
                epoch: 5,
                run: 2,
                tag: 1,
                offset: segment.len() as u64,
            };
            segment.extend_from_slice(&entry.to_bytes(&[&payload]));
            segment.extend_from_slice(&payload);
            segment.extend_from_slice(entry.fill());
        }
        segment.resize(SEGMENT_BYTES, 0);
        segment
    })
}

type Seen = Vec<(EntryHeader, Vec<u8>)>;

fn scan(segment: &[u8]) -> Seen {
    let mut seen = Seen::new();
    let scanned = scan_segment(segment, |entry| seen.push((entry.header, entry.payload.to_vec())));
    if let Ok((header, end)) = scanned {
        assert!(end <= header.bytes);
    }
    seen
}

fuzz_target!(|data: &[u8]| {
    let [choice, data @ ..] = data else { return };
    if choice % 2 == 0 {
        scan(data);
        return;
    }
    let mut damaged = valid().to_vec();
    for step in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([step[0], step[1]])) % damaged.len();
        match step[2] % 4 {
            0 => damaged[at] = step[3],
            1 => damaged[at] ^= 1 << (step[3] % 8),
            2 => damaged[at] = damaged[at].wrapping_add(step[3]),
            _ => damaged.truncate(at.max(1)),
        }
    }
    let all = scan(valid());
    assert_eq!(all.len(), LENGTHS.len());
    assert!(all.starts_with(&scan(&damaged)));
});
