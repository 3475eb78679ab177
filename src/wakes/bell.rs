//! The one future bell of a tenant: `bell.json`, and the message.

use super::{WakeError, Wakes};
use crate::model::{TenantId, after, elapsed};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A bell so much past its time was lost, or its holder killed: the queue shows a message again after 90 s, and polls
/// every 30 s at most.
const LOST_AFTER: Duration = Duration::from_mins(2);
/// A message may arrive a little early by another machine's clock; a bell that was dropped for that would be lost.
const EARLY: Duration = Duration::from_secs(30);

/// `bell.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bell {
    /// The version of this shape.
    pub schema_version: u32,
    /// When the next cycle is due; none: no bell is pending.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub due: Option<Timestamp>,
    /// When the tenant's last cycle began.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_start: Option<Timestamp>,
}

/// What came of ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// A bell was sent, for this moment.
    Sent(Timestamp),
    /// An earlier or equal one is pending.
    Pending(Timestamp),
}

impl Bell {
    fn is_pending(&self, at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.due.filter(|due| *due <= at && elapsed(now, *due) < LOST_AFTER)
    }

    /// Whether it should have rung and has not.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| elapsed(now, due) >= LOST_AFTER)
    }
}

/// What a cycle is told that a bell woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Go on.
    Now,
    /// Another bell stands for this moment: drop this one.
    Later(Timestamp),
}

impl Wakes {
    /// Rings for a cycle at `at`, or at the end of the gap after the last start, whichever is later.
    ///
    /// # Errors
    /// When the bell's time cannot be saved, or the message not sent; then no bell counts as pending.
    pub async fn ring(&self, tenant: TenantId, at: Timestamp, now: Timestamp) -> Result<Rung, WakeError> {
        let key = BlobKey::Bell(tenant);
        loop {
            let (bell, etag) = self.store.read_or_replace::<Bell>(&key).await?;
            let bell = bell.unwrap_or_default();
            let at = self.gap_end(&bell, now).map_or(at, |end| at.max(end));
            if let Some(due) = bell.is_pending(at, now) {
                return Ok(Rung::Pending(due));
            }
            let booked = Bell { schema_version: SCHEMA_VERSION, due: Some(at), last_start: bell.last_start };
            let etag = match self.store.write(&key, &booked, Condition::unchanged(etag.as_ref())).await {
                Ok(etag) => etag,
                // Somebody else rang: look whether that is early enough.
                Err(StoreError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Err(error) = self.queue.send(tenant, elapsed(at, now), now).await {
                // A bell that was not sent must not look pending; if this fails too, it counts as lost in two minutes.
                let unbooked = Bell { due: None, ..booked };
                let _ = self.store.write(&key, &unbooked, Condition::Match(etag)).await;
                return Err(error.into());
            }
            return Ok(Rung::Sent(at));
        }
    }

    /// A bell woke a cycle: clears it, or says that another one stands.
    ///
    /// Within the gap after the last start a bell only books one for the gap's end.
    ///
    /// # Errors
    /// When the bell's time cannot be saved or sent.
    pub async fn start(&self, tenant: TenantId, now: Timestamp) -> Result<Start, WakeError> {
        let key = BlobKey::Bell(tenant);
        loop {
            let (bell, etag) = self.store.read_or_replace::<Bell>(&key).await?;
            let bell = bell.unwrap_or_default();
            if let Some(due) = bell.due.filter(|due| *due > after(now, self.early())) {
                // Perhaps this is that very bell, by another machine's clock, or its message was never sent: one more
                // message costs an empty cycle at most, one too few costs a period.
                self.queue.send(tenant, elapsed(due, now), now).await?;
                return Ok(Start::Later(due));
            }
            if let Some(end) = self.gap_end(&bell, now).filter(|end| *end > after(now, self.early())) {
                self.ring(tenant, end, now).await?;
                return Ok(Start::Later(end));
            }
            let started = Bell { schema_version: SCHEMA_VERSION, due: None, last_start: Some(now) };
            match self.store.write(&key, &started, Condition::unchanged(etag.as_ref())).await {
                Ok(_) => return Ok(Start::Now),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// When the gap after the last start ends. A start in the future is of a clock that was ahead, and counts for nothing.
    fn gap_end(&self, bell: &Bell, now: Timestamp) -> Option<Timestamp> {
        bell.last_start.filter(|start| *start <= after(now, EARLY)).map(|start| after(start, self.gap))
    }

    /// How early a message may be. Less than the gap, or two bells would pass for one.
    fn early(&self) -> Duration {
        EARLY.min(self.gap / 2)
    }

    /// A bell was dropped because a cycle holds the account: it is pending no more.
    ///
    /// # Errors
    /// When that cannot be saved.
    pub async fn dropped(&self, tenant: TenantId, now: Timestamp) -> Result<(), StoreError> {
        let key = BlobKey::Bell(tenant);
        let (Some(bell), etag) = self.store.read_or_replace::<Bell>(&key).await? else { return Ok(()) };
        if bell.due.is_none_or(|due| due > after(now, self.early())) {
            return Ok(());
        }
        match self.store.write(&key, &Bell { due: None, ..bell }, Condition::unchanged(etag.as_ref())).await {
            // Somebody rang or started meanwhile: it is theirs now.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The tenant's bell as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn bell(&self, tenant: TenantId) -> Result<Bell, StoreError> {
        Ok(self.store.read_or_replace::<Bell>(&BlobKey::Bell(tenant)).await?.0.unwrap_or_default())
    }
}
