//! Inbox: the receiving half of one edge on one core; the lanes of all cores as one stream.
//!
//! In:  one lane from each core, this one included.
//! Out: elements, with watermarks merged (see `merge`), barriers aligned (see `align`), and one end.
//!
//! Lanes are read in turn, one element each. A lane that must wait for a barrier is passed over, so
//! what is behind the barrier stays in its bounded lane and holds its sender back.

use super::align::BarrierAlignment;
use super::lane::LaneReceiver;
use super::merge::WatermarkMerge;
use crate::record::{Cause, Element};
use std::collections::VecDeque;

/// Receives from all cores.
#[derive(Debug)]
pub struct Inbox {
    lanes: Vec<LaneReceiver>,
    /// The lane to look at next.
    cursor: usize,
    alignment: BarrierAlignment,
    merge: WatermarkMerge,
    /// What one end gave rise to and has not been taken: at most watermark, barrier, end.
    ready: VecDeque<Element>,
    rows: u64,
}

impl Inbox {
    /// Over one lane from each core.
    pub fn new(lanes: Vec<LaneReceiver>) -> Inbox {
        Inbox {
            cursor: 0,
            alignment: BarrierAlignment::new(lanes.len()),
            merge: WatermarkMerge::new(lanes.len()),
            ready: VecDeque::new(),
            rows: 0,
            lanes,
        }
    }

    /// The next element, if there is one now. Watermarks that change nothing are absorbed on the way:
    /// senders make at most one per turn of theirs.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end, as an iterator's is")]
    pub fn next(&mut self) -> Option<Element> {
        if let Some(element) = self.ready.pop_front() {
            return Some(element);
        }
        let mut passed_over = 0;
        while passed_over < self.lanes.len() {
            let sender = self.cursor;
            self.cursor = (self.cursor + 1) % self.lanes.len();
            match self.pop(sender) {
                None => passed_over += 1,
                Some(element) => {
                    passed_over = 0;
                    let merged = self.accept(sender, element);
                    if merged.is_some() {
                        return merged;
                    }
                }
            }
        }
        None
    }

    /// True when `next` would find nothing now: what a core asks before it parks.
    pub fn is_idle(&self) -> bool {
        let nothing = |(sender, lane): (usize, &LaneReceiver)| {
            self.alignment.is_blocked(sender) || lane.is_empty()
        };
        self.ready.is_empty() && self.lanes.iter().enumerate().all(nothing)
    }

    /// Rows given so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn pop(&mut self, sender: usize) -> Option<Element> {
        if self.alignment.is_blocked(sender) {
            return None;
        }
        self.lanes[sender].pop()
    }

    /// What `element` from `sender` means for the merged stream.
    fn accept(&mut self, sender: usize, element: Element) -> Option<Element> {
        match element {
            Element::Batch(batch) => {
                self.rows += batch.len() as u64;
                Some(Element::Batch(batch))
            }
            Element::Watermark(watermark, cause) => {
                let merged = self.merge.update(sender, watermark)?;
                Some(Element::Watermark(merged, cause))
            }
            Element::Barrier(epoch) => self.alignment.barrier(sender, epoch).map(Element::Barrier),
            Element::End => {
                let merged = self.merge.end(sender);
                let of_end = |watermark| Element::Watermark(watermark, Cause::default());
                self.ready.extend(merged.map(of_end));
                self.ready.extend(self.alignment.end(sender).map(Element::Barrier));
                self.ready.extend(self.alignment.is_ended().then_some(Element::End));
                self.ready.pop_front()
            }
        }
    }
}

#[cfg(test)]
impl Inbox {
    /// The same state over other lanes, for the model to go on from.
    pub(super) fn fork(&self, lanes: Vec<LaneReceiver>) -> Inbox {
        let (alignment, merge) = (self.alignment.clone(), self.merge.clone());
        let ready = self.ready.clone();
        Inbox { lanes, cursor: self.cursor, alignment, merge, ready, rows: self.rows }
    }

    /// What is between lanes and worker.
    pub(super) fn fingerprint(&self) -> impl std::hash::Hash + use<> {
        (self.cursor, self.alignment.clone(), self.merge.clone(), format!("{:?}", self.ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{LaneSender, local_lane};
    use crate::record::{Batch, Epoch, Timestamp, Watermark};
    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    fn parse(word: &str) -> Element {
        let number = |text: &str| text.parse::<i64>().unwrap();
        match word.split_at(1) {
            ("|", "-") => Element::Watermark(Watermark::Idle, Cause::default()),
            ("|", "^") => Element::Watermark(Watermark::At(Timestamp::MAX), Cause::default()),
            ("|", time) => {
                let time = Timestamp::from_millis(number(time));
                Element::Watermark(Watermark::At(time), Cause::default())
            }
            ("#", epoch) => Element::Barrier(Epoch::new(epoch.parse().unwrap())),
            ("$", _) => Element::End,
            _ => {
                let values: ArrayRef = Arc::new(Int64Array::from(vec![number(word)]));
                Element::Batch(Batch::new(RecordBatch::try_from_iter([("n", values)]).unwrap(), 0))
            }
        }
    }

    fn show(element: &Element) -> String {
        match element {
            Element::Batch(batch) => {
                batch.rows.column(0).as_primitive::<Int64Type>().value(0).to_string()
            }
            Element::Watermark(Watermark::Idle, _) => "|-".to_owned(),
            Element::Watermark(Watermark::At(Timestamp::MAX), _) => "|^".to_owned(),
            Element::Watermark(Watermark::At(time), _) => format!("|{}", time.millis()),
            Element::Barrier(epoch) => format!("#{}", epoch.number()),
            Element::End => "$".to_owned(),
        }
    }

    fn fill(lane: &mut LaneSender, script: &str) {
        script.split_whitespace().for_each(|word| lane.push(parse(word)));
    }

    fn drain(inbox: &mut Inbox) -> String {
        std::iter::from_fn(|| inbox.next()).map(|e| show(&e)).collect::<Vec<_>>().join(" ")
    }

    /// Numbers are batches, `|5` watermarks (`|-` idle, `|^` MAX), `#1` barriers, `$` the end.
    #[track_caller]
    fn check(scripts: &[&str], expected: &str) {
        let (mut senders, receivers): (Vec<_>, Vec<_>) =
            scripts.iter().map(|_| local_lane(16)).unzip();
        let mut inbox = Inbox::new(receivers);
        for (sender, script) in senders.iter_mut().zip(scripts) {
            fill(sender, script);
        }
        assert_eq!(inbox.is_idle(), expected.is_empty(), "{scripts:?}");
        assert_eq!(drain(&mut inbox), expected, "{scripts:?}");
        assert!(inbox.is_idle(), "{scripts:?}");
    }

    #[test]
    fn lanes_are_read_in_turn() {
        check(&["1 2 3", "10 20", "100"], "1 10 100 2 20 3");
        check(&["", "10 20", ""], "10 20");
        check(&["", ""], "");
    }

    #[test]
    fn watermarks_are_merged() {
        check(&["|5 1 |9", "|3 2 |7"], "|3 1 2 |7");
        check(&["|5 1", "|-"], "|5 1");
    }

    #[test]
    fn what_is_behind_a_barrier_waits_for_the_others() {
        check(&["1 #1 2", "10 20 #1 30"], "1 10 20 #1 2 30");
        check(&["#1 2", "10"], "10");
        check(&["#1 |5 #2", "#1 |6 #2"], "#1 |5 #2");
    }

    #[test]
    fn the_end_comes_once_and_last() {
        check(&["1 |^ $", "2 |^ $"], "1 2 |^ $");
        check(&["$", "1 $"], "1 $");
        check(&["#1 5 $", "1 $"], "1 #1 5 $");
        check(&["|- $", "|7 |^ $"], "|7 |^ $");
        check(&["|3 #1", "|- $"], "|3 #1");
    }

    #[test]
    fn a_barrier_arriving_later_frees_the_lane() {
        let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| local_lane(16)).unzip();
        let mut inbox = Inbox::new(receivers);
        fill(&mut senders[0], "#1 2");
        assert_eq!(drain(&mut inbox), "");
        assert!(inbox.is_idle(), "the waiting lane gives no work");
        fill(&mut senders[1], "#1");
        assert!(!inbox.is_idle());
        assert_eq!(drain(&mut inbox), "#1 2");
        assert_eq!(inbox.rows(), 1);
    }
}
