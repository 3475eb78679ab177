//! Retries: a pure function for the delay, and the one loop.
//!
//! Guarantees: only an error that allows it is retried; a wait that the service asks for is obeyed; nothing sleeps past the
//! deadline, nor longer than [`LONGEST`] and its jitter.

use std::time::Duration;
use tokio::time::Instant;

/// The first attempt and three retries. With the waits below they take about four seconds, which covers a brief
/// failure. After an outage, the next cycle tries again.
const ATTEMPTS: u32 = 4;
/// The first wait; each further wait is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait inside a cycle. Functions are paid by the second, so for a longer wait the cycle ends and books a
/// wake-up.
pub const LONGEST: Duration = Duration::from_secs(5);

/// What an error says about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    No,
    /// Yes, after a delay of our choice.
    Soon,
    /// Yes, but only after this wait.
    After(Duration),
}

/// How long to wait after attempt number `attempt` (the first is 1) before the next one; `None`: give up.
///
/// `jitter` is between 0 and 1 and makes the wait longer by up to a half, so that many callers do not come back at the
/// same moment.
pub fn delay(attempt: u32, again: Again, jitter: f64) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let grown = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let wait = match again {
        Again::No => return None,
        Again::Soon => grown,
        Again::After(wait) => wait.max(grown),
    };
    (wait <= LONGEST).then(|| wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0))
}

/// Calls until a call succeeds, its error is not to be retried, or the next wait would pass the deadline. The argument of
/// `call` is the attempt's number, from 1.
///
/// # Errors
/// The last error of `call`.
pub async fn retry<T, E, F>(
    deadline: Instant,
    again: impl Fn(&E) -> Again,
    mut call: impl FnMut(u32) -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    loop {
        let error = match call(attempt).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(wait) = delay(attempt, again(&error), jitter()) else { return Err(error) };
        if Instant::now() + wait >= deadline {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// A number between 0 and 1.
fn jitter() -> f64 {
    f64::from(chance()) / f64::from(u32::MAX)
}

/// Thirty-two random bits.
pub fn chance() -> u32 {
    // The low bits of a version 4 UUID are random.
    u32::from_le_bytes(uuid::Uuid::new_v4().as_bytes()[12..].try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_asked_and_never_too_long(
            attempt in 0u32..20, asked in 0u64..10_000_000, soon: bool, jitter in -1.0..2.0f64,
        ) {
            let asked = Duration::from_micros(asked);
            let again = if soon { Again::Soon } else { Again::After(asked) };
            let wait = delay(attempt, again, jitter);
            if let Some(wait) = wait {
                prop_assert!(soon || wait >= asked);
                prop_assert!((FIRST..=LONGEST * 3 / 2).contains(&wait));
                prop_assert!(attempt < ATTEMPTS);
            }
            // Every wait that fits into a cycle is granted.
            prop_assert_eq!(wait.is_none(), attempt >= ATTEMPTS || !soon && asked > LONGEST);
            prop_assert_eq!(delay(attempt, Again::No, jitter), None);
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> =
            (1..=4).map(|attempt| delay(attempt, Again::Soon, 0.0).map(|d| d.as_millis())).collect();
        assert_eq!(waits, [Some(500), Some(1000), Some(2000), None]);
        assert_eq!(delay(1, Again::No, 0.0), None);
        assert_eq!(delay(1, Again::After(LONGEST + FIRST), 0.0), None, "a long wait is a later wake-up");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_sleeps_past_the_deadline() {
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(700);
        let mut calls = 0;
        let result: Result<(), ()> = retry(
            deadline,
            |()| Again::Soon,
            |_| {
                calls += 1;
                async { Err(()) }
            },
        )
        .await;
        assert_eq!((result, calls > 0), (Err(()), true));
        assert!(Instant::now() < deadline);
    }
}
