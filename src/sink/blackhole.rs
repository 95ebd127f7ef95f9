//! Blackhole sink: counts rows and drops them.

use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::Failure;

/// See the module.
#[derive(Default, Debug)]
pub struct BlackholeSink {
    counters: SinkCounters,
}

impl Sink for BlackholeSink {
    fn write(&mut self, batch: &Batch, _io: &mut dyn Io) {
        self.counters.rows_in += batch.len() as u64;
        self.counters.rows_out += batch.len() as u64;
    }

    fn is_full(&self) -> bool {
        false
    }

    fn poll(&mut self, _io: &mut dyn Io) -> bool {
        false
    }

    fn finish(&mut self, _io: &mut dyn Io) -> bool {
        true
    }

    fn take_failure(&mut self) -> Option<Failure> {
        None
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}
