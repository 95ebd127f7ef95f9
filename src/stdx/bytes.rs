//! Bytes that are written here and read back later: numbers in little-endian order, byte strings
//! behind their length. Nothing read is believed: every length is checked before it is used.

use std::fmt;

/// Appends numbers and byte strings.
#[derive(Default, Debug)]
pub struct ByteWriter {
    bytes: Vec<u8>,
}

/// Takes them off again, in the same order.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Bytes that are not what was to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// Bytes that had been read.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl ByteWriter {
    /// Nothing yet.
    pub fn new() -> ByteWriter {
        ByteWriter::default()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A count of what follows.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("lists that are written are shorter than 2^32"));
    }

    /// A length of four bytes, and the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

impl<'a> ByteReader<'a> {
    /// At the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> ByteReader<'a> {
        ByteReader { bytes, at: 0 }
    }

    /// An error at this place.
    pub fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed { offset: self.at, reason }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return Err(self.malformed("ends too soon")) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("as many were taken"))
    }

    /// One byte.
    ///
    /// # Errors
    /// As all that follow: when the bytes end too soon.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes.
    ///
    /// # Errors
    /// See [`ByteReader::u8`].
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// See [`ByteReader::u8`].
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// See [`ByteReader::u8`].
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// See [`ByteReader::u8`].
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// How many things follow, each of `bytes_min` bytes at least: no more than there is room for.
    ///
    /// # Errors
    /// See [`ByteReader::u8`].
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        let left = self.bytes.len() - self.at;
        if count > left / bytes_min.max(1) {
            return Err(self.malformed("more things than there are bytes"));
        }
        Ok(count)
    }

    /// A length of four bytes, and as many bytes.
    ///
    /// # Errors
    /// See [`ByteReader::u8`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// A byte string that is text.
    ///
    /// # Errors
    /// See [`ByteReader::u8`]; and when it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a text that is not UTF-8"))
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// When something is.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.malformed("bytes behind the end"))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the writer of the test writes, in words.
    fn read(bytes: &[u8]) -> Result<String, Malformed> {
        let mut reader = ByteReader::new(bytes);
        let (one, two, four) = (reader.u8()?, reader.u16()?, reader.u32()?);
        let (eight, signed, text) = (reader.u64()?, reader.i64()?, reader.text()?);
        let count = reader.count(4)?;
        for _ in 0..count {
            reader.u32()?;
        }
        reader.finish()?;
        Ok(format!("{one} {two} {four} {eight} {signed} {text} {count}"))
    }

    #[test]
    fn what_was_written_is_read_and_nothing_shorter_or_longer() {
        let mut writer = ByteWriter::new();
        writer.u8(1);
        writer.u16(2);
        writer.u32(3);
        writer.u64(u64::MAX);
        writer.i64(-5);
        writer.bytes("größe".as_bytes());
        writer.count(2);
        writer.u32(0);
        writer.u32(0);
        let mut bytes = writer.finish();
        assert_eq!(read(&bytes).unwrap(), "1 2 3 18446744073709551615 -5 größe 2");
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes.push(0);
        assert_eq!(read(&bytes).unwrap_err().reason, "bytes behind the end");
    }

    #[test]
    fn a_count_beyond_the_bytes_is_no_count() {
        let mut writer = ByteWriter::new();
        writer.u32(u32::MAX);
        let bytes = writer.finish();
        let error = ByteReader::new(&bytes).count(8).unwrap_err();
        assert_eq!(error.to_string(), "byte 4: more things than there are bytes");
    }
}
