//! What can go wrong with a connection.

use std::{fmt, io};

use crate::format::FrameRefusal;

/// Why a producer or subscriber cannot go on.
#[derive(Debug)]
pub enum ClientError {
    /// Connecting, sending or receiving failed.
    Io(io::Error),
    /// The other side refused, or does not keep to the protocol.
    Refused(FrameRefusal),
    /// The other side closed the connection before `end`.
    Closed,
    /// The source has been started again, and what it had acknowledged is gone: so many frames. Go on with
    /// a new producer, which learns where the source stands.
    Forgotten {
        /// Frames that nobody has any more.
        frames: u64,
    },
    /// So many rows were not kept until this subscriber came to take them. The next ones follow.
    Gap(u64),
    /// Rows that no frame can carry: another schema, a type that frames do not have, a row too long.
    Rows(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Io(error) => write!(formatter, "the connection failed: {error}"),
            ClientError::Refused(refusal) => refusal.fmt(formatter),
            ClientError::Closed => formatter.write_str("the connection was closed"),
            ClientError::Forgotten { frames } => write!(
                formatter,
                "the source has been started again, and forgotten {frames} frames that it had \
                 acknowledged"
            ),
            ClientError::Gap(rows) => {
                write!(formatter, "{rows} rows were not kept for this subscriber")
            }
            ClientError::Rows(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Io(error)
    }
}

impl From<FrameRefusal> for ClientError {
    fn from(refusal: FrameRefusal) -> ClientError {
        ClientError::Refused(refusal)
    }
}
