//! Running the built program: a fresh directory, a child process, what it printed.
//!
//! Nothing here waits longer than [`DEADLINE`]: a program that hangs is killed and the test fails.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest a program may take; generous, because the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(120);

/// Between two looks at a child.
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
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
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

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        let stdout: ChildStdout = child.stdout.take().expect("it was asked for");
        let stderr: ChildStderr = child.stderr.take().expect("it was asked for");
        Running { child, stdout: Some(collect(stdout)), stderr: Some(collect(stderr)) }
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Outcome {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            assert!(started.elapsed() < DEADLINE, "the program did not end in {DEADLINE:?}");
            std::thread::sleep(PAUSE);
        };
        let text = |reader: &mut Option<JoinHandle<String>>| {
            reader.take().expect("it is waited for once").join().expect("reading does not panic")
        };
        Outcome {
            code: status.code(),
            stdout: text(&mut self.stdout),
            stderr: text(&mut self.stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end on a thread of its own, so that a full pipe never stops the program.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A killed child's pipe may fail; what came until then is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Outcome {
    /// Asserts the exit code, showing what the program said.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Outcome {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
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
    let status = child.wait().expect("the child is ours");
    Outcome { code: status.code(), stdout: String::new(), stderr }
}
