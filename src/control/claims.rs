//! What sources and sinks claim of the machine: directories and addresses, each for one of them.
//!
//! Changes nothing; `check` asks, and `run` asks again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use super::JobError;
use super::prepare::Prepared;
use crate::config::{Place, SinkConnector, SourceConnector};
use crate::reactor::TcpEndpoint;
use crate::sink::check_directory;

/// What can be said of the connectors before anything is opened.
///
/// # Errors
/// All of it.
pub(super) fn check(prepared: &Prepared) -> Result<(), JobError> {
    let mut errors = directories(prepared);
    errors.extend(addresses(prepared));
    if errors.is_empty() { Ok(()) } else { Err(JobError::configuration(errors)) }
}

fn directories(prepared: &Prepared) -> Vec<String> {
    let mut errors = Vec::new();
    let mut owners: BTreeMap<PathBuf, &Place> = BTreeMap::new();
    for sink in &prepared.sinks {
        let SinkConnector::File(file) = &sink.config.connector else { continue };
        let place = &sink.config.place;
        if let Err(error) = check_directory(&file.path) {
            errors.push(place.error("path", error.to_string()));
        }
        match owners.get(&real_path(&file.path)) {
            None => {
                owners.insert(real_path(&file.path), place);
            }
            Some(owner) => {
                let message = format!(
                    "{} is the directory of the sink at {}, too; give each its own",
                    file.path.display(),
                    owner.table()
                );
                errors.push(place.error("path", message));
            }
        }
    }
    errors
}

/// One spelling for one directory, whether it is there or not.
fn real_path(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let mut real = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                real.pop();
            }
            Component::CurDir => {}
            part => real.push(part),
        }
    }
    real
}

fn addresses(prepared: &Prepared) -> Vec<String> {
    let sources = prepared.sources.iter().filter_map(|source| match &source.config.connector {
        SourceConnector::Tcp(tcp) => Some((tcp.endpoint, &source.config.place)),
        _ => None,
    });
    let sinks = prepared.sinks.iter().filter_map(|sink| match &sink.config.connector {
        SinkConnector::Tcp(tcp) => Some((tcp.endpoint, &sink.config.place)),
        _ => None,
    });
    let mut errors = Vec::new();
    let mut owners: Vec<(SocketAddr, &Place)> = Vec::new();
    for (endpoint, place) in sources.chain(sinks) {
        let TcpEndpoint::Listen(address) = endpoint else { continue };
        match owners.iter().find(|(other, _)| collide(*other, address)) {
            None => owners.push((address, place)),
            Some((other, owner)) => {
                let message = format!(
                    "the table at {} listens on {other}, too; give each its own port",
                    owner.table()
                );
                errors.push(place.error("listen", message));
            }
        }
    }
    errors
}

/// Port 0 is a free one each time; an unspecified address is all of them.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_place =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_collide() {
        let check = |one: &str, other: &str, expected: bool| {
            assert_eq!(
                collide(one.parse().unwrap(), other.parse().unwrap()),
                expected,
                "{one} {other}"
            );
        };
        check("127.0.0.1:9000", "127.0.0.1:9000", true);
        check("127.0.0.1:9000", "0.0.0.0:9000", true);
        check("[::]:9000", "127.0.0.1:9000", true);
        check("127.0.0.1:9000", "127.0.0.2:9000", false);
        check("127.0.0.1:9000", "127.0.0.1:9001", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
    }

    #[test]
    fn one_directory_has_one_spelling() {
        assert_eq!(real_path(Path::new("/no/such/./x/../y/")), Path::new("/no/such/y"));
    }
}
