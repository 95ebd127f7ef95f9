//! Job: a Pelton job as a program beside this one, on CPUs of its own.
//!
//! In:  a job file, or the text of one; CPUs.
//! Out: where it listens, what it uses, its report, or why it ended.
//!
//! Its messages go to a file: a pipe would need somebody to read it, on a CPU of those that measure.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::driver::Target;
use super::error::{BenchError, BenchErrorKind};
use crate::reactor::{
    self, Clock, ProcessUsage, SystemClock, ask_to_end, child_usage, start_child,
};

/// How long a job may take to listen: planning a query of megabytes takes seconds.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a job may take to end when it is asked to.
const END_TIME_MAX: Duration = Duration::from_secs(20);

/// Between two looks at a job.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks at a job whose connection has failed: half a second.
const DEATH_LOOKS: u32 = 100;

/// Folders tried before giving up.
const SCRATCH_ATTEMPTS_MAX: u32 = 1_000;

/// A folder of this run's own, removed at the end.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Scratch, BenchError> {
        Scratch::in_directory(None)
    }

    /// In this directory, or in the one for temporary files.
    pub(super) fn in_directory(directory: Option<&Path>) -> Result<Scratch, BenchError> {
        let base = match directory {
            // A job file's paths are relative to itself.
            Some(directory) => fs::canonicalize(directory)
                .map_err(|error| BenchError::io(&directory.display().to_string(), &error))?,
            None => std::env::temp_dir(),
        };
        for attempt in 0..SCRATCH_ATTEMPTS_MAX {
            let path = base.join(format!("pelton-bench-{}-{attempt}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(BenchError::io(&format!("creating {}", path.display()), &error));
                }
            }
        }
        Err(BenchError::environment(format!(
            "{}: too many folders pelton-bench-…; remove them",
            base.display()
        )))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file in it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, BenchError> {
        let path = self.path(name);
        let written = fs::write(&path, text);
        written.map_err(|error| BenchError::io(&format!("writing {}", path.display()), &error))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in a temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A job that runs. Killed when dropped.
#[derive(Debug)]
pub(super) struct RunningJob {
    child: Child,
    messages: PathBuf,
    report: PathBuf,
}

impl RunningJob {
    /// Starts `pelton run` on `cpus`, one core on each; its other files go to `scratch`.
    pub(super) fn start(
        job_file: &Path,
        cpus: &[usize],
        scratch: &Scratch,
    ) -> Result<RunningJob, BenchError> {
        let failed = |error| BenchError::io("starting pelton", &error);
        let program = std::env::current_exe().map_err(failed)?;
        let (messages, report) = (scratch.path("messages"), scratch.path("report.json"));
        // Of an earlier job.
        let _ = fs::remove_file(&report);
        let mut command = Command::new(program);
        command
            .arg("run")
            .arg(job_file)
            .args(["--log", "text", "--fresh", "--cores", "all", "--report"]);
        command.arg(&report).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&messages).map_err(failed)?);
        let child = start_child(&mut command, cpus).map_err(failed)?;
        Ok(RunningJob { child, messages, report })
    }

    /// Waits until its source and its sink listen.
    pub(super) fn target(&mut self) -> Result<Target, BenchError> {
        let began_ns = SystemClock.monotonic_ns();
        loop {
            let said = self.messages();
            let (input, output) = (listens(&said, "source "), listens(&said, "sink "));
            if let (Some(input), Some(output)) = (input, output) {
                return Ok(Target { input, output });
            }
            self.expect_alive()?;
            if SystemClock.monotonic_ns() - began_ns > nanos(START_TIME_MAX) {
                return Err(BenchError::new(
                    BenchErrorKind::Configuration,
                    format!(
                        "the job does not listen after {} s: it needs one TCP source and one TCP \
                         sink with `listen`; it said: {}",
                        START_TIME_MAX.as_secs(),
                        said.trim_end()
                    ),
                ));
            }
            reactor::sleep(PAUSE);
        }
    }

    /// An error when it has ended: it was not to.
    pub(super) fn expect_alive(&mut self) -> Result<(), BenchError> {
        match self.has_ended()? {
            None => Ok(()),
            Some(status) => Err(self.ended_early(status)),
        }
    }

    /// Why it has ended, if it has: looked for a little while, because its connections are gone first.
    pub(super) fn death(&mut self) -> Option<BenchError> {
        for _ in 0..DEATH_LOOKS {
            if let Err(error) = self.expect_alive() {
                return Some(error);
            }
            reactor::sleep(PAUSE);
        }
        None
    }

    pub(super) fn has_ended(&mut self) -> Result<Option<ExitStatus>, BenchError> {
        self.child.try_wait().map_err(|error| BenchError::io("waiting for the job", &error))
    }

    /// What a job that ended without success said of it.
    pub(super) fn ended_early(&self, status: ExitStatus) -> BenchError {
        let said = self.messages();
        let errors: Vec<String> = said
            .lines()
            .filter_map(|line| line.strip_prefix("error: "))
            .map(|line| format!("the job ended early: {line}"))
            .collect();
        let kind = match status.code() {
            Some(2) => BenchErrorKind::Configuration,
            Some(3) => BenchErrorKind::Environment,
            Some(4) => BenchErrorKind::Data,
            _ => BenchErrorKind::Io,
        };
        if errors.is_empty() {
            let last = said.lines().last().unwrap_or("nothing");
            return BenchError::new(
                kind,
                format!("the job ended early ({status}); its last words: {last}"),
            );
        }
        BenchError { kind, lines: errors }
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> Option<ProcessUsage> {
        child_usage(&self.child)
    }

    /// What it has used since then; its memory from its beginning.
    pub(super) fn used_since(&self, before: Option<ProcessUsage>) -> Option<ProcessUsage> {
        let (before, after) = (before?, self.usage()?);
        Some(ProcessUsage { cpu: after.cpu.saturating_sub(before.cpu), ..after })
    }

    /// Asks it to end and waits; its report, if it wrote one.
    pub(super) fn stop(mut self) -> Result<Option<Value>, BenchError> {
        if self.has_ended()?.is_none() {
            ask_to_end(&self.child).map_err(|error| BenchError::io("stopping the job", &error))?;
        }
        let began_ns = SystemClock.monotonic_ns();
        while self.has_ended()?.is_none() {
            if SystemClock.monotonic_ns() - began_ns > nanos(END_TIME_MAX) {
                return Ok(None);
            }
            reactor::sleep(PAUSE);
        }
        Ok(self.report())
    }

    /// The report of a job that has ended.
    pub(super) fn report(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(&self.report).ok()?).ok()
    }

    /// What it has said of its progress: seconds, records in, rows out.
    pub(super) fn counts(&self) -> Vec<(f64, u64, u64)> {
        self.messages().lines().filter_map(count).collect()
    }

    fn messages(&self) -> String {
        fs::read(&self.messages)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a connector listens, by the job's messages. A line that is still being written has no end yet.
fn listens(said: &str, connector: &str) -> Option<SocketAddr> {
    let complete = &said[..=said.rfind('\n')?];
    let line = complete.lines().find(|line| {
        line.contains(": listening on ")
            && line.strip_prefix("note: ").is_some_and(|line| line.starts_with(connector))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// `1.0 s  in 123 (123/s)  out 7 (7/s)` and more.
fn count(line: &str) -> Option<(f64, u64, u64)> {
    let words: Vec<&str> = line.split_whitespace().take(6).collect();
    let [seconds, "s", "in", records_in, _, "out"] = words[..] else { return None };
    let rows_out = line.split_whitespace().nth(6)?;
    Some((seconds.parse().ok()?, records_in.parse().ok()?, rows_out.parse().ok()?))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a constant of seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, source: Option<&str>, sink: Option<&str>) {
        let address = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        assert_eq!(listens(said, "source "), address(source), "{said}");
        assert_eq!(listens(said, "sink "), address(sink), "{said}");
    }

    #[test]
    fn addresses_are_found_in_what_a_job_says() {
        check("", None, None);
        check("note: source a: listening on 127.0.0.1:90", None, None);
        check("note: source a: listening on 127.0.0.1:9000\n", Some("127.0.0.1:9000"), None);
        check(
            "note: x\nnote: sink b: listening on [::1]:9\nnote: source s: listening on 1.2.3.4:5\n",
            Some("1.2.3.4:5"),
            Some("[::1]:9"),
        );
    }

    #[test]
    fn lines_of_progress_are_read() {
        let line = "     1.5 s  in 1200 (800/s)  out 30 (20/s)  late 0  rejected 0";
        assert_eq!(count(line), Some((1.5, 1_200, 30)));
        for other in
            ["", "note: in 5", "     1.5 s  in 1200 (800/s)  out", "x s  in 1 (1/s)  out 1 (1/s)"]
        {
            assert_eq!(count(other), None, "{other}");
        }
    }

    #[test]
    fn a_scratch_folder_is_gone_at_the_end() {
        let scratch = Scratch::new().unwrap();
        let other = Scratch::new().unwrap();
        let file = scratch.write("a", "text").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        assert_ne!(other.path("a"), file);
        drop(scratch);
        assert!(!file.exists());
    }
}
