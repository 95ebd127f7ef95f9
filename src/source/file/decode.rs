//! Split decoder: bytes of one chunk or followed file to tagged batches and rejections, counted.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::format::{Decoded, Decoder, DecoderOptions, FormatOptions};
use crate::metrics::{RejectionKind, SourceCounters};
use crate::reactor::Clock;
use crate::record::{Batch, Timestamp};
use crate::source::watermark::batch_of;
use crate::source::{
    Admitted, Arrival, EventTimeRules, Rejection, RunningWatermark, SplitId, SplitTracker,
};

use super::header::Header;
use super::metadata::MetadataColumns;
use super::plan::PlannedFile;
use crate::source::sequence::HeldBatch;

/// Makes the decoder of a split.
pub type DecoderFactory = Arc<dyn Fn(DecoderOptions) -> Box<dyn Decoder> + Send + Sync>;

/// What all splits of a file source have in common.
#[derive(Clone)]
pub(super) struct Decoding {
    pub(super) options: DecoderOptions,
    pub(super) make: DecoderFactory,
    pub(super) keep_provenance: bool,
}

/// Checks rowtimes and tags rows with the watermark before them.
pub(super) trait Admission {
    fn admit(&mut self, decoded: Decoded, origin: &Arc<str>, arrival: Arrival) -> Admitted;
    /// After the last row admitted; MIN before the first.
    fn watermark(&self) -> Timestamp;
}

/// Rows of one chunk, as if the sequence began with it.
pub(super) struct ChunkAdmission {
    rules: Option<EventTimeRules>,
    watermark: RunningWatermark,
}

/// Rows of a followed file, the one split of its source.
pub(super) struct FollowAdmission {
    pub(super) tracker: SplitTracker,
    pub(super) split: SplitId,
}

/// Where decoded rows and rejected records go.
pub(super) struct DecodeInto<'a> {
    pub(super) admission: &'a mut dyn Admission,
    pub(super) clock: &'a dyn Clock,
    pub(super) counters: &'a mut SourceCounters,
    pub(super) held: &'a mut VecDeque<HeldBatch>,
    /// Columns that come from the file.
    pub(super) metadata: Option<(&'a MetadataColumns, &'a PlannedFile)>,
    pub(super) known: &'a mut Known,
    /// Rows added to `held`, and records rejected.
    pub(super) rows: usize,
}

/// What of a chunk was read by an earlier run, and is read again because its header is at its start.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Known {
    /// Rows from the first on.
    pub(super) rows: u64,
    /// Rejected records that begin before this offset.
    pub(super) end: u64,
}

/// See the module.
pub(super) struct SplitDecoder {
    decoder: Box<dyn Decoder>,
    origin: Arc<str>,
    /// Rejected records that no batch is behind yet.
    rejected: VecDeque<Rejection>,
}

impl Decoding {
    /// A decoder for the bytes of `origin` from `start_offset` on. Behind the file's start it is told
    /// the header, if there is one: names order the columns.
    pub(super) fn begin(
        &self,
        origin: Arc<str>,
        start_offset: u64,
        header: Option<&Header>,
    ) -> SplitDecoder {
        let mut options = self.options.clone();
        options.start_offset = start_offset;
        options.keep_provenance = self.keep_provenance.then(|| Arc::clone(&origin));
        let mut decoder = (self.make)(options);
        if start_offset > 0
            && let Some(header) = header
        {
            assert!(header.is_complete);
            decoder.set_header(header.line());
        }
        SplitDecoder { decoder, origin, rejected: VecDeque::new() }
    }

    /// True when a file can be decoded from its start alone: its header may have several lines.
    pub(super) fn begins_at_start(&self) -> bool {
        match &self.options.format {
            FormatOptions::Csv(csv) => csv.header && csv.multiline,
            FormatOptions::Arrow => true,
            _ => false,
        }
    }

    /// True when the first line of every file is its header, and is one line.
    pub(super) fn has_header_line(&self) -> bool {
        matches!(&self.options.format, FormatOptions::Csv(csv) if csv.header && !csv.multiline)
    }
}

impl DecodeInto<'_> {
    /// Holds what is not known already.
    fn hold(&mut self, batch: Batch, mut rejections: Vec<Rejection>, end: u64) {
        self.rows += batch.len();
        let known = usize::try_from(self.known.rows).unwrap_or(usize::MAX).min(batch.len());
        self.known.rows -= known as u64;
        let before = self.known.end;
        rejections.retain(|rejection| rejection.offset >= before);
        if known == batch.len() && rejections.is_empty() {
            return;
        }
        let batch = if known > 0 { batch.slice(known, batch.len() - known) } else { batch };
        let watermark_after = self.admission.watermark();
        self.held.push_back(HeldBatch { batch, rejections, watermark_after, end });
    }
}

impl SplitDecoder {
    /// Decodes the next bytes; rows and rejections go to `held`, in order.
    pub(super) fn feed(&mut self, bytes: &[u8], to: &mut DecodeInto<'_>) {
        to.counters.bytes_in += bytes.len() as u64;
        self.decoder.feed(bytes);
        self.collect(to);
    }

    /// The split has ended.
    pub(super) fn finish(&mut self, to: &mut DecodeInto<'_>) {
        self.decoder.finish();
        self.collect(to);
    }

    /// Why nothing more can be decoded.
    pub(super) fn fault(&self) -> Option<String> {
        self.decoder.fault()
    }

    /// Position behind the last complete record.
    pub(super) fn offset(&self) -> u64 {
        self.decoder.offset()
    }

    fn collect(&mut self, to: &mut DecodeInto<'_>) {
        while let Some(rejected) = self.decoder.take_rejected() {
            to.rows += 1;
            let origin = Arc::clone(&self.origin);
            let (offset, reason, raw) = (rejected.offset, rejected.reason, rejected.raw);
            let kind = RejectionKind::Decode;
            self.rejected.push_back(Rejection { kind, origin, offset, reason, raw });
        }
        let wall = Timestamp::from_millis(to.clock.wall_ms());
        let arrival = Arrival { monotonic_ns: to.clock.monotonic_ns(), wall };
        while let Some(mut decoded) = self.decoder.take() {
            if let Some((columns, file)) = to.metadata {
                decoded.rows = columns.beside(&decoded.rows, file);
            }
            let end = decoded.end;
            let Admitted { batch, rejected } = to.admission.admit(decoded, &self.origin, arrival);
            let mut rejections = self.rejected_before(end);
            rejections.extend(rejected);
            to.hold(batch, rejections, end);
        }
        let end = self.decoder.offset();
        let rejections = self.rejected_before(end);
        if !rejections.is_empty() {
            let no_rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
            to.hold(Batch::new(no_rows, arrival.monotonic_ns), rejections, end);
        }
    }

    /// Those that begin before `end`. One that is too long has its place once its end is found.
    fn rejected_before(&mut self, end: u64) -> Vec<Rejection> {
        let count = self.rejected.partition_point(|rejection| rejection.offset < end);
        self.rejected.drain(..count).collect()
    }
}

impl ChunkAdmission {
    /// The chunk's watermark is `watermark` so far.
    pub(super) fn new(rules: Option<EventTimeRules>, watermark: Timestamp) -> ChunkAdmission {
        ChunkAdmission { rules, watermark: RunningWatermark::new(watermark) }
    }
}

impl Admission for ChunkAdmission {
    fn admit(&mut self, decoded: Decoded, origin: &Arc<str>, arrival: Arrival) -> Admitted {
        match &self.rules {
            Some(rules) => self.watermark.admit(rules, decoded, origin, arrival),
            None => Admitted { batch: batch_of(decoded, arrival), rejected: Vec::new() },
        }
    }

    fn watermark(&self) -> Timestamp {
        self.watermark.get()
    }
}

impl Admission for FollowAdmission {
    fn admit(&mut self, decoded: Decoded, _origin: &Arc<str>, arrival: Arrival) -> Admitted {
        self.tracker.admit(self.split, decoded, arrival)
    }

    fn watermark(&self) -> Timestamp {
        self.tracker.watermark_of(self.split)
    }
}

/// Source and file name, as the user sees them beside a record.
pub(in crate::source) fn origin(name: &str, path: &Path) -> Arc<str> {
    let file =
        path.file_name().map_or_else(|| path.to_string_lossy(), |file| file.to_string_lossy());
    format!("{name}:{file}").into()
}
