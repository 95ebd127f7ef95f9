//! Journals on a disk whose power can be cut, over many lives of a process.
//!
//! Read: `life` (one run: cores, supply, coordinator) · `model` (what a start must find) · `crashes`
//! (a fault at any step, seeds) · `sides` (journals that sources or sinks share) · `damage` (every byte
//! flipped, every file cut) · `fixture` (the format, for ever).

mod crashes;
mod damage;
mod fixture;
mod life;
mod model;
mod sides;

use model::Model;
