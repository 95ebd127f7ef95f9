//! Asking a running job: a GET to its HTTP port, and finding that port.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::Listen;
use crate::control::status::Status;
use crate::limits::{HTTP_ANSWER_BYTES_MAX, HTTP_PEER_TIME_MAX, HTTP_PORTS_TRIED};

/// A port on this machine answers or refuses at once.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);

/// Why a running job cannot be asked.
#[derive(Debug)]
pub(in crate::control) enum FindError {
    /// No process on these ports runs the job.
    NotRunning { first: SocketAddr, last: u16 },
}

impl fmt::Display for FindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FindError::NotRunning { first, last } = self;
        let tried = if first.port() == *last {
            format!("on {first}")
        } else {
            format!("on {first} or a port up to {last}")
        };
        write!(formatter, "no process that runs this job answers {tried}; is it running?")
    }
}

/// The status of the process that runs the job with this durability directory.
///
/// # Errors
/// When there is none.
pub(in crate::control) fn find_job(listen: Listen, directory: &Path) -> Result<Status, FindError> {
    let (first, tried) = match listen {
        Listen::At(address) => (address, 1),
        Listen::From(address) => (address, HTTP_PORTS_TRIED),
    };
    let ports = (first.port()..=u16::MAX).take(usize::from(tried));
    let last = first.port().saturating_add(tried - 1);
    for port in ports {
        let Ok(body) = get(SocketAddr::new(reachable(first).ip(), port), "/status") else {
            continue;
        };
        // Somebody else's server on that port is passed over.
        if let Ok(status) = serde_json::from_str::<Status>(&body)
            && Path::new(&status.directory) == directory
        {
            return Ok(status);
        }
    }
    Err(FindError::NotRunning { first, last })
}

/// Who listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The body of a page.
///
/// # Errors
/// When there is no answer, or another than 200.
pub(in crate::control) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIME_MAX)?;
    stream.set_read_timeout(Some(HTTP_PEER_TIME_MAX))?;
    stream.set_write_timeout(Some(HTTP_PEER_TIME_MAX))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(HTTP_ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    body(&bytes).ok_or_else(|| io::Error::other("no answer that is understood"))
}

/// What stands behind the head of an answer with code 200.
fn body(bytes: &[u8]) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes).ok()? else { return None };
    let is_answer = response.code == Some(200);
    let body = String::from_utf8(bytes[head_bytes..].to_vec()).ok()?;
    is_answer.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<&str>) {
        assert_eq!(body(answer.as_bytes()).as_deref(), expected, "{answer:?}");
    }

    #[test]
    fn only_a_whole_answer_counts() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Some("ok"));
        check("HTTP/1.1 503 Service Unavailable\r\n\r\nno", None);
        check("HTTP/1.1 200 OK\r\nContent-", None);
        check("SSH-2.0-OpenSSH_9.2\r\n", None);
        check("", None);
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        let shown = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:9470"), "127.0.0.1:9470");
        assert_eq!(shown("[::]:9470"), "[::1]:9470");
        assert_eq!(shown("10.0.0.7:80"), "10.0.0.7:80");
    }
}
