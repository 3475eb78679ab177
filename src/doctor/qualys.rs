//! The Qualys side of `doctor`: one sign-in, through the account's door.

use crate::account::{AccountError, Closed, CycleTime, Entry, Login, Visit};
use crate::model::CycleId;
use crate::qualys::QualysError;
use crate::retry::chance;
use crate::store::StoreError;
use crate::tenant::Tenant;
use jiff::Timestamp;
use std::pin::pin;
use std::time::Duration;

/// A person waits for the answer. Four attempts fit into this time, which covers a brief failure of the API.
const LIMIT: Duration = Duration::from_mins(1);

/// The result of the sign-in.
pub(super) enum Tried {
    Accepted {
        /// Qualys had refused the credentials before.
        was_refused: bool,
    },
    /// Qualys asked the account to wait until then, so nothing was sent.
    Waits(Timestamp),
    /// Another visitor holds the account.
    Closed(Closed),
    Failed(QualysError),
}

/// Tries the credentials with one call, even if Qualys refused them before.
pub(super) async fn try_login(tenant: &Tenant, login: &Login, now: Timestamp) -> Result<Tried, AccountError> {
    let id = CycleId::new(now, chance());
    let visit = match tenant.account.enter(&id, tenant.id(), CycleTime::new(now, LIMIT)).await? {
        Entry::Inside(visit) => visit,
        Entry::Closed(closed) => return Ok(Tried::Closed(closed)),
    };
    let tried = visit.while_inside(pin!(sign_in(&visit, login))).await;
    visit.leave().await?;
    Ok(tried?)
}

async fn sign_in(visit: &Visit<'_>, login: &Login) -> Result<Tried, StoreError> {
    let session = match visit.sign_in_even_if_refused(login).await? {
        Ok(session) => session,
        Err(until) => return Ok(Tried::Waits(until)),
    };
    let was_refused = session.was_refused;
    let tried = session.try_credentials().await;
    session.end().await?;
    Ok(match tried? {
        Ok(()) => Tried::Accepted { was_refused },
        Err(error) => Tried::Failed(error),
    })
}
