//! How much of the cycle's time must be left for a call to begin, so that what is begun can end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// No call begins later than this before the deadline: more than a usual answer takes.
const LAST_START: Duration = Duration::from_secs(2);
/// A call may take so many times as long as the slowest one so far.
const SLOWER: u32 = 2;

/// The cycle's deadline, and how long calls have taken.
#[derive(Debug)]
pub(super) struct TimeLeft {
    deadline: Instant,
    /// A write is given up after this time anyway, so no more needs to be left.
    write_timeout: Duration,
    /// The slowest call that was answered.
    slowest: Mutex<Duration>,
}

impl TimeLeft {
    pub(super) fn new(deadline: Instant, write_timeout: Duration) -> Self {
        Self { deadline, write_timeout, slowest: Mutex::default() }
    }

    pub(super) fn until_deadline(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Takes in how long a call took until it was answered.
    pub(super) fn took(&self, duration: Duration) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = duration.max(*slowest);
    }

    /// Whether a call that begins now can end before the deadline.
    pub(super) fn suffices(&self) -> bool {
        let slowest = *self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        self.until_deadline() >= needed(slowest, self.write_timeout)
    }
}

fn needed(slowest: Duration, write_timeout: Duration) -> Duration {
    slowest.saturating_mul(SLOWER).max(LAST_START).min(write_timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_before_the_deadline_grows_with_what_calls_have_taken() {
        let write_timeout = Duration::from_secs(30);
        let needed = |slowest_ms: u64| needed(Duration::from_millis(slowest_ms), write_timeout).as_millis();
        assert_eq!([0, 900, 1500, 14_000, 20_000].map(needed), [2000, 2000, 3000, 28_000, 30_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_call_so_far_counts() {
        let time = TimeLeft::new(Instant::now() + Duration::from_secs(10), Duration::from_secs(30));
        assert!(time.suffices());
        time.took(Duration::from_secs(6));
        time.took(Duration::from_secs(1));
        assert!(!time.suffices(), "twelve seconds are not left");
    }
}
