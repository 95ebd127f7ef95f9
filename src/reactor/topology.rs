//! Which CPUs: those allowed to this process, dealt to cores.

use std::fmt;
use std::io;

use crate::limits::CORES_MAX;

/// What the user asked for as `reactor.cores`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CoresRequest {
    /// One core on each allowed CPU.
    All,
    /// So many cores; more than there are CPUs share them.
    Count(u16),
    /// One core on each CPU of the list; a CPU named twice has two.
    List(Vec<usize>),
}

/// A request this machine cannot serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CoresError {
    /// What was asked for.
    pub given: String,
    /// What could have been.
    pub allowed: String,
}

/// The CPUs the calling thread may run on; ask before any thread is pinned.
///
/// # Errors
/// The kernel's.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let cpus = core_affinity::get_core_ids().ok_or_else(io::Error::last_os_error)?;
    Ok(cpus.into_iter().map(|cpu| cpu.id).collect())
}

/// The CPU of each core.
///
/// # Errors
/// No core, too many cores, or a CPU that is not allowed.
pub fn resolve_cores(request: &CoresRequest, allowed: &[usize]) -> Result<Vec<usize>, CoresError> {
    assert!(!allowed.is_empty(), "a running thread is allowed some CPU");
    let cpus = match request {
        CoresRequest::All => allowed.iter().copied().take(usize::from(CORES_MAX)).collect(),
        CoresRequest::Count(count) => {
            allowed.iter().copied().cycle().take(usize::from(*count)).collect()
        }
        CoresRequest::List(list) => {
            if let Some(cpu) = list.iter().find(|cpu| !allowed.contains(cpu)) {
                return Err(CoresError {
                    given: format!("CPU {cpu}"),
                    allowed: format!("the CPUs of this process: {}", cpu_list(allowed)),
                });
            }
            list.clone()
        }
    };
    if (1..=usize::from(CORES_MAX)).contains(&cpus.len()) {
        return Ok(cpus);
    }
    Err(CoresError {
        given: format!("{} cores", cpus.len()),
        allowed: format!("1 to {CORES_MAX} cores"),
    })
}

/// CPUs no core runs on: for helper threads. Empty when every CPU has a core.
pub fn helper_cpus(allowed: &[usize], core_cpus: &[usize]) -> Vec<usize> {
    allowed.iter().copied().filter(|cpu| !core_cpus.contains(cpu)).collect()
}

/// `0-3, 6`.
fn cpu_list(cpus: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => ranges.push((*cpu, *cpu)),
        }
    }
    let texts = ranges.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for CoresError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} given, allowed: {}", self.given, self.allowed)
    }
}

impl std::error::Error for CoresError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: CoresRequest, expected: Result<&[usize], &str>) {
        let actual = resolve_cores(&request, &[0, 1, 2, 5]).map_err(|error| error.to_string());
        assert_eq!(actual, expected.map(<[usize]>::to_vec).map_err(str::to_owned), "{request:?}");
    }

    #[test]
    fn a_request_becomes_cpus() {
        check(CoresRequest::All, Ok(&[0, 1, 2, 5]));
        check(CoresRequest::Count(1), Ok(&[0]));
        check(CoresRequest::Count(6), Ok(&[0, 1, 2, 5, 0, 1]));
        check(CoresRequest::List(vec![5, 1, 1]), Ok(&[5, 1, 1]));
        check(CoresRequest::Count(0), Err("0 cores given, allowed: 1 to 128 cores"));
        check(CoresRequest::Count(129), Err("129 cores given, allowed: 1 to 128 cores"));
        check(CoresRequest::List(vec![]), Err("0 cores given, allowed: 1 to 128 cores"));
        check(
            CoresRequest::List(vec![1, 3]),
            Err("CPU 3 given, allowed: the CPUs of this process: 0-2, 5"),
        );
    }

    #[test]
    fn helpers_get_what_is_left() {
        assert_eq!(helper_cpus(&[0, 1, 2, 5], &[1, 1, 5]), [0, 2]);
        assert!(helper_cpus(&[0], &[0]).is_empty());
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed_cpus().unwrap().is_empty());
    }
}
