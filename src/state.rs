//! Keyed state of one core.
