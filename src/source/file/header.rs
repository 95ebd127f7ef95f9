//! Header: the first line of a CSV file, which orders the columns of every chunk of that file.
//!
//! A chunk behind the file's start does not contain it, so each core reads it once per file, before
//! its first chunk there. It is read for the first chunk too, so that a header nobody could use is
//! the same error on any number of cores.

/// The header of the file a core is reading.
#[derive(Debug)]
pub(super) struct Header {
    /// Index of the file in the plan.
    pub(super) file: usize,
    line: Vec<u8>,
    /// The line is there in full.
    pub(super) is_complete: bool,
}

impl Header {
    pub(super) fn new(file: usize) -> Header {
        Header { file, line: Vec::new(), is_complete: false }
    }

    /// The header of the only file, which begins with these bytes.
    pub(super) fn of(start: &[u8]) -> Header {
        let end = start.iter().position(|byte| *byte == b'\n').map_or(start.len(), |at| at + 1);
        Header { file: 0, line: start[..end].to_vec(), is_complete: true }
    }

    /// Takes more of the line; false when it is longer than a line may be.
    pub(super) fn feed(&mut self, bytes: &[u8], bytes_max: usize) -> bool {
        // Checked before anything is copied: the line may be the whole of a large file.
        if self.line.len() + bytes.len() > bytes_max + b"\r\n".len() {
            return false;
        }
        self.line.extend_from_slice(bytes);
        self.line().len() <= bytes_max
    }

    /// Without its line end.
    pub(super) fn line(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}
