//! Coalescing: neighbouring small batches for the same core become one before they are handed over.
//! Order is kept, and nothing moves past a watermark, a barrier or the end.

use crate::limits::{BATCH_ROWS_MAX, COALESCED_BATCH_ROWS_MAX};
use crate::record::{Batch, Element, Provenance, RowTags, Spent};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::{ArrowNativeType, UInt64Type};
use arrow::error::ArrowError;
use std::collections::VecDeque;
use std::sync::Arc;

/// Joins what can be joined among `staged`.
pub(super) fn coalesce(staged: &mut VecDeque<Element>) {
    if !has_small_neighbours(staged) {
        return;
    }
    let mut joined = VecDeque::with_capacity(staged.len());
    let mut run: Vec<Batch> = Vec::new();
    for element in staged.drain(..) {
        match element {
            Element::Batch(batch) => {
                if !continues(&run, &batch) {
                    close(&mut run, &mut joined);
                }
                run.push(batch);
            }
            mark => {
                close(&mut run, &mut joined);
                joined.push_back(mark);
            }
        }
    }
    close(&mut run, &mut joined);
    *staged = joined;
}

fn has_small_neighbours(staged: &VecDeque<Element>) -> bool {
    let small = |element: &Element| match element {
        Element::Batch(batch) => batch.len() <= COALESCED_BATCH_ROWS_MAX,
        _ => false,
    };
    staged.iter().zip(staged.iter().skip(1)).any(|(one, next)| small(one) && small(next))
}

/// True when `batch` may become part of the batch that `run` will be.
fn continues(run: &[Batch], batch: &Batch) -> bool {
    let Some(first) = run.first() else { return true };
    let small = |rows: usize| rows <= COALESCED_BATCH_ROWS_MAX;
    let rows: usize = run.iter().map(Batch::len).sum();
    small(first.len())
        && small(batch.len())
        && rows + batch.len() <= BATCH_ROWS_MAX
        && first.rows.schema_ref() == batch.rows.schema_ref()
        && first.tags.watermarks.is_some() == batch.tags.watermarks.is_some()
        && first.tags.positions.is_some() == batch.tags.positions.is_some()
        && first.tags.hashes.is_some() == batch.tags.hashes.is_some()
        && origin(first) == origin(batch)
}

fn origin(batch: &Batch) -> Option<&Arc<str>> {
    batch.tags.provenance.as_ref().map(|provenance| &provenance.origin)
}

/// Moves `run` to `joined`: as one batch, or as it was when that cannot be built (strings whose
/// offsets would not fit in 32 bits).
fn close(run: &mut Vec<Batch>, joined: &mut VecDeque<Element>) {
    if run.len() > 1
        && let Ok(batch) = join(run)
    {
        run.clear();
        joined.push_back(Element::Batch(batch));
    }
    joined.extend(run.drain(..).map(Element::Batch));
}

fn join(run: &[Batch]) -> Result<Batch, ArrowError> {
    let rows = concat_batches(run[0].rows.schema_ref(), run.iter().map(|batch| &batch.rows))?;
    let tags = RowTags {
        watermarks: join_buffers(run, |tags| tags.watermarks.as_ref()),
        positions: join_buffers(run, |tags| tags.positions.as_ref()),
        hashes: join_buffers(run, |tags| tags.hashes.as_ref()),
        provenance: join_provenance(run)?,
    };
    // The latency of the batch is that of its oldest row.
    let arrival_ns = run.iter().map(|batch| batch.arrival_ns).min().expect("a run has a batch");
    let oldest_ns = run.iter().map(Batch::oldest_ns).min().expect("a run has a batch");
    let spent = Spent {
        compute_ns: run.iter().map(|batch| batch.spent.compute_ns).max().unwrap_or(0),
        watermark_wait_ns: arrival_ns - oldest_ns,
    };
    Ok(Batch { rows, tags, arrival_ns, spent })
}

fn join_buffers<T: ArrowNativeType>(
    run: &[Batch],
    tag: impl Fn(&RowTags) -> Option<&ScalarBuffer<T>>,
) -> Option<ScalarBuffer<T>> {
    let parts: Option<Vec<&[T]>> = run.iter().map(|batch| Some(&tag(&batch.tags)?[..])).collect();
    parts.map(|parts| parts.concat().into())
}

fn join_provenance(run: &[Batch]) -> Result<Option<Provenance>, ArrowError> {
    let parts: Option<Vec<&Provenance>> =
        run.iter().map(|batch| batch.tags.provenance.as_ref()).collect();
    let Some(parts) = parts else { return Ok(None) };
    let join = |array: fn(&Provenance) -> &dyn Array| -> Result<ArrayRef, ArrowError> {
        concat(&parts.iter().map(|&part| array(part)).collect::<Vec<_>>())
    };
    Ok(Some(Provenance {
        origin: Arc::clone(&parts[0].origin),
        offsets: join(|part| &part.offsets)?.as_primitive::<UInt64Type>().clone(),
        raw: join(|part| &part.raw)?.as_binary::<i32>().clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cause, Epoch, Timestamp, Watermark};
    use arrow::array::{BinaryArray, Int64Array, RecordBatch, UInt64Array};
    use arrow::datatypes::{DataType, Field, Schema};

    /// Rows `values`, tagged; `origin` makes provenance.
    fn batch(values: &[i64], origin: Option<&str>) -> Batch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        let rows = RecordBatch::try_new(schema, vec![column]).unwrap();
        let first = u64::try_from(values[0]).unwrap();
        let mut batch = Batch::new(rows, 1000 - first);
        batch.tags.watermarks = Some(values.to_vec().into());
        batch.tags.provenance = origin.map(|origin| Provenance {
            origin: origin.into(),
            offsets: values.iter().map(|&value| value.try_into().ok()).collect::<UInt64Array>(),
            raw: values.iter().map(|value| Some(value.to_string())).collect::<BinaryArray>(),
        });
        batch
    }

    fn show(element: &Element) -> String {
        let Element::Batch(batch) = element else { return format!("{element:?}") };
        let values = batch.rows.column(0).as_primitive::<arrow::datatypes::Int64Type>().values();
        assert_eq!(batch.tags.watermarks.as_ref().unwrap(), values, "tags follow their rows");
        let origin = batch.tags.provenance.as_ref().map_or("-", |provenance| {
            let offsets: Vec<i64> =
                provenance.offsets.values().iter().map(|&at| at.try_into().unwrap()).collect();
            assert_eq!(offsets, values[..], "offsets follow their rows");
            for (raw, value) in provenance.raw.iter().zip(values) {
                assert_eq!(raw.unwrap(), value.to_string().as_bytes());
            }
            &provenance.origin
        });
        format!("{}..={}{origin}@{}", values[0], values[values.len() - 1], batch.arrival_ns)
    }

    /// `1+3` is a batch of the rows 1, 2, 3 without provenance, `1+3x` with origin x, `|` a
    /// watermark, `#` a barrier.
    #[track_caller]
    fn check(script: &str, expected: &str) {
        let parse = |word: &str| match word {
            "|" => {
                let time = Timestamp::from_millis(1);
                Element::Watermark(Watermark::At(time), Cause::default())
            }
            "#" => Element::Barrier(Epoch::new(1)),
            rows => {
                let (numbers, origin) = match rows.strip_suffix(char::is_alphabetic) {
                    Some(numbers) => (numbers, Some(&rows[rows.len() - 1..])),
                    None => (rows, None),
                };
                let (first, length) = numbers.split_once('+').unwrap();
                let first: i64 = first.parse().unwrap();
                let values: Vec<i64> = (first..).take(length.parse().unwrap()).collect();
                Element::Batch(batch(&values, origin))
            }
        };
        let mut staged: VecDeque<Element> = script.split_whitespace().map(parse).collect();
        coalesce(&mut staged);
        let actual: Vec<String> = staged.iter().map(show).collect();
        assert_eq!(actual.join(" "), expected, "script: {script}");
    }

    #[test]
    fn small_neighbours_become_one() {
        check("1+1 2+1 3+2", "1..=4-@997");
        check("1+1 2+900 902+1", "1..=902-@98");
        check("", "");
    }

    #[test]
    fn marks_large_batches_and_origins_separate() {
        let cause = format!("{:?}", Cause::default());
        let mark = format!("Watermark(At(Timestamp(1)), {cause})");
        check("1+1 2+1 | 3+1 4+1", &format!("1..=2-@998 {mark} 3..=4-@996"));
        check("1+1 # 2+1", "1..=1-@999 Barrier(Epoch(1)) 2..=2-@998");
        check("1+1 2+1025 3+1", "1..=1-@999 2..=1026-@998 3..=3-@997");
        check("1+1x 2+1x 3+1y 4+1", "1..=2x@998 3..=3y@997 4..=4-@996");
    }

    #[test]
    fn a_joined_batch_is_bounded() {
        let batches = (0..20).map(|_| Element::Batch(batch(&[7; 1000], None)));
        let mut staged: VecDeque<Element> = batches.collect();
        coalesce(&mut staged);
        let rows: Vec<usize> = staged
            .iter()
            .map(|element| match element {
                Element::Batch(batch) => batch.len(),
                _ => panic!("only batches went in"),
            })
            .collect();
        assert_eq!(rows, [8000, 8000, 4000]);
    }
}
