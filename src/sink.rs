//! Bytes out: sinks encode batches and hand them to files, sockets or nobody.
//!
//! Read: `file` · `tcp` · `output` (what is held until its epoch exists) · `producer` (frames to a source
//! elsewhere) · `print` · `blackhole`.

mod blackhole;
mod file;
mod output;
mod print;
mod producer;
mod tcp;

pub use blackhole::BlackholeSink;
pub use file::{
    DirectoryError, FileSink, FileSinkOptions, PartFiles, PartOwner, PartRelease,
    PreparedDirectory, RecoveredParts, SystemFiles, check_directory, prepare_directory,
    recover_parts,
};
pub use output::{OutputJournal, output_tag};
pub use print::PrintSink;
pub use producer::{ProducerSink, ProducerSinkOptions};
pub use tcp::{HeldOptions, HeldTcpSink, Keeping, OnFull, SlowSubscriber, TcpSink, TcpSinkOptions};

use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::{Batch, Epoch};
use crate::stdx::Failure;

/// The epochs of a durable job, as its sinks tell others of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputEpochs {
    /// The run's first.
    pub first: Epoch,
    /// What the output goes by for as long as epochs are counted on; never 0.
    pub output: u64,
}

/// One sink on one core.
pub trait Sink {
    /// Takes a batch: encodes it and begins to write. Called only when `is_full` was false.
    fn write(&mut self, batch: &Batch, io: &mut dyn Io);

    /// True while what is unwritten has reached the sink's limit: backpressure.
    fn is_full(&self) -> bool;

    /// Who keeps it full, in words: a subscriber with what it has not taken.
    fn blocked_by(&self) -> Option<String> {
        None
    }

    /// Advances what is in flight. Called every turn; true when something happened.
    fn poll(&mut self, io: &mut dyn Io) -> bool;

    /// An epoch ends here: all of its rows have been written, and none of the next.
    fn end_epoch(&mut self, _epoch: Epoch, _io: &mut dyn Io) {}

    /// True when what has to be durable before `epoch`, which has ended here, may exist is so. Asked every
    /// turn.
    fn is_durable(&self, _epoch: Epoch) -> bool {
        true
    }

    /// What a start has to know of the sink as of the epoch that ended here last, in the sink's own words.
    /// `None` when there is nothing to know.
    fn position(&self) -> Option<Vec<u8>> {
        None
    }

    /// An epoch that has ended here exists, whatever happens from now on: its output may leave. Said in
    /// order, and not of every epoch when nothing had changed in it.
    fn commit(&mut self, _epoch: Epoch, _io: &mut dyn Io) {}

    /// Asks for everything to be written and closed; called every turn from the end of input on
    /// until it says true.
    fn finish(&mut self, io: &mut dyn Io) -> bool;

    /// When the clock alone makes work (a part's age, reconnecting): monotonic ns.
    fn wakes_at_ns(&self) -> Option<u64> {
        None
    }

    /// The job was asked to stop: what is kept for somebody who is not there is kept for the next run.
    fn stop(&mut self, _io: &mut dyn Io) {}

    /// An error after which the job cannot go on: disk full, directory gone.
    fn take_failure(&mut self) -> Option<Failure>;

    /// Something the user should read, after which the job goes on: one line.
    fn take_notice(&mut self) -> Option<String> {
        None
    }

    /// Totals of this core.
    fn counters(&self) -> &SinkCounters;
}
