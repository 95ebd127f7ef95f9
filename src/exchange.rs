//! Between cores: hash, queues, merged watermarks, aligned barriers.
