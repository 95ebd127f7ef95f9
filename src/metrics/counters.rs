//! What is counted, and the equation that must hold over it.
//!
//! Per operator: rows in = forwarded + filtered + late + rejected + absorbed.
//! Per edge: rows out of one = rows into the next. Per aggregate: absorbed + restored = fired + held.

use std::ops::AddAssign;

/// Rows through one operator on one core. Plain numbers: each core owns its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OperatorCounters {
    /// Rows given to the operator.
    pub rows_in: u64,
    /// Input rows that went on, one for one.
    pub forwarded: u64,
    /// Input rows for which a condition was not true.
    pub filtered: u64,
    /// Input rows behind the watermark.
    pub late: u64,
    /// Input rows that could not be evaluated.
    pub rejected: u64,
    /// Input rows that went into state, a partial result, or were expanded into other rows.
    pub absorbed: u64,
    /// Absorbed rows whose state has been given up: all their windows have fired.
    pub fired: u64,
    /// Rows that an earlier run had absorbed and held.
    pub restored: u64,
    /// Absorbed rows still in state.
    pub held: u64,
    /// Rows pushed to the next operator or edge, whatever their origin.
    pub rows_out: u64,
}

impl OperatorCounters {
    /// The first unbalanced equation, in words; `None` when the ledger balances.
    pub fn imbalance(&self) -> Option<String> {
        let accounted = self.forwarded + self.filtered + self.late + self.rejected + self.absorbed;
        if self.rows_in != accounted {
            return Some(format!("{} rows in, {accounted} accounted for: {self:?}", self.rows_in));
        }
        let absorbed = self.absorbed + self.restored;
        if absorbed != self.fired + self.held {
            return Some(format!("{absorbed} rows absorbed, not all fired or held: {self:?}"));
        }
        None
    }
}

impl AddAssign for OperatorCounters {
    fn add_assign(&mut self, other: OperatorCounters) {
        self.rows_in += other.rows_in;
        self.forwarded += other.forwarded;
        self.filtered += other.filtered;
        self.late += other.late;
        self.rejected += other.rejected;
        self.absorbed += other.absorbed;
        self.fired += other.fired;
        self.restored += other.restored;
        self.held += other.held;
        self.rows_out += other.rows_out;
    }
}
