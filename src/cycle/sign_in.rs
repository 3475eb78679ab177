//! Signing in to Qualys, for a cycle and for a person: the account's state, the breaker, the client.
//!
//! Guarantees: no call is made with credentials that were refused, but for the one that a person asks for by `doctor`; a
//! refusal opens the breaker, and only a sign-in with these very credentials that succeeds closes it.

use super::keys::Login;
use super::pass::Time;
use super::{CycleError, acquire, give_back, while_kept};
use crate::app::App;
use crate::lease::Lease;
use crate::model::CycleId;
use crate::qualys::{self, CallBudget, Qualys, QualysError, Sending};
use crate::retry::chance;
use crate::state::{AccountState, Breaker, SCHEMA_VERSION};
use crate::store::{BlobKey, StoreError};
use jiff::Timestamp;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Breakers that an account remembers: enough for every deployment of it and its last passwords.
const MOST_BREAKERS: usize = 50;
/// A person waits for the answer; four attempts at an API that stumbles have their time.
const LIMIT: Duration = Duration::from_mins(1);

/// What the account knows of these credentials before a call is made.
pub(super) struct SignIn {
    credentials: String,
    /// Qualys refused them before.
    pub(super) was_refused: bool,
    /// Until when Qualys told the account to wait.
    pub(super) pause_until: Option<Timestamp>,
}

impl SignIn {
    /// Looks into the account's state, which gets its salt if it has none.
    pub(super) async fn look(app: &App, login: &Login) -> Result<Self, StoreError> {
        let account = BlobKey::Account(app.config.account.clone());
        let look = |state: &mut AccountState| {
            state.schema_version = SCHEMA_VERSION;
            if state.salt.is_empty() {
                state.salt = format!("{:08x}{:08x}", chance(), chance());
            }
            let credentials = login.fingerprint(&state.salt);
            let was_refused = state.refused.iter().any(|breaker| breaker.credentials == credentials);
            Self { credentials, was_refused, pause_until: state.pause_until }
        };
        app.store.update(&account, look).await
    }

    /// Opens or closes the breaker of these credentials, if it is not so already.
    pub(super) async fn keep(&self, app: &App, is_refused: bool, now: Timestamp) -> Result<(), StoreError> {
        if is_refused == self.was_refused {
            return Ok(());
        }
        let account = BlobKey::Account(app.config.account.clone());
        let change = |state: &mut AccountState| {
            state.refused.retain(|breaker| breaker.credentials != self.credentials);
            if is_refused {
                state.refused.push(Breaker { opened: now, credentials: self.credentials.clone() });
            }
            let surplus = state.refused.len().saturating_sub(MOST_BREAKERS);
            state.refused.drain(..surplus);
        };
        app.store.update(&account, change).await
    }
}

/// Qualys, as this user, under the account's lease.
pub(super) fn client(app: &App, login: &Login, lease: &Arc<Lease>, time: Time) -> Qualys {
    let config = &app.config;
    let limits = (config.calls_per_hour, config.reserve_percent, config.concurrency);
    let lease = Arc::clone(lease);
    Qualys::new(qualys::Setup {
        http: app.http.clone(),
        base: config.qualys_api.clone(),
        username: login.username.value.clone(),
        password: login.password.value.clone(),
        write_timeout: config.lease / 2,
        deadline: time.deadline,
        calls: CallBudget::new(app.store.clone(), config.account.clone(), limits, time.now),
        may_send: Arc::new(move |sending| match sending {
            Sending::Read => lease.is_still_ours(),
            Sending::Write => lease.allows_writes(),
        }),
    })
}

/// What came of a sign-in that a person asked for.
#[derive(Debug)]
pub(crate) enum SignedIn {
    /// Qualys accepts the credentials; whether it had refused them before.
    Accepted { was_refused: bool },
    /// Qualys told the account to wait until then: nothing was sent.
    Waits(Timestamp),
    /// A cycle holds the account; it is named.
    Held(String),
    /// It failed.
    Failed(QualysError),
}

/// Tries the credentials with one call, refused or not, and keeps the breaker by what Qualys says.
pub(crate) async fn by_hand(app: &App, login: &Login, now: Timestamp) -> Result<SignedIn, CycleError> {
    let begun = Instant::now();
    let time = Time { now, begun, deadline: begun + LIMIT };
    let lease = match acquire(app, &CycleId::new(now, chance()), now).await? {
        Ok(lease) => lease,
        Err(taken) => return Ok(SignedIn::Held(taken.because)),
    };
    let tried = while_kept(&lease, pin!(under_lease(app, login, &lease, time))).await;
    // As after a cycle: a wake-up that met us was dropped.
    give_back(app, &lease, time).await?;
    Ok(tried?)
}

async fn under_lease(
    app: &App,
    login: &Login,
    lease: &Arc<Lease>,
    time: Time,
) -> Result<SignedIn, StoreError> {
    let known = SignIn::look(app, login).await?;
    if let Some(until) = known.pause_until.filter(|until| *until > time.now) {
        return Ok(SignedIn::Waits(until));
    }
    let qualys = client(app, login, lease, time);
    let tried = qualys.sign_in().await;
    // The breaker first: what is lost of the call window costs less than another refusal.
    match &tried {
        Ok(()) => known.keep(app, false, time.at()).await?,
        Err(QualysError::BadCredentials { .. }) => known.keep(app, true, time.at()).await?,
        // Whether they are right was not said.
        Err(_) => {}
    }
    qualys.calls().finish().await?;
    Ok(match tried {
        Ok(()) => SignedIn::Accepted { was_refused: known.was_refused },
        Err(error) => SignedIn::Failed(error),
    })
}

/// What a person can do about an error of Qualys's.
pub(crate) fn advice(error: &QualysError) -> &'static str {
    match error {
        QualysError::BadCredentials { .. } => {
            "correct `qualys-username` and `qualys-password`, or unlock the user in Qualys; then run `doctor`, or a new version of the secret is tried by itself. Nothing more is sent with these, so that Qualys does not lock the user"
        }
        QualysError::Forbidden { .. } => {
            "give the Qualys user the Manager role with full scope and API access, and check the licensed modules and allowed addresses"
        }
        QualysError::RateLimited { .. } | QualysError::NoCallsLeft { .. } => {
            "nothing: a later cycle goes on; raise QUALYS_CALLS_PER_HOUR only if Qualys raised the account's limit"
        }
        QualysError::Status { status: 404, .. } | QualysError::Address { .. } => {
            "check QUALYS_PLATFORM or QUALYS_API_URL"
        }
        QualysError::Account(_) => "check the storage",
        _ => "nothing: the next cycle tries again; if it stays, check the network and the Qualys platform",
    }
}
