//! Telling the service manager how the job stands: systemd's protocol, one datagram a word.
//!
//! `READY=1` when every core runs, `WATCHDOG=1` while every core reports, `STATUS=` a line a second,
//! `STOPPING=1`. Where `NOTIFY_SOCKET` is not set, nothing.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Watchdog>,
    is_ready: bool,
    is_stopping: bool,
}

#[derive(Debug)]
struct Watchdog {
    /// Between two signs of life, ns: half of what the manager waits for.
    interval_ns: u64,
    due_ns: u64,
}

impl Notifier {
    /// As the service manager has set the environment.
    pub(super) fn of_environment() -> Notifier {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let Some(path) = variable("NOTIFY_SOCKET") else { return Notifier::default() };
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // Meant for another process: the one that started this one.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let timeout_us = number("WATCHDOG_USEC").filter(|us| is_ours && *us > 0);
        let watchdog = timeout_us.map(|timeout_us| {
            let interval_ns = timeout_us.saturating_mul(500);
            Watchdog { interval_ns, due_ns: 0 }
        });
        // A manager that cannot be reached is as good as none.
        Notifier { manager: connect(&path).ok(), watchdog, ..Notifier::default() }
    }

    /// When to look again for `watchdog` to be in time: monotonic ns.
    pub(super) fn due_ns(&self) -> u64 {
        self.watchdog.as_ref().map_or(u64::MAX, |watchdog| watchdog.due_ns)
    }

    /// Every core runs. Said once.
    pub(super) fn ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.send("READY=1");
        }
    }

    /// The job ends. Said once.
    pub(super) fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.send("STOPPING=1");
        }
    }

    /// A sign of life, when it is due and all is well.
    pub(super) fn watchdog(&mut self, now_ns: u64, is_well: bool) {
        let Some(watchdog) = &mut self.watchdog else { return };
        if watchdog.due_ns <= now_ns {
            watchdog.due_ns = now_ns.saturating_add(watchdog.interval_ns);
            if is_well {
                self.send("WATCHDOG=1");
            }
        }
    }

    /// A line for whoever asks how the service is.
    pub(super) fn status(&self, line: &str) {
        self.send(&format!("STATUS={}", line.trim()));
    }

    fn send(&self, word: &str) {
        if let Some((socket, address)) = &self.manager {
            // A manager with a full queue misses a word; the next one comes.
            let _ = socket.send_to_addr(word.as_bytes(), address);
        }
    }
}

/// A socket to send from, and where to: a path, or an abstract name behind `@`.
fn connect(path: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(name: &str) -> (UnixDatagram, Notifier) {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        manager.set_nonblocking(true).unwrap();
        let watchdog = Some(Watchdog { interval_ns: 10, due_ns: 0 });
        let connected = connect(OsStr::new(&format!("@{name}"))).unwrap();
        (manager, Notifier { manager: Some(connected), watchdog, ..Notifier::default() })
    }

    fn said(manager: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 100];
        let word = || {
            let length = manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
        };
        std::iter::from_fn(word).collect()
    }

    #[test]
    fn the_manager_hears_each_word_when_it_is_due() {
        let name = format!("pelton-notify-{}", std::process::id());
        let (manager, mut notifier) = notifier(&name);
        notifier.watchdog(100, true);
        notifier.ready();
        notifier.ready();
        assert_eq!(notifier.due_ns(), 110);
        notifier.watchdog(109, true);
        notifier.watchdog(110, false);
        notifier.watchdog(120, true);
        notifier.status("  1.0 s  in 3 ");
        notifier.stopping();
        notifier.stopping();
        assert_eq!(
            said(&manager),
            ["WATCHDOG=1", "READY=1", "WATCHDOG=1", "STATUS=1.0 s  in 3", "STOPPING=1"]
        );
        drop(manager);
        notifier.status("nobody listens, which is no error");
    }
}
