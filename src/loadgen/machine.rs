//! Machine: where figures come from. A result without it is not kept.

use std::fs;

use serde::Serialize;

use crate::reactor::allowed_cpus;

/// This machine, as far as figures depend on it.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub(super) struct Machine {
    /// The processor's own name.
    cpu: String,
    /// Release of the kernel.
    kernel: String,
    /// CPUs this process may use.
    cpus: usize,
    /// Of the program that measures and is measured.
    version: &'static str,
}

impl Machine {
    pub(super) fn look() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Machine {
            cpu: model_name(&read("/proc/cpuinfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpus: allowed_cpus().map_or(0, |cpus| cpus.len()),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// In one line.
    pub(super) fn show(&self) -> String {
        let Machine { cpu, kernel, cpus, version } = self;
        format!("pelton {version} on {cpu}, {cpus} CPUs, Linux {kernel}")
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
}
