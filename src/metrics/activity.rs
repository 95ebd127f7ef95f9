//! What operators, edges and cores do, beyond their ledgers of rows.

use std::ops::AddAssign;

/// Entries and bytes an operator keeps.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct StateSize {
    /// Keys held, over all panes.
    pub entries: u64,
    /// Bytes allocated for them.
    pub bytes: u64,
}

impl AddAssign for StateSize {
    fn add_assign(&mut self, other: StateSize) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }
}

/// Batches through one operator on one core, its time and its state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OperatorActivity {
    /// Batches given to the operator.
    pub batches_in: u64,
    /// Batches it pushed.
    pub batches_out: u64,
    /// Time in it, without what it fed.
    pub busy_ns: u64,
    /// What it keeps.
    pub state: StateSize,
}

impl AddAssign for OperatorActivity {
    fn add_assign(&mut self, other: OperatorActivity) {
        self.batches_in += other.batches_in;
        self.batches_out += other.batches_out;
        self.busy_ns += other.busy_ns;
        self.state += other.state;
    }
}

/// A core's time since it began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CoreActivity {
    /// Turns with work.
    pub turns: u64,
    /// Time from each of those to the next turn.
    pub busy_ns: u64,
    /// Time asleep. What is neither was spent looking for work.
    pub parked_ns: u64,
}

/// Why a record became no row, or a row left the main path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RejectionKind {
    /// Its bytes are not what format and schema say.
    Decode,
    /// Its time is NULL.
    TimeNull,
    /// Its time is further ahead than `max_future`.
    TimeAhead,
    /// An expression fails for it.
    Evaluate,
}

impl RejectionKind {
    /// Every kind.
    pub const ALL: [RejectionKind; 4] = [
        RejectionKind::Decode,
        RejectionKind::TimeNull,
        RejectionKind::TimeAhead,
        RejectionKind::Evaluate,
    ];

    /// As metrics and status name it.
    pub fn name(self) -> &'static str {
        match self {
            RejectionKind::Decode => "decode",
            RejectionKind::TimeNull => "time_null",
            RejectionKind::TimeAhead => "time_ahead",
            RejectionKind::Evaluate => "evaluate",
        }
    }
}

/// Rejected records of one source, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rejections([u64; RejectionKind::ALL.len()]);

impl Rejections {
    /// `count` more of `kind`.
    pub fn add(&mut self, kind: RejectionKind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// Those of `kind`.
    pub fn of(&self, kind: RejectionKind) -> u64 {
        self.0[kind as usize]
    }

    /// Every kind with its count.
    pub fn each(&self) -> impl Iterator<Item = (RejectionKind, u64)> + '_ {
        RejectionKind::ALL.into_iter().map(|kind| (kind, self.0[kind as usize]))
    }
}

impl AddAssign for Rejections {
    fn add_assign(&mut self, other: Rejections) {
        for (kind, count) in other.each() {
            self.add(kind, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejections_are_kept_by_kind() {
        let mut one = Rejections::default();
        one.add(RejectionKind::TimeAhead, 3);
        let mut sum = one;
        sum += one;
        sum.add(RejectionKind::Decode, 1);
        let found: Vec<(&str, u64)> =
            sum.each().map(|(kind, count)| (kind.name(), count)).collect();
        assert_eq!(found, [("decode", 1), ("time_null", 0), ("time_ahead", 6), ("evaluate", 0)]);
    }
}
