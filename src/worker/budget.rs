//! Turn budget: how many rows a stage handles in one turn.
//!
//! In:  rows and duration of turns.
//! Out: as many rows as take about `TURN_NS_AIM` at the cost of the last ones, so that a core looks at
//!      its network every few milliseconds whatever a row costs: 0.1 us where keys repeat, 1 us in a
//!      table of ten million.

use crate::limits::{TURN_NS_AIM, TURN_ROWS_MIN};

/// Turns with fewer rows say little about the cost of one.
const ROWS_JUDGED_MIN: usize = TURN_ROWS_MIN / 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct TurnBudget {
    rows: usize,
    rows_max: usize,
}

impl TurnBudget {
    /// At most `rows_max` rows. Begins with few: what a row costs is not known yet.
    pub(super) fn new(rows_max: usize) -> TurnBudget {
        TurnBudget { rows: rows_max.min(TURN_ROWS_MIN), rows_max }
    }

    /// Rows of the next turn.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// A turn that handled `rows` rows, over all stages, took `turn_ns`. Falls at once, and rises by an
    /// eighth at most: a turn is judged when it is over.
    pub(super) fn observe(&mut self, rows: usize, turn_ns: u64) {
        if rows < ROWS_JUDGED_MIN.min(self.rows) {
            return;
        }
        let affordable = rows as u64 * TURN_NS_AIM / turn_ns.max(1);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        let risen = self.rows + (self.rows / 8).max(1);
        self.rows = affordable.max(TURN_ROWS_MIN).min(risen).min(self.rows_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A turn each of so many rows and microseconds; gives the rows after each.
    #[track_caller]
    fn check(rows_max: usize, turns: &[(usize, u64)], expected: &[usize]) {
        let mut budget = TurnBudget::new(rows_max);
        let observe = |&(rows, turn_us): &(usize, u64)| {
            budget.observe(rows, turn_us * 1000);
            budget.rows()
        };
        let actual: Vec<usize> = turns.iter().map(observe).collect();
        assert_eq!(actual, expected);
    }

    #[test]
    fn cheap_rows_raise_it_step_by_step() {
        check(600, &[(512, 20), (576, 20), (600, 20)], &[576, 600, 600]);
        check(3, &[(3, 10), (3, 90_000)], &[3, 3]);
    }

    #[test]
    fn dear_rows_lower_it_at_once() {
        check(8192, &[(512, 20), (576, 1_000), (648, 20_000)], &[576, 648, 512]);
        check(
            8192,
            &[(512, 20); 30],
            &[
                576, 648, 729, 820, 922, 1037, 1166, 1311, 1474, 1658, 1865, 2098, 2360, 2655,
                2986, 3359, 3778, 4250, 4781, 5378, 6050, 6806, 7656, 8192, 8192, 8192, 8192, 8192,
                8192, 8192,
            ],
        );
    }

    #[test]
    fn a_few_rows_are_no_evidence() {
        check(8192, &[(255, 90_000), (0, 0)], &[512, 512]);
    }
}
