//! Validity: one bit per row, from the first NULL on. A column without NULLs has none.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;

/// The bits, once there is a NULL.
#[derive(Default)]
pub(super) struct Validity {
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    #[inline]
    pub(super) fn push_valid(&mut self) {
        if let Some(bits) = &mut self.bits {
            bits.append(true);
        }
    }

    /// `rows` is the number of rows before this one.
    pub(super) fn push_null(&mut self, rows: usize) {
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(rows + 1);
            bits.append_n(rows, true);
            bits
        });
        bits.append(false);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if let Some(bits) = &mut self.bits
            && rows < bits.len()
        {
            bits.truncate(rows);
        }
    }

    /// The bits of `rows` rows; there are none again.
    pub(super) fn take(&mut self, rows: usize) -> Option<NullBuffer> {
        let mut bits = self.bits.take()?;
        assert_eq!(bits.len(), rows);
        Some(NullBuffer::new(bits.finish()))
    }
}

impl std::fmt::Debug for Validity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Validity({:?} bits)", self.bits.as_ref().map(BooleanBufferBuilder::len))
    }
}
