//! Read-only HTTP: health, status, metrics.
//!
//! In:  GET requests on a loopback port, unless the job names another address.
//! Out: what the housekeeping thread answers to a [`Question`].
//!
//! Read: `request` (a head, parsed) · `client` (the other side, for commands that ask a running job).
//!
//! Invariants
//! - Heads, bodies, connections and times are bounded: whoever connects costs a few kilobytes for a
//!   few seconds.
//! - A thread here waits for its peer and for the housekeeping thread, never for a core, and runs
//!   beside the cores' CPUs.
//!
//! Deliberately absent: keep-alive, request bodies, TLS, anything that changes the job.

mod client;
mod request;

pub(super) use client::find_job;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::{ErrorClass, JobError};
use crate::limits::{
    HTTP_ANSWER_TIME_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_PEER_TIME_MAX,
    HTTP_PORTS_TRIED,
};
use crate::reactor::{Clock, SystemClock, spawn_thread};
use request::{Head, Method};

/// Descriptors kept for the day on which there are no others: who asks why gets an answer.
const SPARE_DESCRIPTORS: usize = 2;

/// What may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// Do all cores still turn?
    Health,
    /// Do all cores run, and has nobody asked them to stop?
    Ready,
    /// Everything, as JSON.
    Status,
    /// Everything, as Prometheus's text.
    Metrics,
}

impl Page {
    fn of(path: &str) -> Option<Page> {
        match path {
            "/healthz" => Some(Page::Health),
            "/readyz" => Some(Page::Ready),
            "/status" => Some(Page::Status),
            "/metrics" => Some(Page::Metrics),
            _ => None,
        }
    }
}

/// What a caller gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Answer {
    /// A line or a few of text.
    pub(super) fn text(code: u16, body: impl Into<String>) -> Answer {
        Answer { code, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// A page somebody waits for.
pub(super) struct Question {
    pub(super) page: Page,
    pub(super) answer: mpsc::SyncSender<Answer>,
}

/// Where to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Listen {
    /// There, or on one of the ports above it.
    From(SocketAddr),
    /// Nowhere else.
    At(SocketAddr),
}

/// A server that runs until the process ends.
#[derive(Debug)]
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Server {
    /// Listens; every question goes to `ask`, on a thread that is no core.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(super) fn start(
        listen: Listen,
        core_cpus: &[usize],
        ask: impl Fn(Question) + Send + Sync + 'static,
    ) -> Result<Server, JobError> {
        let listener = bind(listen)?;
        let failed = |error: io::Error| {
            JobError::new(ErrorClass::Environment, format!("http: cannot serve: {error}"))
        };
        let address = listener.local_addr().map_err(failed)?;
        let (core_cpus, ask) = (core_cpus.to_vec(), Arc::new(ask));
        let cpus = core_cpus.clone();
        spawn_thread("http", &cpus, move || accept(&listener, &core_cpus, &ask)).map_err(failed)?;
        Ok(Server { address })
    }
}

/// # Errors
/// When neither the address nor, if they count, the ports above it can be had.
fn bind(listen: Listen) -> Result<TcpListener, JobError> {
    let (first, tried) = match listen {
        Listen::At(address) => (address, 1),
        Listen::From(address) => (address, HTTP_PORTS_TRIED),
    };
    let ports = (first.port()..=u16::MAX).take(usize::from(tried));
    let mut refused = None;
    for port in ports {
        match TcpListener::bind(SocketAddr::new(first.ip(), port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    let why = refused.map_or_else(|| "no port".to_owned(), |error| error.to_string());
    let what = match listen {
        Listen::At(address) => format!("http.listen: cannot listen on {address}: {why}"),
        Listen::From(address) => {
            format!("http.listen: cannot listen on {address} nor on the next ports: {why}")
        }
    };
    let remedy = "name a free address, or \"off\"";
    Err(JobError::new(ErrorClass::Environment, format!("{what}; {remedy}")))
}

/// Takes connections for ever. Those beyond the limit are closed at once.
#[expect(clippy::infinite_loop, reason = "it serves until the process ends")]
fn accept<A>(listener: &TcpListener, core_cpus: &[usize], ask: &Arc<A>)
where
    A: Fn(Question) + Send + Sync + 'static,
{
    let open = Arc::new(AtomicUsize::new(0));
    // Connections that have been served take the places of those descriptors that were used.
    let mut spare: Vec<OwnedFd> = Vec::new();
    let clones = (0..SPARE_DESCRIPTORS).filter_map(|_| listener.try_clone().ok());
    spare.extend(clones.map(OwnedFd::from));
    let (to_spare, served_streams) = mpsc::channel::<TcpStream>();
    loop {
        let accepted = listener.accept();
        spare.extend(served_streams.try_iter().map(OwnedFd::from));
        spare.truncate(SPARE_DESCRIPTORS);
        let Ok((stream, _)) = accepted else {
            // A peer that went away, or no descriptor but a spare one.
            let freed = spare.pop().is_some();
            crate::reactor::sleep(Duration::from_millis(if freed { 0 } else { 20 }));
            continue;
        };
        if open.load(Ordering::Acquire) >= HTTP_CONNECTIONS_MAX {
            continue;
        }
        open.fetch_add(1, Ordering::AcqRel);
        let (asking, served) = (Arc::clone(ask), Arc::clone(&open));
        let to_spare = to_spare.clone();
        let serving = spawn_thread("http-peer", core_cpus, move || {
            // A peer that went away is nobody's loss.
            let _ = serve(&stream, &*asking);
            let _ = stream.shutdown(Shutdown::Both);
            let _ = to_spare.send(stream);
            served.fetch_sub(1, Ordering::AcqRel);
        });
        if serving.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// One request, one answer, the end.
fn serve(stream: &TcpStream, ask: &dyn Fn(Question)) -> io::Result<()> {
    let deadline_ns = SystemClock.monotonic_ns() + nanos(HTTP_PEER_TIME_MAX);
    let answer = match read_head(stream, deadline_ns) {
        Ok(Some(head)) => answer(&head, ask),
        Ok(None) => return Ok(()),
        Err(refusal) => (refusal, false),
    };
    let (Answer { code, content_type, body }, is_head) = answer;
    let length = body.len();
    let mut text = format!(
        "HTTP/1.1 {code} {}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n",
        reason(code)
    );
    if code == 405 {
        text += "Allow: GET, HEAD\r\n";
    }
    text += "\r\n";
    if !is_head {
        text += &body;
    }
    write_all(stream, text.as_bytes(), deadline_ns + nanos(HTTP_PEER_TIME_MAX))?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // What the peer still sends is taken, so that the answer is not lost in a reset.
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut rest = stream;
    let mut unread = [0; 1024];
    while SystemClock.monotonic_ns() < deadline_ns && rest.read(&mut unread)? > 0 {}
    Ok(())
}

fn answer(head: &Head, ask: &dyn Fn(Question)) -> (Answer, bool) {
    let is_head = head.method == Method::Head;
    if head.method == Method::Other {
        return (Answer::text(405, "only GET and HEAD\n"), false);
    }
    let Some(page) = Page::of(&head.path) else {
        let pages = "/healthz /readyz /status /metrics";
        return (Answer::text(404, format!("no such page; there are {pages}\n")), is_head);
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    ask(Question { page, answer: sender });
    let given = receiver.recv_timeout(HTTP_ANSWER_TIME_MAX);
    let late = |_| Answer::text(503, "the housekeeping thread does not answer\n");
    (given.unwrap_or_else(late), is_head)
}

/// The head of a request; `None` when the peer left without one.
///
/// # Errors
/// What it is told instead of an answer.
fn read_head(stream: &TcpStream, deadline_ns: u64) -> Result<Option<Head>, Answer> {
    let mut bytes = vec![0; HTTP_HEAD_BYTES_MAX];
    let mut length = 0;
    let mut reader = stream;
    loop {
        let left_ns = deadline_ns.saturating_sub(SystemClock.monotonic_ns());
        let slow = || Answer::text(408, "the request did not come in time\n");
        if left_ns == 0 || stream.set_read_timeout(Some(Duration::from_nanos(left_ns))).is_err() {
            return Err(slow());
        }
        match reader.read(&mut bytes[length..]) {
            Ok(0) => return Ok(None),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(slow()),
        }
        if let Some(head) = Head::parse(&bytes[..length])? {
            return Ok(Some(head));
        }
        if length == bytes.len() {
            let most = format!("a request has at most {HTTP_HEAD_BYTES_MAX} bytes\n");
            return Err(Answer::text(431, most));
        }
    }
}

fn write_all(mut stream: &TcpStream, bytes: &[u8], deadline_ns: u64) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let left_ns = deadline_ns.saturating_sub(SystemClock.monotonic_ns());
        if left_ns == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(Duration::from_nanos(left_ns)))?;
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a few seconds")
}

#[cfg(test)]
mod tests;
