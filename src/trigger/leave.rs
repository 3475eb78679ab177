//! Leaving inbox items: first the items, then one wake-up for all of them, within a limit.
//!
//! If the wake-up is lost, the next one finds the items.

use crate::app::App;
use crate::inbox::{AT_ONCE, ItemContent};
use crate::model::{Asked, RequestId, TenantId};
use crate::queue::{Booked, WakeUpError};
use crate::store::{ItemName, StoreError};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::timeout;

/// The longest that a trigger waits for storage and queue together. Event Grid waits
/// [30 s](https://learn.microsoft.com/azure/event-grid/delivery-and-retry) for an answer, of which the host and the network need
/// their share.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Why a trigger could not leave what it was given.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    #[error("the inbox item could not be left")]
    Inbox(#[from] StoreError),
    /// The item is in the inbox, and the next wake-up finds it.
    #[error("the wake-up could not be booked")]
    WakeUp(#[from] WakeUpError),
    /// Some of it may have been done; doing it again does no harm.
    #[error(
        "storage and queue did not do their part within {} s: check the storage accounts of STORAGE and QUEUE and the network to them",
        LIMIT.as_secs()
    )]
    TimedOut,
}

impl App {
    /// Leaves an inbox item, then books a wake-up.
    ///
    /// # Errors
    /// As [`App::leave_all`].
    pub async fn leave(
        &self,
        tenant: TenantId,
        name: ItemName,
        content: &ItemContent,
        now: Timestamp,
    ) -> Result<Booked, LeaveError> {
        self.leave_all(tenant, &[(name, content.clone())], now).await
    }

    /// Leaves inbox items, then books a wake-up.
    ///
    /// # Errors
    /// When an item cannot be written, the wake-up cannot be booked, or both take longer than 20 s.
    pub async fn leave_all(
        &self,
        tenant: TenantId,
        items: &[(ItemName, ItemContent)],
        now: Timestamp,
    ) -> Result<Booked, LeaveError> {
        let work = async {
            let puts =
                items.iter().map(|(name, content)| self.tenant.inbox.put(tenant, name.clone(), content));
            // Collected first: the closure's borrows are too much for the compiler inside a stream.
            let puts: Vec<_> = puts.collect();
            stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            Ok(self.tenant.wake_ups.book(tenant, now, now).await?)
        };
        in_time(work).await
    }

    /// Leaves a request's inbox item and its page, then books a wake-up.
    ///
    /// # Errors
    /// As [`App::leave_all`].
    pub async fn leave_request(
        &self,
        tenant: TenantId,
        id: &RequestId,
        asked: &Asked,
        by: &str,
        now: Timestamp,
    ) -> Result<Booked, LeaveError> {
        let work = async {
            self.tenant.inbox.put_request(tenant, id, asked, by, now).await?;
            Ok(self.tenant.wake_ups.book(tenant, now, now).await?)
        };
        in_time(work).await
    }
}

/// Gives the work up at the [`LIMIT`].
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, LeaveError>>) -> Result<T, LeaveError> {
    timeout(LIMIT, work).await.unwrap_or(Err(LeaveError::TimedOut))
}
