//! Frames: records as a producer of the native protocol sends them, results as a subscriber gets them.
//!
//! A record has the same columns as a line. Those that are due at the same time go as one frame.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::ResultRow;
use crate::format::{FrameProducer, FrameSubscriber};
use crate::limits::{FRAME_BUFFER_BYTES, FRAME_BUFFERS_MAX, FRAME_LARGE_BYTES_MAX};
use crate::record::{BufferPool, PoolLimits};

/// The numbers of a record, in the order of its columns.
const NUMBERS: [&str; 5] = ["id", "k", "seq", "due_ns", "amount"];

/// Bytes of the numbers.
const NUMBERS_BYTES: usize = 8 * NUMBERS.len();

/// One connection's records.
#[derive(Debug)]
pub(in crate::loadgen) struct FrameRecords {
    protocol: FrameProducer,
    schema: SchemaRef,
    padding: String,
    /// By column: what is due and not written.
    staged: [Vec<i64>; NUMBERS.len()],
}

/// The results.
#[derive(Debug)]
pub(super) struct FrameResults {
    protocol: FrameSubscriber,
    pool: BufferPool,
    is_broken: bool,
}

impl FrameRecords {
    /// Connection `number` of the run that begins at `session`: rows of `bytes` bytes, if the numbers
    /// leave room; else longer.
    pub(in crate::loadgen) fn new(number: usize, session: u64, bytes: usize) -> FrameRecords {
        let mut fields = NUMBERS.map(|name| Field::new(name, DataType::Int64, true)).to_vec();
        fields.push(Field::new("pad", DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields));
        let padding = (b'a'..=b'z').cycle().take(bytes.saturating_sub(NUMBERS_BYTES));
        FrameRecords {
            protocol: FrameProducer::new(&format!("bench-{number}"), session, 0, &schema),
            schema,
            padding: padding.map(char::from).collect(),
            staged: Default::default(),
        }
    }

    /// Appends what the connection begins with.
    pub(in crate::loadgen) fn begin(&mut self, out: &mut Vec<u8>) {
        self.protocol.begin(out);
    }

    /// Takes what the job says.
    pub(in crate::loadgen) fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.protocol.receive(bytes).map_err(|refusal| refusal.to_string())
    }

    /// False while the job has not granted more.
    pub(in crate::loadgen) fn may_send(&self) -> bool {
        self.protocol.may_send()
    }

    /// One more record for the next frame.
    pub(super) fn stage(&mut self, numbers: [i64; NUMBERS.len()]) {
        for (column, number) in self.staged.iter_mut().zip(numbers) {
            column.push(number);
        }
    }

    /// Appends what is staged as a frame.
    pub(in crate::loadgen) fn write_staged(&mut self, out: &mut Vec<u8>) {
        let rows = self.staged[0].len();
        if rows == 0 {
            return;
        }
        let taken = std::mem::take(&mut self.staged);
        let numbers = taken.map(|column| Arc::new(Int64Array::from(column)) as ArrayRef);
        let pad = StringArray::from_iter_values(std::iter::repeat_n(&self.padding, rows));
        let columns = numbers.into_iter().chain([Arc::new(pad) as ArrayRef]).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch =
            batch.expect("columns are made from the schema's fields, with one value per row");
        let (begin, before) = (out.len(), self.protocol.sequence());
        self.protocol.write(&batch, out).expect("records are short");
        let frames =
            usize::try_from(self.protocol.sequence() - before).expect("they are in memory");
        self.protocol.sent(frames, out.len() - begin);
    }
}

impl FrameResults {
    pub(super) fn new() -> FrameResults {
        let limits = PoolLimits {
            buffer_bytes: FRAME_BUFFER_BYTES,
            small_buffers_max: FRAME_BUFFERS_MAX,
            large_bytes_max: FRAME_LARGE_BYTES_MAX,
        };
        FrameResults {
            protocol: FrameSubscriber::new("bench"),
            pool: BufferPool::new(limits),
            is_broken: false,
        }
    }

    /// What the connection begins with.
    pub(super) fn begin(&mut self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.protocol.begin(&mut hello);
        hello
    }

    /// Hands every result that `bytes` complete to `emit`, or what is wrong with them.
    pub(super) fn feed(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Result<ResultRow, String>)) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_broken {
            let (mut memory, bytes_max) =
                self.protocol.prepare(&mut self.pool).expect("no result is kept");
            let (now, later) = rest.split_at(rest.len().min(bytes_max));
            memory.extend_from_slice(now);
            rest = later;
            if let Err(refusal) = self.protocol.filled(memory, now.len()) {
                self.is_broken = true;
                emit(Err(refusal.to_string()));
                return;
            }
            self.take(emit);
        }
    }

    fn take(&mut self, emit: &mut dyn FnMut(Result<ResultRow, String>)) {
        loop {
            match self.protocol.take() {
                Ok(Some(rows)) => each_result(&rows, emit),
                Ok(None) => return,
                Err(refusal) => {
                    self.is_broken = true;
                    return emit(Err(refusal.to_string()));
                }
            }
        }
    }
}

fn each_result(rows: &RecordBatch, emit: &mut dyn FnMut(Result<ResultRow, String>)) {
    let columns = NUMBERS.map(|name| {
        let column = rows.column_by_name(name)?;
        column.as_primitive_opt::<Int64Type>()
    });
    let value = |column: usize, row: usize| {
        columns[column].filter(|values| values.is_valid(row)).map(|values| values.value(row))
    };
    for row in 0..rows.num_rows() {
        emit(Ok(ResultRow {
            id: value(0, row),
            key: value(1, row),
            sequence: value(2, row),
            due_ns: value(3, row),
            amount: value(4, row),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Encoder, FrameEncoder, FrameHeader, FrameKind, FrameStream, write_empty};

    #[test]
    fn results_are_found_by_name_however_they_are_cut() {
        let numbers = |first: i64| Arc::new(Int64Array::from(vec![first, first + 1])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([
            ("amount", numbers(40)),
            ("other", Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef),
            ("id", numbers(10)),
            ("seq", Arc::new(Int64Array::from(vec![None, Some(3)])) as ArrayRef),
        ])
        .unwrap();
        let mut encoder = FrameEncoder::new("k", &rows.schema());
        let mut bytes = Vec::new();
        encoder.begin(&mut bytes);
        encoder.encode(&rows, &mut bytes);
        write_empty(FrameHeader::new(FrameKind::Ack), &mut bytes);
        for piece_bytes in [1, 100, 10_000] {
            let (mut results, mut found) = (FrameResults::new(), Vec::new());
            for piece in bytes.chunks(piece_bytes) {
                results.feed(piece, &mut |row| found.push(row));
            }
            let row = |id, sequence, amount| ResultRow {
                id: Some(id),
                sequence,
                amount: Some(amount),
                ..ResultRow::default()
            };
            assert_eq!(found[..2], [Ok(row(10, None, 40)), Ok(row(11, Some(3), 41))]);
            assert!(found[2].as_ref().unwrap_err().contains("Ack does not belong"), "{found:?}");
            assert_eq!(found.len(), 3);
        }
    }

    #[test]
    fn what_is_staged_is_one_frame_of_the_length_asked_for() {
        let mut records = FrameRecords::new(3, 1, 100);
        let mut out = Vec::new();
        records.begin(&mut out);
        records.write_staged(&mut out);
        (0..1_000).for_each(|id| records.stage([id, 1, 2, 3, 4]));
        let begin = out.len();
        records.write_staged(&mut out);
        records.write_staged(&mut out);
        let bytes = out.len() - begin;
        assert!((100_000..110_000).contains(&bytes), "{bytes}");
        let mut stream = FrameStream::new(1 << 20);
        stream.feed(&out);
        assert_eq!(stream.take().unwrap().unwrap().header.kind, FrameKind::Hello);
        assert_eq!(stream.take().unwrap().unwrap().header.sequence, 1);
        assert_eq!(stream.pending_bytes(), 0);
        assert!(!records.may_send(), "the job has granted nothing");
    }
}
