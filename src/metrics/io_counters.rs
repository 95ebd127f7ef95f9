//! What sources and sinks count, per core.

use std::ops::AddAssign;

/// Totals of one source on one core. Every record is a row out, rejected, or still buffered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SourceCounters {
    /// Bytes received or read.
    pub bytes_in: u64,
    /// Records found in those bytes, decodable or not.
    pub records_in: u64,
    /// Rows pushed.
    pub rows_out: u64,
    /// Records that could not be decoded, had no rowtime, or lay too far in the future.
    pub rejected: u64,
    /// Splits (connections, files) ever opened.
    pub splits_opened: u64,
    /// Files that were gone, with what an earlier run had not read of them.
    pub splits_lost: u64,
    /// Connections refused or cut by a limit.
    pub connections_refused: u64,
    /// Connections ended for what their peers sent.
    pub connections_failed: u64,
    /// Frames found in those bytes.
    pub frames_in: u64,
    /// Of the bytes received, those that were copied on the way to the rows built over them.
    pub bytes_copied: u64,
    /// Times a connection waited for a receive buffer.
    pub buffer_waits: u64,
    /// Columns of producers that the table lacks.
    pub columns_unknown: u64,
}

/// Totals of one sink on one core.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SinkCounters {
    /// Rows given to the sink.
    pub rows_in: u64,
    /// Rows handed to the operating system (or dropped on purpose by `blackhole`).
    pub rows_out: u64,
    /// Rows that no subscriber was there to take, or a slow subscriber missed.
    pub rows_discarded: u64,
    /// Rows that nobody has taken yet for whom they are kept, at the end for a later run.
    pub rows_kept: u64,
    /// Bytes handed to the operating system.
    pub bytes_out: u64,
}

impl AddAssign for SourceCounters {
    fn add_assign(&mut self, other: SourceCounters) {
        self.bytes_in += other.bytes_in;
        self.records_in += other.records_in;
        self.rows_out += other.rows_out;
        self.rejected += other.rejected;
        self.splits_opened += other.splits_opened;
        self.splits_lost += other.splits_lost;
        self.connections_refused += other.connections_refused;
        self.connections_failed += other.connections_failed;
        self.frames_in += other.frames_in;
        self.bytes_copied += other.bytes_copied;
        self.buffer_waits += other.buffer_waits;
        self.columns_unknown += other.columns_unknown;
    }
}

impl AddAssign for SinkCounters {
    fn add_assign(&mut self, other: SinkCounters) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.rows_discarded += other.rows_discarded;
        self.rows_kept += other.rows_kept;
        self.bytes_out += other.bytes_out;
    }
}
