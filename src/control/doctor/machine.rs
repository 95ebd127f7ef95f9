//! What the kernel tells of the machine, in /proc and /sys.
//!
//! In:  a root directory: `/`, or a made-up machine in tests.
//! Out: a check per question. What a machine does not tell (most virtual ones do not tell of
//!      frequencies) is no fault of it.

use std::collections::BTreeSet;
use std::path::Path;

use super::Check;

/// The oldest kernel whose io_uring has all that is used.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Locked memory below which many rings may not fit, bytes.
const LOCKED_BYTES_ADVISED: u64 = 8 * 1024 * 1024;

/// Descriptors below which a thousand producers and subscribers may not fit.
const DESCRIPTORS_ADVISED: u64 = 65_536;

/// The machine whose /proc and /sys are under `root`.
pub(super) fn checks(root: &Path) -> Vec<Check> {
    let machine = Machine { root };
    let checks = [
        machine.kernel(),
        machine.locked_memory(),
        machine.descriptors(),
        machine.governor(),
        machine.turbo(),
        machine.siblings(),
        machine.isolated(),
        machine.interrupts(),
        machine.nodes(),
        machine.huge_pages(),
        machine.clock_source(),
    ];
    checks.into()
}

struct Machine<'a> {
    root: &'a Path,
}

impl Machine<'_> {
    /// A file's text without its line end.
    fn read(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim_end().to_owned())
    }

    /// Names in a directory, sorted.
    fn list(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root.join(path)) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names: BTreeSet<String> = names.collect();
        names.into_iter().collect()
    }

    fn kernel(&self) -> Check {
        let Some(release) = self.read("proc/sys/kernel/osrelease") else {
            return Check::good("kernel", NOT_TOLD);
        };
        let mut parts = release.split(['.', '-']).map(str::parse::<u32>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < KERNEL_MIN => {
                Check::obstacle("kernel", release, "use Linux 6.1 or later")
            }
            _ => Check::good("kernel", release),
        }
    }

    /// The soft limit of this process.
    fn limit(&self, name: &str) -> Option<u64> {
        let limits = self.read("proc/self/limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        let soft = line.split_ascii_whitespace().next()?;
        if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
    }

    fn locked_memory(&self) -> Check {
        const CHECK: &str = "memlock";
        match self.limit("Max locked memory") {
            None => Check::good(CHECK, NOT_TOLD),
            Some(u64::MAX) => Check::good(CHECK, "unlimited"),
            Some(bytes) if bytes < LOCKED_BYTES_ADVISED => {
                let remedy = "ulimit -l 8192, LimitMEMLOCK=infinity or docker --ulimit memlock=-1";
                Check::advice(CHECK, format!("{bytes} bytes"), remedy)
            }
            Some(bytes) => Check::good(CHECK, format!("{bytes} bytes")),
        }
    }

    fn descriptors(&self) -> Check {
        const CHECK: &str = "open files";
        match self.limit("Max open files") {
            None => Check::good(CHECK, NOT_TOLD),
            Some(files) if files < DESCRIPTORS_ADVISED => {
                let remedy = "for many connections: ulimit -n 65536 or LimitNOFILE=65536";
                Check::advice(CHECK, files.to_string(), remedy)
            }
            Some(files) => Check::good(CHECK, files.to_string()),
        }
    }

    fn cpus(&self) -> Vec<String> {
        let is_cpu = |name: &String| {
            name.strip_prefix("cpu").is_some_and(|number| number.parse::<u32>().is_ok())
        };
        self.list("sys/devices/system/cpu").into_iter().filter(is_cpu).collect()
    }

    fn governor(&self) -> Check {
        const CHECK: &str = "CPU governor";
        let path = |cpu: &String| format!("sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor");
        let governors: BTreeSet<String> =
            self.cpus().iter().filter_map(|cpu| self.read(&path(cpu))).collect();
        let value = governors.iter().cloned().collect::<Vec<_>>().join(", ");
        match value.as_str() {
            "" => Check::good(CHECK, NOT_TOLD),
            "performance" => Check::good(CHECK, value),
            _ => Check::advice(CHECK, value, "cpupower frequency-set -g performance"),
        }
    }

    /// Steady frequencies make steady latencies.
    fn turbo(&self) -> Check {
        const CHECK: &str = "turbo";
        let off = "for even latencies: echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, or \
                   echo 0 > /sys/devices/system/cpu/cpufreq/boost";
        let no_turbo = self.read("sys/devices/system/cpu/intel_pstate/no_turbo");
        let boost = self.read("sys/devices/system/cpu/cpufreq/boost");
        match (no_turbo.as_deref(), boost.as_deref()) {
            (Some("0"), _) | (None, Some("1")) => Check::advice(CHECK, "on", off),
            (Some(_), _) | (None, Some(_)) => Check::good(CHECK, "off"),
            (None, None) => Check::good(CHECK, NOT_TOLD),
        }
    }

    fn siblings(&self) -> Check {
        const CHECK: &str = "SMT siblings";
        let path =
            |cpu: &String| format!("sys/devices/system/cpu/{cpu}/topology/thread_siblings_list");
        let groups: BTreeSet<String> =
            self.cpus().iter().filter_map(|cpu| self.read(&path(cpu))).collect();
        let shared: Vec<String> =
            groups.into_iter().filter(|group| group.contains([',', '-'])).collect();
        if shared.is_empty() {
            return Check::good(CHECK, "none: every CPU is a physical core");
        }
        let remedy = "list one CPU of each pair in `reactor.cores`: two reactors on one physical \
                      core slow each other down";
        Check::advice(CHECK, shared.join(" · "), remedy)
    }

    fn isolated(&self) -> Check {
        const CHECK: &str = "isolated CPUs";
        match self.read("sys/devices/system/cpu/isolated").as_deref() {
            None => Check::good(CHECK, NOT_TOLD),
            Some("") => {
                let remedy = "for the lowest latencies boot with isolcpus= and nohz_full= of the \
                              CPUs in `reactor.cores`";
                Check::advice(CHECK, "none", remedy)
            }
            Some(list) => Check::good(CHECK, list),
        }
    }

    /// Where interrupts may come.
    fn interrupts(&self) -> Check {
        const CHECK: &str = "IRQ affinity";
        let everywhere = self.read("sys/devices/system/cpu/online").unwrap_or_default();
        let lists: Vec<String> = self
            .list("proc/irq")
            .iter()
            .filter_map(|irq| self.read(&format!("proc/irq/{irq}/smp_affinity_list")))
            .collect();
        if lists.is_empty() {
            return Check::good(CHECK, NOT_TOLD);
        }
        let unbound = lists.iter().filter(|list| **list == everywhere).count();
        let value = format!("{unbound} of {} interrupts may come to any CPU", lists.len());
        if unbound == 0 || !everywhere.contains(['-', ',']) {
            return Check::good(CHECK, value);
        }
        let remedy = "keep them off the reactors: IRQBALANCE_BANNED_CPULIST, or write \
                      /proc/irq/N/smp_affinity_list";
        Check::advice(CHECK, value, remedy)
    }

    /// Where cards and disks are.
    fn nodes(&self) -> Check {
        const CHECK: &str = "NUMA nodes";
        let Some(online) = self.read("sys/devices/system/node/online") else {
            return Check::good(CHECK, NOT_TOLD);
        };
        if !online.contains(['-', ',']) {
            return Check::good(CHECK, "one");
        }
        let mut near = Vec::new();
        for (class, what) in [("net", "network card"), ("block", "disk")] {
            for device in self.list(&format!("sys/class/{class}")) {
                let path = format!("sys/class/{class}/{device}/device/numa_node");
                if let Some(node) = self.read(&path).filter(|node| !node.starts_with('-')) {
                    near.push(format!("{what} {device} at node {node}"));
                }
            }
        }
        let remedy =
            "take the CPUs in `reactor.cores` from the node of the network card and the disk";
        Check::advice(CHECK, format!("{online}: {}", near.join(", ")), remedy)
    }

    fn huge_pages(&self) -> Check {
        const CHECK: &str = "transparent huge pages";
        let Some(text) = self.read("sys/kernel/mm/transparent_hugepage/enabled") else {
            return Check::good(CHECK, NOT_TOLD);
        };
        let chosen = text.split(['[', ']']).nth(1).unwrap_or(&text).to_owned();
        if chosen == "always" {
            let remedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled: making a huge \
                          page stalls a core for milliseconds";
            return Check::advice(CHECK, chosen, remedy);
        }
        Check::good(CHECK, chosen)
    }

    fn clock_source(&self) -> Check {
        const CHECK: &str = "clock source";
        let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        match self.read(path) {
            None => Check::good(CHECK, NOT_TOLD),
            Some(source) if ["tsc", "kvm-clock"].contains(&&*source) => Check::good(CHECK, source),
            Some(source) => {
                let remedy = "boot with clocksource=tsc: asking this clock is a system call";
                Check::advice(CHECK, source, remedy)
            }
        }
    }
}

/// Of virtual machines and containers.
const NOT_TOLD: &str = "not told here";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::Verdict;

    /// A machine with these files; what is found for `check`: the verdict and part of the line.
    #[track_caller]
    fn check(files: &[(&str, &str)], name: &str, verdict: Verdict, part: &str) {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
        let checks = checks(directory.path());
        let found = checks.iter().find(|it| it.check == name).unwrap();
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert_eq!(found.remedy.is_none(), verdict == Verdict::Good, "{found:?}");
        let line = format!("{} {}", found.value, found.remedy.as_deref().unwrap_or_default());
        assert!(line.contains(part), "{found:?}");
    }

    const CPUS: [(&str, &str); 2] = [
        ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2"),
        ("sys/devices/system/cpu/online", "0-3"),
    ];

    #[test]
    fn what_is_not_told_is_no_fault() {
        for name in ["kernel", "memlock", "open files", "CPU governor", "turbo", "isolated CPUs"] {
            check(&[], name, Verdict::Good, "not told here");
        }
        for name in ["IRQ affinity", "NUMA nodes", "transparent huge pages", "clock source"] {
            check(&[], name, Verdict::Good, "not told here");
        }
    }

    #[test]
    fn kernel_and_limits() {
        let kernel = "proc/sys/kernel/osrelease";
        check(&[(kernel, "5.15.0-91-generic")], "kernel", Verdict::Obstacle, "Linux 6.1");
        check(&[(kernel, "6.1.0")], "kernel", Verdict::Good, "6.1.0");
        let limits = |memory: &str, files: &str| {
            let head = "Limit                     Soft Limit           Hard Limit           Units";
            format!(
                "{head}\nMax open files            {files}                 4096        files\n\
                 Max locked memory         {memory}              {memory}              bytes"
            )
        };
        let path = "proc/self/limits";
        check(&[(path, &limits("65536", "1024"))], "memlock", Verdict::Advice, "LimitMEMLOCK");
        check(&[(path, &limits("unlimited", "1024"))], "memlock", Verdict::Good, "unlimited");
        check(
            &[(path, &limits("65536", "1024"))],
            "open files",
            Verdict::Advice,
            "ulimit -n 65536",
        );
        check(&[(path, &limits("1", "1048576"))], "open files", Verdict::Good, "1048576");
    }

    #[test]
    fn frequencies() {
        let governor = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        check(&[(governor, "powersave")], "CPU governor", Verdict::Advice, "-g performance");
        check(&[(governor, "performance")], "CPU governor", Verdict::Good, "performance");
        let no_turbo = "sys/devices/system/cpu/intel_pstate/no_turbo";
        check(&[(no_turbo, "0")], "turbo", Verdict::Advice, "no_turbo");
        check(&[(no_turbo, "1")], "turbo", Verdict::Good, "off");
        check(&[("sys/devices/system/cpu/cpufreq/boost", "1")], "turbo", Verdict::Advice, "boost");
    }

    #[test]
    fn neighbours_of_a_core() {
        check(&CPUS, "SMT siblings", Verdict::Advice, "0,2");
        let alone = ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0");
        check(&[alone], "SMT siblings", Verdict::Good, "physical");
        let isolated = "sys/devices/system/cpu/isolated";
        check(&[(isolated, "")], "isolated CPUs", Verdict::Advice, "isolcpus=");
        check(&[(isolated, "2-3")], "isolated CPUs", Verdict::Good, "2-3");
        let bound = [CPUS[1], ("proc/irq/7/smp_affinity_list", "0")];
        check(&bound, "IRQ affinity", Verdict::Good, "0 of 1");
        let unbound = [CPUS[1], ("proc/irq/7/smp_affinity_list", "0-3")];
        check(&unbound, "IRQ affinity", Verdict::Advice, "1 of 1 interrupts");
        let nodes = [
            ("sys/devices/system/node/online", "0-1"),
            ("sys/class/net/eth0/device/numa_node", "1"),
            ("sys/class/block/nvme0n1/device/numa_node", "-1"),
        ];
        check(&nodes, "NUMA nodes", Verdict::Advice, "0-1: network card eth0 at node 1 take");
    }

    #[test]
    fn memory_and_clock() {
        let pages = "sys/kernel/mm/transparent_hugepage/enabled";
        let name = "transparent huge pages";
        check(&[(pages, "[always] madvise never")], name, Verdict::Advice, "echo madvise");
        check(&[(pages, "always [madvise] never")], name, Verdict::Good, "madvise");
        let source = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        check(&[(source, "hpet")], "clock source", Verdict::Advice, "clocksource=tsc");
        check(&[(source, "tsc")], "clock source", Verdict::Good, "tsc");
    }
}
