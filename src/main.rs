//! The `pelton` program: CPU check, panic hook, dispatch, exit code; nothing else.

use std::io::Write;
use std::process::ExitCode;

/// Per-thread heaps that give memory back after a big window has closed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A panic on this thread is its caller's to handle and to show: a bad query must not end the
/// appliance.
const GUARDED_THREAD: &str = "planner";

fn main() -> ExitCode {
    let missing = pelton::stdx::missing_cpu_features();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        say(&format!("error: this CPU lacks {missing}; pelton needs x86-64-v3 (2013 or later)"));
        return ExitCode::from(3);
    }
    std::panic::set_hook(Box::new(end_process));
    if let Err(error) = pelton::stdx::name_lost_pages() {
        say(&format!("warning: a lost page of a file would end the process unexplained: {error}"));
    }
    ExitCode::from(pelton::cli::run())
}

/// A core that has died must not leave the others running on: say what and where, then abort.
fn end_process(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed thread");
    if thread == GUARDED_THREAD {
        return;
    }
    let place = panic.location().map_or_else(String::new, |location| format!(" at {location}"));
    let message = panic.payload_as_str().unwrap_or("no message");
    say(&format!(
        "error: bug on {thread}{place}: {message}; the process stops, please report this"
    ));
    std::process::abort();
}

fn say(line: &str) {
    // Nothing is left to be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "{line}");
}
