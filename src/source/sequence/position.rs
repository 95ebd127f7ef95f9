//! Position: where one core stands in a sequence, in terms that do not depend on the number of cores;
//! and what all cores' positions say together.
//!
//! A core says which of its chunks are left, the maxima of those it has read lately, and the maximum of
//! everything before some chunk. Chunks that it has decoded and not pushed are left: a later run reads
//! them again, and says their maxima again.
//!
//! Of every chunk that is read, and whose maximum some core still has to learn, its reader remembers it
//! (see `RECENT_CHUNKS`), so together they know the watermark before every chunk that is left.

use std::collections::BTreeMap;

use super::layout::{ChunkStart, Layout, Progress};
use crate::record::Timestamp;
use crate::stdx::{ByteReader, ByteWriter, Malformed};

/// Chunks of its own whose maxima a core remembers when it has pushed them. Another core is at most so
/// far behind: it has decoded all its chunks before the last one this core pushed, and holds two; and it
/// knew the maxima of all chunks before the one it pushed before those.
pub(super) const RECENT_CHUNKS: usize = 8;

/// Chunks between the cores' tails, beyond which a position is not believed.
const SPREAD_MAX: u64 = 1 << 24;

/// One core's position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct CorePosition {
    pub(super) core_count: u16,
    /// Own chunks before `tail` that are left.
    pub(super) left: Vec<ChunkStart>,
    /// Own chunks from this one on, each so many later as there are cores, are left.
    pub(super) tail: u64,
    /// The maximum of all chunks before this one…
    pub(super) prefix_end: u64,
    /// …is this.
    pub(super) prefix: Timestamp,
    /// Maxima of later chunks that are known here, and of own ones that were pushed lately.
    pub(super) maxima: Vec<(u64, Timestamp)>,
}

/// What is left, and what must be known of the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resumed {
    pub(super) layout: Layout,
    /// The maximum of all chunks before the first that is left.
    pub(super) prefix: Timestamp,
    /// Maxima of the others that are not left.
    pub(super) maxima: Vec<(u64, Timestamp)>,
}

impl CorePosition {
    pub(super) fn encode(&self, out: &mut ByteWriter) {
        out.u16(self.core_count);
        out.count(self.left.len());
        for ChunkStart { number, progress } in &self.left {
            out.u64(*number);
            out.u8(u8::from(progress.at.is_some()));
            out.u64(progress.at.unwrap_or(0));
            out.u64(progress.rows);
            out.i64(progress.watermark.millis());
        }
        out.u64(self.tail);
        out.u64(self.prefix_end);
        out.i64(self.prefix.millis());
        out.count(self.maxima.len());
        for (chunk, watermark) in &self.maxima {
            out.u64(*chunk);
            out.i64(watermark.millis());
        }
    }

    pub(super) fn decode(from: &mut ByteReader<'_>) -> Result<CorePosition, Malformed> {
        let core_count = from.u16()?;
        let left: Result<Vec<ChunkStart>, Malformed> = (0..from.count(33)?)
            .map(|_| {
                let (number, has_begun) = (from.u64()?, from.u8()? != 0);
                let (at, rows) = (Some(from.u64()?).filter(|_| has_begun), from.u64()?);
                let watermark = Timestamp::from_millis(from.i64()?);
                Ok(ChunkStart { number, progress: Progress { at, rows, watermark } })
            })
            .collect();
        let left = left?;
        let (tail, prefix_end) = (from.u64()?, from.u64()?);
        let prefix = Timestamp::from_millis(from.i64()?);
        let maxima: Result<Vec<(u64, Timestamp)>, Malformed> = (0..from.count(16)?)
            .map(|_| Ok((from.u64()?, Timestamp::from_millis(from.i64()?))))
            .collect();
        Ok(CorePosition { core_count, left, tail, prefix_end, prefix, maxima: maxima? })
    }
}

impl Resumed {
    /// What the positions of all cores of a run, in their order, say together.
    pub(super) fn of(
        positions: &[CorePosition],
        chunk_count: u64,
        has_event_time: bool,
    ) -> Result<Resumed, &'static str> {
        let layout = layout(positions, chunk_count)?;
        let first = layout.first();
        if !has_event_time {
            return Ok(Resumed { layout, prefix: Timestamp::MIN, maxima: Vec::new() });
        }
        let known = known(positions)?;
        let from = positions.iter().filter(|position| position.prefix_end <= first);
        let from = from.max_by_key(|position| position.prefix_end);
        let from = from.ok_or("nobody knows the watermark before the first chunk that is left")?;
        let of = |chunk: u64| {
            known.get(&chunk).copied().ok_or("the watermark of a chunk that was read is missing")
        };
        let mut prefix = from.prefix;
        for chunk in from.prefix_end..first {
            prefix = prefix.max(of(chunk)?);
        }
        let mut left = layout.left.iter().map(|chunk| chunk.number).peekable();
        let mut maxima = Vec::new();
        for chunk in first..layout.tail {
            match left.next_if_eq(&chunk) {
                Some(_) => {}
                None => maxima.push((chunk, of(chunk)?)),
            }
        }
        Ok(Resumed { layout, prefix, maxima })
    }
}

fn layout(positions: &[CorePosition], chunk_count: u64) -> Result<Layout, &'static str> {
    let stride = positions.len() as u64;
    if positions.is_empty() || positions.iter().any(|it| u64::from(it.core_count) != stride) {
        return Err("the positions are not those of all cores of one run");
    }
    let tail = positions.iter().map(|position| position.tail).max().expect("there is one");
    let tail = tail.min(chunk_count);
    let mut left = Vec::new();
    for position in positions {
        left.extend_from_slice(&position.left);
        if tail.saturating_sub(position.tail) > SPREAD_MAX {
            return Err("its cores are impossibly far apart");
        }
        let step = usize::from(position.core_count);
        left.extend((position.tail..tail).step_by(step).map(ChunkStart::whole));
    }
    left.sort_unstable_by_key(|chunk| chunk.number);
    if left.windows(2).any(|pair| pair[0].number == pair[1].number) {
        return Err("two cores were to read the same chunk");
    }
    if left.last().is_some_and(|last| last.number >= tail) {
        return Err("a chunk behind the last one is left");
    }
    Ok(Layout { left, tail, chunk_count })
}

/// All maxima that are known anywhere.
fn known(positions: &[CorePosition]) -> Result<BTreeMap<u64, Timestamp>, &'static str> {
    let mut known = BTreeMap::new();
    for &(chunk, watermark) in positions.iter().flat_map(|position| &position.maxima) {
        if *known.entry(chunk).or_insert(watermark) != watermark {
            return Err("two cores know different watermarks of one chunk");
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Two cores: the first is inside of chunk 2, the second waits before 5.
    fn positions() -> [CorePosition; 2] {
        let progress = Progress { at: Some(70), rows: 7, watermark: at(3) };
        [
            CorePosition {
                core_count: 2,
                left: vec![ChunkStart { number: 2, progress }],
                tail: 4,
                prefix_end: 2,
                prefix: at(9),
                maxima: vec![(0, at(9))],
            },
            CorePosition {
                core_count: 2,
                left: vec![],
                tail: 5,
                prefix_end: 0,
                prefix: Timestamp::MIN,
                maxima: vec![(1, at(4)), (3, at(30)), (2, at(11))],
            },
        ]
    }

    #[test]
    fn positions_together_say_what_is_left() {
        let [first, second] = positions();
        let resumed = Resumed::of(&[first.clone(), second.clone()], 100, true).unwrap();
        let left = vec![first.left[0], ChunkStart::whole(4)];
        assert_eq!(resumed.layout, Layout { left, tail: 5, chunk_count: 100 });
        assert_eq!((resumed.prefix, resumed.maxima), (at(9), vec![(3, at(30))]));
        let end = Resumed::of(&[first.clone(), second.clone()], 4, true).unwrap();
        assert_eq!((end.layout.left.len(), end.layout.tail), (1, 4));
        let missing = CorePosition { maxima: vec![], ..second };
        assert!(Resumed::of(&[first.clone(), missing], 100, true).is_err());
        assert!(Resumed::of(&[first.clone(), first.clone()], 100, true).is_err());
        assert!(Resumed::of(&[first], 100, true).is_err());
    }

    #[test]
    fn a_position_is_read_as_it_was_written_and_not_otherwise() {
        for position in positions() {
            let mut writer = ByteWriter::new();
            position.encode(&mut writer);
            let bytes = writer.finish();
            assert_eq!(CorePosition::decode(&mut ByteReader::new(&bytes)), Ok(position));
            for cut in 0..bytes.len() {
                assert!(CorePosition::decode(&mut ByteReader::new(&bytes[..cut])).is_err());
            }
        }
    }
}
