//! A stage's operators at run time: a chain, and what it feeds.
//!
//! In:  elements, one at a time, in order.
//! Out: batches and watermarks into other trees, outboxes and sinks.
//!
//! Invariants
//! - An element is given to a chain only when the chain is done with the one before.
//! - What arrives while the chain is not done waits in `pending`: at most what one call of the
//!   feeding operator pushes after having been told that its output is full, a barrier and an end.
//! - A barrier has passed a tree when it has passed every chain of it. Until then nothing that came
//!   behind it is given to the tree.

use std::collections::VecDeque;

use super::port::Port;
use crate::metrics::Account;
use crate::operator::{Chain, Diverted, Output, Progress};
use crate::record::{Batch, Cause, Element, Epoch, Timestamp, Watermark};
use crate::state::{Loaded, StateKey, Stateful};
use crate::stdx::CoreId;

/// A chain and its outlets.
pub(crate) struct Tree {
    chain: Chain,
    outlets: Vec<Outlet>,
    pending: VecDeque<Element>,
    /// Batches the chain has pushed.
    batches_out: u64,
    /// What moved the watermark given to it last.
    cause: Cause,
    /// The last epoch whose end has passed the chain.
    passed: Option<Epoch>,
}

/// What a stage waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocker {
    /// Room towards that core, in an outbox of this core.
    Outbox(usize, CoreId),
    /// Room in a sink of this core.
    Sink(usize),
}

/// What a chain feeds.
pub(crate) enum Outlet {
    /// More operators.
    Tree(Box<Tree>),
    /// An outbox of this core, by its index.
    Outbox(usize),
    /// A sink of this core.
    Sink(SinkWriter),
}

/// A tree's or diversion's way into a sink of its core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SinkWriter {
    /// Index of the sink.
    pub(super) sink: usize,
    /// Which of its writers on this core.
    pub(super) writer: usize,
}

impl Tree {
    pub(crate) fn new(chain: Chain, outlets: Vec<Outlet>) -> Tree {
        assert!(!outlets.is_empty(), "a chain feeds something");
        let (pending, cause) = (VecDeque::new(), Cause::default());
        Tree { chain, outlets, pending, batches_out: 0, cause, passed: None }
    }

    /// True when nothing may be given to the tree now.
    pub(crate) fn is_full(&self, port: &Port<'_>) -> bool {
        !self.is_ready() || is_full(&self.outlets, port)
    }

    /// Takes one element; what cannot be processed yet waits.
    pub(crate) fn accept(&mut self, element: Element, port: &mut Port<'_>) {
        if self.is_ready() {
            self.run(element, port);
        } else {
            self.pending.push_back(element);
        }
    }

    fn is_ready(&self) -> bool {
        self.chain.is_done() && self.pending.is_empty()
    }

    /// True when `advance` would do something now, and not only once there is room.
    pub(crate) fn has_work(&self, port: &Port<'_>) -> bool {
        let nested = self.outlets.iter().any(|outlet| match outlet {
            Outlet::Tree(tree) => tree.has_work(port),
            Outlet::Outbox(_) | Outlet::Sink(_) => false,
        });
        nested || (!self.is_ready() && !is_full(&self.outlets, port))
    }

    /// Goes on with unfinished work, from the outlets backwards; true when there is none left.
    pub(crate) fn advance(&mut self, port: &mut Port<'_>) -> bool {
        let mut settled = true;
        for tree in trees(&mut self.outlets) {
            settled &= tree.advance(port);
        }
        if !self.chain.is_done() && !is_full(&self.outlets, port) {
            let (outlets, batches) = (&mut self.outlets[..], &mut self.batches_out);
            let _ = self.chain.resume(&mut Terminal { outlets, port, batches, cause: self.cause });
        }
        while self.chain.is_done()
            && !is_full(&self.outlets, port)
            && let Some(element) = self.pending.pop_front()
        {
            let is_barrier = matches!(element, Element::Barrier(_));
            self.run(element, port);
            if is_barrier {
                // What is diverted behind it belongs to the next epoch, and to a later call.
                break;
            }
        }
        settled && self.is_ready()
    }

    /// Tells operators that keep processing time how late it is.
    pub(crate) fn on_clock(&mut self, now: Timestamp, port: &mut Port<'_>) {
        if self.chain.is_done() {
            let (outlets, batches) = (&mut self.outlets[..], &mut self.batches_out);
            let cause = Cause::clock(port.now_ns);
            let _ = self.chain.on_clock(now, &mut Terminal { outlets, port, batches, cause });
            if !self.chain.is_done() {
                self.cause = cause;
            }
        }
        for tree in trees(&mut self.outlets) {
            tree.on_clock(now, port);
        }
    }

    /// The earliest time an operator asks to be told of.
    pub(crate) fn wakes_at(&self) -> Option<Timestamp> {
        let nested = self.outlets.iter().filter_map(|outlet| match outlet {
            Outlet::Tree(tree) => tree.wakes_at(),
            Outlet::Outbox(_) | Outlet::Sink(_) => None,
        });
        self.chain.wakes_at().into_iter().chain(nested).min()
    }

    /// Hands over what was held back to be combined.
    pub(crate) fn flush(&mut self, port: &mut Port<'_>) {
        if self.chain.is_done() {
            let (outlets, batches) = (&mut self.outlets[..], &mut self.batches_out);
            let cause = self.cause;
            let _ = self.chain.flush(&mut Terminal { outlets, port, batches, cause });
        }
        for tree in trees(&mut self.outlets) {
            tree.flush(port);
        }
    }

    /// One bounded piece of work that could wait; true when there is more.
    pub(crate) fn housekeep(&mut self) -> bool {
        let mut more = self.chain.housekeep();
        for tree in trees(&mut self.outlets) {
            more |= tree.housekeep();
        }
        more
    }

    /// Every chain of the tree, in the order of its specification, with the batches it has pushed.
    pub(crate) fn each_chain(&self, visit: &mut dyn FnMut(&Chain, u64)) {
        visit(&self.chain, self.batches_out);
        for outlet in &self.outlets {
            if let Outlet::Tree(tree) = outlet {
                tree.each_chain(visit);
            }
        }
    }

    /// True when the end of `epoch` has passed every chain.
    pub(crate) fn has_passed(&self, epoch: Epoch) -> bool {
        let is_behind = |tree: &Tree| !tree.has_passed(epoch);
        self.passed >= Some(epoch) && !nested(&self.outlets).any(is_behind)
    }

    /// The end of an epoch that no barrier brings any more: everything has come and gone through.
    pub(crate) fn end_epoch(&mut self, epoch: Epoch) {
        assert!(self.is_ready());
        if self.passed < Some(epoch) {
            self.chain.on_barrier(epoch);
            self.passed = Some(epoch);
        }
        trees(&mut self.outlets).for_each(|tree| tree.end_epoch(epoch));
    }

    /// Everything that is kept beyond the process.
    pub(crate) fn each_stateful(&mut self, visit: &mut dyn FnMut(StateKey, &mut dyn Stateful)) {
        self.chain.stateful().for_each(|(key, stateful)| visit(key, stateful));
        trees(&mut self.outlets).for_each(|tree| tree.each_stateful(visit));
    }

    /// The same, to be held at once.
    pub(crate) fn stateful<'a>(&'a mut self, into: &mut Vec<(StateKey, &'a mut dyn Stateful)>) {
        into.extend(self.chain.stateful());
        trees(&mut self.outlets).for_each(|tree| tree.stateful(into));
    }

    /// State has been read back.
    pub(crate) fn loaded(&mut self) -> Loaded {
        let own = self.chain.loaded();
        trees(&mut self.outlets).map(Tree::loaded).fold(own, Loaded::and)
    }

    /// The first outlet without room.
    pub(crate) fn blocker(&self, port: &Port<'_>) -> Option<Blocker> {
        self.outlets.iter().find_map(|outlet| match outlet {
            Outlet::Tree(tree) => tree.blocker(port),
            Outlet::Outbox(outbox) => {
                port.outboxes[*outbox].outbox.full_core().map(|core| Blocker::Outbox(*outbox, core))
            }
            Outlet::Sink(at) => port.sink_is_full(*at).then_some(Blocker::Sink(at.sink)),
        })
    }

    /// The chain is done; whether it still is afterwards, it knows itself.
    fn run(&mut self, element: Element, port: &mut Port<'_>) {
        if let Element::Watermark(_, cause) = &element {
            self.cause = *cause;
        }
        let (outlets, batches) = (&mut self.outlets[..], &mut self.batches_out);
        let mut out = Terminal { outlets, port, batches, cause: self.cause };
        let _ = match element {
            Element::Batch(batch) => self.chain.process(batch, &mut out),
            Element::Watermark(watermark, _) => self.chain.on_watermark(watermark, &mut out),
            // Both come behind everything that was held back, so that has to be out first.
            Element::Barrier(_) | Element::End if self.chain.flush(&mut out) == Progress::More => {
                self.pending.push_front(element);
                Progress::More
            }
            Element::Barrier(epoch) => {
                self.chain.on_barrier(epoch);
                self.passed = Some(epoch);
                out.forward(|| Element::Barrier(epoch));
                Progress::Done
            }
            Element::End => {
                out.forward(|| Element::End);
                Progress::Done
            }
        };
    }
}

/// The end of a chain, as its last operator sees it.
struct Terminal<'a, 'p> {
    outlets: &'a mut [Outlet],
    port: &'a mut Port<'p>,
    /// Counts what is pushed.
    batches: &'a mut u64,
    /// What moved the watermark, or the clock, that the chain is working on.
    cause: Cause,
}

impl Terminal<'_, '_> {
    /// Barriers and ends go to every outlet.
    fn forward(&mut self, mut element: impl FnMut() -> Element) {
        for outlet in &mut *self.outlets {
            deliver(outlet, element(), self.port);
        }
    }
}

impl Output for Terminal<'_, '_> {
    fn push(&mut self, batch: Batch) {
        self.port.use_budget(batch.len());
        *self.batches += 1;
        let (last, others) = self.outlets.split_last_mut().expect("a chain feeds something");
        for outlet in others {
            deliver(outlet, Element::Batch(batch.clone()), self.port);
        }
        deliver(last, Element::Batch(batch), self.port);
    }

    fn watermark(&mut self, watermark: Watermark) {
        let cause = self.cause;
        self.forward(|| Element::Watermark(watermark, cause));
    }

    fn is_full(&self) -> bool {
        self.port.budget_is_used() || is_full(self.outlets, self.port)
    }

    fn divert(&mut self, diverted: Diverted) {
        self.port.divert(diverted);
    }

    fn cause(&self) -> Cause {
        self.cause
    }

    fn enter(&mut self, account: Account) -> Account {
        self.port.meter.enter(account)
    }
}

fn deliver(outlet: &mut Outlet, element: Element, port: &mut Port<'_>) {
    match outlet {
        Outlet::Tree(tree) => tree.accept(element, port),
        Outlet::Outbox(outbox) => port.send(*outbox, element),
        Outlet::Sink(sink) => port.write(*sink, element),
    }
}

fn is_full(outlets: &[Outlet], port: &Port<'_>) -> bool {
    outlets.iter().any(|outlet| match outlet {
        Outlet::Tree(tree) => tree.is_full(port),
        Outlet::Outbox(outbox) => port.outbox_is_full(*outbox),
        Outlet::Sink(sink) => port.sink_is_full(*sink),
    })
}

fn nested(outlets: &[Outlet]) -> impl Iterator<Item = &Tree> {
    outlets.iter().filter_map(|outlet| match outlet {
        Outlet::Tree(tree) => Some(&**tree),
        Outlet::Outbox(_) | Outlet::Sink(_) => None,
    })
}

fn trees(outlets: &mut [Outlet]) -> impl Iterator<Item = &mut Tree> {
    outlets.iter_mut().filter_map(|outlet| match outlet {
        Outlet::Tree(tree) => Some(&mut **tree),
        Outlet::Outbox(_) | Outlet::Sink(_) => None,
    })
}
