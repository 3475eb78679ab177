//! The time of one cycle: when it started, what time it is now, and when it must end.

use crate::model::after;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The clock is read once, when a cycle starts. After that only the time since then is measured, so that a clock that
/// jumps cannot move a cycle's "now" backwards.
#[derive(Debug, Clone, Copy)]
pub struct CycleTime {
    pub start: Timestamp,
    started: Instant,
    /// Nothing new is begun after this moment.
    pub deadline: Instant,
}

impl CycleTime {
    /// A cycle that starts at `start`, which is now, and must end `limit` later.
    pub fn new(start: Timestamp, limit: Duration) -> Self {
        let started = Instant::now();
        Self { start, started, deadline: started + limit }
    }

    /// When it started, by the clock and by what measures time from then on.
    pub fn began(&self) -> (Timestamp, Instant) {
        (self.start, self.started)
    }

    pub fn now(&self) -> Timestamp {
        after(self.start, self.started.elapsed())
    }

    /// How long the cycle has run, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
