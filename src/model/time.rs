//! Arithmetic on timestamps that cannot fail: it stops at the earliest or latest timestamp instead.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The moment `wait` after `from`, at most the latest timestamp.
pub fn after(from: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| from.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

/// The moment `wait` before `from`, at least the earliest timestamp.
pub fn before(from: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| from.checked_sub(wait).ok()).unwrap_or(Timestamp::MIN)
}

/// How long ago `then` was at `now`; zero when it is in the future.
pub fn elapsed(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_moment_has_not_elapsed_and_the_end_of_time_holds() {
        let now: Timestamp = "2026-11-23T04:05:00Z".parse().unwrap();
        assert_eq!(elapsed(now, after(now, Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(elapsed(after(now, Duration::from_secs(90)), now), Duration::from_secs(90));
        assert_eq!(after(now, Duration::MAX), Timestamp::MAX);
        assert_eq!(before(now, Duration::MAX), Timestamp::MIN);
    }
}
