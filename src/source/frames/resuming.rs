//! Resuming: what a later run is told, and how it goes on.

use std::sync::Arc;

use super::FrameSource;
use super::position::{CorePosition, Known, Resumed, owner_of};
use super::producers::Standing;
use super::{Phase, position};
use crate::source::SplitStanding;
use crate::stdx::{CoreId, Malformed};

impl FrameSource {
    /// What this core remembers: everything pushed so far, and nothing else.
    pub(super) fn place(&self) -> Vec<u8> {
        let (core, core_count) = (self.options.core, self.options.core_count);
        let is_zero = core == CoreId::ZERO;
        let position = CorePosition {
            core,
            core_count,
            sent: self.tracker.sent(),
            told_gone: self.gone,
            known: if is_zero { self.census.known(self.is_ending()) } else { Known::default() },
        };
        position.encode(self.producers.positions(|standing| self.standing(standing)))
    }

    fn is_ending(&self) -> bool {
        self.phase == Phase::Ending || (self.phase == Phase::New && self.was_over)
    }

    fn standing(&self, of: Standing) -> SplitStanding {
        let split = match of {
            Standing::Served(connection) => self.connections[&connection].split(),
            Standing::Awaited(split) => split,
        };
        self.tracker.standing_of(split)
    }

    /// Goes on where the cores of an earlier run stood.
    pub(super) fn take_places(&mut self, positions: &[&[u8]]) -> Result<(), Malformed> {
        assert_eq!(self.phase, Phase::New);
        let resumed = Resumed::of(positions)?;
        let (core, core_count) = (self.options.core, self.options.core_count);
        if core == CoreId::ZERO {
            self.census.resume(&resumed);
        }
        self.was_over = resumed.is_over;
        self.tracker.resume_at(resumed.sent(core, core_count));
        let own = |producer: &&position::ProducerPosition<'_>| {
            owner_of(producer.name, core_count) == core
        };
        for producer in resumed.producers.iter().filter(own) {
            let Some(id) = self.producers.restore(producer) else {
                let reason = "more producers than a core may remember: start with more cores";
                return Err(Malformed { offset: 0, reason });
            };
            if let Some(standing) = producer.standing {
                // No row of one that has ended can come.
                let is_active = standing.is_active && !producer.has_ended;
                let split = self.tracker.reopen(
                    self.origin(self.producers.name(id)),
                    SplitStanding { is_active, ..standing },
                );
                self.producers.await_return(id, split);
            }
        }
        Ok(())
    }

    /// Of the rows of the producer called `name`.
    pub(super) fn origin(&self, name: &str) -> Arc<str> {
        format!("{}:{name}", self.options.name).into()
    }
}
