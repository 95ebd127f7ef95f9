//! The connector's columns.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("event_type", DataType::Int32, true),
        row("person", person()),
        row("auction", auction()),
        row("bid", bid()),
    ]))
});

/// All of them.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Columns of the row `person`.
pub(super) fn person() -> Fields {
    fields(&[
        ("id", DataType::Int64),
        ("name", DataType::Utf8),
        ("emailAddress", DataType::Utf8),
        ("creditCard", DataType::Utf8),
        ("city", DataType::Utf8),
        ("state", DataType::Utf8),
        ("dateTime", TIME),
        ("extra", DataType::Utf8),
    ])
}

/// Columns of the row `auction`.
pub(super) fn auction() -> Fields {
    fields(&[
        ("id", DataType::Int64),
        ("itemName", DataType::Utf8),
        ("description", DataType::Utf8),
        ("initialBid", DataType::Int64),
        ("reserve", DataType::Int64),
        ("dateTime", TIME),
        ("expires", TIME),
        ("seller", DataType::Int64),
        ("category", DataType::Int64),
        ("extra", DataType::Utf8),
    ])
}

/// Columns of the row `bid`.
pub(super) fn bid() -> Fields {
    fields(&[
        ("auction", DataType::Int64),
        ("bidder", DataType::Int64),
        ("price", DataType::Int64),
        ("channel", DataType::Utf8),
        ("url", DataType::Utf8),
        ("dateTime", TIME),
        ("extra", DataType::Utf8),
    ])
}

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn fields(columns: &[(&str, DataType)]) -> Fields {
    columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect()
}

fn row(name: &str, fields: Fields) -> Field {
    Field::new(name, DataType::Struct(fields), true)
}
