//! The one door to a Qualys account: lease, fair turns, time, sign-in, call budget.
//!
//! Guarantees: cycles, the command line and `doctor` all pass this door before they call Qualys, and then hold a
//! [`Session`]. One visitor is inside at a time. When a visit ends, a new wake-up is booked for each tenant whose
//! wake-up was dropped, or whose inbox got an item, during the visit.

mod login;
mod session;
mod time;
mod turns;

pub use login::Login;
pub use session::{CallsMade, Session, SignIn};
pub use time::CycleTime;
#[cfg(any(test, fuzzing))]
pub(crate) use turns::Waiting;

use crate::inbox::Inbox;
use crate::lease::{Acquired, Holder, Lease};
use crate::model::{CycleId, Name, TenantId};
use crate::qualys::CallLimits;
use crate::queue::{Arrival, Start, WakeUpError, WakeUps};
use crate::state::TenantState;
use crate::store::{BlobKey, ETag, Store, StoreError};
use jiff::Timestamp;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A Qualys account, as the settings describe it. Several tenants may share one.
#[derive(Debug, Clone)]
pub struct Account {
    /// Names the account's blobs. Deployments that share a Qualys account share this name.
    pub name: Name,
    /// The API server's address.
    pub api: Url,
    pub limits: CallLimits,
    /// How long the lease outlives its holder.
    pub lease: Duration,
    pub http: reqwest::Client,
    pub store: Store,
    pub inbox: Inbox,
    pub wake_ups: WakeUps,
}

/// Why the door could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the next wake-up could not be booked")]
    WakeUp(#[from] WakeUpError),
}

/// The door opened, or why it stayed closed.
#[derive(Debug)]
pub enum Entry<'a> {
    Inside(Visit<'a>),
    Closed(Closed),
}

/// Why a visitor was not let in. A wake-up that was turned away is booked again where that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Another visitor is inside. The holder is unknown for the moment in which it writes its name.
    Held { account: Name, holder: Option<Holder> },
    /// Another tenant has waited since before this tenant's last turn.
    OthersTurn { account: Name, tenant: TenantId },
    /// A later wake-up is booked.
    TooEarly { due: Timestamp },
    /// Another wake-up took the place of the one that arrived.
    Stray,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { account, holder: Some(holder) } => {
                write!(f, "cycle {} of tenant {} holds account `{account}`", holder.cycle, holder.tenant)
            }
            Self::Held { account, holder: None } => write!(f, "another cycle holds account `{account}`"),
            Self::OthersTurn { account, tenant } => {
                write!(f, "it is the turn of tenant {tenant}, which waits for account `{account}`")
            }
            Self::TooEarly { due } => write!(f, "the next cycle is due at {due}"),
            Self::Stray => f.write_str("another wake-up took the place of this one"),
        }
    }
}

impl Account {
    /// Enters for a person, without waiting. Only another visitor closes the door.
    ///
    /// # Errors
    /// When the storage cannot be reached.
    pub async fn enter(
        &self,
        cycle: &CycleId,
        tenant: TenantId,
        time: CycleTime,
    ) -> Result<Entry<'_>, AccountError> {
        let holder = Holder { cycle: cycle.clone(), tenant, since: time.start };
        Ok(match Lease::acquire(&self.store, &self.name, &holder, self.lease).await? {
            Acquired::Ours(lease) => {
                Entry::Inside(Visit { account: self, tenant, lease: Arc::new(lease), time })
            }
            Acquired::Held(holder) => Entry::Closed(Closed::Held { account: self.name.clone(), holder }),
        })
    }

    /// Enters for a message that was sent for the moment `due`: in turn with other tenants, and not within the gap after the
    /// tenant's last cycle. A message that does not count is dropped without a look at the lease.
    ///
    /// # Errors
    /// When the storage cannot be reached, or a later wake-up cannot be booked.
    pub async fn enter_in_turn(
        &self,
        cycle: &CycleId,
        tenant: TenantId,
        due: Option<Timestamp>,
        time: CycleTime,
    ) -> Result<Entry<'_>, AccountError> {
        let due = match self.wake_ups.arrived(tenant, due, time.start).await? {
            Arrival::Counts(due) => due,
            Arrival::Booked(at) => return Ok(Entry::Closed(Closed::TooEarly { due: at })),
            Arrival::Stray => return Ok(Entry::Closed(Closed::Stray)),
        };
        let visit = match self.enter(cycle, tenant, time).await? {
            Entry::Inside(visit) => visit,
            Entry::Closed(closed) => {
                if let Closed::Held { holder, .. } = &closed {
                    turns::wait(self, tenant, due, holder.as_ref(), time.now()).await?;
                }
                return Ok(Entry::Closed(closed));
            }
        };
        match visit.while_inside(pin!(self.turn(tenant, due, time))).await {
            Ok(None) => Ok(Entry::Inside(visit)),
            Ok(Some(closed)) => {
                visit.turn_back().await?;
                Ok(Entry::Closed(closed))
            }
            Err(error) => {
                // The first error says more than one that follows from it.
                let _ = visit.leave().await;
                Err(error)
            }
        }
    }

    /// Why it is not this tenant's turn; none when it is, and then its booking is the running one.
    async fn turn(
        &self,
        tenant: TenantId,
        due: Timestamp,
        time: CycleTime,
    ) -> Result<Option<Closed>, AccountError> {
        if let Some(other) = turns::yield_to(self, tenant, due, time.now()).await? {
            return Ok(Some(Closed::OthersTurn { account: self.name.clone(), tenant: other }));
        }
        match self.wake_ups.start(tenant, due, time.now()).await? {
            Start::Now => {}
            Start::Later(due) => return Ok(Some(Closed::TooEarly { due })),
            Start::Stray => return Ok(Some(Closed::Stray)),
        }
        turns::stop_waiting(self, tenant).await?;
        Ok(None)
    }
}

/// The account is ours until [`Visit::leave`], or until the lease is lost.
#[derive(Debug)]
pub struct Visit<'a> {
    account: &'a Account,
    tenant: TenantId,
    lease: Arc<Lease>,
    time: CycleTime,
}

impl Visit<'_> {
    /// Works while this very future renews the lease: a visit that is cancelled renews nothing.
    pub async fn while_inside<T>(&self, work: Pin<&mut (impl Future<Output = T> + Send)>) -> T {
        tokio::select! {
            done = work => done,
            never = self.lease.keep_renewed() => match never {},
        }
    }

    pub fn time(&self) -> CycleTime {
        self.time
    }

    /// Whether no other visitor can be inside now.
    pub fn is_ours(&self) -> bool {
        self.lease.is_still_ours()
    }

    /// Releases the lease. Then a wake-up that was dropped because of this visit, or is lost, and an inbox item that arrived
    /// during it get a wake-up.
    ///
    /// # Errors
    /// When the inbox or the booking cannot be read, or the wake-up cannot be booked.
    pub async fn leave(self) -> Result<(), AccountError> {
        self.lease.release().await;
        let Account { store, inbox, wake_ups, .. } = self.account;
        let tenant = self.tenant;
        let listed = match store.read::<TenantState>(&BlobKey::State(tenant)).await {
            Ok(state) => state.map(|(state, _)| state.listed).unwrap_or_default(),
            // Without its state a cycle does nothing, so another one would not help. The report named the blob.
            Err(StoreError::Unreadable { .. } | StoreError::Newer { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let is_new = |(name, etag): (String, ETag)| listed.get(&name) != Some(&etag.0);
        let has_new_items = inbox.list(tenant).await?.into_iter().any(is_new);
        Ok(wake_ups.visit_ended(tenant, has_new_items, self.time.now()).await?)
    }

    /// Releases the lease without having done anything. In that moment another wake-up may have been dropped.
    async fn turn_back(self) -> Result<(), AccountError> {
        self.lease.release().await;
        Ok(self.account.wake_ups.visit_ended(self.tenant, false, self.time.now()).await?)
    }
}
