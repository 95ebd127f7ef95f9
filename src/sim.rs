//! Simulation: whole appliances on one thread, seeded.
//!
//! Read: `cluster` (cores that take turns in an order the seed chooses) · `answers` (the same input
//! gives the same output, whatever the seed, the number of cores and the cuts of the input) · `disk`
//! (power that can be cut) · `journal` (journals on it) · `epochs` (the same output after any crash, on
//! any number of cores) · `file_sink` (what its parts show after any crash) · `outputs` (an output journal
//! under a sink) · `network` (peers that a test plays).

mod answers;
mod cluster;
mod disk;
mod epochs;
mod file_sink;
mod journal;
mod network;
mod outputs;

pub(crate) use cluster::{Shape, run_plan};
pub(crate) use disk::{SimCore, SimDisk, SimFiles};
pub(crate) use epochs::{KilledJob, killed_job};
pub(crate) use network::{SimNetwork, SimPeer};
pub(crate) use outputs::OutputRun;
