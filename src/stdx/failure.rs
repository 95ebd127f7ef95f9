//! Failure: why a part of a running job gave up, with the kind that becomes the exit code.

/// Why something gave up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What kind of trouble.
    pub class: FailureClass,
    /// What, where and what to do, in one line.
    pub message: String,
}

/// Kinds of trouble a running job can meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureClass {
    /// This machine: ports, limits.
    Environment,
    /// A record that the job was told not to tolerate.
    Data,
    /// Reading or writing failed.
    Io,
}

impl Failure {
    /// Reading or writing failed.
    pub fn io(message: String) -> Failure {
        Failure { class: FailureClass::Io, message }
    }

    /// This machine lacks something.
    pub fn environment(message: String) -> Failure {
        Failure { class: FailureClass::Environment, message }
    }

    /// A record was not what it must be.
    pub fn data(message: String) -> Failure {
        Failure { class: FailureClass::Data, message }
    }
}
