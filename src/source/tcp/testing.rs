//! A machine for tests of the TCP source: cores in one thread, each with a real ring, whose
//! messages are carried by hand.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Schema};

use super::{TcpSource, TcpSourceOptions};
use crate::format::{DecoderOptions, FormatOptions, decoder};
use crate::reactor::{Clock, CoreIo, SystemClock, TcpEndpoint};
use crate::record::Batch;
use crate::source::{Rejection, Source, SourceMessage, SourceOutput, SourceProgress};
use crate::stdx::CoreId;

/// Whatever takes longer than this never happens.
const PATIENCE_NS: u64 = 20_000_000_000;

/// Options of core 0 of one: raw lines of up to 1,000 bytes, as many connections as come.
pub(super) fn options(endpoint: TcpEndpoint) -> TcpSourceOptions {
    let schema = Schema::new(vec![Field::new("line", DataType::Utf8, true)]);
    TcpSourceOptions {
        name: "s".into(),
        core: CoreId::ZERO,
        core_count: 1,
        endpoint,
        connections_max: 1_000,
        connection_idle_ns_max: None,
        end_on_disconnect: false,
        decoder: DecoderOptions {
            format: FormatOptions::Raw,
            schema: Arc::new(schema),
            projection: vec![0],
            line_bytes_max: 1_000,
            keep_provenance: None,
            start_offset: 0,
        },
        make_decoder: Arc::new(|options| decoder(&options).unwrap()),
        event_time: None,
        keep_provenance: true,
    }
}

/// Any free port.
pub(super) fn anywhere() -> TcpEndpoint {
    TcpEndpoint::Listen("127.0.0.1:0".parse().unwrap())
}

/// What a core's source pushed, until there is no room.
pub(super) struct Output {
    pub(super) batches: Vec<Batch>,
    pub(super) rejected: Vec<Rejection>,
    pub(super) room_rows: usize,
    sent: Vec<(CoreId, SourceMessage)>,
}

impl Output {
    fn new() -> Output {
        Output { batches: vec![], rejected: vec![], room_rows: usize::MAX, sent: vec![] }
    }

    /// Rows pushed so far.
    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }
}

impl SourceOutput for Output {
    fn push(&mut self, batch: Batch) {
        assert!(!self.is_full());
        self.room_rows = self.room_rows.saturating_sub(batch.len());
        self.batches.push(batch);
    }

    fn is_full(&self) -> bool {
        self.room_rows == 0
    }

    fn rows_max(&self) -> usize {
        self.room_rows
    }

    fn reject(&mut self, rejection: Rejection) {
        self.rejected.push(rejection);
    }

    fn send(&mut self, core: CoreId, message: SourceMessage) {
        self.sent.push((core, message));
    }
}

/// One core.
pub(super) struct Core {
    pub(super) io: CoreIo,
    pub(super) source: TcpSource,
    pub(super) out: Output,
    pub(super) is_finished: bool,
}

/// The cores of one machine.
pub(super) struct Machine {
    pub(super) cores: Vec<Core>,
    pub(super) notices: Vec<String>,
}

impl Machine {
    /// `core_count` cores with these options but for core and core count.
    pub(super) fn new(options: &TcpSourceOptions, core_count: u16) -> Machine {
        let core = |core| Core {
            io: CoreIo::for_test(),
            source: TcpSource::new(TcpSourceOptions { core, core_count, ..options.clone() }),
            out: Output::new(),
            is_finished: false,
        };
        let mut machine =
            Machine { cores: CoreId::all(core_count).map(core).collect(), notices: vec![] };
        machine.step();
        machine
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        let address = self.notices[0].strip_prefix("source s: listening on ").unwrap();
        address.parse().unwrap()
    }

    /// A connection of a client.
    pub(super) fn client(&self) -> TcpStream {
        TcpStream::connect(self.address()).unwrap()
    }

    /// A round of every core, and the messages they sent in it.
    pub(super) fn step(&mut self) {
        let mut messages = Vec::new();
        for core in &mut self.cores {
            core.io.poll().unwrap();
            let progress = core.source.poll(&mut core.io, &mut core.out);
            assert!(!core.is_finished || progress == SourceProgress::Finished);
            core.is_finished = progress == SourceProgress::Finished;
            messages.append(&mut core.out.sent);
            self.notices.extend(core.source.take_notice());
        }
        for (to, message) in messages {
            let core = &mut self.cores[to.index()];
            core.source.receive(message, &mut core.io);
        }
    }

    /// Steps until `found`.
    #[track_caller]
    pub(super) fn until(&mut self, mut found: impl FnMut(&mut Machine) -> bool) {
        let give_up_ns = SystemClock.monotonic_ns() + PATIENCE_NS;
        while !found(self) {
            assert!(SystemClock.monotonic_ns() < give_up_ns, "it never happened");
            self.step();
            std::thread::yield_now();
        }
    }

    /// Steps for a while.
    pub(super) fn steps_for(&mut self, time: Duration) {
        let until_ns = SystemClock.monotonic_ns() + u64::try_from(time.as_nanos()).unwrap();
        while SystemClock.monotonic_ns() < until_ns {
            self.step();
            std::thread::yield_now();
        }
    }

    /// Steps until every core has finished.
    #[track_caller]
    pub(super) fn finish(&mut self) {
        self.until(|machine| machine.cores.iter().all(|core| core.is_finished));
    }

    /// The connection a core makes to `peer`.
    #[track_caller]
    pub(super) fn accept(&mut self, peer: &TcpListener) -> TcpStream {
        peer.set_nonblocking(true).unwrap();
        let mut accepted = None;
        self.until(|_| {
            accepted = peer.accept().ok();
            accepted.is_some()
        });
        let (connection, _) = accepted.unwrap();
        connection.set_nonblocking(false).unwrap();
        connection
    }

    /// Rows of all cores.
    pub(super) fn rows(&self) -> usize {
        self.cores.iter().map(|core| core.out.rows()).sum()
    }

    /// The lines of each connection, in order, by origin.
    pub(super) fn lines(&self) -> BTreeMap<String, Vec<String>> {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for batch in self.cores.iter().flat_map(|core| &core.out.batches) {
            let origin = batch.tags.provenance.as_ref().unwrap().origin.to_string();
            let texts = batch.rows.column(0).as_string::<i32>().iter().flatten();
            lines.entry(origin).or_default().extend(texts.map(str::to_owned));
        }
        lines
    }

    /// One total over all cores.
    pub(super) fn total(&self, count: impl Fn(&crate::metrics::SourceCounters) -> u64) -> u64 {
        self.cores.iter().map(|core| count(core.source.counters())).sum()
    }
}

/// Sends all of `text` and returns the connection.
pub(super) fn send(mut client: TcpStream, text: &str) -> TcpStream {
    client.write_all(text.as_bytes()).unwrap();
    client
}
