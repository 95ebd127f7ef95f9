//! Subscriptions: by whose name output is kept, and from where on.
//!
//! Read: this file · `marks` (where a subscription may go on that has lost what it missed).
//!
//! In:  who comes with a session, what it acknowledges; the end of every epoch that exists.
//! Out: where each goes on; from where on the journal is needed; who has lost what.
//!
//! Invariants
//! - Under one name one connection is served: the one with the highest session, of equal ones the one that
//!   came last.
//! - What has not been acknowledged is kept, until there is more of it than is to be kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::marks::Marks;
use crate::format::FramePosition;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::reactor::ConnectionId;
use crate::sink::output::Place;
use crate::stdx::{ByteReader, ByteWriter, Malformed};

/// What happens to output that is kept for subscribers when there is too much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFull {
    /// The job waits for them.
    Block,
    /// The oldest goes, and they are told.
    Drop,
}

/// How much output is kept for subscribers who have not acknowledged it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keeping {
    /// Bytes, per subscriber.
    pub bytes_max: u64,
    /// How long, ms; `None` for as long as it takes.
    pub age_ms_max: Option<i64>,
    /// What happens beyond.
    pub on_full: OnFull,
    /// Names for which it is kept from the first row on.
    pub wait_for: Vec<Arc<str>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subscriptions {
    keeping: Keeping,
    by_name: BTreeMap<Arc<str>, Subscription>,
    marks: Marks,
}

/// One name.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    /// The highest one so far; 0 before the first.
    pub(super) session: u64,
    /// What lies before has been acknowledged, or is lost.
    pub(super) acknowledged: Place,
    /// Rows before it that are lost, and of which the subscriber has not been told.
    pub(super) lost_rows: u64,
    /// Who is served.
    pub(super) connection: Option<ConnectionId>,
}

/// What becomes of a connection that came with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Joined {
    /// It is served from a place on.
    Serves {
        /// What it has.
        after: Place,
        /// Rows before that are lost.
        lost_rows: u64,
        /// Who has been served so far, and must go.
        displaced: Option<ConnectionId>,
    },
    /// A later session is there.
    Fenced,
    /// There are too many names.
    TooMany,
}

/// A subscription that has lost rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lost {
    pub(super) name: Arc<str>,
    pub(super) connection: Option<ConnectionId>,
    pub(super) rows: u64,
    /// Where it goes on.
    pub(super) place: Place,
}

const VERSION: u8 = 1;

impl Subscriptions {
    /// Of a sink whose output, so far, nobody has been given.
    pub(super) fn new(keeping: Keeping) -> Subscriptions {
        Subscriptions { keeping, by_name: BTreeMap::new(), marks: Marks::default() }
    }

    /// The names for which output is kept from here on, unless they are known.
    pub(super) fn wait_for_all(&mut self, begin: Place) {
        for name in &self.keeping.wait_for {
            self.by_name.entry(Arc::clone(name)).or_insert_with(|| Subscription::new(begin));
        }
    }

    /// `session` of `name` has come; a new name begins at `begin`.
    pub(super) fn join(
        &mut self,
        name: &str,
        session: u64,
        connection: ConnectionId,
        begin: Place,
    ) -> Joined {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= SUBSCRIPTIONS_MAX {
                return Joined::TooMany;
            }
            self.by_name.insert(name.into(), Subscription::new(begin));
        }
        let subscription = self.by_name.get_mut(name).expect("inserted just now or before");
        // Also when nobody is there: who comes with a lower number has lost its place.
        if session < subscription.session {
            return Joined::Fenced;
        }
        subscription.session = session;
        Joined::Serves {
            after: subscription.acknowledged,
            lost_rows: subscription.lost_rows,
            displaced: subscription.connection.replace(connection),
        }
    }

    /// Output is kept for `name`, from `begin` on if it was not. What it has.
    pub(super) fn keep(&mut self, name: &str, begin: Place) -> Place {
        let subscription = self.by_name.entry(name.into());
        subscription.or_insert_with(|| Subscription::new(begin)).acknowledged
    }

    /// Forgets all other names.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.by_name.retain(|name, _| is_wanted(name));
    }

    /// True for a name for which output is kept, whether it has a session or not.
    pub(super) fn is_waited_for(&self, name: &str) -> bool {
        self.keeping.wait_for.iter().any(|known| **known == *name)
    }

    /// A connection is gone.
    pub(super) fn leave(&mut self, name: &str, connection: ConnectionId) {
        if let Some(subscription) = self.by_name.get_mut(name) {
            subscription.connection = subscription.connection.filter(|it| *it != connection);
        }
    }

    /// Everything up to `frame` has been acknowledged; `place` is one before which nothing is needed.
    pub(super) fn acknowledge(&mut self, name: &str, frame: FramePosition, place: Option<Place>) {
        let Some(subscription) = self.by_name.get_mut(name) else { return };
        let acknowledged = &mut subscription.acknowledged;
        if frame >= acknowledged.frame {
            // Whoever goes on behind a gap has heard of it.
            subscription.lost_rows = 0;
        }
        if let Some(place) = place.filter(|place| place.at > acknowledged.at) {
            *acknowledged = place;
        }
        acknowledged.frame = acknowledged.frame.max(frame);
    }

    /// An epoch exists that ends at `released`. Who has lost rows by that.
    pub(super) fn released(&mut self, released: Place, now_ms: i64) -> Vec<Lost> {
        self.marks.add(released, now_ms);
        if self.keeping.on_full == OnFull::Block {
            return Vec::new();
        }
        let oldest_ms = self.keeping.age_ms_max.map(|age_ms| now_ms.saturating_sub(age_ms));
        let from = released.bytes.saturating_sub(self.keeping.bytes_max);
        let mut lost = Vec::new();
        for (name, subscription) in &mut self.by_name {
            let before = subscription.acknowledged;
            let is_late = before.bytes < from
                || oldest_ms.is_some_and(|oldest| self.marks.is_older(before, oldest));
            let place = self.marks.first(from, oldest_ms).unwrap_or(released);
            if !is_late || place.at <= before.at {
                continue;
            }
            let rows = place.rows - before.rows;
            subscription.acknowledged = place;
            subscription.lost_rows += rows;
            let (name, connection) = (Arc::clone(name), subscription.connection);
            lost.push(Lost { name, connection, rows, place });
        }
        lost
    }

    /// Who is so far behind `released` that the job waits for it, and how many bytes that is.
    pub(super) fn blocking(&self, released: Place) -> Option<(&str, u64)> {
        if self.keeping.on_full == OnFull::Drop {
            return None;
        }
        let (name, behind) = self.furthest_behind(released)?;
        (behind >= self.keeping.bytes_max).then_some((name, behind))
    }

    /// Who is furthest behind, and by how many bytes.
    pub(super) fn furthest_behind(&self, released: Place) -> Option<(&str, u64)> {
        let behind = |it: &Subscription| released.bytes.saturating_sub(it.acknowledged.bytes);
        let all = self.by_name.iter().map(|(name, it)| (&**name, behind(it)));
        all.max_by_key(|(_, bytes)| *bytes)
    }

    /// From where on somebody needs what is in the journal; `None` without subscriptions.
    pub(super) fn needed(&self) -> Option<Place> {
        self.by_name.values().map(|it| it.acknowledged).min_by_key(|place| place.at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// True when all have acknowledged what is released up to `frame`.
    pub(super) fn have_all(&self, frame: FramePosition) -> bool {
        self.by_name.values().all(|it| it.acknowledged.frame >= frame)
    }

    /// The subscription of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Subscription> {
        self.by_name.get(name)
    }

    /// A name whose output is not kept any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// For the manifest.
    pub(super) fn encode(&self, out: &mut ByteWriter) {
        out.u8(VERSION);
        out.count(self.by_name.len());
        for (name, subscription) in &self.by_name {
            out.bytes(name.as_bytes());
            out.u64(subscription.session);
            subscription.acknowledged.encode(out);
            out.u64(subscription.lost_rows);
        }
        self.marks.encode(out);
    }

    /// Takes over what was written. Who has never come and is waited for no more is forgotten.
    pub(super) fn decode(&mut self, from: &mut ByteReader<'_>) -> Result<(), Malformed> {
        if from.u8()? != VERSION {
            return Err(
                from.malformed("a version of subscriptions that this program does not know")
            );
        }
        for _ in 0..from.count(4 + 8 + 8 * 6 + 8)? {
            let name: Arc<str> = from.text()?.into();
            let session = from.u64()?;
            let acknowledged = Place::decode(from)?;
            let lost_rows = from.u64()?;
            let subscription = Subscription { session, acknowledged, lost_rows, connection: None };
            if session > 0 || name.is_empty() || self.is_waited_for(&name) {
                self.by_name.insert(name, subscription);
            }
        }
        self.marks = Marks::decode(from)?;
        Ok(())
    }
}

impl Subscription {
    fn new(begin: Place) -> Subscription {
        Subscription { session: 0, acknowledged: begin, lost_rows: 0, connection: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;

    const MS: i64 = 1;

    fn keeping(on_full: OnFull, wait_for: &[&str]) -> Keeping {
        let wait_for = wait_for.iter().map(|name| (*name).into()).collect();
        Keeping { bytes_max: 100, age_ms_max: None, on_full, wait_for }
    }

    /// Behind epoch `epoch`, each of which has 10 rows and 20 bytes.
    fn place(epoch: u64) -> Place {
        let at = Position { segment: 1, offset: 4096 * epoch };
        let frame = FramePosition { epoch, sequence: 1 };
        Place { frame, at, rows: 10 * epoch, bytes: 20 * epoch }
    }

    fn serves(after: u64, lost_rows: u64, displaced: Option<u64>) -> Joined {
        let displaced = displaced.map(ConnectionId);
        Joined::Serves { after: place(after), lost_rows, displaced }
    }

    #[test]
    fn the_later_session_is_served_from_what_was_acknowledged_on() {
        let mut all = Subscriptions::new(keeping(OnFull::Block, &[]));
        let join = |of: &mut Subscriptions, session, connection| {
            of.join("a", session, ConnectionId(connection), place(3))
        };
        assert_eq!(join(&mut all, 5, 1), serves(3, 0, None));
        all.acknowledge("a", place(4).frame, Some(place(4)));
        assert_eq!(join(&mut all, 4, 2), Joined::Fenced);
        assert_eq!(join(&mut all, 5, 3), serves(4, 0, Some(1)));
        all.leave("a", ConnectionId(1));
        assert_eq!(join(&mut all, 6, 4), serves(4, 0, Some(3)));
        all.leave("a", ConnectionId(4));
        assert_eq!(join(&mut all, 5, 5), Joined::Fenced);
        assert_eq!(all.needed(), Some(place(4)));
        all.forget("a");
        assert_eq!(join(&mut all, 1, 6), serves(3, 0, None));
    }

    #[test]
    fn names_are_few() {
        let mut all = Subscriptions::new(keeping(OnFull::Block, &[]));
        for number in 0..SUBSCRIPTIONS_MAX as u64 {
            let joined = all.join(&number.to_string(), 1, ConnectionId(number), place(0));
            assert_eq!(joined, serves(0, 0, None));
        }
        assert_eq!(all.join("more", 1, ConnectionId(0), place(0)), Joined::TooMany);
    }

    #[test]
    fn the_job_waits_for_who_is_too_far_behind() {
        let mut all = Subscriptions::new(keeping(OnFull::Block, &["a", "b"]));
        all.wait_for_all(place(0));
        for epoch in 1..=4 {
            assert_eq!(all.released(place(epoch), 0), []);
        }
        all.acknowledge("b", place(3).frame, Some(place(3)));
        assert_eq!(
            (all.blocking(place(4)), all.furthest_behind(place(4))),
            (None, Some(("a", 80)))
        );
        all.released(place(5), 0);
        assert_eq!(all.blocking(place(5)), Some(("a", 100)));
        assert!(!all.have_all(place(3).frame));
        all.acknowledge("a", place(1).frame, Some(place(1)));
        assert_eq!(all.blocking(place(5)), None);
        all.acknowledge("a", place(3).frame, Some(place(3)));
        assert!(all.have_all(place(3).frame) && !all.have_all(place(4).frame));
    }

    #[test]
    fn the_oldest_goes_and_who_missed_it_is_told_once() {
        let mut all = Subscriptions::new(keeping(OnFull::Drop, &["a", "b"]));
        all.wait_for_all(place(0));
        for epoch in 1..=5 {
            assert_eq!(all.released(place(epoch), 0), []);
        }
        all.acknowledge("b", place(2).frame, Some(place(2)));
        let lost = |name: &str, rows, epoch| Lost {
            name: name.into(),
            connection: None,
            rows,
            place: place(epoch),
        };
        assert_eq!(all.released(place(6), 0), [lost("a", 10, 1)]);
        assert_eq!(all.released(place(7), 0), [lost("a", 10, 2)]);
        assert_eq!(all.released(place(8), 0), [lost("a", 10, 3), lost("b", 10, 3)]);
        assert_eq!(all.blocking(place(8)), None);
        let join = |of: &mut Subscriptions| of.join("a", 1, ConnectionId(1), place(8));
        assert_eq!(join(&mut all), serves(3, 30, None));
        all.leave("a", ConnectionId(1));
        assert_eq!(join(&mut all), serves(3, 30, None), "it has not said that it knows");
        all.acknowledge("a", place(3).frame, None);
        all.leave("a", ConnectionId(1));
        assert_eq!(join(&mut all), serves(3, 0, None));
    }

    #[test]
    fn what_is_too_old_goes() {
        let keeping = Keeping { age_ms_max: Some(50 * MS), ..keeping(OnFull::Drop, &["a"]) };
        let mut all = Subscriptions::new(keeping);
        all.wait_for_all(place(0));
        for epoch in 1..=3 {
            all.released(place(epoch), 20 * i64::try_from(epoch).unwrap());
        }
        let lost = all.released(place(4), 85);
        assert_eq!((lost.len(), lost[0].place, lost[0].rows), (1, place(1), 10));
        all.acknowledge("a", place(4).frame, Some(place(4)));
        assert_eq!(all.released(place(5), 1_000), []);
    }

    #[test]
    fn what_a_run_knows_the_next_one_goes_on_with() {
        let mut all = Subscriptions::new(keeping(OnFull::Drop, &["w"]));
        all.wait_for_all(place(0));
        all.join("a", 7, ConnectionId(1), place(2));
        (1..=6).for_each(|epoch| drop(all.released(place(epoch), 0)));
        let mut out = ByteWriter::new();
        all.encode(&mut out);
        let bytes = out.finish();
        let read = |keeping: Keeping, encoded: &[u8]| {
            let mut read = Subscriptions::new(keeping);
            let mut from = ByteReader::new(encoded);
            read.decode(&mut from)?;
            from.finish()?;
            Ok::<_, Malformed>(read)
        };
        let mut again = read(keeping(OnFull::Drop, &["w"]), &bytes).unwrap();
        assert_eq!(again.join("a", 6, ConnectionId(1), place(9)), Joined::Fenced);
        assert_eq!(again.join("a", 7, ConnectionId(1), place(9)), serves(2, 0, None));
        assert_eq!(again.join("w", 0, ConnectionId(2), place(9)), serves(1, 10, None));
        assert_eq!(again.released(place(7), 0).len(), 1, "places to go on at are known, too");
        // Nobody waits for it any more, and it never came.
        let other = read(keeping(OnFull::Drop, &[]), &bytes).unwrap();
        assert_eq!((other.get("w").is_none(), other.needed()), (true, Some(place(2))));
        for cut in 0..bytes.len() {
            assert!(read(keeping(OnFull::Drop, &[]), &bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
