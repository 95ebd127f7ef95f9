//! Supply: the helper thread that prepares segments ahead of their writers, and takes them back.
//!
//! In:  how far writers have come, segments they have left, segments nobody needs any more.
//! Out: segments whose first block and name are durable, mapped where their writer maps them; pages
//!      made present ahead of the stores; that there is no space, or that the disk failed.
//!
//! Read: `line` (one journal) · `message` (what goes to and fro).
//!
//! No space is no failure: the writer waits, and the supply tries again. A segment that was recycled
//! needs none.

mod line;
mod message;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::JournalId;
use super::storage::Storage;
use super::writer::{Writer, WriterStart};
use crate::reactor::{ThreadBell, Wake, channel, spawn_thread};
use line::{Line, LineTurn};
pub(super) use message::{FromSupply, Supplied, ToSupply};

/// Messages that may wait between a writer and the supply; more wait at the sender.
const MESSAGES_MAX: usize = 32;

/// How long the thread sleeps when nobody wakes it.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How often a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Sizes of what a journal is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalOptions {
    /// Bytes of a segment: blocks.
    pub segment_bytes: u64,
    /// Bytes ahead of the stores whose pages are kept present, in mapped journals: blocks.
    pub populate_bytes: u64,
    /// Bytes of one buffer of a journal that is written directly: blocks.
    pub buffer_bytes: usize,
    /// Such buffers on their way to the disk, after which the writer waits.
    pub buffers_max: usize,
}

/// What a journal goes on with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalStart {
    /// Which one.
    pub journal: JournalId,
    /// This run.
    pub run: u32,
    /// Tells the directories of jobs apart.
    pub directory_id: u64,
    /// Number of the first segment to be opened.
    pub next_number: u64,
    /// What the writer begins with.
    pub writer: WriterStart,
}

/// What a step of the supply found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SupplyTurn {
    /// Something was done.
    Busy,
    /// Nothing to do until a writer says something.
    Idle,
    /// There is no space for a segment; nothing else to do.
    Full,
}

/// The segments of all journals of one job.
pub struct Supply<S: Storage> {
    lines: Vec<Line<S>>,
}

impl<S: Storage> Default for Supply<S> {
    fn default() -> Supply<S> {
        Supply { lines: Vec::new() }
    }
}

impl<S: Storage> Supply<S> {
    /// A journal more. `writer_wake` wakes the core that has the writer, `supply_wake` this supply.
    pub fn add(
        &mut self,
        storage: &S,
        start: &JournalStart,
        options: JournalOptions,
        (writer_wake, supply_wake): (Arc<dyn Wake>, Arc<dyn Wake>),
    ) -> Writer<S::Memory> {
        let (to_writer, from_supply) = channel(MESSAGES_MAX, writer_wake);
        let (to_supply, from_writer) = channel(MESSAGES_MAX, supply_wake);
        self.lines.push(Line::new(storage, start, options, (to_writer, from_writer)));
        Writer::new(start.journal, start.run, &start.writer, options, (to_supply, from_supply))
    }

    /// One bounded piece of work for every journal; it may wait for the disk.
    pub fn step(&mut self) -> SupplyTurn {
        let mut turn = SupplyTurn::Idle;
        for line in &mut self.lines {
            turn = match (line.step(), turn) {
                (LineTurn::Busy, _) | (_, SupplyTurn::Busy) => SupplyTurn::Busy,
                (LineTurn::Full, _) | (_, SupplyTurn::Full) => SupplyTurn::Full,
                (LineTurn::Idle, SupplyTurn::Idle) => SupplyTurn::Idle,
            };
        }
        turn
    }

    /// Tries again to find space.
    pub fn retry(&mut self) {
        self.lines.iter_mut().for_each(Line::retry);
    }

    /// True when no writer is left.
    pub fn is_abandoned(&self) -> bool {
        self.lines.iter().all(Line::is_abandoned)
    }
}

/// Runs the supply on a thread beside the cores, until no writer is left. `bell` wakes it: it was given
/// to every [`Supply::add`].
///
/// # Errors
/// The operating system's, when there can be no thread.
pub fn start_supply<S>(
    mut supply: Supply<S>,
    bell: Arc<ThreadBell>,
    core_cpus: &[usize],
) -> io::Result<JoinHandle<()>>
where
    S: Storage + Send + 'static,
    S::Memory: Send,
    S::Pages: Send,
{
    spawn_thread("segments", core_cpus, move || {
        bell.attach();
        while !supply.is_abandoned() {
            match supply.step() {
                SupplyTurn::Busy => {}
                SupplyTurn::Idle => bell.wait(SLEEP_MAX),
                SupplyTurn::Full => {
                    bell.wait(RETRY_INTERVAL);
                    supply.retry();
                }
            }
        }
    })
}
