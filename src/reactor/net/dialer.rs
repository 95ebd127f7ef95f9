//! Dialer: keeps one outgoing connection up, with growing pauses between attempts that fail.

use std::net::SocketAddr;
use std::time::Duration;

use super::{ConnectionId, Network, OwnerId};

/// Pause after the first attempt that fails; each further one doubles it …
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Where a source's or sink's bytes come from or go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpEndpoint {
    /// Peers connect to us here.
    Listen(SocketAddr),
    /// We connect to a peer there, again and again.
    Connect(SocketAddr),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Dials at this time.
    Waiting {
        until_ns: u64,
    },
    Connecting(ConnectionId),
    Connected(ConnectionId),
    Stopped,
}

/// One outgoing connection, again and again.
#[derive(Debug)]
pub struct Dialer {
    address: SocketAddr,
    state: State,
    pause: Duration,
}

impl Dialer {
    /// Dials `address` at the first poll.
    pub fn new(address: SocketAddr) -> Dialer {
        Dialer { address, state: State::Waiting { until_ns: 0 }, pause: PAUSE_MIN }
    }

    /// Dials if it is time to; true when it did.
    pub fn poll(&mut self, network: &mut dyn Network, owner: OwnerId, now_ns: u64) -> bool {
        match self.state {
            State::Waiting { until_ns } if until_ns <= now_ns => {
                self.state = State::Connecting(network.connect(owner, self.address));
                true
            }
            _ => false,
        }
    }

    /// `connection` is there.
    pub fn connected(&mut self, connection: ConnectionId) {
        if self.state == State::Connecting(connection) {
            self.state = State::Connected(connection);
            self.pause = PAUSE_MIN;
        }
    }

    /// `connection` is gone, or did not come: another follows after a pause. True when it is the
    /// first attempt to fail after a success or at all: worth telling.
    pub fn closed(&mut self, connection: ConnectionId, now_ns: u64) -> bool {
        if ![State::Connecting(connection), State::Connected(connection)].contains(&self.state) {
            return false;
        }
        let pause_ns = u64::try_from(self.pause.as_nanos()).expect("seconds at most");
        let is_first = self.pause == PAUSE_MIN;
        self.state = State::Waiting { until_ns: now_ns.saturating_add(pause_ns) };
        self.pause = (2 * self.pause).min(PAUSE_MAX);
        is_first
    }

    /// Dials no more.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// When the clock makes work.
    pub fn wakes_at_ns(&self) -> Option<u64> {
        match self.state {
            State::Waiting { until_ns } => Some(until_ns),
            _ => None,
        }
    }

    /// The peer's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::core_io::CoreIo;
    use crate::reactor::{Clock, NetEvent, SystemClock};

    #[test]
    fn pauses_grow_until_a_connection_succeeds() {
        let mut io = CoreIo::for_test();
        let owner = io.register();
        // A port that was free a moment ago: nobody listens.
        let (listener, address) = io.listen(owner, "127.0.0.1:0".parse().unwrap()).unwrap();
        io.close_listener(listener);
        io.poll_for(Duration::from_millis(5));
        let mut dialer = Dialer::new(address);
        let mut pauses_ms = Vec::new();
        let mut now_ns = SystemClock.monotonic_ns();
        for attempt in 0..9 {
            assert!(dialer.poll(&mut io, owner, now_ns));
            assert!(!dialer.poll(&mut io, owner, now_ns), "one at a time");
            match io.until(|io| io.next_event(owner)) {
                NetEvent::Closed { connection, error, .. } => {
                    assert!(error.is_some());
                    assert_eq!(dialer.closed(connection, now_ns), attempt == 0);
                }
                other => panic!("{other:?}"),
            }
            let at_ns = dialer.wakes_at_ns().unwrap();
            pauses_ms.push((at_ns - now_ns) / 1_000_000);
            assert!(!dialer.poll(&mut io, owner, at_ns - 1));
            now_ns = at_ns;
        }
        assert_eq!(pauses_ms, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        let _there = io.listen(owner, address).unwrap();
        assert!(dialer.poll(&mut io, owner, now_ns));
        let connection = io.until(|io| match io.next_event(owner) {
            Some(NetEvent::Connected { connection }) => Some(connection),
            _ => None,
        });
        dialer.connected(connection);
        assert_eq!(dialer.wakes_at_ns(), None);
        assert!(dialer.closed(connection, now_ns));
        assert_eq!(dialer.wakes_at_ns(), Some(now_ns + 100_000_000));
        dialer.stop();
        assert!(!dialer.poll(&mut io, owner, u64::MAX));
    }
}
