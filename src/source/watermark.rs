//! Watermarks at the source: the running maximum of a split's WATERMARK expression, row by row.

use crate::record::ExpressionRef;

/// How a source's watermark is computed.
#[derive(Clone, Debug)]
pub struct WatermarkSpec {
    /// Rowtime column of the source's schema: a timestamp type, NOT NULL (NULL is rejected).
    pub rowtime: usize,
    /// The WATERMARK expression over the source's schema, giving a timestamp; evaluated per row.
    pub expression: ExpressionRef,
    /// The delay in ms, when the expression is `rowtime - INTERVAL constant` or `rowtime`, so that
    /// no expression has to be evaluated.
    pub delay_ms: Option<i64>,
}
