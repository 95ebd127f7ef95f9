//! Alignment of barriers: an epoch ends at a receiver when it has ended at every sender.
//!
//! Invariants
//! - At most one barrier is being aligned at a time.
//! - A sender that has delivered it is not read until the others have, so that what comes behind the
//!   barrier stays behind it.

use crate::record::Epoch;

/// Barriers of the senders of one edge, on one core.
#[derive(Clone, Hash, Debug)]
pub struct BarrierAlignment {
    senders: Vec<SenderState>,
    pending: Option<Epoch>,
    last: Option<Epoch>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum SenderState {
    Reading,
    Delivered,
    Ended,
}

impl BarrierAlignment {
    /// For `senders` senders.
    pub fn new(senders: usize) -> BarrierAlignment {
        assert!(senders > 0);
        BarrierAlignment { senders: vec![SenderState::Reading; senders], pending: None, last: None }
    }

    /// True when `sender` must not be read now: it has delivered the barrier, or ended.
    pub fn is_blocked(&self, sender: usize) -> bool {
        self.senders[sender] != SenderState::Reading
    }

    /// `sender` has delivered the barrier of `epoch`. The epoch, when it was the last to do so.
    pub fn barrier(&mut self, sender: usize, epoch: Epoch) -> Option<Epoch> {
        assert_eq!(self.senders[sender], SenderState::Reading);
        assert!(self.pending.is_none_or(|pending| pending == epoch));
        assert!(self.last < Some(epoch));
        self.pending = Some(epoch);
        self.senders[sender] = SenderState::Delivered;
        self.complete()
    }

    /// `sender` has ended, which counts as having delivered every barrier to come. The epoch, when
    /// the others had been waiting for this sender alone.
    pub fn end(&mut self, sender: usize) -> Option<Epoch> {
        assert_eq!(self.senders[sender], SenderState::Reading);
        self.senders[sender] = SenderState::Ended;
        self.complete()
    }

    /// True when every sender has ended.
    pub fn is_ended(&self) -> bool {
        self.senders.iter().all(|&sender| sender == SenderState::Ended)
    }

    fn complete(&mut self) -> Option<Epoch> {
        if self.senders.contains(&SenderState::Reading) {
            return None;
        }
        for sender in &mut self.senders {
            if *sender == SenderState::Delivered {
                *sender = SenderState::Reading;
            }
        }
        let epoch = self.pending.take()?;
        self.last = Some(epoch);
        Some(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a1` is the barrier of epoch 1 from sender a, `a$` its end. The answer lists the epochs that
    /// were complete and after which word, and who is blocked at the end.
    #[track_caller]
    fn check(senders: usize, script: &str, expected: &str) {
        let mut alignment = BarrierAlignment::new(senders);
        let mut actual = String::new();
        for word in script.split_whitespace() {
            let sender = usize::from(word.as_bytes()[0] - b'a');
            let complete = match &word[1..] {
                "$" => alignment.end(sender),
                number => alignment.barrier(sender, Epoch::new(number.parse().unwrap())),
            };
            if let Some(epoch) = complete {
                actual += &format!("{}@{word} ", epoch.number());
            }
        }
        actual += "blocked:";
        for sender in (0..senders).filter(|&sender| alignment.is_blocked(sender)) {
            actual.push(char::from(b'a' + u8::try_from(sender).unwrap()));
        }
        assert_eq!(actual, expected, "script: {script}");
    }

    #[test]
    fn an_epoch_ends_with_its_last_barrier() {
        check(1, "a1 a2", "1@a1 2@a2 blocked:");
        check(2, "a1", "blocked:a");
        check(2, "a1 b1", "1@b1 blocked:");
        check(3, "b1 a1", "blocked:ab");
        check(3, "b1 a1 c1 c2", "1@c1 blocked:c");
    }

    #[test]
    fn an_ended_sender_is_not_waited_for() {
        check(2, "a$ b1 b2", "1@b1 2@b2 blocked:a");
        check(2, "a1 b$", "1@b$ blocked:b");
        check(3, "a1 b$ c1", "1@c1 blocked:b");
        check(3, "a1 b$ c$", "1@c$ blocked:bc");
        check(2, "a$ b$", "blocked:ab");
    }
}
