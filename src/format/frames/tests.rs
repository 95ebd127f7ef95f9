//! The protocol against golden messages made by another program, cut and damaged in every way.

use super::encode::{write_data, write_frame};
use super::*;
use crate::format::Encoder;
use crate::limits::{FRAME_HELLO_BYTES_MAX, FRAME_PAYLOAD_BYTES_AIM, FRAME_PAYLOAD_BYTES_MAX};
use crate::record::{FrameFault, FrameWriter};
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

const GOLDEN: &str = include_str!("../../../tests/fixtures/frames.txt");

fn golden() -> HashMap<&'static str, Vec<u8>> {
    let message = |text: &'static str| {
        let (name, hex) = text.split_once('\t').unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (name, (0..hex.len()).step_by(2).map(byte).collect())
    };
    GOLDEN.lines().filter(|line| !line.starts_with('#')).map(message).collect()
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("price", DataType::Float64, true),
        Field::new("word", DataType::Utf8, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]))
}

/// The rows of the golden messages.
#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn rows(first: i64, count: i64) -> RecordBatch {
    let ids = first..first + count;
    let price = |id: i64| (id % 5 != 4).then_some(id as f64 / 4.0);
    let word = |id: i64| (id % 3 != 2).then(|| format!("word-{}é", id % 7));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(ids.clone().map(price).collect::<Float64Array>()),
        Arc::new(ids.clone().map(word).collect::<StringArray>()),
        Arc::new(TimestampMillisecondArray::from_iter_values(ids.map(|id| 1_600_000_000_000 + id))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn data(rows: &RecordBatch, sequence: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_data(&mut FrameWriter::new(), rows, sequence, &mut out);
    out
}

fn aligned(bytes: &[u8]) -> Buffer {
    let mut buffer = MutableBuffer::with_capacity(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer.into()
}

fn take(bytes: &[u8]) -> Result<Option<Message>, ProtocolFault> {
    let mut stream = FrameStream::new(FRAME_PAYLOAD_BYTES_MAX);
    stream.feed(bytes);
    stream.take()
}

#[test]
fn golden_messages_are_written_and_read() {
    let golden = golden();
    let hello = FrameHello {
        role: FrameRole::Producer,
        name: "sensor-1".into(),
        session: 7,
        heartbeat_ms: 0,
        schema: schema(),
    };
    let ack = Ack { sequence: 5, durable: 3, credit_bytes: 1 << 40 };
    let fault = ProtocolFault::Schema { reason: "column \"a\" is unknown".into() };
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    assert_eq!(written(&|out| hello.write(out)), golden["hello"]);
    assert_eq!(data(&rows(0, 1), 1), golden["data-1-row"]);
    assert_eq!(data(&rows(1, 100), 2), golden["data-100-rows"]);
    assert_eq!(written(&|out| write_ack(ack, out)), golden["ack"]);
    let end = FrameHeader { sequence: 2, ..FrameHeader::new(FrameKind::End) };
    assert_eq!(written(&|out| write_empty(end, out)), golden["end"]);
    assert_eq!(written(&|out| write_error(&fault, out)), golden["error"]);

    let subscriber = SubscriberOptions { name: "ledger".into(), session: 9, ..Default::default() };
    assert_eq!(
        written(&|out| FrameSubscriber::resuming(subscriber.clone()).begin(out)),
        golden["hello-subscriber"]
    );
    let at = LanePosition { lane: 2, frame: FramePosition { epoch: 70, sequence: 1 } };
    let header =
        FrameHeader { sequence: 1, epoch: 70, lane: 2, ..FrameHeader::new(FrameKind::Data) };
    assert_eq!(header.position(), at);
    let frame = |out: &mut Vec<u8>| write_frame(&mut FrameWriter::new(), &rows(0, 1), header, out);
    assert_eq!(written(&frame), golden["data-of-an-epoch"]);
    assert_eq!(written(&|out| write_end_of_epoch(at, out)), golden["end-of-epoch"]);
    assert_eq!(written(&|out| write_frame_ack(at, out)), golden["ack-of-a-subscriber"]);
    assert_eq!(written(&|out| write_gap(at, 5, out)), golden["gap"]);

    let payload = |name: &str| take(&golden[name]).unwrap().unwrap();
    assert_eq!(FrameHello::parse(&payload("hello").payload), Ok(hello));
    assert_eq!(payload("ack").ack(), Ok(ack));
    assert_eq!(error_text(&payload("error").payload), (9, "column \"a\" is unknown".into()));
    let columns = FrameColumns::new(&schema(), &schema(), &[0, 1, 2, 3]).unwrap();
    let read = columns.read(&aligned(&payload("data-100-rows").payload)).unwrap();
    assert_eq!((read.rows, read.rejected), (rows(1, 100), vec![]));
}

#[test]
fn messages_may_be_cut_anywhere() {
    let golden = golden();
    let all = [&golden["hello"], &golden["data-1-row"], &golden["end"]].map(Vec::as_slice).concat();
    for cut in 0..=all.len() {
        let mut stream = FrameStream::new(FRAME_PAYLOAD_BYTES_MAX);
        let mut kinds = Vec::new();
        for piece in [&all[..cut], &all[cut..]] {
            stream.feed(piece);
            while let Some(message) = stream.take().unwrap() {
                kinds.push(message.header.kind);
            }
        }
        assert_eq!(kinds, [FrameKind::Hello, FrameKind::Data, FrameKind::End], "cut at {cut}");
        assert_eq!(stream.pending_bytes(), 0);
        // A message that is cut is none.
        let mut first = FrameStream::new(FRAME_PAYLOAD_BYTES_MAX);
        first.feed(&all[..cut]);
        let mut complete = 0;
        while let Some(message) = first.take().unwrap() {
            complete += FRAME_HEADER_BYTES + message.header.payload_bytes;
        }
        assert_eq!(complete + first.pending_bytes(), cut);
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let message = data(&rows(0, 3), 1);
    for bit in 0..8 * message.len() {
        let mut damaged = message.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // A length that has grown only makes the reader wait for more.
        let taken = take(&damaged);
        let waits = taken == Ok(None) && (8..12).contains(&(bit / 8));
        assert!(taken.is_err() || waits, "bit {bit}: {taken:?}");
        if waits {
            damaged.resize(FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES_MAX, 0);
            assert!(take(&damaged).is_err(), "bit {bit}, with more behind it");
        }
    }
}

#[track_caller]
fn header_refused(at: usize, bytes: &[u8], expected: &str) {
    let mut message = data(&rows(0, 1), 1);
    message[at..at + bytes.len()].copy_from_slice(bytes);
    assert_eq!(take(&message).unwrap_err().to_string(), expected);
}

#[test]
fn what_is_wrong_with_a_header_has_a_name() {
    header_refused(0, b"GET ", "no frame: it begins with \"GET \", not with \"PLTN\"");
    header_refused(4, &[2, 0], "version 2 of the protocol; this is version 1");
    header_refused(6, &[0, 0], "there is no message of kind 0");
    header_refused(6, &[9, 0], "there is no message of kind 9");
    let long = |found: u32| {
        format!("a payload of {found} bytes; it must be a multiple of 64, 16777216 at most")
    };
    header_refused(8, &u32::MAX.to_le_bytes(), &long(u32::MAX));
    header_refused(8, &(16_777_216 + 64_u32).to_le_bytes(), &long(16_777_280));
    header_refused(8, &65_u32.to_le_bytes(), &long(65));
    header_refused(40, &[0; 8], "layout 0000000000000000 of rows; this is layout 6ff88e59db1e2526");
    header_refused(36, &[1], "reserved bytes that are not zero");
    header_refused(63, &[1], "reserved bytes that are not zero");
    let message = take(&{
        let mut message = data(&rows(0, 1), 1);
        message[8..12].copy_from_slice(&0_u32.to_le_bytes());
        message
    });
    assert!(matches!(message, Err(ProtocolFault::Checksum { .. })), "length 0: {message:?}");
}

#[test]
fn every_fault_has_a_code_of_its_own() {
    let text = String::new;
    let faults = [
        ProtocolFault::Magic { found: [0; 4] },
        ProtocolFault::Version { found: 0 },
        ProtocolFault::Kind { found: 0 },
        ProtocolFault::Length { found: 0, bytes_max: 0 },
        ProtocolFault::Checksum { found: 0, computed: 0 },
        ProtocolFault::Layout { found: 0 },
        ProtocolFault::Reserved,
        ProtocolFault::Hello { reason: text() },
        ProtocolFault::Schema { reason: text() },
        ProtocolFault::Sequence { found: 0, expected: 0 },
        ProtocolFault::Rows(FrameFault::RowCount { found: 0 }),
        ProtocolFault::Fenced { name: text() },
        ProtocolFault::Credit { sent: 0, granted: 0 },
        ProtocolFault::Busy { connections_max: 0 },
        ProtocolFault::Stopping,
        ProtocolFault::Unexpected { kind: FrameKind::End, place: "here" },
        ProtocolFault::Silent,
        ProtocolFault::Cut { missing: 0 },
    ];
    let codes: Vec<u16> = faults.iter().map(ProtocolFault::code).collect();
    assert_eq!(codes, (1..=18).collect::<Vec<_>>());
}

fn hello_with(change: impl FnOnce(&mut Vec<u8>)) -> Result<FrameHello, String> {
    let golden = golden();
    let mut payload = take(&golden["hello"]).unwrap().unwrap().payload;
    change(&mut payload);
    FrameHello::parse(&payload).map_err(|fault| fault.to_string())
}

#[test]
fn what_is_wrong_with_hello_has_a_name() {
    let check = |at: usize, byte: u8, expected: &str| {
        let refused = hello_with(|payload| payload[at] = byte).unwrap_err();
        assert_eq!(refused, format!("hello {expected}"), "{byte} at {at}");
    };
    check(0, 0, "has role 0; it is 1, 2 or 3");
    check(0, 2, "of a subscriber has columns");
    check(2, 0, "has a name of 0 bytes; it has 1 to 255");
    check(3, 1, "ends inside its name");
    check(4, 3, "goes on behind its columns");
    check(7, 0xff, "has a column without a name");
    check(20, 1, "has reserved bytes that are not zero");
    check(24, 0xff, "has a name that is not UTF-8");
    check(32, 0, "has a column without a name");
    check(33, 0xff, "ends before its columns do");
    check(34, 0xff, "has a column name that is not UTF-8");
    check(36, 0, "has a column of type 0, which there is not");
    check(36, 99, "has a column of type 99, which there is not");
    check(37, 2, "says 2 where 1 stands for NULL and 0 for NOT NULL");
    assert_eq!(hello_with(|payload| payload.truncate(20)).unwrap_err(), "hello is too short");
    for cut in 24..62 {
        hello_with(|payload| payload.truncate(cut)).unwrap_err();
    }
    // Every value of every byte: an answer, whatever it is.
    for at in 0..64 {
        for byte in 0..=u8::MAX {
            let _ = hello_with(|payload| payload[at] = byte);
        }
    }
}

#[test]
fn every_type_can_be_told() {
    let part = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let row = DataType::Struct(Fields::from(vec![
        part("a", list(DataType::Utf8)),
        Field::new("b", DataType::Decimal128(38, 38), false),
    ]));
    let entry =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), part("value", row.clone())]);
    let entries = Field::new("entries", DataType::Struct(entry), false);
    let mut types = vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(1, 0),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        list(list(DataType::Int8)),
        row,
        DataType::Map(Arc::new(entries), false),
    ];
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond] {
        types.push(DataType::Timestamp(unit, None));
        types.push(DataType::Timestamp(unit, Some("UTC".into())));
    }
    let fields: Vec<Field> = types
        .into_iter()
        .enumerate()
        .map(|(index, data_type)| part(&format!("c{index}"), data_type))
        .collect();
    let hello = FrameHello {
        role: FrameRole::Sink,
        name: "x".into(),
        session: u64::MAX,
        heartbeat_ms: 1000,
        schema: Arc::new(Schema::new(fields)),
    };
    let mut out = Vec::new();
    hello.write(&mut out);
    assert!(out.len() < FRAME_HELLO_BYTES_MAX);
    assert_eq!(FrameHello::parse(&take(&out).unwrap().unwrap().payload), Ok(hello));
}

#[track_caller]
fn mismatch(written: Vec<Field>, table: Vec<Field>, expected: Result<&[&str], &str>) {
    let (written, table) = (Schema::new(written), Schema::new(table));
    let found = FrameColumns::new(&written, &table, &[0]).map(|columns| columns.unknown);
    let expected: Result<Vec<String>, String> = expected
        .map(|unknown| unknown.iter().map(ToString::to_string).collect())
        .map_err(ToString::to_string);
    assert_eq!(found.map_err(|fault| fault.to_string()), expected);
}

#[test]
fn columns_match_by_name_and_type() {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    let a = || field("a", DataType::Int64);
    mismatch(vec![a()], vec![a()], Ok(&[]));
    mismatch(vec![field("x", DataType::Utf8), a()], vec![a()], Ok(&["x"]));
    mismatch(vec![a()], vec![a(), field("b", DataType::Utf8)], Ok(&[]));
    mismatch(vec![a()], vec![a().with_nullable(false)], Ok(&[]));
    mismatch(
        vec![a()],
        vec![a(), Field::new("b", DataType::Utf8, false)],
        Err("column \"b\" is NOT NULL in the table, and is not among the columns of hello"),
    );
    mismatch(
        vec![a(), field("b", DataType::Timestamp(TimeUnit::Millisecond, None))],
        vec![a(), field("b", DataType::Utf8)],
        Err("column \"b\" is TIMESTAMP(3) in hello and STRING in the table"),
    );
    let row = |nullable| {
        let part = Field::new("x", DataType::Int64, nullable);
        field("r", DataType::Struct(Fields::from(vec![part])))
    };
    mismatch(vec![row(false)], vec![row(true)], Ok(&[]));
    mismatch(
        vec![row(true)],
        vec![row(false)],
        Err("column \"r\" is ROW<x BIGINT> in hello and ROW<x BIGINT NOT NULL> in the table"),
    );
}

#[test]
fn rows_with_a_null_where_the_table_has_none_are_rejected() {
    let strict = Schema::new(vec![
        Field::new("word", DataType::Utf8, false),
        Field::new("id", DataType::Int64, true),
    ]);
    let columns = FrameColumns::new(&schema(), &strict, &[0, 1]).unwrap();
    let message = data(&rows(0, 4), 1);
    let read = columns.read(&aligned(&message[FRAME_HEADER_BYTES..])).unwrap();
    let reason = "column \"word\" is NULL, but declared NOT NULL";
    assert_eq!(read.rejected, [(2, reason.to_string())]);
    assert_eq!(read.rows.column(1).as_ref(), &Int64Array::from(vec![0, 1, 3]));
}

#[test]
fn an_encoder_cuts_its_frames_and_numbers_them() {
    let mut encoder = FrameEncoder::for_files("sink", &schema());
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.encode(&rows(0, 60_000), &mut out);
    encoder.encode(&rows(0, 0), &mut out);
    encoder.encode(&rows(60_000, 10), &mut out);
    encoder.end(&mut out);
    let mut stream = FrameStream::new(FRAME_PAYLOAD_BYTES_MAX);
    stream.feed(&out);
    let hello = FrameHello::parse(&stream.take().unwrap().unwrap().payload).unwrap();
    assert_eq!((hello.role, hello.name.as_str()), (FrameRole::Sink, "sink"));
    let columns = FrameColumns::new(&hello.schema, &schema(), &[0, 1, 2, 3]).unwrap();
    let (mut next_row, mut next) = (0, 1);
    loop {
        let message = stream.take().unwrap().unwrap();
        if message.header.kind == FrameKind::End {
            assert_eq!(message.header.sequence, next - 1);
            break;
        }
        assert_eq!(message.header.sequence, next);
        assert!(message.payload.len() <= FRAME_PAYLOAD_BYTES_AIM);
        let read = columns.read(&aligned(&message.payload)).unwrap().rows;
        let count = i64::try_from(read.num_rows()).unwrap();
        assert_eq!(read, rows(next_row, count));
        (next_row, next) = (next_row + count, next + 1);
    }
    assert_eq!((next_row, stream.pending_bytes()), (60_010, 0));
    assert!(next > 3, "{next}");
    assert_eq!(encoder.take_failure(), None);
}

#[test]
fn a_row_too_long_for_a_frame_is_a_failure() {
    let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
    let texts = StringArray::from(vec!["short".to_string(), "x".repeat(FRAME_PAYLOAD_BYTES_MAX)]);
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(texts)]).unwrap();
    let mut encoder = FrameEncoder::new("sink", &schema);
    encoder.encode(&rows, &mut Vec::new());
    let failure = encoder.take_failure().unwrap();
    assert!(failure.ends_with("bytes; a frame has 16777216 at most"), "{failure}");
}
