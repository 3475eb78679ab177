//! The cycle, the spine: observe → plan → act → snapshot → report, for one tenant, under its account's lease.
//!
//! Guarantees: one code path for every trigger; what fails is written down and leaves the inbox items that it did not settle;
//! only unreachable storage is an error of the whole. It ends in this order: report, settled inbox items removed, lease
//! released, and then a look whether another wake-up is needed.

mod audit;
mod due;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod keys;
mod pass;
mod settle;
pub(crate) mod sign_in;
mod turns;

#[cfg(test)]
mod tests;

use crate::app::App;
use crate::lease::{Acquired, Holder, Lease};
use crate::model::{CycleId, TenantId, after};
use crate::plan::Plan;
use crate::queue::{Start, WakeUpError};
use crate::report::Report;
use crate::retry::chance;
use crate::state::TenantState;
use crate::store::{BlobKey, StoreError};
use jiff::Timestamp;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{Instrument, info, info_span};

/// Time kept for the report at the end of the budget: a few small blobs.
const CLOSING: Duration = Duration::from_secs(5);

/// Why a cycle could not even write down what it did. The queue delivers its wake-up again.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// A blob.
    #[error("the cycle's outcome could not be written down")]
    Store(#[from] StoreError),
    /// A wake-up.
    #[error("the next wake-up could not be booked")]
    Wake(#[from] WakeUpError),
}

/// What came of a wake-up.
#[derive(Debug)]
pub enum CycleResult {
    /// A cycle ran.
    Ran(Box<Ran>),
    /// No cycle was due, or none could begin now; a later wake-up stands where one is needed.
    Dropped {
        /// Why.
        because: String,
        /// Who holds the account, if that is why.
        holder: Option<Holder>,
    },
}

/// A cycle that ran.
#[derive(Debug)]
pub struct Ran {
    /// What it did.
    pub report: Report,
    /// What it planned, where it got so far.
    pub plan: Option<Plan>,
}

/// How a cycle was started_by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    /// By a wake-up: the gap between cycles and other tenants' turns are kept.
    WakeUp,
    /// By a person at the command line: now.
    Command {
        /// Only plan; take no item.
        plan_only: bool,
    },
}

/// Runs one cycle, if one is due.
///
/// # Errors
/// Only when storage cannot be reached; everything else is in the report.
pub async fn run(app: &App, started_by: StartedBy, now: Timestamp) -> Result<CycleResult, CycleError> {
    let id = CycleId::new(now, chance());
    let tenant = app.config.policy.tenant;
    let span = info_span!("cycle", cycle.id = %id, tenant.id = %tenant);
    run_as(app, id, started_by, now).instrument(span).await
}

async fn run_as(
    app: &App,
    id: CycleId,
    started_by: StartedBy,
    now: Timestamp,
) -> Result<CycleResult, CycleError> {
    let begun = Instant::now();
    let lease = match acquire(app, &id, now).await? {
        Ok(lease) => lease,
        Err(Taken { because, holder }) => {
            if started_by == StartedBy::WakeUp {
                turns::wait(app, holder.as_ref(), now).await?;
            }
            info!("Dropped a wake-up: {because}");
            return Ok(CycleResult::Dropped { because, holder });
        }
    };
    let deadline = begun + app.config.budget.saturating_sub(CLOSING);
    let time = pass::Time { now, begun, deadline };
    let ended = while_kept(&lease, pin!(under_lease(app, id, started_by, &lease, time))).await;
    // One that yielded stays so.
    if matches!(&ended, Ok(CycleResult::Dropped { .. })) {
        lease.release().await;
        return ended;
    }
    // Whoever we are and however we ended.
    let given_back = give_back(app, &lease, time).await;
    let ended = ended?;
    given_back?;
    Ok(ended)
}

/// The account is taken.
struct Taken {
    because: String,
    holder: Option<Holder>,
}

/// Asks for the account's lease.
async fn acquire(app: &App, id: &CycleId, now: Timestamp) -> Result<Result<Arc<Lease>, Taken>, StoreError> {
    let (tenant, account) = (app.config.policy.tenant, &app.config.account);
    let holder = Holder { cycle: id.clone(), tenant, since: now };
    Ok(match Lease::acquire(&app.store, account, &holder, app.config.lease).await? {
        Acquired::Ours(lease) => Ok(Arc::new(lease)),
        Acquired::Held(holder) => {
            let whose = holder
                .as_ref()
                .map_or("somebody".to_owned(), |h| format!("cycle {} of tenant {}", h.cycle, h.tenant));
            Err(Taken { because: format!("{whose} holds account `{account}`"), holder })
        }
    })
}

/// Works while the lease is kept by this very future: one that is cancelled renews nothing.
async fn while_kept<T>(lease: &Lease, work: Pin<&mut (impl Future<Output = T> + Send)>) -> T {
    tokio::select! {
        done = work => done,
        never = lease.keep_renewed() => match never {},
    }
}

/// Releases the lease, and looks after the wake-ups that met us and were dropped.
async fn give_back(app: &App, lease: &Lease, time: pass::Time) -> Result<(), CycleError> {
    lease.release().await;
    look_again(app, time.at()).await
}

async fn under_lease(
    app: &App,
    id: CycleId,
    started_by: StartedBy,
    lease: &Arc<Lease>,
    time: pass::Time,
) -> Result<CycleResult, CycleError> {
    if started_by == StartedBy::WakeUp {
        let (tenant, now) = (app.config.policy.tenant, time.now);
        let dropped = match turns::yield_to(app, now).await? {
            Some(other) => {
                let account = &app.config.account;
                Some(format!("tenant {other} has waited for account `{account}` since before our last turn"))
            }
            None => match app.wake_ups.start(tenant, now).await? {
                Start::Now => None,
                Start::Later(due) => Some(format!("the next cycle is due at {due}")),
            },
        };
        if let Some(because) = dropped {
            info!("Dropped a wake-up: {because}");
            return Ok(CycleResult::Dropped { because, holder: None });
        }
        turns::taken(app).await?;
    }
    let ran = pass::run(app, id, started_by, lease, time).await?;
    Ok(CycleResult::Ran(Box::new(ran)))
}

/// After the lease is released: a wake-up that was dropped because of us, or an inbox item that came meanwhile, gets a wake-up.
async fn look_again(app: &App, now: Timestamp) -> Result<(), CycleError> {
    let tenant = app.config.policy.tenant;
    let listed = match app.store.read::<TenantState>(&BlobKey::State(tenant)).await {
        Ok(memory) => memory.map(|(memory, _)| memory.listed).unwrap_or_default(),
        // Said in the report of the cycle that met it. Without its memory a cycle does nothing, so another one would not help.
        Err(StoreError::Unreadable { .. } | StoreError::Newer { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let unlisted =
        app.inbox.list(tenant).await?.into_iter().any(|(name, etag)| listed.get(&name) != Some(&etag.0));
    if unlisted || app.wake_ups.booking(tenant).await?.is_overdue(now) {
        app.wake_ups.book(tenant, now, now).await?;
    }
    Ok(())
}

/// The earliest of some moments.
fn earliest(moments: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    moments.into_iter().flatten().min()
}

/// The moment `wait` from now, if so.
fn in_a_while(so: bool, now: Timestamp, wait: Duration) -> Option<Timestamp> {
    so.then(|| after(now, wait))
}

/// Whether a holder is of this tenant.
fn is_of(holder: Option<&Holder>, tenant: TenantId) -> bool {
    holder.is_some_and(|holder| holder.tenant == tenant)
}
