//! Running the built program: a fresh directory, a child process, what it printed.
//!
//! Read: `network` (peers of a job) · `rows` (what a job wrote, and its report) · `prometheus` (its
//! metrics).
//!
//! Nothing here waits longer than [`DEADLINE`]: a program that hangs is killed and the test fails.

mod network;
mod prometheus;
mod rows;

pub(crate) use network::{LineReader, accept, closed_by_peer, connect, until_subscribed};
pub(crate) use prometheus::Metrics;
pub(crate) use rows::{Report, expect_same, sorted};

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest a program may take; generous, because the machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Between two looks at something that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(2);

/// A directory of its own for one run of the program, removed at the end.
pub(crate) struct Directory(TempDir);

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that is running. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// Lines that a thread of its own reads, so that a full pipe never stops the program.
struct Lines {
    coming: Receiver<String>,
    /// All so far.
    text: String,
    /// Not yet looked at by anybody who waits for one.
    unseen: VecDeque<String>,
}

impl Directory {
    pub(crate) fn new() -> Directory {
        Directory(TempDir::with_prefix("pelton-it-").expect("the temporary directory is writable"))
    }

    /// A directory with one job file, `job.toml`.
    pub(crate) fn with_job(text: &str) -> Directory {
        let directory = Directory::new();
        directory.write("job.toml", text);
        directory
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let parent = path.parent().expect("it lies in the directory");
        std::fs::create_dir_all(parent).expect("the directory is writable");
        std::fs::write(path, text).expect("the directory is writable");
    }

    /// Runs the program here, to its end.
    pub(crate) fn pelton(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait()
    }

    /// Starts the program here.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
        command.args(arguments).current_dir(self.0.path());
        command.env_remove("PELTON_TEST_UNSET").env("PELTON_TEST_PORT", "9000");
        Running::start(command)
    }
}

impl Directory {
    /// Starts the program here after a command of the shell, such as `ulimit -n 64`.
    pub(crate) fn start_limited(&self, limit: &str, arguments: &[&str]) -> Running {
        self.start_by(&format!("{limit} && exec \"$0\" \"$@\""), arguments)
    }

    /// Has a shell start the program here: `script` ends with `exec "$0" "$@"`.
    pub(crate) fn start_by(&self, script: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_pelton")]).args(arguments);
        command.current_dir(self.0.path());
        Running::start(command)
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        let stdout = Lines::of(child.stdout.take().expect("it was asked for"), |line| line);
        let stderr = Lines::of_log(child.stderr.take().expect("it was asked for"));
        Running { child, stdout, stderr }
    }

    /// False once it has ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that contains `part`, behind those waited for before.
    #[track_caller]
    pub(crate) fn expect_message(&mut self, part: &str) -> String {
        let found = self.stderr.wait_for(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("{part:?} was not said:\n{}", self.stderr.text))
    }

    /// True when a line on standard error has contained `part`.
    pub(crate) fn has_said(&mut self, part: &str) -> bool {
        self.stderr.take_come();
        self.stderr.text.contains(part)
    }

    /// Waits for a line on standard output that contains `part`, behind those waited for before.
    #[track_caller]
    pub(crate) fn expect_output(&mut self, part: &str) -> String {
        let found = self.stdout.wait_for(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("{part:?} was not printed:\n{}", self.stdout.text))
    }

    /// The same, of a program that may end before; `None` then.
    pub(crate) fn address_unless_ended(&mut self, connector: &str) -> Option<SocketAddr> {
        let part = format!("{connector}: listening on ");
        let line = self.stderr.wait_for(|line| line.contains(&part))?;
        line.split(&part).nth(1)?.parse().ok()
    }

    /// Where `connector` (`source lines`, `sink counts`) listens.
    #[track_caller]
    pub(crate) fn address(&mut self, connector: &str) -> SocketAddr {
        let part = format!("{connector}: listening on ");
        let line = self.expect_message(&part);
        let address = line.split(&part).nth(1).expect("the line contains it");
        address.parse().expect("an address stands at the end")
    }

    /// Where it answers HTTP.
    #[track_caller]
    pub(crate) fn http(&mut self) -> SocketAddr {
        let address = until("the address of HTTP", || {
            self.stderr.take_come();
            let (_, behind) = self.stderr.text.split_once("http://")?;
            Some(behind.split_once("/status")?.0.to_owned())
        });
        address.parse().expect("an address stands there")
    }

    /// Where the one source and the one sink listen.
    #[track_caller]
    pub(crate) fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let lines = [(); 2].map(|()| self.expect_message(": listening on "));
        let address = |who: &str| {
            let line = lines.iter().find(|line| line.contains(who)).expect("both listen");
            let address = line.rsplit(' ').next().expect("it has words");
            address.parse().expect("an address stands at the end")
        };
        (address("source "), address("sink "))
    }

    /// Sends a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
        assert!(status.success(), "{kill}");
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub(crate) fn stop(self) -> Outcome {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Outcome {
        let status = until("the program's end", || self.child.try_wait().expect("it is ours"));
        let (stdout, stderr) = (self.stdout.take_all(), self.stderr.take_all());
        Outcome { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    /// Of standard error: messages in JSON, as people would read them.
    fn of_log(pipe: impl Read + Send + 'static) -> Lines {
        Lines::of(pipe, as_text)
    }

    fn of(
        pipe: impl Read + Send + 'static,
        shown: impl Fn(String) -> String + Send + 'static,
    ) -> Lines {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            // A killed child's pipe may fail; what came until then is what there is.
            while pipe.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                // Nobody listens to a dropped program.
                let _ = sender.send(shown(String::from_utf8_lossy(&line).into_owned()));
                line.clear();
            }
        });
        Lines { coming, text: String::new(), unseen: VecDeque::new() }
    }

    /// The first unseen line that fits, without its line end; `None` when none comes.
    fn wait_for(&mut self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let began = Instant::now();
        loop {
            while let Some(line) = self.unseen.pop_front() {
                if fits(&line) {
                    return Some(line.trim_end().to_owned());
                }
            }
            let line = self.coming.recv_timeout(DEADLINE.saturating_sub(began.elapsed())).ok()?;
            self.text += &line;
            self.unseen.push_back(line);
        }
    }

    /// Takes what is there without waiting.
    fn take_come(&mut self) {
        while let Ok(line) = self.coming.try_recv() {
            self.text += &line;
            self.unseen.push_back(line);
        }
    }

    /// Everything, once the program has ended.
    fn take_all(&mut self) -> String {
        loop {
            match self.coming.recv_timeout(DEADLINE) {
                Ok(line) => self.text += &line,
                Err(RecvTimeoutError::Disconnected) => return std::mem::take(&mut self.text),
                Err(RecvTimeoutError::Timeout) => panic!("somebody keeps the pipe open"),
            }
        }
    }
}

impl Outcome {
    /// Asserts the exit code, showing what the program said.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Outcome {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error contains `part`.
    #[track_caller]
    pub(crate) fn expect_message(&self, part: &str) -> &Outcome {
        assert!(self.stderr.contains(part), "{part:?} was not said:\n{}", self.stderr);
        self
    }
}

/// A message in JSON as `--log text` would have it; other lines as they are.
fn as_text(line: String) -> String {
    if !line.starts_with("{\"time\":") {
        return line;
    }
    let message: serde_json::Value = serde_json::from_str(&line).expect("a line is one object");
    let text = message["message"].as_str().expect("it says something");
    match message["topic"].as_str().expect("it is about something") {
        topic @ ("note" | "warning" | "error") => format!("{topic}: {text}\n"),
        _ => format!("{text}\n"),
    }
}

/// Looks until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs `command` with nobody reading its output: the pipe is closed at once.
pub(crate) fn with_closed_stdout(mut command: Command) -> Outcome {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program was built");
    drop(child.stdout.take());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("it was asked for");
    pipe.read_to_string(&mut stderr).expect("messages are UTF-8");
    let stderr = stderr.split_inclusive('\n').map(|line| as_text(line.to_owned())).collect();
    let status = child.wait().expect("the child is ours");
    Outcome { code: status.code(), stdout: String::new(), stderr }
}
