//! Position: what one core remembers of its producers, and what all cores' positions say together.
//!
//! All numbers are little-endian; names stand behind their length (4 bytes).
//!
//! | bytes | position |
//! |---|---|
//! | 1 | version, 1 |
//! | 2, 2 | core, number of cores |
//! | 8 | the watermark the core had said, in ms |
//! | 8 | connections that it had told core 0 to be gone |
//! | 8, 4, 1 | core 0: such connections it had heard of, connections there were, 1 when the source was at its end |
//! | 4, then each | producers: name, flags (1: ended, 2: connected, 4: took part in the watermark), session (8), last frame (8), watermark in ms (8) |

use std::collections::HashSet;

use crate::limits::FRAME_NAME_BYTES_MAX;
use crate::record::{KeyGroup, Timestamp};
use crate::source::SplitStanding;
use crate::stdx::{ByteReader, ByteWriter, CoreId, Malformed, crc32c};

const VERSION: u8 = 1;

/// Bytes of a producer, without its name.
pub(super) const PRODUCER_BYTES: usize = 29;

const HAS_ENDED: u8 = 1;
const IS_CONNECTED: u8 = 2;
const IS_ACTIVE: u8 = 4;

/// What is known of a core, besides its producers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CorePosition {
    pub(super) core: CoreId,
    pub(super) core_count: u16,
    /// The watermark it had said.
    pub(super) sent: Timestamp,
    /// Connections that it had told core 0 to be gone.
    pub(super) told_gone: u64,
    /// What core 0 knew of all cores; nothing on the others.
    pub(super) known: Known,
}

/// What core 0 knew of all cores.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Known {
    /// Connections that were gone.
    pub(super) heard_gone: u64,
    /// Those there were.
    pub(super) connections: u32,
    /// None was to come any more.
    pub(super) is_over: bool,
}

/// What is known of a producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProducerPosition<'a> {
    pub(super) name: &'a str,
    pub(super) session: u64,
    /// Number of the last frame whose rows had all been pushed.
    pub(super) sequence: u64,
    pub(super) has_ended: bool,
    /// Where its rows stood, when it was connected.
    pub(super) standing: Option<SplitStanding>,
}

/// What all cores of a run knew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resumed<'a> {
    pub(super) producers: Vec<ProducerPosition<'a>>,
    /// The watermark each core had said, in their order.
    pub(super) sent: Vec<Timestamp>,
    /// The source was at its end, and nothing of it is missing.
    pub(super) is_over: bool,
    /// There may have been connections besides those of the producers that are known.
    pub(super) had_others: bool,
}

/// The core that owns a producer's name.
pub(super) fn owner_of(name: &str, core_count: u16) -> CoreId {
    KeyGroup::of_hash(crc32c(&[name.as_bytes()]).into()).owner(core_count)
}

impl CorePosition {
    /// As bytes: so many at most when the producers take `producers_bytes`.
    pub(super) fn encode<'a>(
        self,
        producers: impl ExactSizeIterator<Item = ProducerPosition<'a>>,
    ) -> Vec<u8> {
        let mut out = ByteWriter::new();
        out.u8(VERSION);
        out.u16(self.core.number());
        out.u16(self.core_count);
        out.i64(self.sent.millis());
        out.u64(self.told_gone);
        let Known { heard_gone, connections, is_over } = self.known;
        out.u64(heard_gone);
        out.u32(connections);
        out.u8(u8::from(is_over));
        out.count(producers.len());
        for producer in producers {
            producer.encode(&mut out);
        }
        out.finish()
    }

    fn decode(from: &mut ByteReader<'_>) -> Result<CorePosition, Malformed> {
        if from.u8()? != VERSION {
            let reason = "a version of positions that this program does not know";
            return Err(from.malformed(reason));
        }
        let (core, core_count) = (CoreId::new(from.u16()?), from.u16()?);
        let (sent, told_gone) = (watermark(from)?, from.u64()?);
        let (heard_gone, connections, is_over) = (from.u64()?, from.u32()?, from.u8()? != 0);
        let known = Known { heard_gone, connections, is_over };
        Ok(CorePosition { core, core_count, sent, told_gone, known })
    }
}

impl<'a> ProducerPosition<'a> {
    fn encode(&self, out: &mut ByteWriter) {
        let standing = self.standing;
        let (is_connected, is_active) =
            (standing.is_some(), standing.is_some_and(|standing| standing.is_active));
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        out.bytes(self.name.as_bytes());
        out.u8(flag(self.has_ended, HAS_ENDED)
            | flag(is_connected, IS_CONNECTED)
            | flag(is_active, IS_ACTIVE));
        out.u64(self.session);
        out.u64(self.sequence);
        out.i64(standing.map_or(Timestamp::MIN, |standing| standing.watermark).millis());
    }

    fn decode(from: &mut ByteReader<'a>) -> Result<ProducerPosition<'a>, Malformed> {
        let name = from.text()?;
        if name.is_empty() || name.len() > FRAME_NAME_BYTES_MAX {
            return Err(from.malformed("a name that no producer has"));
        }
        let (flags, session, sequence) = (from.u8()?, from.u64()?, from.u64()?);
        let watermark = watermark(from)?;
        let is_active = flags & IS_ACTIVE != 0;
        let is_connected = flags & IS_CONNECTED != 0;
        let standing = is_connected.then_some(SplitStanding { watermark, is_active });
        let has_ended = flags & HAS_ENDED != 0;
        Ok(ProducerPosition { name, session, sequence, has_ended, standing })
    }
}

/// What rows can bring about.
fn watermark(from: &mut ByteReader<'_>) -> Result<Timestamp, Malformed> {
    let watermark = Timestamp::from_millis(from.i64()?);
    match watermark < Timestamp::MAX {
        true => Ok(watermark),
        false => Err(from.malformed("a watermark that no row has")),
    }
}

impl<'a> Resumed<'a> {
    /// What `positions`, those of all cores of a run in their order, say together.
    pub(super) fn of(positions: &[&'a [u8]]) -> Result<Resumed<'a>, Malformed> {
        let (mut producers, mut sent) = (Vec::new(), Vec::new());
        let (mut known, mut told_gone, mut names) = (Known::default(), 0_u64, HashSet::new());
        for (core, bytes) in positions.iter().enumerate() {
            let mut from = ByteReader::new(bytes);
            let position = CorePosition::decode(&mut from)?;
            let is_next = position.core.index() == core;
            if !is_next || usize::from(position.core_count) != positions.len() {
                return Err(from.malformed("the positions are not those of all cores of one run"));
            }
            if position.core == CoreId::ZERO {
                known = position.known;
            }
            told_gone = told_gone.wrapping_add(position.told_gone);
            sent.push(position.sent);
            for _ in 0..from.count(PRODUCER_BYTES)? {
                let mut producer = ProducerPosition::decode(&mut from)?;
                if owner_of(producer.name, position.core_count) != position.core
                    || !names.insert(producer.name)
                {
                    return Err(from.malformed("a producer that the core does not own"));
                }
                // Also where another core has said less: it must not have been late there.
                if let Some(standing) = &mut producer.standing {
                    standing.watermark = standing.watermark.max(position.sent);
                }
                producers.push(producer);
            }
            from.finish()?;
        }
        let standing = producers.iter().filter(|producer| producer.standing.is_some()).count();
        // A barrier reaches cores one after the other: core 0 may have heard of connections that came to
        // another core and went after its barrier. Nothing of those is known.
        let had_heard_all = known.heard_gone == told_gone;
        let is_over = known.is_over && standing == 0 && had_heard_all;
        let had_others = !is_over && (!had_heard_all || known.connections as usize > standing);
        Ok(Resumed { producers, sent, is_over, had_others })
    }

    /// The watermark that a core begins at: its own, or what no core was behind.
    pub(super) fn sent(&self, core: CoreId, core_count: u16) -> Timestamp {
        if self.sent.len() == usize::from(core_count) {
            return self.sent[core.index()];
        }
        self.sent.iter().copied().min().unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn producer(name: &str, sequence: u64) -> ProducerPosition<'_> {
        ProducerPosition { name, session: 7, sequence, has_ended: false, standing: None }
    }

    fn standing(millis: i64, is_active: bool) -> Option<SplitStanding> {
        Some(SplitStanding { watermark: at(millis), is_active })
    }

    const NOTHING: Known = Known { heard_gone: 0, connections: 0, is_over: false };

    /// Positions of two cores, each with the producers it owns; both have told of two connections that are
    /// gone.
    fn positions(all: &[ProducerPosition<'_>], known: Known) -> [Vec<u8>; 2] {
        [0, 1].map(|number| {
            let core = CoreId::new(number);
            let owned = |producer: &&ProducerPosition<'_>| owner_of(producer.name, 2) == core;
            let owned: Vec<_> = all.iter().filter(owned).copied().collect();
            let sent = at(100 + i64::from(number));
            let known = if number == 0 { known } else { NOTHING };
            let position = CorePosition { core, core_count: 2, sent, told_gone: 2, known };
            position.encode(owned.into_iter())
        })
    }

    fn resumed(positions: &[Vec<u8>; 2]) -> Result<Resumed<'_>, Malformed> {
        Resumed::of(&[&positions[0], &positions[1]])
    }

    #[test]
    fn positions_are_read_as_they_were_written_and_not_otherwise() {
        let mut all = vec![
            ProducerPosition { has_ended: true, ..producer("ended", 5) },
            ProducerPosition { standing: standing(200, true), ..producer("größe", u64::MAX) },
            ProducerPosition { standing: standing(i64::MIN, false), ..producer("new", 0) },
        ];
        let bytes = positions(&all, NOTHING);
        let read = resumed(&bytes).unwrap();
        let own = owner_of("new", 2);
        assert_eq!(read.sent, [at(100), at(101)]);
        // What a core had said is late for whoever joins.
        all[2].standing = standing(100 + i64::from(own.number()), false);
        all.sort_by_key(|producer| owner_of(producer.name, 2).number());
        assert_eq!(read.producers, all);
        for cut in 0..bytes[0].len() {
            assert!(Resumed::of(&[&bytes[0][..cut], &bytes[1]]).is_err(), "cut at {cut}");
        }
        let long = [&bytes[0][..], &[0]].concat();
        assert!(Resumed::of(&[&long, &bytes[1]]).is_err());
    }

    #[test]
    fn positions_that_are_not_of_one_run_are_refused() {
        let all: Vec<String> = (0..20).map(|number| format!("producer {number}")).collect();
        let all: Vec<_> = all.iter().map(|name| producer(name, 1)).collect();
        let [first, second] = positions(&all, NOTHING);
        assert!(Resumed::of(&[&first, &second]).is_ok());
        assert!(Resumed::of(&[&first]).is_err());
        assert!(Resumed::of(&[&second, &first]).is_err());
        let twice = [all[0], all[0]];
        let is_first = owner_of(all[0].name, 2) == CoreId::ZERO;
        let [one, two] = positions(&twice, NOTHING);
        let of_both = if is_first { [&one[..], &second] } else { [&first[..], &two] };
        assert!(Resumed::of(&of_both).is_err(), "one name twice");
    }

    /// What core 0 knew, and whether then the source is over, and others may come back.
    #[track_caller]
    fn check_end(
        all: &[ProducerPosition<'_>],
        heard_gone: u64,
        connections: u32,
        is_over: bool,
    ) -> (bool, bool) {
        let bytes = positions(all, Known { heard_gone, connections, is_over });
        let resumed = resumed(&bytes).unwrap();
        (resumed.is_over, resumed.had_others)
    }

    #[test]
    fn the_source_is_at_its_end_when_no_core_has_anything_left() {
        let done = producer("done", 1);
        let left = ProducerPosition { standing: standing(0, true), ..producer("left", 1) };
        assert_eq!(check_end(&[done], 4, 0, true), (true, false));
        assert_eq!(check_end(&[done], 4, 0, false), (false, false));
        assert_eq!(check_end(&[done, left], 4, 0, true), (false, false));
        // One came to the other core behind its barrier, and went.
        assert_eq!(check_end(&[done], 5, 0, true), (false, true));
        assert_eq!(check_end(&[done, left], 4, 1, false), (false, false));
        assert_eq!(check_end(&[done, left], 4, 2, false), (false, true));
    }

    #[test]
    fn a_core_begins_at_its_own_watermark_or_the_lowest() {
        let bytes = positions(&[], NOTHING);
        let resumed = resumed(&bytes).unwrap();
        assert_eq!(resumed.sent(CoreId::new(1), 2), at(101));
        assert_eq!(resumed.sent(CoreId::new(1), 3), at(100));
    }
}
