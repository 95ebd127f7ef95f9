//! HDR log: latencies as HdrHistogram's tools read them, one line per interval.
//!
//! In:  histograms with their times.
//! Out: log format 1.3; each histogram in its V2 encoding, compressed as zlib wants it.
//!
//! The counts are stored, not deflated, which every zlib reads and needs no compressor here.

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::metrics::LatencyHistogram;

/// Marks a histogram, and a compressed one.
const COOKIE: u32 = 0x1c84_9313;
const COOKIE_COMPRESSED: u32 = 0x1c84_9314;

/// Bytes of a stored block of a deflate stream at most.
const BLOCK_BYTES_MAX: usize = 65_535;

/// `maxima` of a log are in milliseconds.
const MS: f64 = 1_000_000.0;

/// One interval.
pub(super) struct LogEntry<'a> {
    /// Whose latencies: no comma, space or line end.
    pub(super) tag: &'a str,
    /// Since the time the log begins at.
    pub(super) start: Duration,
    pub(super) length: Duration,
    pub(super) latencies: &'a LatencyHistogram,
}

/// The file, beginning at this time of the wall clock.
pub(super) fn hdr_log<'a>(
    begin_wall_ms: i64,
    entries: impl IntoIterator<Item = LogEntry<'a>>,
) -> String {
    let begin = Duration::from_millis(u64::try_from(begin_wall_ms).unwrap_or(0)).as_secs_f64();
    let mut log = format!(
        "#[Histogram log format version 1.3]\n#[StartTime: {begin:.3} (seconds since epoch)]\n\
         #[BaseTime: {begin:.3} (seconds since epoch)]\n\
         #[Latencies in nanoseconds from the planned send time; Interval_Max in milliseconds]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    );
    for entry in entries {
        let LogEntry { tag, start, length, latencies } = entry;
        let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
        let max = latencies.max_ns() as f64 / MS;
        let histogram = BASE64.encode(compressed(&encoded(latencies)));
        writeln!(log, "Tag={tag},{start:.3},{length:.3},{max:.6},{histogram}")
            .expect("writing to memory cannot fail");
    }
    log
}

/// The V2 encoding: a header, then counts; a negative number stands for so many zeroes.
fn encoded(latencies: &LatencyHistogram) -> Vec<u8> {
    let mut counts = Vec::new();
    let mut zeroes = 0_i64;
    for count in latencies.bucket_counts() {
        if count == 0 {
            zeroes += 1;
            continue;
        }
        if zeroes > 0 {
            put_varint(if zeroes == 1 { 0 } else { -zeroes }, &mut counts);
            zeroes = 0;
        }
        put_varint(i64::try_from(count).unwrap_or(i64::MAX), &mut counts);
    }
    let (lowest, highest) = LatencyHistogram::BOUNDS_NS;
    let mut out = Vec::with_capacity(40 + counts.len());
    out.extend_from_slice(&COOKIE.to_be_bytes());
    out.extend_from_slice(&length_bytes(counts.len()));
    out.extend_from_slice(&0_u32.to_be_bytes()); // nothing is shifted
    out.extend_from_slice(&u32::from(LatencyHistogram::DIGITS).to_be_bytes());
    out.extend_from_slice(&lowest.to_be_bytes());
    out.extend_from_slice(&highest.to_be_bytes());
    out.extend_from_slice(&1_f64.to_be_bytes()); // values are integers as they are
    out.extend_from_slice(&counts);
    out
}

fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("nine bytes for each of some 40,000 buckets").to_be_bytes()
}

/// Zig-zag, then seven bits a byte, lowest first; a ninth byte holds eight.
fn put_varint(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    for _ in 0..8 {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
    let [low, ..] = rest.to_le_bytes();
    out.push(low);
}

/// A zlib stream of stored blocks behind its own header.
fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = plain.chunks(BLOCK_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block fits 16 bits");
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    stream.extend_from_slice(&adler32(plain).to_be_bytes());
    let mut out = COOKIE_COMPRESSED.to_be_bytes().to_vec();
    out.extend_from_slice(&length_bytes(stream.len()));
    out.extend_from_slice(&stream);
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_varint(value: i64, expected: &[u8]) {
        let mut out = Vec::new();
        put_varint(value, &mut out);
        assert_eq!(out, expected, "{value}");
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        check_varint(0, &[0]);
        check_varint(-1, &[1]);
        check_varint(1, &[2]);
        check_varint(63, &[126]);
        check_varint(64, &[0x80, 1]);
        check_varint(i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn checksums_are_those_of_zlib() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn long_streams_have_several_blocks() {
        let plain = vec![7; BLOCK_BYTES_MAX + 10];
        let out = compressed(&plain);
        // Two headers of four bytes, one of two; two of five; the checksum.
        assert_eq!(out.len(), 8 + 2 + 10 + plain.len() + 4);
        assert_eq!((out[10], out[10 + 5 + BLOCK_BYTES_MAX]), (0, 1));
    }

    /// Read back by HdrHistogram's own reader: 100 of 1 us, 3 of 1 ms, one of 2 s.
    #[test]
    fn a_log_is_what_the_tools_of_hdr_histogram_read() {
        let mut latencies = LatencyHistogram::new();
        latencies.record(1_000, 100);
        latencies.record(1_000_000, 3);
        latencies.record(2_000_000_000, 1);
        let entry = LogEntry {
            tag: "job-50000",
            start: Duration::from_secs(1),
            length: Duration::from_secs(1),
            latencies: &latencies,
        };
        let log = hdr_log(1_700_000_000_250, [entry]);
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines[1], "#[StartTime: 1700000000.250 (seconds since epoch)]");
        assert_eq!(lines[5], GOLDEN);
    }

    const GOLDEN: &str = "Tag=job-50000,1.000,1.000,2000.683007,\
                          HISTFAAAAD94AQE0AMv/HISTEwAAAAwAAAAAAAAAAwAAAAAAAAABAAADRjC4oAA/8AAAAAAAAM8Py\
                          AHvngEGoa8BAqaOCOU=";
}
