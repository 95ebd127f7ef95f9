//! Positions: how far a subscriber is in the output of a sink.

use std::fmt;

/// A frame of one lane, by its numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct FramePosition {
    /// Its epoch; 0 where there are none.
    pub epoch: u64,
    /// Its number, from 1 in every epoch.
    pub sequence: u64,
}

/// How far a subscriber is: every frame of a lane up to a position.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OutputPosition {
    /// The output, as the sink's hello names it: numbers of another one mean something else.
    pub output: u64,
    /// By lane, each once.
    pub lanes: Vec<LanePosition>,
}

/// How far a subscriber is in one lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LanePosition {
    /// Which lane.
    pub lane: u32,
    /// The last frame of it.
    pub frame: FramePosition,
}

impl fmt::Display for FramePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FramePosition { epoch, sequence } = self;
        match epoch {
            0 => write!(formatter, "frame {sequence}"),
            _ => write!(formatter, "frame {sequence} of epoch {epoch}"),
        }
    }
}
