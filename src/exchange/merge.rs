//! Merging of watermarks: what all senders of an edge promise together.
//!
//! - The minimum over the senders that are neither idle nor at the end of their input.
//! - It never goes back. When nobody is left in the minimum, it stands and `Idle` is said.
//! - MAX is said when every sender has said it (an idle one may still come back with rows), or has
//!   ended while idle.
//! - A sender that ends without having said MAX (the job was stopped, not finished) holds its last
//!   word: rows it has not read yet will come after a restart.

use crate::record::{Timestamp, Watermark};

/// Watermarks of the senders of one edge, on one core.
#[derive(Clone, Hash, Debug)]
pub struct WatermarkMerge {
    senders: Vec<SenderState>,
    /// Highest watermark said.
    high: Timestamp,
    said: Option<Watermark>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum SenderState {
    /// Holds the minimum; `MIN` before its first word, `MAX` when its input is complete.
    At(Timestamp),
    /// Left out until it speaks.
    Idle,
    /// Ended while idle: left out for good.
    Gone,
}

impl WatermarkMerge {
    /// For `senders` senders, none of which has said anything.
    pub fn new(senders: usize) -> WatermarkMerge {
        assert!(senders > 0);
        let senders = vec![SenderState::At(Timestamp::MIN); senders];
        WatermarkMerge { senders, high: Timestamp::MIN, said: None }
    }

    /// `sender` says `watermark`. The merged watermark, when it changes.
    pub fn update(&mut self, sender: usize, watermark: Watermark) -> Option<Watermark> {
        assert!(self.senders[sender] != SenderState::Gone);
        self.senders[sender] = match watermark {
            Watermark::At(time) => SenderState::At(time),
            Watermark::Idle => SenderState::Idle,
        };
        self.say()
    }

    /// `sender` will say nothing more. The merged watermark, when it changes.
    pub fn end(&mut self, sender: usize) -> Option<Watermark> {
        if self.senders[sender] == SenderState::Idle {
            self.senders[sender] = SenderState::Gone;
        }
        self.say()
    }

    fn say(&mut self) -> Option<Watermark> {
        let merged = match self.merged() {
            Some(Watermark::At(time)) => {
                self.high = self.high.max(time);
                Watermark::At(self.high)
            }
            Some(Watermark::Idle) => Watermark::Idle,
            None => return None,
        };
        // Before the first word there is nothing to take back.
        let news = Some(merged) != self.said
            && (self.said.is_some() || merged != Watermark::At(Timestamp::MIN));
        if !news {
            return None;
        }
        self.said = Some(merged);
        Some(merged)
    }

    /// `None` when every sender ended while idle.
    fn merged(&self) -> Option<Watermark> {
        let open = |sender: &SenderState| match *sender {
            SenderState::At(time) if time < Timestamp::MAX => Some(time),
            _ => None,
        };
        if let Some(time) = self.senders.iter().filter_map(open).min() {
            return Some(Watermark::At(time));
        }
        if self.senders.contains(&SenderState::Idle) {
            return Some(Watermark::Idle);
        }
        let complete = self.senders.contains(&SenderState::At(Timestamp::MAX));
        complete.then_some(Watermark::At(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(watermark: Watermark) -> String {
        match watermark {
            Watermark::Idle => "idle".to_owned(),
            Watermark::At(Timestamp::MIN) => "min".to_owned(),
            Watermark::At(Timestamp::MAX) => "max".to_owned(),
            Watermark::At(time) => time.millis().to_string(),
        }
    }

    /// `a5` is watermark 5 from sender a, `a-` idle, `a^` MAX, `a_` MIN, `a$` its end. The answer is
    /// what was said, in order.
    #[track_caller]
    fn check(senders: usize, script: &str, expected: &str) {
        let mut merge = WatermarkMerge::new(senders);
        let mut actual = Vec::new();
        for word in script.split_whitespace() {
            let sender = usize::from(word.as_bytes()[0] - b'a');
            let said = match &word[1..] {
                "$" => merge.end(sender),
                "-" => merge.update(sender, Watermark::Idle),
                "^" => merge.update(sender, Watermark::At(Timestamp::MAX)),
                "_" => merge.update(sender, Watermark::At(Timestamp::MIN)),
                time => {
                    let time = Timestamp::from_millis(time.parse().unwrap());
                    merge.update(sender, Watermark::At(time))
                }
            };
            actual.extend(said.map(show));
        }
        assert_eq!(actual.join(" "), expected, "script: {script}");
    }

    #[test]
    fn the_minimum_counts_and_never_goes_back() {
        check(1, "a1 a1 a3", "1 3");
        check(2, "a1 a2", "");
        check(2, "a5 b3 b4 b9 a7", "3 4 5 7");
        check(2, "a5 b5 a3", "5");
        check(3, "a1 b2 c3 a4", "1 2");
    }

    #[test]
    fn idle_senders_are_left_out() {
        check(2, "a5 b-", "5");
        check(2, "b- a5 a6 b7 a8", "5 6 7");
        check(2, "a- b-", "idle");
        check(2, "a4 b4 a- b- a9", "4 idle 9");
        // Coming back behind what was said: it stands, and the edge is no longer idle.
        check(2, "a4 b4 a- b- a2 a5", "4 idle 4 5");
        check(2, "a- b- a_ a3", "idle min 3");
        check(2, "a-", "");
    }

    #[test]
    fn the_end_of_input_is_said_by_all() {
        check(1, "a5 a^ a$", "5 max");
        check(2, "a5 b5 a^ a$ b6 b^ b$", "5 6 max");
        check(2, "a5 b^ b$ a- a7 a^ a$", "5 idle 7 max");
        // An idle sender may come back; one that ended idle cannot.
        check(2, "a4 b- a^", "4 idle");
        check(2, "a4 b- a^ b$", "4 idle max");
        check(2, "b- b$ a4 a^", "4 max");
        check(2, "a- a$ b- b$", "idle");
    }

    #[test]
    fn a_stopped_sender_holds_its_last_word() {
        check(2, "a5 b3 b$ a9 a$", "3");
        check(2, "a5 b7 a$ b^ b$", "5");
        check(2, "a$ b7 b$", "");
    }
}
