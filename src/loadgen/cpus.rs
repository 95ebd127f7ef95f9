//! CPUs: the generator's, and those of what is measured.

use super::error::BenchError;
use super::options::BenchCpus;
use crate::reactor::allowed_cpus;

impl BenchCpus {
    /// As asked for, and otherwise the first CPU for the generator and all others for the job.
    ///
    /// # Errors
    /// When there is no CPU for either, or both are to have the same.
    pub fn resolve(generator: Option<usize>, job: &[usize]) -> Result<BenchCpus, BenchError> {
        let allowed = allowed_cpus()
            .map_err(|error| BenchError::io("asking for this process's CPUs", &error))?;
        resolve(generator, job, &allowed).map_err(BenchError::environment)
    }
}

/// The first `count` CPUs of this process for the cores of a job, or all of them.
///
/// # Errors
/// When there are not so many.
pub fn core_cpus(count: Option<usize>) -> Result<Vec<usize>, BenchError> {
    let mut allowed =
        allowed_cpus().map_err(|error| BenchError::io("asking for this process's CPUs", &error))?;
    let count = count.unwrap_or(allowed.len());
    if count > allowed.len() {
        let available = allowed.len();
        return Err(BenchError::environment(format!(
            "--cores {count}: this process may use only {available} CPUs"
        )));
    }
    allowed.truncate(count);
    Ok(allowed)
}

fn resolve(
    generator: Option<usize>,
    job: &[usize],
    allowed: &[usize],
) -> Result<BenchCpus, String> {
    let list = |cpus: &[usize]| {
        let cpus: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        cpus.join(", ")
    };
    if let Some(cpu) = generator.iter().chain(job).find(|cpu| !allowed.contains(cpu)) {
        return Err(format!("CPU {cpu} is none of this process's: {}", list(allowed)));
    }
    let [first, _, ..] = allowed else {
        return Err(format!(
            "measuring needs two CPUs, one for the generator and one for the job; this process may use \
             only CPU {}",
            list(allowed)
        ));
    };
    let free = allowed.iter().find(|cpu| !job.contains(cpu)).unwrap_or(first);
    let generator = generator.unwrap_or(*free);
    let job: Vec<usize> = match job {
        [] => allowed.iter().copied().filter(|cpu| *cpu != generator).collect(),
        job => job.to_vec(),
    };
    if job.contains(&generator) {
        return Err(format!(
            "CPU {generator} is the generator's and cannot be the job's, too: they would measure \
             each other"
        ));
    }
    Ok(BenchCpus { generator, job })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        generator: Option<usize>,
        job: &[usize],
        allowed: &[usize],
        expected: Result<(usize, &[usize]), &str>,
    ) {
        match (resolve(generator, job, allowed), expected) {
            (Ok(found), Ok((generator, job))) => {
                assert_eq!(found, BenchCpus { generator, job: job.to_vec() });
            }
            (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn generator_and_job_never_share_a_cpu() {
        check(None, &[], &[0, 1], Ok((0, &[1])));
        check(None, &[], &[2, 4, 6], Ok((2, &[4, 6])));
        check(Some(4), &[], &[2, 4, 6], Ok((4, &[2, 6])));
        check(None, &[2], &[2, 4, 6], Ok((4, &[2])));
        check(Some(6), &[2, 4], &[2, 4, 6], Ok((6, &[2, 4])));
        check(Some(2), &[2], &[2, 4], Err("CPU 2 is the generator's"));
        check(None, &[2, 4], &[2, 4], Err("CPU 2 is the generator's"));
        check(Some(1), &[], &[2, 4], Err("CPU 1 is none of this process's: 2, 4"));
        check(None, &[7], &[2, 4], Err("CPU 7 is none"));
        check(None, &[], &[3], Err("may use only CPU 3"));
        check(Some(3), &[], &[3], Err("measuring needs two CPUs"));
    }
}
