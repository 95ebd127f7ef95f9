//! Floors: the least that anything on this machine can take, to compare with.
//!
//! Read: `relay` (bytes from socket to socket).

mod relay;

pub(super) use relay::Relay;
