//! Coordinator: begins epochs, collects what the cores report, has them committed. On core 0.
//!
//! In:  messages of all cores, the clock.
//! Out: messages to all cores; how epochs go.
//!
//! Invariants
//! - One epoch is under way at a time. The next begins when the interval has passed since the last began,
//!   and not before that one is committed.
//! - A commit record is written only when every core has reported that its part is durable.
//!
//! Deliberately absent: the lines (see `ports`) and the journal (see `participant`).

use std::sync::Arc;

use super::log::CoreRanges;
use super::ports::{FromCore, ToCore};
use crate::limits::{EPOCH_OVERDUE_NS, EPOCHS_IN_FLIGHT_MAX};
use crate::record::Epoch;
use crate::stdx::{CoreId, Failpoint};

/// What a coordinator must know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoordinatorOptions {
    /// Cores of the job.
    pub core_count: u16,
    /// From the beginning of one epoch to that of the next.
    pub interval_ns: u64,
    /// The first epoch of the run.
    pub first: Epoch,
}

/// How epochs go.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EpochStatus {
    /// The last one that exists, of this run.
    pub committed: Option<Epoch>,
    /// When it began to: monotonic ns.
    pub committed_at_ns: u64,
    /// The one under way.
    pub under_way: Option<Epoch>,
    /// Epochs of this run that exist.
    pub epochs: u64,
    /// Epochs in which nothing had changed.
    pub unchanged: u64,
    /// Epochs that took longer than the interval.
    pub late: u64,
    /// From the beginning of the last one until it existed.
    pub last_ns: u64,
    /// The longest of them.
    pub longest_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    options: CoordinatorOptions,
    next: Epoch,
    /// The last one with a commit record; at first, the last that a run before could have had.
    recorded: u64,
    /// When the next epoch may begin.
    due_ns: u64,
    /// Cores that epochs need not wait for.
    ready: u16,
    /// Cores that have nothing left to do.
    ended: u16,
    /// Something has changed since the last epoch began.
    changed: bool,
    stage: Stage,
    overdue: Option<String>,
    /// When something was said about it last.
    overdue_told_ns: u64,
    status: EpochStatus,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    /// Cores are doing their part.
    Collecting {
        began_ns: u64,
        cores: Vec<Option<CoreRanges>>,
        is_written: bool,
    },
    /// Commit records are being written.
    Committing {
        began_ns: u64,
        missing: u16,
    },
    Finished,
}

impl Coordinator {
    /// Before the first epoch of a run.
    pub fn new(options: CoordinatorOptions) -> Coordinator {
        assert!(options.core_count > 0);
        Coordinator {
            next: options.first,
            recorded: options.first.number().saturating_sub(1),
            due_ns: 0,
            ready: 0,
            ended: 0,
            changed: false,
            stage: Stage::Idle,
            overdue: None,
            overdue_told_ns: 0,
            status: EpochStatus::default(),
            options,
        }
    }

    /// What a core says. To be followed by [`Coordinator::step`].
    pub fn receive(&mut self, core: CoreId, message: FromCore) {
        match message {
            FromCore::Ready => self.ready += 1,
            FromCore::Changed => self.changed = true,
            FromCore::Ended => self.ended += 1,
            FromCore::Sealed { epoch, ranges, is_written: wrote } => {
                assert_eq!(epoch, self.next, "a core reports the epoch that is under way");
                let Stage::Collecting { cores, is_written, .. } = &mut self.stage else {
                    panic!("core {core} reports an epoch that nobody began");
                };
                let before = cores[core.index()].replace(ranges);
                assert!(before.is_none(), "a core reports an epoch once");
                *is_written |= wrote;
            }
            FromCore::CommitWritten(epoch) => {
                assert_eq!(epoch, self.next, "a core writes the record that it was told to");
                let Stage::Committing { missing, .. } = &mut self.stage else {
                    panic!("core {core} wrote a commit record that nobody asked for");
                };
                *missing -= 1;
                Failpoint::CommitWritten.pass();
            }
        }
    }

    /// Goes on as far as possible; `tell` is given what the cores are to know. True when it went on.
    pub fn step(&mut self, now_ns: u64, tell: &mut dyn FnMut(CoreId, ToCore)) -> bool {
        match &self.stage {
            Stage::Idle if self.ready < self.options.core_count => false,
            Stage::Idle if self.changed && (self.due_ns <= now_ns || self.all_ended()) => {
                self.begin(now_ns, tell);
                true
            }
            Stage::Idle if self.all_ended() && !self.changed => {
                self.stage = Stage::Finished;
                self.tell_all(ToCore::Finish, tell);
                true
            }
            Stage::Collecting { began_ns, cores, .. } if cores.contains(&None) => {
                self.note_overdue(*began_ns, now_ns);
                false
            }
            Stage::Collecting { .. } => {
                self.commit(now_ns, tell);
                true
            }
            Stage::Committing { began_ns, missing: 0 } => {
                Failpoint::Committed.pass();
                let began_ns = *began_ns;
                self.status.epochs += 1;
                self.status.committed = Some(self.next);
                self.status.committed_at_ns = now_ns;
                self.recorded = self.next.number();
                self.end(began_ns, true, now_ns, tell);
                true
            }
            Stage::Committing { began_ns, .. } => {
                self.note_overdue(*began_ns, now_ns);
                false
            }
            Stage::Idle | Stage::Finished => false,
        }
    }

    /// When the clock alone makes work: monotonic ns.
    pub fn wakes_at_ns(&self) -> Option<u64> {
        let is_waiting = self.stage == Stage::Idle && self.changed;
        (is_waiting && self.ready == self.options.core_count).then_some(self.due_ns)
    }

    /// How epochs go.
    pub fn status(&self) -> EpochStatus {
        self.status
    }

    /// What the user should read: an epoch does not come to its end, and who is waited for.
    pub fn take_notice(&mut self) -> Option<String> {
        self.overdue.take()
    }

    fn all_ended(&self) -> bool {
        self.ended == self.options.core_count
    }

    fn begin(&mut self, now_ns: u64, tell: &mut dyn FnMut(CoreId, ToCore)) {
        Failpoint::Begin.pass();
        self.changed = false;
        self.due_ns = now_ns.saturating_add(self.options.interval_ns);
        self.status.under_way = Some(self.next);
        let cores = vec![None; usize::from(self.options.core_count)];
        self.stage = Stage::Collecting { began_ns: now_ns, cores, is_written: false };
        self.tell_all(ToCore::Begin(self.next), tell);
    }

    /// Every core's part is durable.
    fn commit(&mut self, now_ns: u64, tell: &mut dyn FnMut(CoreId, ToCore)) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        let Stage::Collecting { began_ns, cores, is_written } = stage else {
            unreachable!("the caller has looked");
        };
        // The journal has to tell entries of epochs that may have been from those that cannot.
        let may_skip = self.next.number() - self.recorded < EPOCHS_IN_FLIGHT_MAX - 1;
        if !is_written && may_skip {
            self.status.unchanged += 1;
            self.end(began_ns, false, now_ns, tell);
            return;
        }
        Failpoint::Collected.pass();
        let (epoch, cores) = (self.next, cores.into_iter().flatten().collect::<Arc<[_]>>());
        // Two copies, in different blocks. The only core of a job writes both.
        let copies = self.options.core_count.min(2);
        for core in CoreId::all(copies) {
            tell(core, ToCore::WriteCommit { epoch, cores: Arc::clone(&cores) });
        }
        self.stage = Stage::Committing { began_ns, missing: copies };
    }

    fn end(
        &mut self,
        began_ns: u64,
        is_written: bool,
        now_ns: u64,
        tell: &mut dyn FnMut(CoreId, ToCore),
    ) {
        let took_ns = now_ns.saturating_sub(began_ns);
        self.status.last_ns = took_ns;
        self.status.longest_ns = self.status.longest_ns.max(took_ns);
        self.status.late += u64::from(took_ns > self.options.interval_ns);
        self.status.under_way = None;
        self.tell_all(ToCore::Committed { epoch: self.next, is_written }, tell);
        self.next = Epoch::new(self.next.number() + 1);
        (self.stage, self.overdue) = (Stage::Idle, None);
    }

    /// Says once every so often that the epoch does not come to its end.
    fn note_overdue(&mut self, began_ns: u64, now_ns: u64) {
        let patience_ns = EPOCH_OVERDUE_NS.max(self.options.interval_ns.saturating_mul(10));
        let took_ns = now_ns.saturating_sub(began_ns);
        let told_ns = self.overdue_told_ns.max(began_ns);
        if now_ns.saturating_sub(told_ns) < patience_ns {
            return;
        }
        self.overdue_told_ns = now_ns;
        let waits_for = match &self.stage {
            Stage::Collecting { cores, .. } => {
                let missing = cores.iter().enumerate().filter(|(_, ranges)| ranges.is_none());
                let missing: Vec<String> = missing.map(|(core, _)| core.to_string()).collect();
                format!("core {} to capture its part and make it durable", missing.join(", "))
            }
            _ => "its commit record to become durable".to_owned(),
        };
        let (epoch, seconds) = (self.next.number(), took_ns / 1_000_000_000);
        self.overdue = Some(format!(
            "epoch {epoch} has been under way for {seconds} s and waits for {waits_for}; no other \
             begins before it ends"
        ));
    }

    fn tell_all(&self, message: ToCore, tell: &mut dyn FnMut(CoreId, ToCore)) {
        for core in CoreId::all(self.options.core_count) {
            tell(core, message.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{LogPosition, LogRange};

    const MS: u64 = 1_000_000;

    struct Machine {
        coordinator: Coordinator,
        now_ns: u64,
        said: String,
    }

    fn ranges(offset: u64) -> CoreRanges {
        let at = LogPosition { segment: 0, offset };
        let state = LogRange { from: at, to: at, sequence: offset };
        CoreRanges { state, sides: Vec::new() }
    }

    impl Machine {
        fn new(core_count: u16) -> Machine {
            let options =
                CoordinatorOptions { core_count, interval_ns: 10 * MS, first: Epoch::new(5) };
            Machine { coordinator: Coordinator::new(options), now_ns: 0, said: String::new() }
        }

        fn receive(&mut self, core: u16, message: FromCore) {
            self.coordinator.receive(CoreId::new(core), message);
            self.settle();
        }

        /// Steps until nothing happens; notes what is said: `b5>0` begins epoch 5 on core 0.
        fn settle(&mut self) {
            let mut said = String::new();
            let mut tell = |core: CoreId, message: ToCore| {
                let what = match message {
                    ToCore::Begin(epoch) => format!("b{}", epoch.number()),
                    ToCore::WriteCommit { epoch, cores } => {
                        format!("w{}/{}", epoch.number(), cores.len())
                    }
                    ToCore::Committed { epoch, .. } => format!("c{}", epoch.number()),
                    ToCore::Finish => "f".to_owned(),
                };
                said += &format!("{what}>{core} ");
            };
            while self.coordinator.step(self.now_ns, &mut tell) {}
            self.said += &said;
        }
    }

    /// `r1` core 1 is ready, `x1` has changed something, `s1` has sealed the epoch, `u1` had nothing to
    /// write, `w1` has written the record, `e1` has ended; `+3` lets milliseconds pass; `,` separates
    /// what was said.
    #[track_caller]
    fn check(core_count: u16, script: &str, expected: &str) -> EpochStatus {
        let mut machine = Machine::new(core_count);
        for word in script.split_whitespace() {
            let (what, number) = word.split_at(1);
            let number: u16 = number.parse().unwrap_or(0);
            let epoch = machine.coordinator.next;
            let sealed = |is_written| FromCore::Sealed { epoch, ranges: ranges(7), is_written };
            match what {
                "r" => machine.receive(number, FromCore::Ready),
                "x" => machine.receive(number, FromCore::Changed),
                "s" => machine.receive(number, sealed(true)),
                "u" => machine.receive(number, sealed(false)),
                "w" => machine.receive(number, FromCore::CommitWritten(epoch)),
                "e" => machine.receive(number, FromCore::Ended),
                "," => machine.said += ", ",
                _ => {
                    machine.now_ns += u64::from(number) * MS;
                    machine.settle();
                }
            }
        }
        assert_eq!(machine.said.trim_end(), expected, "{script}");
        machine.coordinator.status()
    }

    #[test]
    fn an_epoch_begins_when_all_are_ready_and_something_changed() {
        check(2, "x0 r0 , r1", ", b5>0 b5>1");
        check(1, "r0 +50 , x0", ", b5>0");
    }

    #[test]
    fn it_is_committed_when_all_have_sealed_it_and_two_copies_are_durable() {
        let status = check(
            3,
            "r0 r1 r2 x1 , s2 s0 , s1 , w1 , w0",
            "b5>0 b5>1 b5>2 , , w5/3>0 w5/3>1 , , c5>0 c5>1 c5>2",
        );
        assert_eq!((status.committed, status.epochs), (Some(Epoch::new(5)), 1));
        check(1, "r0 x0 s0 , w0", "b5>0 w5/1>0 , c5>0");
    }

    #[test]
    fn an_epoch_without_change_is_not_written() {
        let status = check(2, "r0 r1 x0 , u0 u1 , +20 , x1", "b5>0 b5>1 , c5>0 c5>1 , , b6>0 b6>1");
        assert_eq!((status.epochs, status.unchanged, status.committed), (0, 1, None));
        check(2, "r0 r1 x0 u0 , s1", "b5>0 b5>1 , w5/2>0 w5/2>1");
    }

    /// Numbers do not run away from the last commit record.
    #[test]
    fn of_several_epochs_without_change_in_a_row_one_has_a_commit_record() {
        check(
            1,
            "r0 x0 u0 +10 x0 u0 +10 , x0 u0 , w0 +10 , x0 u0",
            "b5>0 c5>0 b6>0 c6>0 , b7>0 w7/1>0 , c7>0 , b8>0 c8>0",
        );
    }

    #[test]
    fn epochs_neither_pile_up_nor_come_before_their_time() {
        check(1, "r0 x0 s0 w0 , x0 +9 , +1", "b5>0 w5/1>0 c5>0 , , b6>0");
        let status = check(1, "r0 x0 , x0 +35 , s0 w0 , s0", "b5>0 , , w5/1>0 c5>0 b6>0 , w6/1>0");
        assert_eq!((status.late, status.last_ns), (1, 35 * MS));
    }

    #[test]
    fn the_last_epoch_does_not_wait_and_then_all_is_said() {
        check(
            2,
            "r0 r1 x0 s0 s1 w0 w1 , x1 e0 e1 , s0 s1 w0 w1",
            "b5>0 b5>1 w5/2>0 w5/2>1 c5>0 c5>1 , b6>0 b6>1 , w6/2>0 w6/2>1 c6>0 c6>1 f>0 f>1",
        );
        check(1, "e0 r0", "f>0");
    }

    #[test]
    fn an_epoch_that_does_not_end_is_told_of_with_who_is_missing() {
        let mut machine = Machine::new(2);
        for core in 0..2 {
            machine.receive(core, FromCore::Ready);
        }
        machine.receive(0, FromCore::Changed);
        let epoch = Epoch::new(5);
        machine.receive(0, FromCore::Sealed { epoch, ranges: ranges(1), is_written: true });
        machine.now_ns = EPOCH_OVERDUE_NS - 1;
        machine.settle();
        assert_eq!(machine.coordinator.take_notice(), None);
        machine.now_ns += 1;
        machine.settle();
        let notice = machine.coordinator.take_notice().unwrap();
        assert!(notice.starts_with("epoch 5 has been under way for 10 s and waits for core 1 to"));
        machine.settle();
        assert_eq!(machine.coordinator.take_notice(), None);
    }
}
