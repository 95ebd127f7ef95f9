//! Producers: whose session sends under a name, and what of it has been taken.
//!
//! In:  who says hello, whose connection is done with, what has been taken.
//! Out: who may send, who must go, who waits for what another has left to push.
//!
//! Invariants
//! - Under one name at most one connection is served: the one with the highest session, of equal ones
//!   the one that came last.
//! - The next one begins when everything that was accepted from the one before it has been pushed: so
//!   that what is taken grows frame by frame, whoever sends.

use std::collections::HashMap;

use crate::limits::FRAME_PRODUCERS_MAX;
use crate::reactor::ConnectionId;

/// All producers of one core.
#[derive(Default, Debug)]
pub(super) struct Producers {
    by_name: HashMap<String, Producer>,
}

#[derive(Default, Debug)]
struct Producer {
    /// The highest one so far.
    session: u64,
    /// Number of the last frame whose rows have all been pushed.
    taken: u64,
    /// Its connection, until what came over it has been pushed.
    served: Option<ConnectionId>,
    /// The connection that comes next.
    waiting: Option<ConnectionId>,
    has_ended: bool,
}

/// What becomes of a connection that said hello.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Joined {
    /// It sends from the frame behind this one on.
    Serves {
        /// The last frame taken.
        taken: u64,
    },
    /// It waits until the connection before it is done with.
    Waits {
        /// That one: nothing more is taken from it.
        fenced: ConnectionId,
    },
    /// A later session is there.
    Fenced,
    /// There are too many names.
    TooMany,
}

/// What a hello has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Join {
    pub(super) joined: Joined,
    /// Another connection that waited, and waits no more.
    pub(super) displaced: Option<ConnectionId>,
    /// There is one unfinished producer more.
    pub(super) has_begun: bool,
}

impl Producers {
    /// `connection` says that it is `session` of `name`.
    pub(super) fn join(&mut self, name: &str, session: u64, connection: ConnectionId) -> Join {
        let refused = |joined| Join { joined, displaced: None, has_begun: false };
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= FRAME_PRODUCERS_MAX {
                return refused(Joined::TooMany);
            }
            self.by_name
                .insert(name.to_owned(), Producer { has_ended: true, ..Producer::default() });
        }
        let producer = self.by_name.get_mut(name).expect("inserted just now or before");
        // Also when nobody is there: who comes with a lower number has lost its place.
        if session < producer.session {
            return refused(Joined::Fenced);
        }
        producer.session = session;
        let has_begun = std::mem::replace(&mut producer.has_ended, false);
        let displaced = producer.waiting.take();
        let joined = match producer.served {
            Some(fenced) => {
                producer.waiting = Some(connection);
                Joined::Waits { fenced }
            }
            None => {
                producer.served = Some(connection);
                Joined::Serves { taken: producer.taken }
            }
        };
        Join { joined, displaced, has_begun }
    }

    /// Frame `sequence` of `name` has been pushed.
    pub(super) fn taken(&mut self, name: &str, sequence: u64) {
        self.producer(name).taken = sequence;
    }

    /// `name` said that nothing more will come; true when that is new.
    pub(super) fn ended(&mut self, name: &str) -> bool {
        !std::mem::replace(&mut self.producer(name).has_ended, true)
    }

    /// `connection` of `name` is done with. Who is served now, and the last frame taken.
    pub(super) fn leave(
        &mut self,
        name: &str,
        connection: ConnectionId,
    ) -> Option<(ConnectionId, u64)> {
        let producer = self.producer(name);
        if producer.waiting == Some(connection) {
            producer.waiting = None;
            return None;
        }
        if producer.served != Some(connection) {
            return None;
        }
        producer.served = producer.waiting.take();
        producer.served.map(|next| (next, producer.taken))
    }

    fn producer(&mut self, name: &str) -> &mut Producer {
        self.by_name.get_mut(name).expect("it has joined")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(producers: &mut Producers, session: u64, connection: u64) -> (Joined, Option<u64>) {
        let Join { joined, displaced, .. } = producers.join("a", session, ConnectionId(connection));
        (joined, displaced.map(|other| other.0))
    }

    #[test]
    fn the_later_session_is_served_when_the_earlier_is_done_with() {
        let mut producers = Producers::default();
        let all = &mut producers;
        let waits = |fenced| Joined::Waits { fenced: ConnectionId(fenced) };
        assert_eq!(join(all, 5, 1), (Joined::Serves { taken: 0 }, None));
        assert_eq!(join(all, 4, 2), (Joined::Fenced, None));
        all.taken("a", 7);
        assert_eq!(join(all, 5, 3), (waits(1), None));
        assert_eq!(join(all, 6, 4), (waits(1), Some(3)));
        assert_eq!(join(all, 5, 5), (Joined::Fenced, None));
        // What was accepted from the first goes on being pushed.
        all.taken("a", 9);
        assert_eq!(all.leave("a", ConnectionId(3)), None);
        assert_eq!(all.leave("a", ConnectionId(1)), Some((ConnectionId(4), 9)));
        assert_eq!(all.leave("a", ConnectionId(4)), None);
        assert_eq!(join(all, 5, 6), (Joined::Fenced, None));
        assert_eq!(join(all, 6, 7), (Joined::Serves { taken: 9 }, None));
    }

    #[test]
    fn one_that_waits_may_go_away() {
        let mut producers = Producers::default();
        join(&mut producers, 1, 1);
        join(&mut producers, 1, 2);
        assert_eq!(producers.leave("a", ConnectionId(2)), None);
        assert_eq!(producers.leave("a", ConnectionId(1)), None);
        assert_eq!(join(&mut producers, 1, 3), (Joined::Serves { taken: 0 }, None));
    }

    #[test]
    fn a_producer_is_finished_after_its_end_until_it_begins_again() {
        let mut producers = Producers::default();
        assert!(producers.join("a", 1, ConnectionId(1)).has_begun);
        assert!(producers.join("b", 1, ConnectionId(2)).has_begun);
        assert!(producers.ended("a"));
        assert!(!producers.ended("a"));
        assert!(producers.join("a", 1, ConnectionId(3)).has_begun);
        assert!(!producers.join("a", 1, ConnectionId(4)).has_begun);
    }
}
