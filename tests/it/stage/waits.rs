//! Waiting for a condition. No test waits for a length of time instead: how long something takes depends on the machine.

use super::{Snapshot, Stage, subscription_of};
use std::time::{Duration, Instant};

/// Ends a test that hangs. Far more than anything here takes, so that a busy machine does not reach it.
pub const LIMIT: Duration = Duration::from_mins(3);

/// The time for something that takes milliseconds, and is to be cut off if it hangs.
pub fn in_a_minute() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_mins(1)
}

/// Does the work, in which the program's own waits (before it repeats a call, until a deadline) pass a hundred times faster than
/// they would. Needs a runtime of one thread, whose clock it stops.
pub async fn hurried<T>(work: impl Future<Output = T>) -> T {
    const REAL: Duration = Duration::from_millis(1);
    let lapse = async {
        loop {
            // While a blocking task runs, tokio does not move a paused clock by itself.
            tokio::task::spawn_blocking(|| std::thread::sleep(REAL)).await.unwrap();
            tokio::time::advance(REAL * 100).await;
        }
    };
    tokio::time::pause();
    let done = tokio::select! {
        done = work => done,
        never = lapse => never,
    };
    tokio::time::resume();
    done
}

impl Stage {
    /// Waits until `look` returns something.
    pub async fn wait<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(began.elapsed() < LIMIT, "waited too long for {what}\n{}", self.tree());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until the cycles have settled every inbox item.
    pub async fn wait_for_empty_inbox(&self) {
        self.wait("an empty inbox", async || self.inbox().is_empty().then_some(())).await;
    }

    /// Waits for a complete snapshot in which each of these subscriptions has that many machines.
    pub async fn wait_for_machines(&self, machines: &[(String, usize)]) -> Snapshot {
        self.wait("the machines in the newest snapshot", async || {
            let snapshot = self.latest()?;
            let count = |id: &str| {
                snapshot.rows.iter().filter(|row| subscription_of(row) == Some(id.to_owned())).count()
            };
            machines.iter().all(|(id, wanted)| count(id) == *wanted).then_some(snapshot)
        })
        .await
    }
}
