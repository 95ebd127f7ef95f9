//! Chain: operators with no exchange between them, driven as one.
//!
//! In:  batches, watermarks, the clock, barriers; one at a time, while the chain is `Done`.
//! Out: whatever the last operator pushes.
//!
//! Invariants
//! - An operator that answered `More` is given nothing but `resume` until it is `Done`, and nothing
//!   at all while the outlet is full. What its predecessor pushes meanwhile (one batch, and a
//!   watermark) waits in front of it, in order. So the outlet takes one batch beyond full at most.
//! - A link is full while any later operator is behind or the chain's own outlet is full, so that
//!   a firing window stops within one batch, however many operators follow it.
//! - Work is taken up again from the sink end backwards: a predecessor goes on only when everything
//!   behind it is `Done`.
//!
//! Deliberately absent: fan-out. A chain has one outlet; who has several consumers copies there.

use std::collections::VecDeque;
use std::fmt;

use super::{Diverted, Operator, Output, Progress};
use crate::metrics::{Account, LatencyDelta, Meter, OperatorActivity, OperatorCounters};
use crate::record::{Batch, Cause, Epoch, Timestamp, Watermark};
use crate::state::{Loaded, StateKey, Stateful};

/// Operators run one behind the other on one core.
pub struct Chain {
    nodes: Vec<Node>,
}

struct Node {
    key: StateKey,
    operator: Box<dyn Operator>,
    /// The operator answered `More`.
    unfinished: bool,
    /// What came while it was unfinished.
    waiting: VecDeque<Waiting>,
    account: Account,
    batches_in: u64,
    /// The last one given to it.
    watermark: Option<Watermark>,
}

#[expect(clippy::large_enum_variant, reason = "few exist at a time, and boxing costs a call each")]
enum Waiting {
    Batch(Batch),
    Watermark(Watermark),
}

/// The outlet of an operator: the rest of the chain.
struct Link<'a> {
    rest: &'a mut [Node],
    out: &'a mut dyn Output,
}

impl Chain {
    /// A chain of operators, first to last, each with the name of its state. An empty one hands
    /// everything through.
    pub fn new(operators: Vec<(StateKey, Box<dyn Operator>)>) -> Chain {
        let node = |(key, operator)| Node::new(key, operator);
        Chain { nodes: operators.into_iter().map(node).collect() }
    }

    /// True when the chain may be given something; else only [`Chain::resume`] may be called.
    pub fn is_done(&self) -> bool {
        !self.nodes.iter().any(Node::is_behind)
    }

    /// Sends a batch through.
    pub fn process(&mut self, batch: Batch, out: &mut dyn Output) -> Progress {
        assert!(self.is_done());
        give(&mut self.nodes, Waiting::Batch(batch), out);
        self.progress()
    }

    /// Sends a watermark through. It leaves the chain after everything it caused.
    pub fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> Progress {
        assert!(self.is_done());
        give(&mut self.nodes, Waiting::Watermark(watermark), out);
        self.progress()
    }

    /// Tells every operator the wall clock: once per turn, before any batch of that turn.
    pub fn on_clock(&mut self, now: Timestamp, out: &mut dyn Output) -> Progress {
        assert!(self.is_done());
        // Backwards: every operator knows the time before its predecessors push to it.
        for index in (0..self.nodes.len()).rev() {
            let (node, mut link) = self.node_at(index, out);
            let outer = link.enter(node.account);
            node.unfinished = node.operator.on_clock(now, &mut link) == Progress::More;
            link.enter(outer);
        }
        self.progress()
    }

    /// Goes on with what was left unfinished, as far as `out` has room.
    pub fn resume(&mut self, out: &mut dyn Output) -> Progress {
        for index in (0..self.nodes.len()).rev() {
            if self.settle(index, out) == Progress::More {
                return Progress::More;
            }
        }
        assert!(self.is_done());
        Progress::Done
    }

    /// End of a turn: what was held back to be combined goes on. A chain that is not done keeps it:
    /// it is handed over when the chain has been resumed to its end.
    pub fn flush(&mut self, out: &mut dyn Output) -> Progress {
        for index in 0..self.nodes.len() {
            if !self.is_done() {
                return Progress::More;
            }
            let (node, mut link) = self.node_at(index, out);
            let outer = link.enter(node.account);
            node.operator.flush(&mut link);
            link.enter(outer);
        }
        self.progress()
    }

    /// An epoch ends here. The chain is done and has been flushed.
    pub fn on_barrier(&mut self, epoch: Epoch) {
        assert!(self.is_done());
        for node in &mut self.nodes {
            node.operator.on_barrier(epoch);
        }
    }

    /// Everything that is kept beyond the process, first to last, with its name.
    pub fn stateful(&mut self) -> impl Iterator<Item = (StateKey, &mut dyn Stateful)> {
        self.nodes.iter_mut().filter_map(|node| Some((node.key, node.operator.stateful()?)))
    }

    /// State has been read back. What it gives rise to is passed on by [`Chain::resume`]; says whether
    /// a base must follow.
    pub fn loaded(&mut self) -> Loaded {
        let mut loaded = Loaded::AsWritten;
        for node in &mut self.nodes {
            if let Some(stateful) = node.operator.stateful() {
                node.unfinished = true;
                loaded = loaded.and(stateful.loaded());
            }
        }
        loaded
    }

    /// When [`Chain::on_clock`] next has something to do.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.nodes.iter().filter_map(|node| node.operator.wakes_at()).min()
    }

    /// A bounded number of steps of work that may be put off; true when there is more.
    pub fn housekeep(&mut self) -> bool {
        let mut more = false;
        for node in &mut self.nodes {
            more |= node.operator.housekeep();
        }
        more
    }

    /// What went into each operator and what became of it, first to last.
    pub fn counters(&self) -> impl Iterator<Item = &OperatorCounters> {
        self.nodes.iter().map(|node| node.operator.counters())
    }

    /// Gives every operator an account of its own.
    pub fn open_accounts(&mut self, meter: &mut Meter) {
        self.nodes.iter_mut().for_each(|node| node.account = meter.open());
    }

    /// Batches, time and state of each operator, first to last, with the watermark it was given
    /// last, and what it took of its turns since it was asked last. The chain has pushed `batches_out`
    /// batches.
    pub fn activities<'a>(
        &'a self,
        meter: &'a mut Meter,
        batches_out: u64,
    ) -> impl Iterator<Item = (OperatorActivity, Option<Watermark>, LatencyDelta)> + 'a {
        let following = self.nodes.iter().skip(1).map(|node| node.batches_in);
        self.nodes.iter().zip(following.chain([batches_out])).map(move |(node, batches_out)| {
            let activity = OperatorActivity {
                batches_in: node.batches_in,
                batches_out,
                busy_ns: meter.spent_ns(node.account),
                state: node.operator.state(),
            };
            (activity, node.watermark, meter.take_turns(node.account))
        })
    }

    fn progress(&self) -> Progress {
        if self.is_done() { Progress::Done } else { Progress::More }
    }

    fn node_at<'a>(
        &'a mut self,
        index: usize,
        out: &'a mut dyn Output,
    ) -> (&'a mut Node, Link<'a>) {
        let (node, rest) =
            self.nodes[index..].split_first_mut().expect("the index is of a node of this chain");
        (node, Link { rest, out })
    }

    /// Finishes the operator at `index` and what waits before it, all later ones being done.
    fn settle(&mut self, index: usize, out: &mut dyn Output) -> Progress {
        let (node, mut link) = self.node_at(index, out);
        loop {
            if node.is_behind() && link.out.is_full() {
                return Progress::More;
            }
            if node.unfinished {
                let outer = link.enter(node.account);
                node.unfinished = node.operator.resume(&mut link) == Progress::More;
                link.enter(outer);
            }
            if node.unfinished || link.rest.iter().any(Node::is_behind) {
                return Progress::More;
            }
            let Some(element) = node.waiting.pop_front() else { return Progress::Done };
            node.take(element, &mut link);
        }
    }
}

impl Node {
    fn is_behind(&self) -> bool {
        self.unfinished || !self.waiting.is_empty()
    }

    fn new(key: StateKey, operator: Box<dyn Operator>) -> Node {
        Node {
            key,
            operator,
            unfinished: false,
            waiting: VecDeque::new(),
            account: Account::default(),
            batches_in: 0,
            watermark: None,
        }
    }

    fn take(&mut self, element: Waiting, link: &mut Link<'_>) {
        let outer = link.enter(self.account);
        let progress = match element {
            Waiting::Batch(batch) => {
                self.batches_in += 1;
                self.operator.process(batch, link)
            }
            Waiting::Watermark(watermark) => {
                self.watermark = Some(watermark);
                self.operator.on_watermark(watermark, link)
            }
        };
        link.enter(outer);
        self.unfinished = progress == Progress::More;
    }
}

/// Hands `element` to the first of `nodes`, or to `out` behind the last.
fn give(nodes: &mut [Node], element: Waiting, out: &mut dyn Output) {
    match (nodes.split_first_mut(), element) {
        (Some((node, _)), element) if node.is_behind() || out.is_full() => {
            node.waiting.push_back(element);
        }
        (Some((node, rest)), element) => node.take(element, &mut Link { rest, out }),
        (None, Waiting::Batch(batch)) => out.push(batch),
        (None, Waiting::Watermark(watermark)) => out.watermark(watermark),
    }
}

impl Output for Link<'_> {
    fn push(&mut self, batch: Batch) {
        give(self.rest, Waiting::Batch(batch), self.out);
    }

    fn watermark(&mut self, watermark: Watermark) {
        give(self.rest, Waiting::Watermark(watermark), self.out);
    }

    fn is_full(&self) -> bool {
        self.rest.iter().any(Node::is_behind) || self.out.is_full()
    }

    fn divert(&mut self, diverted: Diverted) {
        self.out.divert(diverted);
    }

    fn cause(&self) -> Cause {
        self.out.cause()
    }

    fn enter(&mut self, account: Account) -> Account {
        self.out.enter(account)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Chain({} operators, done: {})", self.nodes.len(), self.is_done())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::testing::{Collector, column_i64, rows_i64};

    const KEY: StateKey = StateKey { operator: 1, part: 0 };

    /// Repeats every batch `copies` times, each in its own push; stops when the outlet is full.
    struct Repeat {
        copies: usize,
        pending: VecDeque<Batch>,
        watermark: Option<Watermark>,
        counters: OperatorCounters,
    }

    impl Repeat {
        fn boxed(copies: usize) -> Box<dyn Operator> {
            let counters = OperatorCounters::default();
            Box::new(Repeat { copies, pending: VecDeque::new(), watermark: None, counters })
        }
    }

    impl Operator for Repeat {
        fn process(&mut self, batch: Batch, out: &mut dyn Output) -> Progress {
            assert!(self.pending.is_empty());
            self.counters.rows_in += batch.len() as u64;
            self.pending.extend(std::iter::repeat_n(batch, self.copies));
            self.resume(out)
        }

        fn resume(&mut self, out: &mut dyn Output) -> Progress {
            while let Some(batch) = self.pending.pop_front() {
                out.push(batch);
                if out.is_full() && !self.pending.is_empty() {
                    return Progress::More;
                }
            }
            if let Some(watermark) = self.watermark.take() {
                out.watermark(watermark);
            }
            Progress::Done
        }

        fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> Progress {
            assert!(self.pending.is_empty());
            // A watermark causes one more row, as a window that fires would.
            self.watermark = Some(watermark);
            self.pending.push_back(rows_i64(&[-1]));
            self.resume(out)
        }

        fn counters(&self) -> &OperatorCounters {
            &self.counters
        }
    }

    /// Drives batches 0.. and a watermark after each through `copies`, taking `room` batches a turn.
    fn drive(copies: &[usize], batches: i64, room: usize) -> Vec<String> {
        let mut chain =
            Chain::new(copies.iter().map(|&copies| (KEY, Repeat::boxed(copies))).collect());
        let mut out = Collector::with_room(room);
        for number in 0..batches {
            let progress = chain.process(rows_i64(&[number]), &mut out);
            finish(&mut chain, &mut out, progress);
            let watermark = Watermark::At(Timestamp::from_millis(number));
            let then = chain.on_watermark(watermark, &mut out);
            finish(&mut chain, &mut out, then);
        }
        out.log
    }

    /// Resumes turn by turn; the outlet asserts that it never gets two batches beyond full.
    fn finish(chain: &mut Chain, out: &mut Collector, first: Progress) {
        let mut progress = first;
        while progress == Progress::More {
            out.next_turn();
            progress = chain.resume(out);
        }
        out.next_turn();
    }

    #[test]
    fn any_room_gives_the_same_order_and_nothing_is_lost() {
        for copies in [&[][..], &[1], &[3], &[2, 3], &[3, 1, 2], &[4, 4, 4]] {
            let unlimited = drive(copies, 3, usize::MAX - 1);
            let per_batch: usize = copies.iter().product();
            let rows = unlimited.iter().filter(|entry| *entry == "[0]").count();
            assert_eq!(rows, per_batch, "{copies:?}");
            for room in [1, 2, 3, 5, 7] {
                assert_eq!(drive(copies, 3, room), unlimited, "{copies:?} room {room}");
            }
        }
    }

    #[test]
    fn a_watermark_leaves_after_what_it_caused() {
        let log = drive(&[1, 1], 1, 1);
        assert_eq!(log, ["[0]", "[-1]", "[-1]", "|1970-01-01 00:00:00.000"]);
    }

    #[test]
    fn what_is_given_to_an_empty_chain_goes_through() {
        let mut chain = Chain::new(Vec::new());
        let mut out = Collector::default();
        assert_eq!(chain.process(rows_i64(&[1, 2]), &mut out), Progress::Done);
        assert_eq!(column_i64(&out.batches[0], 0), [1, 2]);
        assert_eq!(chain.flush(&mut out), Progress::Done);
        assert_eq!(chain.wakes_at(), None);
        assert!(!chain.housekeep());
    }
}
