//! Hello: who a peer is, and which columns it writes.

use arrow::datatypes::{Schema, SchemaRef};
use std::collections::HashSet;
use std::sync::Arc;

use super::column_type::{Bytes, read_column, write_column};
use super::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, ProtocolFault};
use crate::limits::FRAME_NAME_BYTES_MAX;

/// Bytes of the fields of fixed size.
const FIXED_BYTES: usize = 24;

/// What a peer wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum FrameRole {
    /// It sends rows.
    Producer = 1,
    /// It is sent rows.
    Subscriber = 2,
    /// It answers a subscriber, or wrote a file.
    Sink = 3,
}

/// The first message of a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameHello {
    /// What the peer wants.
    pub role: FrameRole,
    /// Of the producer, subscriber or sink; the same after a restart.
    pub name: String,
    /// Of producers with the same name the one with the highest session sends.
    pub session: u64,
    /// The peer sends something at least so often, in milliseconds; 0 for no promise.
    pub heartbeat_ms: u32,
    /// Columns of its rows; a subscriber has none.
    pub schema: SchemaRef,
}

impl FrameHello {
    /// Appends the message.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + FRAME_HEADER_BYTES, 0);
        let name = self.name.as_bytes();
        let name_bytes = u16::try_from(name.len()).expect("names are short");
        let columns = u32::try_from(self.schema.fields().len()).expect("SQL texts are bounded");
        out.extend_from_slice(&(self.role as u16).to_le_bytes());
        out.extend_from_slice(&name_bytes.to_le_bytes());
        out.extend_from_slice(&columns.to_le_bytes());
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&self.heartbeat_ms.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(name);
        self.schema.fields().iter().for_each(|field| write_column(field, out));
        FrameHeader::new(FrameKind::Hello).seal(out, start);
    }

    /// Reads the payload of the message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(payload: &[u8]) -> Result<FrameHello, ProtocolFault> {
        parse(payload).map_err(|reason| ProtocolFault::Hello { reason })
    }
}

fn parse(payload: &[u8]) -> Result<FrameHello, String> {
    let mut bytes = Bytes(payload);
    let fixed = bytes.take(FIXED_BYTES).map_err(|_| "is too short")?;
    let u16_at = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
    let role = match u16_at(0) {
        1 => FrameRole::Producer,
        2 => FrameRole::Subscriber,
        3 => FrameRole::Sink,
        other => return Err(format!("has role {other}; it is 1, 2 or 3")),
    };
    let name = bytes.take(u16_at(2).into()).map_err(|_| "ends inside its name")?;
    if name.is_empty() || name.len() > FRAME_NAME_BYTES_MAX {
        let length = name.len();
        return Err(format!("has a name of {length} bytes; it has 1 to {FRAME_NAME_BYTES_MAX}"));
    }
    let name = std::str::from_utf8(name).map_err(|_| "has a name that is not UTF-8")?;
    if u32_at(20) != 0 {
        return Err("has reserved bytes that are not zero".into());
    }
    let mut fields = Vec::new();
    for _ in 0..u32_at(4) {
        fields.push(read_column(&mut bytes)?);
    }
    if bytes.0.iter().any(|byte| *byte != 0) {
        return Err("goes on behind its columns".into());
    }
    let mut names = HashSet::new();
    if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
        return Err(format!("has two columns \"{}\"", twice.name()));
    }
    match (role, fields.is_empty()) {
        (FrameRole::Producer | FrameRole::Sink, true) => return Err("has no columns".into()),
        (FrameRole::Subscriber, false) => return Err("of a subscriber has columns".into()),
        _ => {}
    }
    Ok(FrameHello {
        role,
        name: name.into(),
        session: u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32,
        heartbeat_ms: u32_at(16),
        schema: Arc::new(Schema::new(fields)),
    })
}
