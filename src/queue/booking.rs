//! The one future wake-up of each tenant: the booking in `wake-up.json`, and the message that is sent for it.

use super::{LONGEST_POLL, Queue, QueueError, REDELIVERY};
use crate::model::{TenantId, after, elapsed};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Replaceable, Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A wake-up this long past its time (2 minutes) counts as lost: by then the queue has shown the message of a killed handler
/// again, and the host has looked.
const LOST_AFTER: Duration = REDELIVERY.saturating_add(LONGEST_POLL);
/// A message may arrive this much too early, by the clock of another machine. Dropping it would lose the wake-up.
const EARLY: Duration = Duration::from_secs(30);

/// `wake-up.json`: when a tenant's next cycle is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Booking {
    pub schema_version: u32,
    /// When the next cycle is due; none when no wake-up is pending.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub due: Option<Timestamp>,
    /// When the tenant's last cycle started.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_start: Option<Timestamp>,
}

impl Booking {
    fn is_pending(&self, at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.due.filter(|due| *due <= at && elapsed(now, *due) < LOST_AFTER)
    }

    /// Whether its message should have arrived and has not.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| elapsed(now, due) >= LOST_AFTER)
    }
}

/// What [`WakeUps::book`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booked {
    /// A message was sent, for this moment.
    Sent(Timestamp),
    /// A wake-up at this moment, early enough, is already pending.
    Pending(Timestamp),
}

/// Whether a cycle may start on the wake-up that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    /// Another wake-up is booked for this moment: drop the one that arrived.
    Later(Timestamp),
}

/// Why a wake-up could not be booked.
#[derive(Debug, thiserror::Error)]
pub enum WakeUpError {
    #[error("the time of the next wake-up could not be saved")]
    Store(#[from] StoreError),
    /// The item is in the inbox, and the next wake-up finds it.
    #[error("the wake-up could not be sent")]
    Queue(#[from] QueueError),
}

/// The wake-ups of all tenants.
#[derive(Debug, Clone)]
pub struct WakeUps {
    store: Store,
    queue: Queue,
    gap: Duration,
}

impl WakeUps {
    /// Bookings in `store`, messages in `queue`. Cycles of a tenant start at least `gap` apart.
    pub fn new(store: Store, queue: Queue, gap: Duration) -> Self {
        Self { store, queue, gap }
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Books a wake-up at `at`, or at the end of the gap after the last start, whichever is later.
    ///
    /// # Errors
    /// When the booking cannot be saved, or the message not sent. Then no wake-up counts as pending.
    pub async fn book(&self, tenant: TenantId, at: Timestamp, now: Timestamp) -> Result<Booked, WakeUpError> {
        let key = BlobKey::WakeUp(tenant);
        loop {
            let Replaceable { value, unchanged } = self.store.read_replaceable::<Booking>(&key).await?;
            let booking = value.unwrap_or_default();
            let at = self.gap_end(&booking, now).map_or(at, |end| at.max(end));
            if let Some(due) = booking.is_pending(at, now) {
                return Ok(Booked::Pending(due));
            }
            let booked =
                Booking { schema_version: SCHEMA_VERSION, due: Some(at), last_start: booking.last_start };
            let etag = match self.store.write(&key, &booked, unchanged).await {
                Ok(etag) => etag,
                // Someone else booked meanwhile: see whether that is early enough.
                Err(StoreError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Err(error) = self.queue.send(tenant, elapsed(at, now), now).await {
                // A wake-up that was not sent must not look pending. If this write fails too, it counts as lost in two minutes.
                let unbooked = Booking { due: None, ..booked };
                let _ = self.store.write(&key, &unbooked, Condition::Match(etag)).await;
                return Err(error.into());
            }
            return Ok(Booked::Sent(at));
        }
    }

    /// A wake-up arrived: clears the booking, so that a cycle may start, or says that another one is booked.
    ///
    /// Within the gap after the last start it only books the end of the gap.
    ///
    /// # Errors
    /// When the booking cannot be saved, or the message not sent.
    pub async fn start(&self, tenant: TenantId, now: Timestamp) -> Result<Start, WakeUpError> {
        let key = BlobKey::WakeUp(tenant);
        loop {
            let Replaceable { value, unchanged } = self.store.read_replaceable::<Booking>(&key).await?;
            let booking = value.unwrap_or_default();
            if let Some(due) = booking.due.filter(|due| *due > after(now, self.early())) {
                // This may be the booked wake-up itself, early by another machine's clock, or the booked message was
                // never sent. One message too many costs an empty cycle at most; one too few costs a timer period.
                self.queue.send(tenant, elapsed(due, now), now).await?;
                return Ok(Start::Later(due));
            }
            if let Some(end) = self.gap_end(&booking, now).filter(|end| *end > after(now, self.early())) {
                self.book(tenant, end, now).await?;
                return Ok(Start::Later(end));
            }
            let started = Booking { schema_version: SCHEMA_VERSION, due: None, last_start: Some(now) };
            match self.store.write(&key, &started, unchanged).await {
                Ok(_) => return Ok(Start::Now),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// When the gap after the last start ends. A start in the future was written by a clock that was ahead, and does not
    /// count.
    fn gap_end(&self, booking: &Booking, now: Timestamp) -> Option<Timestamp> {
        booking.last_start.filter(|start| *start <= after(now, EARLY)).map(|start| after(start, self.gap))
    }

    /// How early a message may be. Less than the gap, or two wake-ups would count as one.
    fn early(&self) -> Duration {
        EARLY.min(self.gap / 2)
    }

    /// A wake-up was dropped because a cycle holds the account: it is no longer pending.
    ///
    /// # Errors
    /// When that cannot be saved.
    pub async fn dropped(&self, tenant: TenantId, now: Timestamp) -> Result<(), StoreError> {
        let key = BlobKey::WakeUp(tenant);
        let Replaceable { value, unchanged } = self.store.read_replaceable::<Booking>(&key).await?;
        let Some(booking) = value else { return Ok(()) };
        if booking.due.is_none_or(|due| due > after(now, self.early())) {
            return Ok(());
        }
        let unbooked = Booking { due: None, ..booking };
        match self.store.write(&key, &unbooked, unchanged).await {
            // Someone booked or started meanwhile, so the booking is theirs now.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The tenant's booking.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn booking(&self, tenant: TenantId) -> Result<Booking, StoreError> {
        let read = self.store.read_replaceable::<Booking>(&BlobKey::WakeUp(tenant)).await?;
        Ok(read.value.unwrap_or_default())
    }
}
