//! `pelton doctor`: can this machine run a job, and what keeps it from being fast?
//!
//! In:  /proc and /sys, the limits of this process, two seconds of measuring; the job's needs, if one
//!      is named.
//! Out: per question its answer, a verdict, and what to do.
//!
//! Read: `machine` (what the kernel tells) · `measurements` · `needs` (of a job).

mod machine;
mod measurements;
mod needs;

use serde::Serialize;
use std::path::Path;

use super::{ErrorClass, JobError};
use crate::config::Job;
use crate::reactor;

/// Whether an answer is good.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be, or nothing can be said.
    Good,
    /// It works; it would be faster or safer otherwise.
    Advice,
    /// A job cannot run.
    Obstacle,
}

/// One question and its answer.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub(super) struct Check {
    pub(super) check: &'static str,
    pub(super) value: String,
    pub(super) verdict: Verdict,
    /// What to do; `None` when it is good.
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn good(check: &'static str, value: impl Into<String>) -> Check {
        Check { check, value: value.into(), verdict: Verdict::Good, remedy: None }
    }

    pub(super) fn advice(
        check: &'static str,
        value: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        let remedy = Some(remedy.into());
        Check { check, value: value.into(), verdict: Verdict::Advice, remedy }
    }

    pub(super) fn obstacle(
        check: &'static str,
        value: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        let remedy = Some(remedy.into());
        Check { check, value: value.into(), verdict: Verdict::Obstacle, remedy }
    }
}

/// Everything that was found.
#[derive(Serialize, Debug)]
pub struct Diagnosis {
    schema: u32,
    /// No obstacle was found.
    can_run: bool,
    checks: Vec<Check>,
}

impl Diagnosis {
    /// Looks at this machine, and at what `job` needs of it.
    pub(super) fn of(job: Option<&Job>) -> Diagnosis {
        let mut checks: Vec<Check> = reactor::probe().into_iter().map(obstacle).collect();
        checks.extend(machine::checks(Path::new("/")));
        let directory = needs::directory(job);
        checks.extend(measurements::checks(&directory));
        checks.extend(job.map(needs::checks).unwrap_or_default());
        Diagnosis::from_checks(checks)
    }

    fn from_checks(checks: Vec<Check>) -> Diagnosis {
        let can_run = checks.iter().all(|check| check.verdict != Verdict::Obstacle);
        Diagnosis { schema: 1, can_run, checks }
    }

    /// As lines: what, its answer, a word, and what to do.
    pub fn to_text(&self) -> String {
        let width = self.checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Check { check, value, verdict, remedy } in &self.checks {
            let word = match verdict {
                Verdict::Good => "ok",
                Verdict::Advice => "advice",
                Verdict::Obstacle => "OBSTACLE",
            };
            text += &format!("{word:<8}  {check:<width$}  {value}\n");
            if let Some(remedy) = remedy {
                text += &format!("{:<8}  {:<width$}  -> {remedy}\n", "", "");
            }
        }
        text
    }

    /// As a JSON document, with a line end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data can be written as JSON") + "\n"
    }

    /// What to say at the end.
    ///
    /// # Errors
    /// When a job cannot run here.
    pub fn verdict(&self) -> Result<(), JobError> {
        if self.can_run {
            return Ok(());
        }
        let obstacles = self.checks.iter().filter(|check| check.verdict == Verdict::Obstacle);
        let line = |it: &Check| {
            format!("{}: {}; {}", it.check, it.value, it.remedy.as_deref().unwrap_or_default())
        };
        Err(JobError { class: ErrorClass::Environment, lines: obstacles.map(line).collect() })
    }
}

fn obstacle(found: reactor::Obstacle) -> Check {
    Check::obstacle("reactor", format!("{}: {}", found.what, found.why), found.remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obstacle_is_said_and_ends_with_its_exit_code() {
        let checks = vec![
            Check::good("kernel", "6.18"),
            Check::advice("governor", "powersave", "cpupower frequency-set -g performance"),
        ];
        let fine = Diagnosis::from_checks(checks.clone());
        assert!(fine.verdict().is_ok());
        let lines = "ok        kernel    6.18\nadvice    governor  powersave\n\
                     \u{20}                   -> cpupower frequency-set -g performance\n";
        assert_eq!(fine.to_text(), lines);
        let mut bad = checks;
        bad.push(Check::obstacle("cores", "CPU 9 is absent", "name others"));
        let error = Diagnosis::from_checks(bad).verdict().unwrap_err();
        assert_eq!(error.class.exit_code(), 3);
        assert_eq!(error.lines, ["cores: CPU 9 is absent; name others"]);
    }

    #[test]
    fn the_document_has_what_programs_need() {
        let checks = vec![Check::advice("turbo", "on", "off")];
        let value: serde_json::Value =
            serde_json::from_str(&Diagnosis::from_checks(checks).to_json()).unwrap();
        assert_eq!(value["can_run"], true);
        assert_eq!(value["checks"][0]["verdict"], "advice");
        assert_eq!(value["checks"][0]["remedy"], "off");
    }
}
