//! One core's turn.
