//! Split decoder: bytes of one chunk or followed file to tagged batches and rejections, counted.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use crate::format::{Decoded, Decoder, DecoderOptions, FormatOptions};
use crate::metrics::{RejectionKind, SourceCounters};
use crate::reactor::Clock;
use crate::record::Timestamp;
use crate::source::watermark::batch_of;
use crate::source::{
    Admitted, Arrival, EventTimeRules, Rejection, RunningWatermark, SourceOutput, SplitId,
    SplitTracker,
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
    pub(super) out: &'a mut dyn SourceOutput,
    pub(super) held: &'a mut VecDeque<HeldBatch>,
    /// Columns that come from the file.
    pub(super) metadata: Option<(&'a MetadataColumns, &'a PlannedFile)>,
    /// Rows added to `held`, and records rejected.
    pub(super) rows: usize,
}

/// See the module.
pub(super) struct SplitDecoder {
    decoder: Box<dyn Decoder>,
    origin: Arc<str>,
    records_counted: u64,
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
        SplitDecoder { decoder, origin, records_counted: 0 }
    }

    /// True when the first line of every file is its header, and is one line.
    pub(super) fn has_header_line(&self) -> bool {
        matches!(&self.options.format, FormatOptions::Csv(csv) if csv.header && !csv.multiline)
    }
}

impl SplitDecoder {
    /// Decodes the next bytes; rows go to `held`, rejections out.
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
            to.counters.rejected += 1;
            to.rows += 1;
            let origin = Arc::clone(&self.origin);
            let (offset, reason, raw) = (rejected.offset, rejected.reason, rejected.raw);
            let kind = RejectionKind::Decode;
            to.out.reject(Rejection { kind, origin, offset, reason, raw });
        }
        let wall = Timestamp::from_millis(to.clock.wall_ms());
        let arrival = Arrival { monotonic_ns: to.clock.monotonic_ns(), wall };
        while let Some(mut decoded) = self.decoder.take() {
            if let Some((columns, file)) = to.metadata {
                decoded.rows = columns.beside(&decoded.rows, file);
            }
            let Admitted { batch, rejected } = to.admission.admit(decoded, &self.origin, arrival);
            to.counters.rejected += rejected.len() as u64;
            rejected.into_iter().for_each(|rejection| to.out.reject(rejection));
            if !batch.is_empty() {
                to.rows += batch.len();
                let watermark_after = to.admission.watermark();
                to.held.push_back(HeldBatch { batch, watermark_after });
            }
        }
        to.counters.records_in += self.decoder.records() - self.records_counted;
        self.records_counted = self.decoder.records();
    }
}

impl ChunkAdmission {
    pub(super) fn new(rules: Option<EventTimeRules>) -> ChunkAdmission {
        ChunkAdmission { rules, watermark: RunningWatermark::new(Timestamp::MIN) }
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
