//! Outbox: the sending half of one edge on one core.
//!
//! In:  batches, which are split between the cores; watermarks, barriers and the end, which go to all.
//! Out: one lane per core, this one included.
//!
//! Invariants
//! - What is taken is staged, per core, and moves into the lanes only in `flush`, in order.
//! - Data (batches and watermarks) leaves the reserved slots of a lane free for the barrier and the
//!   end, which therefore never wait for a receiver that waits for them.
//! - A watermark takes the place of one that is still the last thing staged; one equal to the last
//!   is not sent.
//!
//! What is staged is bounded by the caller, who stops when `is_full` and may then add one batch, one
//! watermark, one barrier and the end.

use super::coalesce::coalesce;
use super::lane::LaneSender;
use super::partitioner::Partitioner;
use crate::limits::EDGE_ELEMENTS_RESERVED;
use crate::record::{Batch, Cause, Element, Epoch, Watermark};
use crate::stdx::CoreId;
use std::collections::VecDeque;

/// Sends to all cores.
#[derive(Debug)]
pub struct Outbox {
    partitioner: Partitioner,
    lanes: Vec<Lane>,
    said: Option<Watermark>,
    is_ended: bool,
    rows: u64,
}

/// Towards one core.
#[derive(Debug)]
struct Lane {
    sender: LaneSender,
    /// Slots that only a barrier and the end may use.
    reserved: usize,
    staged: VecDeque<Element>,
}

impl Outbox {
    /// Over one lane to each core, in the order of cores. A lane has at least two slots.
    pub fn new(partitioner: Partitioner, lanes: Vec<LaneSender>) -> Outbox {
        assert!(!lanes.is_empty());
        let lanes = lanes.into_iter().map(Lane::new).collect();
        Outbox { partitioner, lanes, said: None, is_ended: false, rows: 0 }
    }

    /// Takes a batch. May be called when full, once.
    pub fn push(&mut self, batch: Batch) {
        assert!(!self.is_ended);
        self.rows += batch.len() as u64;
        let lanes = &mut self.lanes;
        self.partitioner.partition(batch, |core, part| {
            lanes[core.index()].staged.push_back(Element::Batch(part));
        });
    }

    /// True when some core has no room: the stage that feeds this outbox is to be skipped.
    pub fn is_full(&self) -> bool {
        self.lanes.iter().any(Lane::is_full)
    }

    /// The first core that has no room.
    pub fn full_core(&self) -> Option<CoreId> {
        let full = self.lanes.iter().position(Lane::is_full)?;
        Some(CoreId::new(u16::try_from(full).expect("limits::CORES_MAX cores at most")))
    }

    /// Elements that would fill it, over all cores.
    pub fn elements_max(&self) -> usize {
        self.lanes.iter().map(|lane| lane.sender.elements_max()).sum()
    }

    /// Says `watermark` to all cores.
    pub fn watermark(&mut self, watermark: Watermark, cause: Cause) {
        assert!(!self.is_ended);
        if self.said == Some(watermark) {
            return;
        }
        self.said = Some(watermark);
        for lane in &mut self.lanes {
            match lane.staged.back_mut() {
                Some(staged @ Element::Watermark(..)) => {
                    *staged = Element::Watermark(watermark, cause);
                }
                _ => lane.staged.push_back(Element::Watermark(watermark, cause)),
            }
        }
    }

    /// Ends `epoch` for all cores. Allowed when full.
    pub fn barrier(&mut self, epoch: Epoch) {
        assert!(!self.is_ended);
        for lane in &mut self.lanes {
            lane.staged.push_back(Element::Barrier(epoch));
        }
    }

    /// Nothing will follow. Allowed when full.
    pub fn end(&mut self) {
        assert!(!self.is_ended);
        self.is_ended = true;
        for lane in &mut self.lanes {
            lane.staged.push_back(Element::End);
        }
    }

    /// Hands over what there is room for. True when something moved.
    pub fn flush(&mut self) -> bool {
        let mut moved = false;
        for lane in &mut self.lanes {
            moved |= lane.flush();
        }
        moved
    }

    /// True when everything taken has been handed over.
    pub fn is_drained(&self) -> bool {
        self.lanes.iter().all(|lane| lane.staged.is_empty())
    }

    /// Elements staged, and handed over but not yet received, over all cores.
    pub fn queued(&self) -> usize {
        self.lanes.iter().map(|lane| lane.staged.len() + lane.waiting()).sum()
    }

    /// Rows taken so far. Over all cores, equal to the rows the edge's inboxes have given and hold.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Lane {
    fn new(sender: LaneSender) -> Lane {
        assert!(sender.elements_max() >= 2);
        // The smallest lane keeps one slot for data and one for the rest.
        let reserved = EDGE_ELEMENTS_RESERVED.min(sender.elements_max() / 2);
        Lane { sender, reserved, staged: VecDeque::new() }
    }

    fn is_full(&self) -> bool {
        self.sender.free_slots() <= self.reserved + self.staged.len()
    }

    fn waiting(&self) -> usize {
        self.sender.elements_max() - self.sender.free_slots()
    }

    fn flush(&mut self) -> bool {
        if self.staged.is_empty() {
            return false;
        }
        coalesce(&mut self.staged);
        let mut moved = false;
        while let Some(first) = self.staged.front() {
            let is_data = matches!(first, Element::Batch(_) | Element::Watermark(..));
            let kept_free = if is_data { self.reserved } else { 0 };
            if self.sender.free_slots() <= kept_free {
                break;
            }
            let element = self.staged.pop_front().expect("the front was just looked at");
            self.sender.push(element);
            moved = true;
        }
        moved
    }
}

#[cfg(test)]
impl Outbox {
    /// The same state over lanes of its own, for the model to go on from.
    pub(super) fn fork(&self) -> (Outbox, Vec<super::LaneReceiver>) {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            self.lanes.iter().map(|lane| lane.sender.fork()).unzip();
        let mut fork = Outbox::new(self.partitioner.clone(), senders);
        for (lane, original) in fork.lanes.iter_mut().zip(&self.lanes) {
            lane.staged = original.staged.clone();
        }
        (Outbox { said: self.said, is_ended: self.is_ended, rows: self.rows, ..fork }, receivers)
    }

    /// Shows, lane by lane, what is in the lane and what is staged.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&Element)) {
        for lane in &self.lanes {
            lane.sender.visit(visit);
            visit(&Element::End); // between the two
            lane.staged.iter().for_each(&mut *visit);
            visit(&Element::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{LaneReceiver, local_lane};
    use crate::record::Timestamp;
    use crate::stdx::CoreId;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use std::sync::Arc;

    /// Large, so that neighbours stay apart.
    fn batch() -> Batch {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1; 1025]));
        Batch::new(RecordBatch::try_from_iter([("n", values)]).unwrap(), 0)
    }

    fn at(millis: i64) -> Watermark {
        Watermark::At(Timestamp::from_millis(millis))
    }

    fn outbox(elements_max: usize) -> (Outbox, Vec<LaneReceiver>) {
        let (senders, receivers) = (0..2).map(|_| local_lane(elements_max)).unzip();
        (Outbox::new(Partitioner::to_core(CoreId::ZERO), senders), receivers)
    }

    fn received(lane: &mut LaneReceiver) -> String {
        let show = |element| match element {
            Element::Batch(_) => "b".to_owned(),
            Element::Watermark(Watermark::At(time), _) => format!("|{}", time.millis()),
            Element::Watermark(Watermark::Idle, _) => "|-".to_owned(),
            Element::Barrier(epoch) => format!("#{}", epoch.number()),
            Element::End => "$".to_owned(),
        };
        std::iter::from_fn(|| lane.pop()).map(show).collect::<Vec<_>>().join(" ")
    }

    /// `b` pushes a batch, `5` says watermark 5, `-` idle, `#` a barrier, `$` the end, `f` flushes, `r`
    /// empties the lanes, `?` asks whether the outbox is full. Lanes of `elements_max`; what each of
    /// the two cores got is given between slashes, answers before.
    #[track_caller]
    fn check(elements_max: usize, script: &str, expected: &str) {
        let (mut outbox, mut lanes) = outbox(elements_max);
        let (mut actual, mut epochs) = (String::new(), 0);
        for word in script.split_whitespace() {
            match word {
                "b" => outbox.push(batch()),
                "-" => outbox.watermark(Watermark::Idle, Cause::default()),
                "#" => {
                    epochs += 1;
                    outbox.barrier(Epoch::new(epochs));
                }
                "$" => outbox.end(),
                "f" => actual += if outbox.flush() { "moved " } else { "stuck " },
                "?" => actual += if outbox.is_full() { "full " } else { "free " },
                "r" => {
                    let [to_0, to_1] = lanes.as_mut_slice() else { panic!("two lanes") };
                    actual += &format!("/{}/{}/ ", received(to_0), received(to_1));
                }
                time => outbox.watermark(at(time.parse().unwrap()), Cause::default()),
            }
        }
        assert_eq!(actual.trim_end(), expected, "script: {script}");
    }

    #[test]
    fn nothing_moves_before_flush() {
        check(16, "b 5 r f r f", "/// moved /b |5/|5/ stuck");
    }

    #[test]
    fn watermarks_are_coalesced_where_they_stand() {
        check(16, "b 5 6 7 f r", "moved /b |7/|7/");
        check(16, "5 b 6 f r", "moved /|5 b |6/|6/");
        check(16, "5 # 6 f r", "moved /|5 #1 |6/|5 #1 |6/");
        check(16, "5 f r 5 f - - f r", "moved /|5/|5/ stuck moved /|-/|-/");
        check(16, "5 - 5 f r", "moved /|5/|5/");
    }

    #[test]
    fn reserved_slots_are_for_barrier_and_end() {
        check(
            2,
            "? b ? f ? b f # $ f r f r f r",
            "free full moved full stuck moved /b/#1 $/ moved /b #1// moved /$//",
        );
        check(4, "b f ? b f ? # $ f r", "moved free moved full moved /b b #1 $/#1 $/");
        check(4, "b b f ? r ? ", "moved full /b b// free");
    }

    #[test]
    fn drained_means_handed_over() {
        let (mut outbox, mut lanes) = outbox(2);
        assert!(outbox.is_drained());
        outbox.push(batch());
        outbox.push(batch());
        assert_eq!((outbox.is_drained(), outbox.queued(), outbox.rows()), (false, 2, 2050));
        outbox.flush();
        assert_eq!((outbox.is_drained(), outbox.queued()), (false, 2));
        received(&mut lanes[0]);
        outbox.flush();
        assert_eq!((outbox.is_drained(), outbox.queued()), (true, 1));
    }
}
