//! Whether this CPU has what the binary was built for.
//!
//! The compiler takes x86-64-v3 for granted, so that asking it (`is_x86_feature_detected!`) gives
//! the answer of the build, not of the machine; the kernel knows.

/// Names in `/proc/cpuinfo` of what x86-64-v3 adds (`abm` is LZCNT).
const X86_64_V3: [&str; 8] = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"];

/// Features this CPU lacks; empty when it is fit, or when the kernel does not say.
pub fn missing_cpu_features() -> Vec<&'static str> {
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    missing_in(&cpuinfo)
}

fn missing_in(cpuinfo: &str) -> Vec<&'static str> {
    let Some(flags) = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")) else {
        return Vec::new();
    };
    let flags: Vec<&str> = flags.split_ascii_whitespace().collect();
    X86_64_V3.into_iter().filter(|feature| !flags.contains(feature)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cpuinfo: &str, expected: &[&str]) {
        assert_eq!(missing_in(cpuinfo), expected);
    }

    #[test]
    fn an_old_cpu_is_told_what_it_lacks() {
        let new = "flags\t\t: fpu avx f16c bmi1 avx2 bmi2 fma abm movbe\n";
        check(new, &[]);
        check(&new.replace(" avx2", "").replace(" fma", ""), &["avx2", "fma"]);
        check("processor: 0\n", &[]);
        check("", &[]);
    }
}
