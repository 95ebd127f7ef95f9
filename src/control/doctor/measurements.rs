//! Two seconds of measuring, and the file system of the data folder.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::reactor::{self, FileSystem, Measured};
use crate::stdx::format_byte_size;

/// Of each of the four measurements.
const MEASURED_TIME: Duration = Duration::from_millis(500);

/// Below this a job may fill its disk soon, bytes.
const FREE_BYTES_ADVISED: u64 = 10 * 1024 * 1024 * 1024;

/// Below this it cannot even begin.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// A wake-up this long shows a busy or a throttled machine, ns.
const WAKE_UP_P99_NS_MAX: u64 = 1_000_000;

/// Beyond this the two CPUs are far apart or shared, ns.
const RING_P50_NS_MAX: u64 = 2_000;

const LOOPBACK_P99_NS_MAX: u64 = 1_000_000;

/// Beyond this an epoch takes longer than the shortest interval, ns.
const SYNC_P99_NS_MAX: u64 = 10_000_000;

/// Measures on this machine, and in `directory`, which exists.
pub(super) fn checks(directory: &Path) -> Vec<Check> {
    let mut checks = file_system(directory, &reactor::file_system(directory));
    let wake_up = "set `reactor.spin = \"always\"` where latency counts; look for other programs, \
                   power saving and CPU limits";
    let ring = "take neighbouring physical cores in `reactor.cores`; a virtual machine may be given \
                shared CPUs";
    let loopback = "look for other programs, firewalls and power saving";
    let sync = "use a disk with power-loss protection, or a checkpoint_interval above this";
    let by_p99 = [
        ("wake-up", reactor::measure_wake_up(MEASURED_TIME), WAKE_UP_P99_NS_MAX, wake_up),
        ("loopback", reactor::measure_loopback(MEASURED_TIME), LOOPBACK_P99_NS_MAX, loopback),
        ("sync of 4 KiB", reactor::measure_sync(directory, MEASURED_TIME), SYNC_P99_NS_MAX, sync),
    ];
    for (check, measured, p99_ns_max, remedy) in by_p99 {
        checks.push(judge(check, measured, |it| it.p99_ns <= p99_ns_max, remedy));
    }
    let between_two = reactor::allowed_cpus().is_ok_and(|cpus| cpus.len() > 1);
    checks.push(if between_two {
        let ping_pong = reactor::measure_ring(MEASURED_TIME);
        judge("ring between CPUs", ping_pong, |it| it.p50_ns <= RING_P50_NS_MAX, ring)
    } else {
        Check::good("ring between CPUs", "there is one CPU")
    });
    checks
}

fn judge(
    check: &'static str,
    measured: io::Result<Measured>,
    is_good: impl Fn(&Measured) -> bool,
    remedy: &str,
) -> Check {
    match measured {
        Ok(measured) if is_good(&measured) => Check::good(check, words(measured)),
        Ok(measured) => Check::advice(check, words(measured), remedy),
        Err(error) => Check::advice(check, format!("cannot be measured: {error}"), remedy),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn words(measured: Measured) -> String {
    let micros = |ns: u64| ns as f64 / 1e3;
    format!("p50 {:.1} us, p99 {:.1} us", micros(measured.p50_ns), micros(measured.p99_ns))
}

/// What is found of the data folder's file system.
fn file_system(directory: &Path, found: &io::Result<FileSystem>) -> Vec<Check> {
    let place = directory.display();
    let system = match found {
        Ok(system) => system,
        Err(error) => {
            let remedy = "name a directory this user may write as durability.dir";
            return vec![Check::obstacle("data folder", format!("{place}: {error}"), remedy)];
        }
    };
    let mut checks = vec![match (system.kind.as_str(), system.copies_on_write) {
        ("tmpfs", _) => {
            let remedy = "memory does not survive a restart of the machine; use a disk";
            Check::advice("data folder", format!("{place}: tmpfs"), remedy)
        }
        ("nfs", _) => {
            let remedy = "use a local disk: locks and syncs of a network file system are not those \
                          that journals need";
            Check::advice("data folder", format!("{place}: nfs"), remedy)
        }
        (kind, true) => {
            let remedy = "chattr +C on the empty directory, or ext4 or xfs: each write goes to a \
                          new place, and preallocation does not help";
            Check::advice("data folder", format!("{place}: {kind}, copy-on-write"), remedy)
        }
        (kind, false) => Check::good("data folder", format!("{place}: {kind}")),
    }];
    let can = |check, can: bool, remedy: &str| match can {
        true => Check::good(check, "yes"),
        false => Check::advice(check, "no", remedy),
    };
    checks.push(can(
        "preallocation",
        system.preallocates,
        "use ext4 or xfs: appends stall without",
    ));
    checks.push(can(
        "direct I/O",
        system.direct,
        "use ext4 or xfs: writes go through the page cache",
    ));
    let free = format_byte_size(system.free_bytes);
    checks.push(match system.free_bytes {
        bytes if bytes < FREE_BYTES_MIN => Check::obstacle("free space", free, "free some"),
        bytes if bytes < FREE_BYTES_ADVISED => {
            Check::advice("free space", free, "watch it: with a full disk the job waits")
        }
        _ => Check::good("free space", free),
    });
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::Verdict;

    fn good() -> FileSystem {
        FileSystem {
            kind: "ext4".into(),
            copies_on_write: false,
            free_bytes: 1 << 40,
            preallocates: true,
            direct: true,
        }
    }

    #[track_caller]
    fn check(system: io::Result<FileSystem>, expected: &[(&str, Verdict)]) {
        let checks = file_system(Path::new("/data"), &system);
        let wrong = checks.iter().filter(|it| it.verdict != Verdict::Good);
        let wrong: Vec<(&str, Verdict)> = wrong.map(|it| (it.check, it.verdict)).collect();
        assert_eq!(wrong, expected, "{system:?}");
    }

    #[test]
    fn file_systems_are_judged() {
        check(Ok(good()), &[]);
        let copying = FileSystem { kind: "btrfs".into(), copies_on_write: true, ..good() };
        check(Ok(copying), &[("data folder", Verdict::Advice)]);
        check(
            Ok(FileSystem { kind: "tmpfs".into(), ..good() }),
            &[("data folder", Verdict::Advice)],
        );
        let plain = FileSystem { preallocates: false, direct: false, ..good() };
        check(Ok(plain), &[("preallocation", Verdict::Advice), ("direct I/O", Verdict::Advice)]);
        let full = |free_bytes| Ok(FileSystem { free_bytes, ..good() });
        check(full(1 << 20), &[("free space", Verdict::Obstacle)]);
        check(full(1 << 30), &[("free space", Verdict::Advice)]);
        let denied = Err(io::ErrorKind::PermissionDenied.into());
        check(denied, &[("data folder", Verdict::Obstacle)]);
    }

    #[test]
    fn what_takes_long_gets_a_remedy() {
        let measured = |p50_ns, p99_ns| Ok(Measured { p50_ns, p99_ns, count: 9 });
        let fast = |it: &Measured| it.p99_ns < 1_000;
        let found = judge("x", measured(100, 900), fast, "do");
        assert_eq!((found.verdict, &*found.value), (Verdict::Good, "p50 0.1 us, p99 0.9 us"));
        assert_eq!(judge("x", measured(1, 1_000), fast, "do").remedy.as_deref(), Some("do"));
        let failed = judge("x", Err(io::ErrorKind::Other.into()), fast, "do");
        assert_eq!(failed.verdict, Verdict::Advice);
    }
}
