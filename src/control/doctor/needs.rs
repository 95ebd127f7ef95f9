//! What a job needs of this machine: cores, addresses, directories. Nothing is left behind.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::Check;
use crate::config::{HttpListen, Job, SinkConnector, SourceConnector};
use crate::control::run::resolve_cpus;
use crate::reactor::{TcpEndpoint, file_system};

/// Where the job's data folder is or will be: the nearest directory that exists.
pub(super) fn directory(job: Option<&Job>) -> PathBuf {
    job.map_or_else(|| PathBuf::from("."), |job| nearest(&job.durability.dir))
}

/// The job's cores, addresses and directories.
pub(super) fn checks(job: &Job) -> Vec<Check> {
    let mut checks = vec![cores(job)];
    let sources = job.sources.iter().filter_map(|(name, source)| match &source.connector {
        SourceConnector::Tcp(tcp) => Some((format!("source {name}"), tcp.endpoint)),
        _ => None,
    });
    let sinks = job.sinks.iter().filter_map(|(name, sink)| match &sink.connector {
        SinkConnector::Tcp(tcp) => Some((format!("sink {name}"), tcp.endpoint)),
        _ => None,
    });
    for (whose, endpoint) in sources.chain(sinks) {
        if let TcpEndpoint::Listen(address) = endpoint {
            checks.push(port(&whose, address));
        }
    }
    if let HttpListen::At(address) = job.http.listen {
        checks.push(port("http", address));
    }
    for (name, sink) in &job.sinks {
        if let SinkConnector::File(file) = &sink.connector {
            checks.push(writable(&format!("sink {name}"), &file.path));
        }
    }
    checks
}

fn cores(job: &Job) -> Check {
    match resolve_cpus(job) {
        Ok((cpus, None)) => Check::good("cores", format!("CPUs {cpus:?}")),
        Ok((_, Some(note))) => {
            Check::advice("cores", note, "set `reactor.cores` to the number of CPUs less one")
        }
        Err(error) => Check::obstacle(
            "cores",
            error.lines.join("; "),
            "name CPUs of this process in `reactor.cores`",
        ),
    }
}

fn port(whose: &str, address: SocketAddr) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => Check::good("port", format!("{whose}: {address} is free")),
        Err(error) => Check::obstacle(
            "port",
            format!("{whose}: cannot listen on {address}: {error}"),
            "name another address, or end the process that has it (ss -ltnp)",
        ),
    }
}

fn writable(whose: &str, path: &Path) -> Check {
    let place = nearest(path);
    match file_system(&place) {
        Ok(_) => Check::good("output folder", format!("{whose}: {}", path.display())),
        Err(error) => Check::obstacle(
            "output folder",
            format!("{whose}: cannot write in {}: {error}", place.display()),
            "name a directory this user may write as `path`",
        ),
    }
}

/// The path, or the nearest above it that exists.
fn nearest(path: &Path) -> PathBuf {
    let existing = path.ancestors().find(|path| path.exists());
    match existing {
        Some(found) if !found.as_os_str().is_empty() => found.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::Verdict;

    #[test]
    fn the_nearest_directory_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&directory.path().join("a/b/c")), directory.path());
        assert_eq!(nearest(directory.path()), directory.path());
        assert_eq!(nearest(Path::new("no-such-directory/x")), Path::new("."));
    }

    #[test]
    fn a_port_that_is_taken_and_a_file_in_the_way_are_obstacles() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(port("source s", address).verdict, Verdict::Obstacle);
        drop(taken);
        assert_eq!(port("source s", address).verdict, Verdict::Good);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(writable("sink s", &file.path().join("out")).verdict, Verdict::Obstacle);
    }
}
