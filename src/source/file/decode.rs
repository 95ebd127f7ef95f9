//! Split decoder: bytes of one chunk or followed file to tagged batches and rejections, counted.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::format::{Decoded, Decoder, DecoderOptions, FormatOptions};
use crate::metrics::SourceCounters;
use crate::reactor::Clock;
use crate::record::{Batch, Timestamp};
use crate::source::{Rejection, SourceOutput, WatermarkSpec};

use super::held::HeldBatch;

/// Makes the decoder of a split.
pub type DecoderFactory = Arc<dyn Fn(DecoderOptions) -> Box<dyn Decoder> + Send + Sync>;

/// What all splits of a file source have in common.
#[derive(Clone)]
pub(super) struct Decoding {
    pub(super) options: DecoderOptions,
    pub(super) make: DecoderFactory,
    pub(super) watermark: Option<WatermarkSpec>,
    pub(super) keep_provenance: bool,
}

/// Where decoded rows and rejected records go.
pub(super) struct DecodeInto<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) counters: &'a mut SourceCounters,
    pub(super) out: &'a mut dyn SourceOutput,
    pub(super) held: &'a mut VecDeque<HeldBatch>,
    /// Rows added to `held`.
    pub(super) rows: usize,
}

/// See the module.
pub(super) struct SplitDecoder {
    decoder: Box<dyn Decoder>,
    tracker: Option<SplitTracker>,
    origin: Arc<str>,
    records_counted: u64,
}

impl Decoding {
    /// A decoder for the bytes of `origin` from `start_offset` on.
    pub(super) fn begin(&self, origin: Arc<str>, start_offset: u64) -> SplitDecoder {
        let mut options = self.options.clone();
        options.start_offset = start_offset;
        options.keep_provenance = self.keep_provenance.then(|| Arc::clone(&origin));
        if let FormatOptions::Csv(csv) = &mut options.format {
            // The header is the first line of the file, not of the chunk.
            csv.header &= start_offset == 0;
        }
        SplitDecoder {
            decoder: (self.make)(options),
            tracker: self.watermark.clone().map(SplitTracker::new),
            origin,
            records_counted: 0,
        }
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

    /// The highest watermark of the rows so far; `None` when there was no valid row or there is no
    /// event time.
    pub(super) fn watermark(&self) -> Option<Timestamp> {
        let watermark = self.tracker.as_ref()?.watermark();
        (watermark > Timestamp::MIN).then_some(watermark)
    }

    fn collect(&mut self, to: &mut DecodeInto<'_>) {
        while let Some(rejected) = self.decoder.take_rejected() {
            to.counters.rejected += 1;
            let origin = Arc::clone(&self.origin);
            let (offset, reason, raw) = (rejected.offset, rejected.reason, rejected.raw);
            to.out.reject(Rejection { origin, offset, reason, raw });
        }
        while let Some(decoded) = self.decoder.take() {
            let batch = self.admit(decoded, to);
            if batch.is_empty() {
                continue;
            }
            to.rows += batch.len();
            let watermark_after = self.watermark().unwrap_or(Timestamp::MIN);
            to.held.push_back(HeldBatch { batch, watermark_after });
        }
        to.counters.records_in += self.decoder.records() - self.records_counted;
        self.records_counted = self.decoder.records();
    }

    fn admit(&mut self, decoded: Decoded, to: &mut DecodeInto<'_>) -> Batch {
        let mut batch = Batch::new(decoded.rows, to.clock.monotonic_ns());
        batch.tags.provenance = decoded.provenance;
        if let Some(tracker) = &mut self.tracker {
            batch = tracker.admit(batch);
        }
        batch
    }
}

/// Running maximum of a constant delay behind the rowtime.
pub(super) struct SplitTracker {
    spec: WatermarkSpec,
    watermark: i64,
}
impl SplitTracker {
    fn new(spec: WatermarkSpec) -> Self {
        Self { spec, watermark: i64::MIN }
    }
    fn watermark(&self) -> Timestamp {
        Timestamp::from_millis(self.watermark)
    }
    fn admit(&mut self, mut batch: Batch) -> Batch {
        use arrow::array::AsArray;
        let times = batch
            .rows
            .column(self.spec.rowtime)
            .as_primitive::<arrow::datatypes::TimestampMillisecondType>();
        let delay = self.spec.delay_ms.expect("expressions are not evaluated yet");
        let mut tags = Vec::new();
        for time in times.values() {
            tags.push(self.watermark);
            self.watermark = self.watermark.max(time - delay);
        }
        batch.tags.watermarks = Some(tags.into());
        batch
    }
}
