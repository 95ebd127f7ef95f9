//! Machine: where figures come from. A result without it is not kept.

use std::fs;

use serde::{Deserialize, Serialize};

use super::commit::Commit;
use crate::reactor::allowed_cpus;

/// Digits of a commit that people are shown.
const COMMIT_DIGITS: usize = 10;

/// This machine, as far as figures depend on it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(super) struct Machine {
    /// The processor's own name.
    cpu: String,
    /// Release of the kernel.
    kernel: String,
    /// CPUs this process may use.
    cpus: usize,
    /// Of the program that measures and is measured.
    version: String,
    /// What it was built from; null when that is not known.
    commit: Option<String>,
    /// It was built from more than that.
    dirty: Option<bool>,
}

impl Machine {
    pub(super) fn look() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let commit = Commit::of_this_program();
        Machine {
            cpu: model_name(&read("/proc/cpuinfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpus: allowed_cpus().map_or(0, |cpus| cpus.len()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dirty: commit.as_ref().map(|commit| commit.is_dirty),
            commit: commit.map(|commit| commit.hash),
        }
    }

    /// In one line.
    pub(super) fn show(&self) -> String {
        let Machine { cpu, kernel, cpus, version, .. } = self;
        let commit = self.commit_text();
        format!("pelton {version} ({commit}) on {cpu}, {cpus} CPUs, Linux {kernel}")
    }

    /// The commit, shortened.
    pub(super) fn commit_text(&self) -> String {
        let Some(commit) = &self.commit else { return "commit unknown".to_owned() };
        let short: String = commit.chars().take(COMMIT_DIGITS).collect();
        let changes = if self.dirty == Some(true) { " with changes" } else { "" };
        format!("commit {short}{changes}")
    }

    /// Name and value of every part.
    pub(super) fn parts(&self) -> [(&'static str, String); 4] {
        [
            ("cpu", self.cpu.clone()),
            ("cpus", self.cpus.to_string()),
            ("kernel", self.kernel.clone()),
            ("pelton", format!("{}, {}", self.version, self.commit_text())),
        ]
    }
}

fn model_name(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':')).map_or("", |(_, name)| name.trim());
    if name.is_empty() { "an unknown CPU".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        assert_eq!(model_name("processor\t: 0\nmodel name\t: Fast 9\nmodel name\t: x\n"), "Fast 9");
        assert_eq!(model_name(""), "an unknown CPU");
        let machine = Machine::look();
        assert!(machine.cpus > 0 && !machine.kernel.is_empty());
    }

    #[test]
    fn a_commit_is_shown_with_its_changes() {
        let shown = |commit: Option<&str>, dirty| {
            let commit = commit.map(str::to_owned);
            Machine { commit, dirty, ..Machine::look() }.commit_text()
        };
        assert_eq!(shown(None, None), "commit unknown");
        assert_eq!(shown(Some("0123456789abcdef"), Some(false)), "commit 0123456789");
        assert_eq!(shown(Some("0123"), Some(true)), "commit 0123 with changes");
    }
}
