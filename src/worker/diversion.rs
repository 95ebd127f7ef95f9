//! Late and rejected rows of one source, on their way to the sinks named for them.
//!
//! In:  rejections of the source, rows diverted by operators.
//! Out: rows `source, offset, reason, record` into the named sinks, or nothing where none is named.
//!
//! A source's rows go through several stages of a core. What one of them diverts when a barrier has passed
//! it waits until it has passed the others.

use arrow::array::{Array, ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::{Arc, LazyLock};

use super::Outlet;
use super::port::Port;
use crate::operator::{Diverted, DivertedKind};
use crate::record::{Batch, Element, Epoch};
use crate::source::Rejection;
use crate::stdx::Failure;

/// Columns of late and rejected sinks.
pub static DIVERSION_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, true),
        Field::new("offset", DataType::Int64, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("record", DataType::Utf8, true),
    ]))
});

/// Where one source's late and rejected rows go on one core.
pub(crate) struct Diversion {
    late: Option<Outlet>,
    rejected: Option<Outlet>,
    /// A rejected record ends the job.
    fails: bool,
    ended: bool,
    /// Stages that the current barrier has passed, and not the others.
    ahead: Vec<usize>,
    /// What they have diverted since.
    waiting: Vec<(Vec<Rejection>, Vec<Diverted>)>,
}

impl Diversion {
    pub(crate) fn new(late: Option<Outlet>, rejected: Option<Outlet>, fails: bool) -> Diversion {
        let (ahead, waiting) = (Vec::new(), Vec::new());
        Diversion { late, rejected, fails, ended: false, ahead, waiting }
    }

    /// Why the job must end, where a rejected record ends it.
    pub(super) fn failure(
        &self,
        rejections: &[Rejection],
        diverted: &[Diverted],
    ) -> Option<Failure> {
        if !self.fails {
            return None;
        }
        if let Some(Rejection { origin, offset, reason, .. }) = rejections.first() {
            let what = format!("{origin} at byte {offset}: {reason} (on_error = \"fail\")");
            return Some(Failure::data(what));
        }
        let rejected = diverted.iter().find(|rows| rows.kind == DivertedKind::Rejected)?;
        Some(Failure::data(format!("{} (on_error = \"fail\")", rejected.reason)))
    }

    /// True when what `stage` would divert has no room.
    pub(super) fn is_full(&self, stage: usize, port: &Port<'_>) -> bool {
        if !self.waiting.is_empty() && self.ahead.contains(&stage) {
            return true;
        }
        [&self.late, &self.rejected].into_iter().flatten().any(|outlet| match outlet {
            Outlet::Outbox(outbox) => port.outbox_is_full(*outbox),
            Outlet::Sink(sink) => port.sink_is_full(*sink),
            Outlet::Tree(_) => unreachable!("nothing is computed on diverted rows"),
        })
    }

    /// Takes what `stage` has diverted.
    pub(super) fn divert(
        &mut self,
        stage: usize,
        rejections: Vec<Rejection>,
        diverted: Vec<Diverted>,
        port: &mut Port<'_>,
    ) {
        match self.ahead.contains(&stage) {
            true => self.waiting.push((rejections, diverted)),
            false => self.write(&rejections, &diverted, port),
        }
    }

    /// The barrier of `epoch` has passed `stage`, and if `all` every other stage of the source.
    pub(super) fn barrier(&mut self, stage: usize, epoch: Epoch, all: bool, port: &mut Port<'_>) {
        if !all {
            self.ahead.push(stage);
            return;
        }
        self.ahead.clear();
        if !self.ended {
            for outlet in [&self.late, &self.rejected].into_iter().flatten() {
                deliver(outlet, Element::Barrier(epoch), port);
            }
        }
        for (rejections, diverted) in std::mem::take(&mut self.waiting) {
            self.write(&rejections, &diverted, port);
        }
    }

    fn write(&self, rejections: &[Rejection], diverted: &[Diverted], port: &mut Port<'_>) {
        let (mut late, mut rejected) = (Rows::default(), Rows::default());
        for rejection in rejections {
            rejected.add_rejection(rejection);
        }
        for rows in diverted {
            match rows.kind {
                DivertedKind::Late => late.add_diverted(rows),
                DivertedKind::Rejected => rejected.add_diverted(rows),
            }
        }
        for (outlet, rows) in [(&self.late, late), (&self.rejected, rejected)] {
            if let (Some(outlet), Some(batch)) = (outlet, rows.finish(port.now_ns)) {
                deliver(outlet, Element::Batch(batch), port);
            }
        }
    }

    pub(super) fn end(&mut self, port: &mut Port<'_>) {
        if !self.ahead.is_empty() {
            // The stages that have ended are still to be told of the barrier.
            return;
        }
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for outlet in [&self.late, &self.rejected].into_iter().flatten() {
            deliver(outlet, Element::End, port);
        }
    }
}

fn deliver(outlet: &Outlet, element: Element, port: &mut Port<'_>) {
    match outlet {
        Outlet::Outbox(outbox) => port.send(*outbox, element),
        Outlet::Sink(sink) => port.write(*sink, element),
        Outlet::Tree(_) => unreachable!("nothing is computed on diverted rows"),
    }
}

/// Columns being filled.
#[derive(Default)]
struct Rows {
    sources: StringBuilder,
    offsets: Int64Builder,
    reasons: StringBuilder,
    records: StringBuilder,
}

impl Rows {
    fn add_rejection(&mut self, rejection: &Rejection) {
        self.sources.append_value(&rejection.origin);
        self.offsets.append_value(i64::try_from(rejection.offset).unwrap_or(i64::MAX));
        self.reasons.append_value(&rejection.reason);
        self.records.append_value(readable(&rejection.raw));
    }

    fn add_diverted(&mut self, diverted: &Diverted) {
        for row in 0..diverted.rows.len() {
            self.reasons.append_value(&diverted.reason);
            match &diverted.rows.tags.provenance {
                Some(provenance) => {
                    let offset = provenance.offsets.value(row);
                    self.sources.append_value(&provenance.origin);
                    self.offsets.append_value(i64::try_from(offset).unwrap_or(i64::MAX));
                    self.records.append_value(readable(provenance.raw.value(row)));
                }
                None => {
                    self.sources.append_null();
                    self.offsets.append_null();
                    self.records.append_null();
                }
            }
        }
    }

    fn finish(mut self, now_ns: u64) -> Option<Batch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.sources.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.records.finish()),
        ];
        if columns[0].is_empty() {
            return None;
        }
        let rows = RecordBatch::try_new(Arc::clone(&DIVERSION_SCHEMA), columns)
            .expect("the builders have the schema's types and equal lengths");
        Some(Batch::new(rows, now_ns))
    }
}

/// The record as text; bytes that are not UTF-8 are written as `\xNN`, so that nothing is lost.
fn readable(raw: &[u8]) -> String {
    raw.utf8_chunks().fold(String::with_capacity(raw.len()), |mut text, chunk| {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_stay_visible() {
        assert_eq!(readable("größe".as_bytes()), "größe");
        assert_eq!(readable(b"a\xff\xfeb"), "a\\xff\\xfeb");
    }
}
