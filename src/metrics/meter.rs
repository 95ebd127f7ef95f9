//! Meter: where a core's time goes, in accounts, without asking the clock more than it must.
//!
//! In:  the worker and the chains say whose work begins.
//! Out: nanoseconds per account.
//!
//! One reading of the clock per change of account, 20 to 25 ns. A turn of few rows costs little more
//! than its readings would, so of such turns one in `SAMPLED_TURNS` is measured and counts for all
//! of them; turns of many rows are all measured. A turn that found nothing to do counts for nobody:
//! looking is not work.

use std::fmt;

use super::{LatencyCounts, LatencyDelta};

/// Reads a monotonic clock, ns. Where time is simulated it may stand still.
pub type ReadClock = fn() -> u64;

/// A turn that handled so many rows is likely followed by another, and is worth measuring.
const MEASURED_ROWS_MIN: usize = 256;

/// Of turns with fewer rows, one in so many is measured.
const SAMPLED_TURNS: u64 = 16;

/// Whose time: an operator, a source, a sink, an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Account(usize);

/// The accounts of one core.
#[derive(Clone)]
pub struct Meter {
    read_clock: ReadClock,
    /// By account; the first is everything that has none.
    spent_ns: Vec<u64>,
    /// The same of the present turn.
    turn_ns: Vec<u64>,
    /// How much of a turn each account took, since it was asked last.
    turns: Vec<LatencyCounts>,
    current: Account,
    since_ns: u64,
    /// Turns that the present one stands for; 0 when it is not measured.
    weight: u64,
    small_turns: u64,
}

impl Meter {
    /// No account but that of everything else.
    pub fn new(read_clock: ReadClock) -> Meter {
        let current = Account::default();
        let (spent_ns, turn_ns, turns) = (vec![0], vec![0], vec![LatencyCounts::default()]);
        let (since_ns, weight, small_turns) = (0, 0, 0);
        Meter { read_clock, spent_ns, turn_ns, turns, current, since_ns, weight, small_turns }
    }

    /// A new account.
    pub fn open(&mut self) -> Account {
        self.spent_ns.push(0);
        self.turn_ns.push(0);
        self.turns.push(LatencyCounts::default());
        Account(self.spent_ns.len() - 1)
    }

    /// A turn begins at `now_ns`; the last one handled `rows_before` rows, or was not busy.
    pub fn begin_turn(&mut self, now_ns: u64, rows_before: usize, was_busy: bool) {
        self.end_turn(was_busy);
        self.weight = 1;
        if rows_before < MEASURED_ROWS_MIN {
            self.small_turns += 1;
            let is_sampled = self.small_turns.is_multiple_of(SAMPLED_TURNS);
            self.weight = if is_sampled { SAMPLED_TURNS } else { 0 };
        }
        (self.current, self.since_ns) = (Account::default(), now_ns);
    }

    /// What the present turn has spent counts, if it was busy.
    fn end_turn(&mut self, was_busy: bool) {
        if self.weight == 0 {
            return;
        }
        let counted = if was_busy { self.weight } else { 0 };
        let accounts = self.spent_ns.iter_mut().zip(&mut self.turn_ns).zip(&mut self.turns);
        for ((spent_ns, turn_ns), turns) in accounts {
            let of_turn_ns = std::mem::take(turn_ns);
            *spent_ns += of_turn_ns * counted;
            if of_turn_ns > 0 && counted > 0 {
                turns.record(of_turn_ns, counted);
            }
        }
    }

    /// Time from here on is that of `account`. Returns whose it was, for the way back.
    pub fn enter(&mut self, account: Account) -> Account {
        if self.weight > 0 {
            let now_ns = (self.read_clock)();
            let spent_ns = now_ns.saturating_sub(self.since_ns);
            self.turn_ns[self.current.0] += spent_ns;
            self.since_ns = now_ns;
        }
        std::mem::replace(&mut self.current, account)
    }

    /// How much of a turn `account` took, of the turns in which it had work, since it was asked last.
    pub fn take_turns(&mut self, account: Account) -> LatencyDelta {
        self.turns[account.0].take()
    }

    /// Time spent on `account` before the present turn, ns.
    pub fn spent_ns(&self, account: Account) -> u64 {
        self.spent_ns[account.0]
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Meter({} accounts)", self.spent_ns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static NOW_NS: Cell<u64> = const { Cell::new(0) };
    }

    fn read_clock() -> u64 {
        NOW_NS.get()
    }

    /// Each turn: rows of the one before, and steps (account, ns) after which the account changes.
    #[track_caller]
    fn check(turns: &[(usize, &[(usize, u64)])], expected: [u64; 3]) {
        let mut meter = Meter::new(read_clock);
        let accounts = [Account::default(), meter.open(), meter.open()];
        for (rows_before, steps) in turns {
            meter.begin_turn(read_clock(), *rows_before, true);
            for (account, spent_ns) in *steps {
                let before = meter.enter(accounts[*account]);
                NOW_NS.set(NOW_NS.get() + spent_ns);
                meter.enter(before);
            }
        }
        meter.begin_turn(read_clock(), 0, true);
        assert_eq!(accounts.map(|account| meter.spent_ns(account)), expected, "{turns:?}");
    }

    #[test]
    fn big_turns_are_all_measured() {
        check(&[(256, &[(1, 10), (2, 5)]), (9000, &[(2, 7)])], [0, 10, 12]);
    }

    #[test]
    fn of_small_turns_one_stands_for_all() {
        let turn: (usize, &[(usize, u64)]) = (1, &[(1, 10)]);
        check(&[turn; 15], [0, 0, 0]);
        check(&[turn; 16], [0, 160, 0]);
        check(&[turn; 40], [0, 320, 0]);
    }

    #[test]
    fn turns_are_counted_for_those_that_had_work() {
        let mut meter = Meter::new(read_clock);
        let (busy, idle) = (meter.open(), meter.open());
        for _ in 0..32 {
            meter.begin_turn(read_clock(), 1, true);
            let nobody = meter.enter(busy);
            NOW_NS.set(NOW_NS.get() + 10);
            meter.enter(nobody);
        }
        meter.begin_turn(read_clock(), 1, true);
        let mut turns = LatencyCounts::default();
        turns.add(&meter.take_turns(busy));
        assert_eq!((turns.count(), turns.quantile_ns(1.0)), (32, 10));
        assert_eq!(meter.take_turns(idle), LatencyDelta::default());
        assert_eq!(meter.take_turns(busy), LatencyDelta::default());
    }

    #[test]
    fn what_is_called_inside_is_not_the_callers() {
        let mut meter = Meter::new(read_clock);
        let (outer, inner) = (meter.open(), meter.open());
        meter.begin_turn(read_clock(), 1000, false);
        let nobody = meter.enter(outer);
        NOW_NS.set(NOW_NS.get() + 3);
        let back = meter.enter(inner);
        NOW_NS.set(NOW_NS.get() + 4);
        meter.enter(back);
        NOW_NS.set(NOW_NS.get() + 5);
        meter.enter(nobody);
        meter.begin_turn(read_clock(), 1000, true);
        assert_eq!((meter.spent_ns(outer), meter.spent_ns(inner)), (8, 4));
        // Looking for work and finding none.
        meter.enter(outer);
        NOW_NS.set(NOW_NS.get() + 6);
        meter.enter(nobody);
        meter.begin_turn(read_clock(), 1000, false);
        assert_eq!(meter.spent_ns(outer), 8);
    }
}
