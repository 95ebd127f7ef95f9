//! Producers: whose session sends under a name, what of it has been taken, and what of that may be
//! confirmed.
//!
//! In:  who says hello, whose connection is done with, what has been taken; epochs that end, and exist.
//! Out: who may send, who must go, who waits for what another has left to push; who can be told what.
//!
//! Invariants
//! - Under one name at most one connection is served: the one with the highest session, of equal ones
//!   the one that came last.
//! - The next one begins when everything that was accepted from the one before it has been pushed, and may
//!   be confirmed: so that what is taken grows frame by frame, whoever sends, and nobody has to send again
//!   what another has sent.
//! - What is confirmed never goes back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Acknowledge;
use super::position::{PRODUCER_BYTES, ProducerPosition};
use crate::limits::{FRAME_PRODUCERS_BYTES_MAX, FRAME_PRODUCERS_MAX};
use crate::reactor::ConnectionId;
use crate::record::Epoch;
use crate::source::{SplitId, SplitStanding};

/// Stands for a name, as long as the source is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProducerId(usize);

/// All producers of one core.
#[derive(Debug)]
pub(super) struct Producers {
    acknowledge: Acknowledge,
    ids: HashMap<Arc<str>, ProducerId>,
    all: Vec<Producer>,
    /// Bytes of all of them in a position.
    position_bytes: usize,
    /// Those that have come further since the last barrier.
    changed: Vec<ProducerId>,
    /// What those had reached at a barrier whose epoch is not known to exist.
    marks: VecDeque<(Epoch, Vec<Mark>)>,
}

#[derive(Debug)]
struct Producer {
    name: Arc<str>,
    /// The highest one so far.
    session: u64,
    reached: Reached,
    /// As far as it may be told.
    confirmed: Reached,
    /// Times it has begun, at first and behind an end.
    beginnings: u64,
    /// Stands among those that have changed.
    is_changed: bool,
    /// Its connection, until what came over it has been pushed.
    served: Option<ConnectionId>,
    /// That one has been told where to go on.
    is_sending: bool,
    /// The connection that comes next.
    waiting: Option<ConnectionId>,
    /// It was connected when an earlier run ended: where its rows stood.
    awaited: Option<SplitId>,
}

/// How far a producer has come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Reached {
    /// Number of the last frame whose rows have all been pushed.
    pub(super) sequence: u64,
    /// It has said that there is none behind it.
    pub(super) has_ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    producer: ProducerId,
    reached: Reached,
    beginnings: u64,
}

/// What a hello has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Join {
    pub(super) producer: ProducerId,
    /// The connection served now, from which nothing more is taken: the new one waits for its end.
    pub(super) fenced: Option<ConnectionId>,
    /// Another connection that waited, and waits no more.
    pub(super) displaced: Option<ConnectionId>,
    /// There is one unfinished producer more.
    pub(super) has_begun: bool,
}

/// Why a hello has done nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// A later session is there.
    Fenced,
    /// There are too many names.
    TooMany,
}

impl Producers {
    pub(super) fn new(acknowledge: Acknowledge) -> Producers {
        Producers {
            acknowledge,
            ids: HashMap::new(),
            all: Vec::new(),
            position_bytes: 0,
            changed: Vec::new(),
            marks: VecDeque::new(),
        }
    }

    /// `connection` says that it is `session` of `name`.
    pub(super) fn join(
        &mut self,
        name: &str,
        session: u64,
        connection: ConnectionId,
    ) -> Result<Join, Refused> {
        let id = self.id_of(name).ok_or(Refused::TooMany)?;
        let producer = &mut self.all[id.0];
        // Also when nobody is there: who comes with a lower number has lost its place.
        if session < producer.session {
            return Err(Refused::Fenced);
        }
        producer.session = session;
        let displaced = producer.waiting.take();
        let fenced = producer.served;
        match fenced {
            Some(_) => producer.waiting = Some(connection),
            None => (producer.served, producer.is_sending) = (Some(connection), false),
        }
        let has_begun = std::mem::replace(&mut producer.reached.has_ended, false);
        if has_begun {
            producer.confirmed.has_ended = false;
            producer.beginnings += 1;
            self.note_changed(id);
        }
        Ok(Join { producer: id, fenced, displaced, has_begun })
    }

    /// The producer called `name`, a new one if need be; `None` when there are too many.
    fn id_of(&mut self, name: &str) -> Option<ProducerId> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        // Nothing has been said by it, so nothing is missing.
        let reached = Reached { sequence: 0, has_ended: true };
        self.add(name, 0, reached)
    }

    fn add(&mut self, name: &str, session: u64, reached: Reached) -> Option<ProducerId> {
        let bytes = self.position_bytes + name.len() + PRODUCER_BYTES;
        if self.all.len() >= FRAME_PRODUCERS_MAX || bytes > FRAME_PRODUCERS_BYTES_MAX {
            return None;
        }
        self.position_bytes = bytes;
        let (name, id) = (Arc::<str>::from(name), ProducerId(self.all.len()));
        self.ids.insert(Arc::clone(&name), id);
        self.all.push(Producer {
            name,
            session,
            reached,
            confirmed: reached,
            beginnings: 0,
            is_changed: false,
            served: None,
            is_sending: false,
            waiting: None,
            awaited: None,
        });
        Some(id)
    }

    /// A producer of an earlier run, of which everything is confirmed; `None` when there are too many.
    pub(super) fn restore(&mut self, of: &ProducerPosition<'_>) -> Option<ProducerId> {
        let reached = Reached { sequence: of.sequence, has_ended: of.has_ended };
        self.add(of.name, of.session, reached)
    }

    /// It was connected when the earlier run ended, and `split` stands for it until it is back.
    pub(super) fn await_return(&mut self, id: ProducerId, split: SplitId) {
        self.all[id.0].awaited = Some(split);
    }

    /// It is not waited for any more: what stood for it.
    pub(super) fn take_awaited(&mut self, id: ProducerId) -> Option<SplitId> {
        self.all[id.0].awaited.take()
    }

    /// Those that are waited for.
    pub(super) fn awaited(&self) -> Vec<ProducerId> {
        let all = self.all.iter().enumerate();
        all.filter(|(_, it)| it.awaited.is_some()).map(|(index, _)| ProducerId(index)).collect()
    }

    /// The connection that may send from now on, and the last frame taken: said once of each.
    pub(super) fn next_to_begin(&mut self, id: ProducerId) -> Option<(ConnectionId, u64)> {
        let producer = &mut self.all[id.0];
        let connection = producer.served?;
        let is_settled = producer.confirmed.sequence == producer.reached.sequence;
        if producer.is_sending || !is_settled {
            return None;
        }
        producer.is_sending = true;
        Some((connection, producer.reached.sequence))
    }

    /// The rows of frame `sequence`, and of all before it, have been pushed; true when that is news.
    pub(super) fn taken(&mut self, id: ProducerId, sequence: u64) -> bool {
        let reached = &mut self.all[id.0].reached;
        assert!(reached.sequence <= sequence);
        let is_news = std::mem::replace(&mut reached.sequence, sequence) < sequence;
        if is_news {
            self.note_changed(id);
        }
        is_news
    }

    /// It said that nothing more will come; true when that is news.
    pub(super) fn ended(&mut self, id: ProducerId) -> bool {
        let is_news = !std::mem::replace(&mut self.all[id.0].reached.has_ended, true);
        if is_news {
            self.note_changed(id);
        }
        is_news
    }

    fn note_changed(&mut self, id: ProducerId) {
        let producer = &mut self.all[id.0];
        if self.acknowledge == Acknowledge::Taken {
            producer.confirmed = producer.reached;
        } else if !std::mem::replace(&mut producer.is_changed, true) {
            self.changed.push(id);
        }
    }

    /// A barrier is out: what has been taken is part of `epoch`.
    pub(super) fn end_epoch(&mut self, epoch: Epoch) {
        if self.changed.is_empty() {
            return;
        }
        let Producers { all, changed, marks, .. } = self;
        let mark = |producer: ProducerId| {
            let Producer { reached, beginnings, is_changed, .. } = &mut all[producer.0];
            *is_changed = false;
            Mark { producer, reached: *reached, beginnings: *beginnings }
        };
        marks.push_back((epoch, changed.drain(..).map(mark).collect()));
    }

    /// `epoch` exists, and all before it. Those that can be told more than before.
    pub(super) fn commit(&mut self, epoch: Epoch) -> Vec<ProducerId> {
        let mut confirmed = Vec::new();
        while let Some((_, marks)) = self.marks.pop_front_if(|(ended, _)| *ended <= epoch) {
            for Mark { producer: id, reached, beginnings } in marks {
                let producer = &mut self.all[id.0];
                // The end of a producer that has begun again is none.
                let has_ended = reached.has_ended && beginnings == producer.beginnings;
                producer.confirmed = Reached { has_ended, ..reached };
                confirmed.push(id);
            }
        }
        confirmed
    }

    /// As far as it may be told.
    pub(super) fn confirmed(&self, id: ProducerId) -> Reached {
        self.all[id.0].confirmed
    }

    /// Its connection, until what came over it has been pushed.
    pub(super) fn served(&self, id: ProducerId) -> Option<ConnectionId> {
        self.all[id.0].served
    }

    pub(super) fn name(&self, id: ProducerId) -> &Arc<str> {
        &self.all[id.0].name
    }

    /// `connection` is done with, and the one that waits is served.
    pub(super) fn leave(&mut self, id: ProducerId, connection: ConnectionId) {
        let producer = &mut self.all[id.0];
        if producer.waiting == Some(connection) {
            producer.waiting = None;
        } else if producer.served == Some(connection) {
            (producer.served, producer.is_sending) = (producer.waiting.take(), false);
        }
    }

    /// How many there are, and each of them; `standing_of` says where its rows stand.
    pub(super) fn positions(
        &self,
        standing_of: impl Fn(Standing) -> SplitStanding,
    ) -> impl ExactSizeIterator<Item = ProducerPosition<'_>> {
        self.all.iter().map(move |producer| {
            let standing = match (producer.served, producer.awaited) {
                (Some(connection), _) => Some(Standing::Served(connection)),
                (None, Some(split)) => Some(Standing::Awaited(split)),
                (None, None) => None,
            };
            ProducerPosition {
                name: &producer.name,
                session: producer.session,
                sequence: producer.reached.sequence,
                has_ended: producer.reached.has_ended,
                standing: standing.map(&standing_of),
            }
        })
    }
}

/// What a producer's rows stand for in the watermark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// This connection.
    Served(ConnectionId),
    /// A split that is kept for it.
    Awaited(SplitId),
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ProducerId = ProducerId(0);

    fn producers(acknowledge: Acknowledge) -> Producers {
        Producers::new(acknowledge)
    }

    /// Who is fenced and who is displaced by a hello.
    fn join(
        producers: &mut Producers,
        session: u64,
        connection: u64,
    ) -> Result<(Option<u64>, Option<u64>), Refused> {
        let join = producers.join("a", session, ConnectionId(connection))?;
        assert_eq!(join.producer, A);
        Ok((join.fenced.map(|other| other.0), join.displaced.map(|other| other.0)))
    }

    fn begins(producers: &mut Producers) -> Option<(u64, u64)> {
        producers.next_to_begin(A).map(|(connection, taken)| (connection.0, taken))
    }

    #[test]
    fn the_later_session_is_served_when_the_earlier_is_done_with() {
        let mut producers = producers(Acknowledge::Taken);
        let all = &mut producers;
        assert_eq!(join(all, 5, 1), Ok((None, None)));
        assert_eq!((begins(all), begins(all)), (Some((1, 0)), None));
        assert_eq!(join(all, 4, 2), Err(Refused::Fenced));
        all.taken(A, 7);
        assert_eq!(join(all, 5, 3), Ok((Some(1), None)));
        assert_eq!(join(all, 6, 4), Ok((Some(1), Some(3))));
        assert_eq!(join(all, 5, 5), Err(Refused::Fenced));
        // What was accepted from the first goes on being pushed.
        all.taken(A, 9);
        all.leave(A, ConnectionId(3));
        assert_eq!(begins(all), None);
        all.leave(A, ConnectionId(1));
        assert_eq!(begins(all), Some((4, 9)));
        all.leave(A, ConnectionId(4));
        assert_eq!(join(all, 5, 6), Err(Refused::Fenced));
        assert_eq!(join(all, 6, 7), Ok((None, None)));
        assert_eq!(begins(all), Some((7, 9)));
    }

    #[test]
    fn one_that_waits_may_go_away() {
        let mut producers = producers(Acknowledge::Taken);
        join(&mut producers, 1, 1).unwrap();
        join(&mut producers, 1, 2).unwrap();
        producers.leave(A, ConnectionId(2));
        producers.leave(A, ConnectionId(1));
        assert_eq!(join(&mut producers, 1, 3), Ok((None, None)));
    }

    #[test]
    fn a_producer_is_finished_after_its_end_until_it_begins_again() {
        let mut producers = producers(Acknowledge::Taken);
        assert!(producers.join("a", 1, ConnectionId(1)).unwrap().has_begun);
        assert!(producers.join("b", 1, ConnectionId(2)).unwrap().has_begun);
        assert!(producers.ended(A));
        assert!(!producers.ended(A));
        assert!(producers.join("a", 1, ConnectionId(3)).unwrap().has_begun);
        assert!(!producers.join("a", 1, ConnectionId(4)).unwrap().has_begun);
    }

    fn epoch(number: u64) -> Epoch {
        Epoch::new(number)
    }

    #[test]
    fn what_an_epoch_has_is_confirmed_when_it_exists() {
        let mut producers = producers(Acknowledge::Committed);
        let all = &mut producers;
        join(all, 1, 1).unwrap();
        assert_eq!(begins(all), Some((1, 0)));
        all.taken(A, 3);
        all.end_epoch(epoch(1));
        all.taken(A, 5);
        all.ended(A);
        assert_eq!(all.confirmed(A).sequence, 0);
        assert_eq!(all.commit(epoch(1)), [A]);
        assert_eq!(all.confirmed(A), Reached { sequence: 3, has_ended: false });
        assert_eq!(all.commit(epoch(1)), []);
        // Epochs of which nothing was said are said by the next.
        all.end_epoch(epoch(2));
        all.end_epoch(epoch(3));
        all.taken(A, 6);
        all.end_epoch(epoch(4));
        assert_eq!(all.commit(epoch(3)), [A]);
        assert_eq!(all.confirmed(A), Reached { sequence: 5, has_ended: true });
        assert_eq!(all.commit(epoch(4)), [A]);
        assert_eq!(all.confirmed(A).sequence, 6);
    }

    #[test]
    fn nobody_begins_before_what_was_taken_is_confirmed() {
        let mut producers = producers(Acknowledge::Committed);
        let all = &mut producers;
        join(all, 1, 1).unwrap();
        begins(all);
        all.taken(A, 4);
        assert_eq!(join(all, 2, 2), Ok((Some(1), None)));
        all.leave(A, ConnectionId(1));
        assert_eq!(begins(all), None);
        all.end_epoch(epoch(7));
        assert_eq!(begins(all), None);
        all.commit(epoch(7));
        assert_eq!(begins(all), Some((2, 4)));
    }

    #[test]
    fn an_end_is_not_confirmed_once_its_producer_has_begun_again() {
        let mut producers = producers(Acknowledge::Committed);
        let all = &mut producers;
        join(all, 1, 1).unwrap();
        all.ended(A);
        all.end_epoch(epoch(1));
        all.leave(A, ConnectionId(1));
        join(all, 1, 2).unwrap();
        all.ended(A);
        all.commit(epoch(1));
        assert!(!all.confirmed(A).has_ended);
        all.end_epoch(epoch(2));
        all.commit(epoch(2));
        assert!(all.confirmed(A).has_ended);
        join(all, 1, 3).unwrap();
        assert!(!all.confirmed(A).has_ended);
    }

    #[test]
    fn names_are_bounded_by_what_a_position_may_take() {
        let mut producers = producers(Acknowledge::Taken);
        let name = |number: usize| format!("{number:0>255}");
        let room = FRAME_PRODUCERS_BYTES_MAX / (255 + PRODUCER_BYTES);
        for number in 0..room {
            producers.join(&name(number), 1, ConnectionId(1)).unwrap();
        }
        let refused = producers.join(&name(room), 1, ConnectionId(1));
        assert_eq!(refused, Err(Refused::TooMany));
        assert!(producers.join(&name(0), 1, ConnectionId(1)).is_ok());
        assert!(producers.position_bytes <= FRAME_PRODUCERS_BYTES_MAX);
    }
}
