//! Receiver: a connection's bytes as messages, in buffers that arrays are then built over.
//!
//! In:  a pool; how many bytes came into the memory that was prepared.
//! Out: memory for the next bytes; messages that are complete and are what was sent.
//!
//! Everything in a stream is a multiple of 64 bytes long, so that whatever begins in an aligned buffer
//! lies aligned. Small messages are received many at once, and the end of a buffer, where one is cut, is
//! copied into the next. A large one is received into a buffer of its own, with the next header behind
//! it, and that header alone is copied.
//!
//! Invariants
//! - A payload is given out after its header, its length and its checksum have been checked.
//! - Nothing is allocated for a payload before its header has been checked.
//! - Waiting for a message to begin takes no buffer of the pool, nor does a small one that is slow.

use bytes::Bytes;
use std::collections::VecDeque;

use super::{FRAME_HEADER_BYTES, FrameHeader, ProtocolFault};
use crate::limits::{FRAME_ALONE_BYTES_MIN, FRAME_SLOW_BYTES_MAX, FRAME_WAIT_BYTES};
use crate::record::{BufferPool, Need, PoolBuffer};

/// A message, complete and as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceivedFrame {
    /// Its header.
    pub header: FrameHeader,
    /// What is behind it, where it was received.
    pub payload: Bytes,
}

/// See the module.
#[derive(Debug)]
pub struct FrameReceiver {
    payload_bytes_max: usize,
    place: Place,
    /// Bytes copied from buffer to buffer so far.
    bytes_copied: u64,
}

/// Where the bytes of the message being received are, from its beginning on.
#[derive(Debug)]
enum Place {
    /// There are none, or less than a header; or a header, of a message for a buffer of its own.
    Head(Vec<u8>),
    /// At the end of a buffer whose other messages are being read.
    Tail(Bytes),
    /// Alone in a buffer.
    Buffer(PoolBuffer),
}

/// Bytes of a message, once they are known.
fn message_bytes(head: &[u8], payload_bytes_max: usize) -> Result<Option<usize>, ProtocolFault> {
    let Some(header) = head.first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
    let header = FrameHeader::parse(header, payload_bytes_max)?;
    Ok(Some(FRAME_HEADER_BYTES + header.payload_bytes))
}

impl FrameReceiver {
    /// A receiver at the beginning of a message.
    pub fn new(payload_bytes_max: usize) -> FrameReceiver {
        FrameReceiver { payload_bytes_max, place: Place::Head(Vec::new()), bytes_copied: 0 }
    }

    /// Memory to append the next bytes to, and how many at most: for `filled`. `None` when the pool has
    /// no buffer now.
    pub fn prepare(&mut self, pool: &mut BufferPool) -> Option<(Vec<u8>, usize)> {
        let wanted = self.message_bytes();
        // What does not fit moves to where it does.
        let fits = match (&self.place, wanted) {
            (Place::Buffer(buffer), Some(bytes)) => bytes <= buffer.capacity(),
            (Place::Buffer(buffer), None) => buffer.room() > 0,
            (Place::Head(_) | Place::Tail(_), _) => false,
        };
        if !fits {
            let need = match self.place {
                Place::Head(_) => Need::Begin,
                Place::Tail(_) | Place::Buffer(_) => Need::GoOn,
            };
            let bytes = match wanted {
                Some(bytes) if bytes >= FRAME_ALONE_BYTES_MIN => bytes + FRAME_HEADER_BYTES,
                _ => pool.buffer_bytes(),
            };
            let buffer = pool.take(bytes, need)?;
            self.move_to(buffer);
        }
        let Place::Buffer(buffer) = &mut self.place else { unreachable!("moved just now") };
        let bytes_max = match wanted {
            Some(bytes) if bytes >= FRAME_ALONE_BYTES_MIN => {
                (bytes + FRAME_HEADER_BYTES - buffer.bytes().len()).min(buffer.room())
            }
            _ => buffer.room(),
        };
        Some((buffer.lend(), bytes_max))
    }

    /// The same for when nothing may come for long: what has hardly begun waits in a little memory that is
    /// not the pool's.
    pub fn prepare_to_wait(&mut self, pool: &mut BufferPool) -> Option<(Vec<u8>, usize)> {
        let is_short = self.message_bytes().is_none_or(|bytes| bytes <= FRAME_WAIT_BYTES);
        if matches!(self.place, Place::Head(_)) && is_short {
            self.move_to(BufferPool::own(FRAME_WAIT_BYTES));
        }
        self.prepare(pool)
    }

    /// Takes the memory that was prepared, with what came, and appends to `messages` what is complete
    /// now. When less came than might have (`is_drained`), the rest may be long in coming.
    ///
    /// # Errors
    /// What is wrong with the bytes behind those messages; nothing more can be received.
    pub fn filled(
        &mut self,
        memory: Vec<u8>,
        is_drained: bool,
        messages: &mut VecDeque<ReceivedFrame>,
    ) -> Result<(), ProtocolFault> {
        let Place::Buffer(buffer) = &mut self.place else { unreachable!("memory was prepared") };
        buffer.put_back(memory);
        let (found, fault) = self.complete_messages();
        let end = found.last().map_or(0, |(_, end)| *end);
        if end > 0 {
            self.give_out(found, end, messages);
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if is_drained {
            self.settle();
        }
        Ok(())
    }

    /// Bytes of a message that has not come completely.
    pub fn pending_bytes(&self) -> usize {
        self.pending().len()
    }

    /// Bytes that were copied from buffer to buffer so far: all others lie where they were received.
    pub fn bytes_copied(&self) -> u64 {
        self.bytes_copied
    }

    fn pending(&self) -> &[u8] {
        match &self.place {
            Place::Head(bytes) => bytes,
            Place::Tail(bytes) => bytes,
            Place::Buffer(buffer) => buffer.bytes(),
        }
    }

    /// Bytes of the message being received, once they are known.
    fn message_bytes(&self) -> Option<usize> {
        let bytes = message_bytes(self.pending(), self.payload_bytes_max);
        bytes.expect("a wrong header is found when it has come")
    }

    fn move_to(&mut self, mut buffer: PoolBuffer) {
        buffer.append(self.pending());
        self.bytes_copied += buffer.bytes().len() as u64;
        self.place = Place::Buffer(buffer);
    }

    /// Headers of the messages in the buffer, and where each ends; and what is wrong behind them.
    fn complete_messages(&self) -> (Vec<(FrameHeader, usize)>, Option<ProtocolFault>) {
        let (bytes, mut found, mut at) = (self.pending(), Vec::new(), 0);
        while let Some(head) = bytes[at..].first_chunk::<FRAME_HEADER_BYTES>() {
            let header = match FrameHeader::parse(head, self.payload_bytes_max) {
                Ok(header) => header,
                Err(fault) => return (found, Some(fault)),
            };
            let end = at + FRAME_HEADER_BYTES + header.payload_bytes;
            let Some(payload) = bytes.get(at + FRAME_HEADER_BYTES..end) else { break };
            if let Err(fault) = header.check(payload) {
                return (found, Some(fault));
            }
            found.push((header, end));
            at = end;
        }
        (found, None)
    }

    /// The messages are read where they lie; what is behind them waits for the next buffer.
    fn give_out(
        &mut self,
        found: Vec<(FrameHeader, usize)>,
        end: usize,
        messages: &mut VecDeque<ReceivedFrame>,
    ) {
        let place = std::mem::replace(&mut self.place, Place::Head(Vec::new()));
        let Place::Buffer(buffer) = place else { unreachable!("messages are complete in buffers") };
        let frozen = buffer.freeze();
        messages.extend(found.into_iter().map(|(header, until)| {
            let payload = frozen.slice(until - header.payload_bytes..until);
            ReceivedFrame { header, payload }
        }));
        self.place = if frozen.len() - end <= FRAME_HEADER_BYTES {
            self.bytes_copied += (frozen.len() - end) as u64;
            Place::Head(frozen[end..].to_vec())
        } else {
            Place::Tail(frozen.slice(end..))
        };
    }

    /// Nothing more is there for now: lets go of a buffer that is hardly used.
    fn settle(&mut self) {
        let wanted = message_bytes(self.pending(), self.payload_bytes_max);
        match (&self.place, wanted) {
            (Place::Head(_), _) => {}
            (Place::Buffer(buffer), Ok(None)) => {
                self.bytes_copied += buffer.bytes().len() as u64;
                self.place = Place::Head(buffer.bytes().to_vec());
            }
            (Place::Buffer(_) | Place::Tail(_), Ok(Some(bytes)))
                if bytes <= FRAME_SLOW_BYTES_MAX =>
            {
                let has_own = matches!(&self.place, Place::Buffer(own) if !own.is_pooled() && bytes <= own.capacity());
                if !has_own {
                    self.move_to(BufferPool::own(bytes));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::frames::{FrameKind, write_empty};
    use crate::record::{FRAME_ALIGNMENT, PoolLimits};

    const BUFFER_BYTES: usize = 4 * FRAME_ALONE_BYTES_MIN;

    fn pool() -> BufferPool {
        BufferPool::new(PoolLimits {
            buffer_bytes: BUFFER_BYTES,
            small_buffers_max: 4,
            large_bytes_max: 64 * BUFFER_BYTES,
        })
    }

    /// Messages with payloads of these lengths.
    fn stream(lengths: &[usize], rng: &mut fastrand::Rng) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            let start = out.len();
            out.resize(start + FRAME_HEADER_BYTES, 0);
            out.extend((0..*length).map(|_| rng.u8(..)));
            let sequence = index as u64 + 1;
            FrameHeader { sequence, ..FrameHeader::new(FrameKind::Data) }.seal(&mut out, start);
        }
        out
    }

    /// A peer whose bytes come in pieces: so many at most each time, and then nothing for a while.
    struct Peer<'a> {
        bytes: &'a [u8],
        piece_max: usize,
        rng: fastrand::Rng,
    }

    impl Peer<'_> {
        /// Receives once.
        fn receive(
            &mut self,
            receiver: &mut FrameReceiver,
            pool: &mut BufferPool,
            messages: &mut VecDeque<ReceivedFrame>,
        ) -> Result<(), ProtocolFault> {
            let (mut memory, bytes_max) = receiver.prepare(pool).expect("the pool is large");
            let (place, room) = (memory.as_ptr(), memory.capacity() - memory.len());
            assert!(0 < bytes_max && bytes_max <= room);
            let count = bytes_max.min(self.rng.usize(1..=self.piece_max)).min(self.bytes.len());
            memory.extend_from_slice(&self.bytes[..count]);
            assert_eq!(memory.as_ptr(), place, "nothing moves");
            self.bytes = &self.bytes[count..];
            receiver.filled(memory, count < bytes_max, messages)
        }
    }

    /// Receives everything; gives the bytes copied.
    #[track_caller]
    fn check(lengths: &[usize], piece_max: usize, seed: u64) -> u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes = stream(lengths, &mut rng);
        let (mut pool, mut receiver) = (pool(), FrameReceiver::new(1 << 20));
        let mut peer = Peer { bytes: &bytes, piece_max, rng };
        let (mut messages, mut received) = (VecDeque::new(), Vec::new());
        while !peer.bytes.is_empty() {
            peer.receive(&mut receiver, &mut pool, &mut messages).unwrap();
            for ReceivedFrame { header, payload } in messages.drain(..) {
                let at = payload.as_ptr().addr();
                assert!(payload.is_empty() || at.is_multiple_of(FRAME_ALIGNMENT), "seed {seed}");
                received.extend_from_slice(&header.to_bytes());
                received.extend_from_slice(&payload);
            }
        }
        assert!(received == bytes, "seed {seed}");
        assert_eq!(receiver.pending_bytes(), 0);
        assert_eq!(pool.bytes_out(), 0, "seed {seed}: between messages no buffer is held");
        receiver.bytes_copied()
    }

    #[test]
    fn every_message_comes_as_it_was_sent_however_it_is_cut() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let large = rng.choice([0, 1_000, 40_000, 3 * BUFFER_BYTES]).unwrap();
            let lengths: Vec<usize> = (0..rng.usize(1..40)).map(|_| rng.usize(0..=large)).collect();
            let piece_max = rng.choice([70, 1_000, 100_000, 1 << 20]).unwrap();
            check(&lengths, if large > 40_000 { piece_max.max(1_000) } else { piece_max }, seed);
        }
    }

    #[test]
    fn large_messages_are_not_copied_and_of_small_ones_only_what_is_cut() {
        // But for the first, of which the length was not known: one buffer's bytes at most.
        let of_large = check(&[8 * BUFFER_BYTES; 10], usize::MAX, 1);
        let headers = 2 * 10 * FRAME_HEADER_BYTES;
        assert!(of_large <= (BUFFER_BYTES + headers) as u64, "{of_large}");
        let of_small = check(&[1_000; 2_000], usize::MAX, 2);
        let buffers = 2_000 * 1_088 / BUFFER_BYTES + 1;
        assert!(of_small <= (buffers * 1_088) as u64, "{of_small}");
    }

    #[test]
    fn what_is_slow_in_coming_holds_as_much_as_it_needs() {
        let bytes = stream(&[1_000, 1_000, 2 * FRAME_ALONE_BYTES_MIN], &mut fastrand::Rng::new());
        let (mut pool, mut receiver) = (pool(), FrameReceiver::new(1 << 20));
        let mut messages = VecDeque::new();
        let mut send = |to: &mut FrameReceiver, from: &mut BufferPool, part: &[u8]| {
            let (mut memory, bytes_max) = to.prepare(from).unwrap();
            assert!(part.len() < bytes_max);
            memory.extend_from_slice(part);
            to.filled(memory, true, &mut messages).unwrap();
            messages.drain(..).count()
        };
        // Part of a header; part of a small message; one message and part of the next.
        assert_eq!(send(&mut receiver, &mut pool, &bytes[..10]), 0);
        assert_eq!((receiver.pending_bytes(), pool.bytes_out()), (10, 0));
        assert_eq!(send(&mut receiver, &mut pool, &bytes[10..100]), 0);
        assert_eq!((receiver.pending_bytes(), pool.bytes_out()), (100, 0));
        assert_eq!(send(&mut receiver, &mut pool, &bytes[100..1_000]), 0);
        let (mut memory, bytes_max) = receiver.prepare(&mut pool).unwrap();
        assert_eq!(bytes_max, 88, "no more than fits");
        memory.extend_from_slice(&bytes[1_000..1_088]);
        receiver.filled(memory, false, &mut VecDeque::new()).unwrap();
        assert_eq!(send(&mut receiver, &mut pool, &bytes[1_088..2_276]), 1);
        assert_eq!((receiver.pending_bytes(), pool.bytes_out()), (100, BUFFER_BYTES));
    }

    #[test]
    fn waiting_takes_no_buffer_of_the_pool() {
        let mut rng = fastrand::Rng::with_seed(9);
        let bytes = stream(&[1_000, 2_000, 20_000, 2 * FRAME_ALONE_BYTES_MIN], &mut rng);
        let (mut pool, mut receiver) = (pool(), FrameReceiver::new(1 << 20));
        let (mut messages, mut rest) = (VecDeque::new(), &bytes[..]);
        let mut held_bytes = Vec::new();
        while !rest.is_empty() {
            let (mut memory, bytes_max) = receiver.prepare_to_wait(&mut pool).unwrap();
            held_bytes.push(pool.bytes_out());
            let (now, later) = rest.split_at(rest.len().min(bytes_max).min(1_500));
            memory.extend_from_slice(now);
            rest = later;
            receiver.filled(memory, now.len() < bytes_max, &mut messages).unwrap();
            messages.retain(|message| message.header.sequence > 4);
        }
        // One that is long has its buffer from when its length is known.
        assert!(held_bytes[..3].iter().all(|held| *held == 0), "{held_bytes:?}");
        assert!(held_bytes.iter().any(|held| *held > 0));
        assert_eq!((receiver.pending_bytes(), pool.bytes_out()), (0, 0));
    }

    #[test]
    fn without_a_buffer_everything_stays_and_goes_on() {
        let mut rng = fastrand::Rng::with_seed(3);
        let bytes = stream(&[6 * BUFFER_BYTES, 100], &mut rng);
        let mut pool = BufferPool::new(PoolLimits {
            buffer_bytes: BUFFER_BYTES,
            small_buffers_max: 1,
            large_bytes_max: 8 * BUFFER_BYTES,
        });
        let (mut receiver, mut messages) = (FrameReceiver::new(1 << 20), VecDeque::new());
        let held = pool.take(1, Need::Begin).unwrap();
        assert!(receiver.prepare(&mut pool).is_none());
        drop(held);
        let large = pool.take(6 * BUFFER_BYTES, Need::GoOn).unwrap();
        let mut peer = Peer { bytes: &bytes, piece_max: usize::MAX, rng };
        peer.receive(&mut receiver, &mut pool, &mut messages).unwrap();
        assert!(receiver.prepare(&mut pool).is_none());
        assert!(receiver.prepare(&mut pool).is_none());
        drop(large);
        while !peer.bytes.is_empty() {
            peer.receive(&mut receiver, &mut pool, &mut messages).unwrap();
        }
        assert_eq!(messages.len(), 2);
        assert_eq!(pool.refused(), 3);
    }

    #[test]
    fn what_is_before_a_fault_stands() {
        let mut rng = fastrand::Rng::with_seed(4);
        let mut bytes = stream(&[100, 100], &mut rng);
        write_empty(FrameHeader::new(FrameKind::End), &mut bytes);
        let damages: [(usize, &str); 4] = [
            (192 + 80, "checksum"),
            (192 + 3, "no frame"),
            (192 + 11, "a payload of"),
            (2 * 192 + 50, "reserved"),
        ];
        for (at, reason) in damages {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            let (mut receiver, mut messages) = (FrameReceiver::new(1 << 20), VecDeque::new());
            let mut peer = Peer { bytes: &damaged, piece_max: usize::MAX, rng: rng.clone() };
            let fault = peer.receive(&mut receiver, &mut pool(), &mut messages).unwrap_err();
            assert!(fault.to_string().contains(reason), "{fault}");
            assert_eq!(messages.len(), at / 192);
        }
    }
}
