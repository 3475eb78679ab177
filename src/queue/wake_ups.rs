//! Bookings and messages together: each event is read, decided in [`Booking`], saved if nobody else was faster, and only then
//! sent.

use super::booking::{Moment, Step};
use super::{Arrival, Booked, Booking, Queue, QueueError, Start, WakeUp};
use crate::model::{TenantId, elapsed};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, ETag, Replaceable, Store, StoreError};
use jiff::Timestamp;
use std::time::Duration;

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

    /// The tenant's booking. One that is malformed counts as none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn booking(&self, tenant: TenantId) -> Result<Booking, StoreError> {
        let read = self.store.read_replaceable::<Booking>(&BlobKey::WakeUp(tenant)).await?;
        Ok(read.value.unwrap_or_default())
    }

    /// When the tenant's next wake-up is due, for people to see; none when none is pending.
    ///
    /// # Errors
    /// When the booking cannot be read, or is malformed: that is not none.
    pub async fn next_due(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        let read = self.store.read::<Booking>(&BlobKey::WakeUp(tenant)).await?;
        Ok(read.and_then(|(booking, _)| booking.due))
    }

    /// Books a wake-up at `at`, or at the end of the gap after the last start, whichever is later. An earlier one that is
    /// pending will do.
    ///
    /// # Errors
    /// When the booking cannot be saved, or the message not sent. Then it does not count as pending.
    pub async fn book(&self, tenant: TenantId, at: Timestamp, now: Timestamp) -> Result<Booked, WakeUpError> {
        let moment = self.moment(now);
        self.change(tenant, now, |stored| stored.unwrap_or_default().wanted(at, moment)).await
    }

    /// A message arrived that was sent for the moment `due`; none in an older program's.
    ///
    /// # Errors
    /// As [`WakeUps::book`].
    pub async fn arrived(
        &self,
        tenant: TenantId,
        due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Arrival, WakeUpError> {
        let moment = self.moment(now);
        self.change(tenant, now, |stored| Booking::arrives(stored, due, moment)).await
    }

    /// The message that was sent for the moment `due` would start a cycle; the account is ours. Its booking becomes the running
    /// one. Within the gap after the last start, only the end of the gap is booked.
    ///
    /// # Errors
    /// As [`WakeUps::book`].
    pub async fn start(
        &self,
        tenant: TenantId,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<Start, WakeUpError> {
        let moment = self.moment(now);
        self.change(tenant, now, |stored| Booking::starts(stored, due, moment)).await
    }

    /// The message that was sent for the moment `due` is used up, and its cycle waits until `until`.
    ///
    /// # Errors
    /// As [`WakeUps::book`].
    pub async fn postpone(
        &self,
        tenant: TenantId,
        due: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), WakeUpError> {
        let moment = self.moment(now);
        self.change(tenant, now, |stored| (Booking::postponed(stored, due, until, moment), ())).await
    }

    /// The message that was sent for the moment `due` is dropped, because another visit of its tenant has held the account
    /// since `since`. The end of that visit makes up for it.
    ///
    /// # Errors
    /// When that cannot be saved.
    pub async fn missed(
        &self,
        tenant: TenantId,
        due: Timestamp,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), WakeUpError> {
        let moment = self.moment(now);
        self.change(tenant, now, |stored| (Booking::missed(stored, due, since, moment), ())).await
    }

    /// A visit to the account has ended: makes up for a wake-up that was dropped because of it or is lost, and books one for
    /// new inbox items.
    ///
    /// # Errors
    /// As [`WakeUps::book`].
    pub async fn visit_ended(
        &self,
        tenant: TenantId,
        has_new_items: bool,
        now: Timestamp,
    ) -> Result<(), WakeUpError> {
        let moment = self.moment(now);
        self.change(tenant, now, |stored| (Booking::visit_ended(stored, has_new_items, moment), ())).await
    }

    /// The cycle that this message started has ended, and has written down what it did: the message no longer counts.
    ///
    /// # Errors
    /// When that cannot be saved.
    pub async fn cycle_ended(
        &self,
        tenant: TenantId,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), WakeUpError> {
        self.change(tenant, now, |stored| (Booking::cycle_ended(stored, due), ())).await
    }

    fn moment(&self, now: Timestamp) -> Moment {
        Moment { now, gap: self.gap }
    }

    /// Reads the booking, and carries out what is decided. If somebody else changed it meanwhile, it is decided again.
    async fn change<R: Send>(
        &self,
        tenant: TenantId,
        now: Timestamp,
        decide: impl Fn(Option<Booking>) -> (Step, R) + Send + Sync,
    ) -> Result<R, WakeUpError> {
        let key = BlobKey::WakeUp(tenant);
        loop {
            let read = self.store.read_replaceable::<Booking>(&key).await?;
            let Replaceable { value: before, unchanged } = read.corrected(&key, now);
            let (step, result) = decide(before.clone());
            let (booking, message) = match step {
                Step::Keep => return Ok(result),
                Step::Save(booking) => (booking, None),
                Step::Send(booking, due) => (booking, Some(due)),
            };
            let booking = Booking { schema_version: SCHEMA_VERSION, ..booking };
            let etag = match self.store.write(&key, &booking, unchanged).await {
                Ok(etag) => etag,
                Err(StoreError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(due) = message else { return Ok(result) };
            let wake_up = WakeUp { tenant, due: Some(due) };
            match self.queue.send(&wake_up, elapsed(due, now), now).await {
                // If that cannot be saved, the next who wants a cycle sends a second copy, which is dropped.
                Ok(()) => _ = self.mark_sent(tenant, due, booking, etag).await,
                Err(error) => {
                    // What was pending before still is. If this write fails too, the message is missing, and is known to be.
                    let before = Booking { schema_version: SCHEMA_VERSION, ..before.unwrap_or_default() };
                    let _ = self.store.write(&key, &before, Condition::Match(etag)).await;
                    return Err(error.into());
                }
            }
            return Ok(result);
        }
    }

    /// Saves that the message for `due` was sent.
    async fn mark_sent(
        &self,
        tenant: TenantId,
        due: Timestamp,
        saved: Booking,
        etag: ETag,
    ) -> Result<(), StoreError> {
        let key = BlobKey::WakeUp(tenant);
        let (mut stored, mut unchanged) = (Some(saved), Condition::Match(etag));
        loop {
            let Step::Save(sent) = Booking::sent(stored, due) else { return Ok(()) };
            match self.store.write(&key, &sent, unchanged).await {
                Err(StoreError::Conflict { .. }) => {}
                written => return written.map(|_| ()),
            }
            Replaceable { value: stored, unchanged } = self.store.read_replaceable(&key).await?;
        }
    }
}
