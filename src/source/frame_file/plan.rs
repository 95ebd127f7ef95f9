//! Plan: which files of frames a path names, what their columns are, and how their frames are dealt.
//!
//! In:  a path, a directory or a pattern, looked up once, at start, with blocking calls.
//! Out: mapped files in name order, cut into numbered chunks at the beginnings of frames.
//!
//! Every header is looked at; payloads are checked by the core that reads them.

use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;

use super::mapped::MappedFile;
use crate::format::{
    FRAME_HEADER_BYTES, FrameColumns, FrameHeader, FrameHello, FrameKind, ProtocolFault,
};
use crate::limits::{FILE_FINGERPRINT_BYTES, FRAME_HELLO_BYTES_MAX, FRAME_PAYLOAD_BYTES_MAX};
use crate::record::KeyHasher;
use crate::source::PlanError;
use crate::source::file::expand;
use crate::stdx::ByteWriter;

/// The files of one source and their chunks.
#[derive(Debug)]
pub struct FrameFilePlan {
    files: Vec<FrameFile>,
    chunks: Vec<FrameChunk>,
    identity: u64,
}

/// One file.
#[derive(Debug)]
pub(super) struct FrameFile {
    pub(super) path: PathBuf,
    pub(super) mapped: MappedFile,
    pub(super) columns: FrameColumns,
}

/// Some frames of one file, by the bytes they lie in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameChunk {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl FrameFilePlan {
    /// Looks the files up and plans their chunks, of `chunk_bytes` and what the last frame has more.
    /// `table` are the table's columns, `projection` those that are wanted.
    ///
    /// # Errors
    /// Files that are not there or cannot be mapped; what is wrong with one, and where; columns that
    /// are not the table's.
    pub fn new(
        path: &Path,
        table: &Schema,
        projection: &[usize],
        chunk_bytes: u64,
    ) -> Result<FrameFilePlan, PlanError> {
        let chunk_bytes = usize::try_from(chunk_bytes).unwrap_or(usize::MAX);
        let mut plan = FrameFilePlan { files: Vec::new(), chunks: Vec::new(), identity: 0 };
        let mut identity = ByteWriter::new();
        for file_path in expand(path)? {
            let shown = file_path.display();
            let mapped = MappedFile::open(&file_path)
                .map_err(|error| PlanError { message: format!("cannot read {shown}: {error}") })?;
            let fault = |(at, fault): (usize, ProtocolFault)| PlanError {
                message: format!("cannot read {shown}: at byte {at}: {fault}"),
            };
            let (hello, first) = hello(mapped.bytes()).map_err(|error| fault((0, error)))?;
            let columns = FrameColumns::new(&hello.schema, table, projection)
                .map_err(|error| fault((0, error)))?;
            let file = plan.files.len();
            let chunks = cut(mapped.bytes(), first, chunk_bytes).map_err(fault)?;
            identity.bytes(file_path.as_os_str().as_encoded_bytes());
            identity.u64(mapped.bytes().len() as u64);
            let noted = mapped.bytes().len().min(FILE_FINGERPRINT_BYTES);
            identity.u64(KeyHasher::new(0).hash(&mapped.bytes()[..noted]));
            identity.count(chunks.len());
            let chunk = |(start, end)| FrameChunk { file, start, end };
            plan.chunks.extend(chunks.into_iter().map(chunk));
            plan.files.push(FrameFile { path: file_path.clone(), mapped, columns });
        }
        plan.identity = KeyHasher::new(0).hash(&identity.finish());
        Ok(plan)
    }

    /// Equal for plans of the same files, of the same lengths, cut alike: their chunks are the same.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// Number of chunks of the whole sequence.
    pub(super) fn chunk_count(&self) -> u64 {
        self.chunks.len() as u64
    }

    /// A chunk, by its position in the sequence.
    pub(super) fn chunk(&self, number: u64) -> Option<FrameChunk> {
        self.chunks.get(usize::try_from(number).ok()?).copied()
    }

    /// A file, by its index.
    pub(super) fn file(&self, index: usize) -> &FrameFile {
        &self.files[index]
    }

    /// Columns of the files that the table lacks, by name.
    pub fn unknown(&self) -> Vec<String> {
        let mut unknown: Vec<String> =
            self.files.iter().flat_map(|file| file.columns.unknown.clone()).collect();
        unknown.sort();
        unknown.dedup();
        unknown
    }
}

/// The header at `at`, and where its message ends.
pub(super) fn message(
    bytes: &[u8],
    at: usize,
    payload_bytes_max: usize,
) -> Result<(FrameHeader, usize), ProtocolFault> {
    let rest = &bytes[at..];
    let Some(head) = rest.first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(ProtocolFault::Cut { missing: FRAME_HEADER_BYTES - rest.len() });
    };
    let header = FrameHeader::parse(head, payload_bytes_max)?;
    let length = FRAME_HEADER_BYTES + header.payload_bytes;
    if rest.len() < length {
        return Err(ProtocolFault::Cut { missing: length - rest.len() });
    }
    Ok((header, at + length))
}

/// What a file begins with, and where its frames begin.
fn hello(bytes: &[u8]) -> Result<(FrameHello, usize), ProtocolFault> {
    let (header, end) = message(bytes, 0, FRAME_HELLO_BYTES_MAX)?;
    if header.kind != FrameKind::Hello {
        let kind = header.kind;
        return Err(ProtocolFault::Unexpected { kind, place: "at the beginning of a file" });
    }
    let payload = &bytes[FRAME_HEADER_BYTES..end];
    header.check(payload)?;
    Ok((FrameHello::parse(payload)?, end))
}

/// Chunks of the frames from `start` on, which end with `end`; where a fault is, and what.
fn cut(
    bytes: &[u8],
    start: usize,
    chunk_bytes: usize,
) -> Result<Vec<(usize, usize)>, (usize, ProtocolFault)> {
    let (mut chunks, mut begin, mut at, mut sequence) = (Vec::new(), start, start, 0);
    loop {
        let fault = |fault| (at, fault);
        let (header, end) = message(bytes, at, FRAME_PAYLOAD_BYTES_MAX).map_err(fault)?;
        match header.kind {
            FrameKind::Data if header.sequence == sequence + 1 => sequence += 1,
            FrameKind::EndOfEpoch | FrameKind::End if header.sequence == sequence => {}
            FrameKind::Data | FrameKind::EndOfEpoch | FrameKind::End => {
                let expected = sequence + u64::from(header.kind == FrameKind::Data);
                return Err(fault(ProtocolFault::Sequence { found: header.sequence, expected }));
            }
            kind => return Err(fault(ProtocolFault::Unexpected { kind, place: "in a file" })),
        }
        if header.kind == FrameKind::End {
            if end < bytes.len() {
                let place = "behind the end of a file";
                let kind = header.kind;
                return Err((end, ProtocolFault::Unexpected { kind, place }));
            }
            if begin < at {
                chunks.push((begin, at));
            }
            return Ok(chunks);
        }
        at = end;
        if at - begin >= chunk_bytes {
            chunks.push((begin, at));
            begin = at;
        }
    }
}
