//! Print sink: rows as lines on standard output, through the core's ring, so that a full pipe or a
//! stopped terminal never blocks the core.
//!
//! Invariant: one write at a time, of whole lines, so the lines of one core never mix. The graph
//! sends all rows of a print sink to one core: several cores writing could cut into each other's
//! lines.

use std::io;

use crate::format::Encoder;
use crate::limits::SINK_UNWRITTEN_BYTES_MAX;
use crate::metrics::SinkCounters;
use crate::reactor::{DiskResult, FileId, Io, OperationId};
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::Failure;

/// See the module.
pub struct PrintSink {
    encoder: Box<dyn Encoder>,
    has_begun: bool,
    filling: Vec<u8>,
    filling_rows: u64,
    spare: Vec<u8>,
    output: Option<FileId>,
    writing: Option<Writing>,
    failure: Option<Failure>,
    has_failed: bool,
    counters: SinkCounters,
}

struct Writing {
    operation: OperationId,
    rows: u64,
    bytes: usize,
}

impl PrintSink {
    /// A sink that prints rows as `encoder` writes them.
    pub fn new(encoder: Box<dyn Encoder>) -> PrintSink {
        PrintSink {
            encoder,
            has_begun: false,
            filling: Vec::new(),
            filling_rows: 0,
            spare: Vec::new(),
            output: None,
            writing: None,
            failure: None,
            has_failed: false,
            counters: SinkCounters::default(),
        }
    }

    /// Takes the result of the write under way; true when there was one.
    fn take_written(&mut self, io: &mut dyn Io) -> bool {
        let Some(writing) = &self.writing else { return false };
        let Some(result) = io.disk().take_result(writing.operation) else { return false };
        match result {
            DiskResult::Written(buffer) => {
                self.counters.rows_out += writing.rows;
                self.counters.bytes_out += writing.bytes as u64;
                self.spare = buffer;
                self.spare.clear();
            }
            DiskResult::Failed(error) => self.fail(&error),
            _ => self.fail(&io::Error::other("the disk gave another answer than was asked for")),
        }
        self.writing = None;
        true
    }

    fn begin_write(&mut self, io: &mut dyn Io) -> bool {
        if self.writing.is_some() || self.filling.is_empty() || self.has_failed {
            return false;
        }
        let disk = io.disk();
        let output = *self.output.get_or_insert_with(|| disk.standard_output());
        let full = std::mem::replace(&mut self.filling, std::mem::take(&mut self.spare));
        let (rows, bytes) = (std::mem::take(&mut self.filling_rows), full.len());
        let operation = disk.write(output, 0, full);
        self.writing = Some(Writing { operation, rows, bytes });
        true
    }

    fn fail(&mut self, error: &io::Error) {
        let reader_left = error.kind() == io::ErrorKind::BrokenPipe;
        let remedy = if reader_left { "; whoever read it has gone" } else { "" };
        let message = format!("cannot write to standard output: {error}{remedy}");
        self.failure = Some(Failure::io(message));
        self.has_failed = true;
    }
}

impl Sink for PrintSink {
    fn write(&mut self, batch: &Batch, _io: &mut dyn Io) {
        self.counters.rows_in += batch.len() as u64;
        if self.has_failed {
            return;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            self.encoder.begin(&mut self.filling);
        }
        self.encoder.encode(&batch.rows, &mut self.filling);
        self.filling_rows += batch.len() as u64;
    }

    fn is_full(&self) -> bool {
        let being_written = self.writing.as_ref().map_or(0, |writing| writing.bytes);
        self.has_failed || self.filling.len() + being_written >= SINK_UNWRITTEN_BYTES_MAX
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        let has_written = self.take_written(io);
        self.begin_write(io) || has_written
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.poll(io);
        self.has_failed || (self.writing.is_none() && self.filling.is_empty())
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::testing::{Kind, TestFiles, TestIo};
    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    struct NumberLines;

    impl Encoder for NumberLines {
        fn begin(&mut self, out: &mut Vec<u8>) {
            out.extend_from_slice(b"begin\n");
        }
        fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
            for number in rows.column(0).as_primitive::<Int64Type>().values() {
                out.extend_from_slice(format!("{number}\n").as_bytes());
            }
        }
    }

    fn batch(numbers: std::ops::Range<i64>) -> Batch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        Batch::new(RecordBatch::try_from_iter([("number", column)]).unwrap(), 0)
    }

    fn finish(sink: &mut PrintSink, io: &mut TestIo) {
        for _ in 0..100 {
            if sink.finish(io) {
                return;
            }
        }
        panic!("the sink never finishes");
    }

    #[test]
    fn lines_come_in_order_one_write_at_a_time() {
        for seed in 0..50 {
            let files = TestFiles::default();
            let mut io = TestIo::new(&files, seed, 4);
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut sink = PrintSink::new(Box::new(NumberLines));
            let mut next = 0;
            for _ in 0..30 {
                let rows = rng.i64(0..5);
                sink.write(&batch(next..next + rows), &mut io);
                next += rows;
                for _ in 0..rng.usize(0..3) {
                    sink.poll(&mut io);
                    assert!(io.disk.pending_operations() <= 1);
                }
            }
            finish(&mut sink, &mut io);
            let lines: String = (0..next).map(|number| format!("{number}\n")).collect();
            assert_eq!(files.standard_output(), format!("begin\n{lines}"), "seed {seed}");
            assert_eq!(sink.counters().rows_out, sink.counters().rows_in, "seed {seed}");
        }
    }

    #[test]
    fn a_closed_pipe_is_a_failure() {
        let files = TestFiles::default();
        let mut io = TestIo::new(&files, 1, 0);
        let mut sink = PrintSink::new(Box::new(NumberLines));
        files.plant(Kind::Write, io::ErrorKind::BrokenPipe);
        sink.write(&batch(0..3), &mut io);
        finish(&mut sink, &mut io);
        let message = sink.take_failure().expect("planted").message;
        let expected = "cannot write to standard output: broken pipe; whoever read it has gone";
        assert_eq!(message, expected);
        assert_eq!(sink.counters().rows_out, 0);
        assert!(sink.is_full());
    }
}
