//! A bare source: takes frames of one producer, looks at nothing but their headers, acknowledges them.
//!
//!     cargo run --release --example bare_source -- 127.0.0.1:9000
//!
//! It is what a source with `format = "rkyv"` is compared with: the same bytes over the same socket, read
//! into one buffer and forgotten. It ends with the producer's `end`.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpListener;

use pelton::format::{Ack, FRAME_HEADER_BYTES, FrameHeader, FrameKind, write_ack, write_empty};

/// Longest payload there can be.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes between two acknowledgements.
const ACK_BYTES: u64 = 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let (mut head, mut payload) = ([0; FRAME_HEADER_BYTES], vec![0; PAYLOAD_BYTES_MAX]);
    let (mut bytes, mut told_bytes, mut answer) = (0, 0, Vec::new());
    loop {
        socket.read_exact(&mut head)?;
        let header = FrameHeader::parse(&head, PAYLOAD_BYTES_MAX)?;
        socket.read_exact(&mut payload[..header.payload_bytes])?;
        bytes += header.payload_bytes as u64;
        let is_end = header.kind == FrameKind::End;
        if header.kind == FrameKind::Hello || is_end || bytes - told_bytes >= ACK_BYTES {
            told_bytes = bytes;
            answer.clear();
            let credit_bytes = bytes + 8 * ACK_BYTES;
            write_ack(Ack { sequence: header.sequence, durable: 0, credit_bytes }, &mut answer);
            if is_end {
                write_empty(header, &mut answer);
            }
            socket.write_all(&answer)?;
        }
        if is_end {
            println!("{bytes} bytes of payload");
            return Ok(());
        }
    }
}
