//! A tenant: what its settings say, and the clients that its cycles use.
//!
//! This is all that a cycle knows of the settings. A deployment with several tenants will have several of these.

use crate::account::Account;
use crate::azure::arm::Arm;
use crate::inbox::Inbox;
use crate::model::{Scope, TenantId};
use crate::plan::Policy;
use crate::queue::WakeUps;
use crate::secrets::Secrets;
use crate::store::Store;
use std::time::Duration;

/// One Microsoft Entra directory, watched through one Qualys account.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// What a plan may do, and for which directory.
    pub policy: Policy,
    /// What is watched.
    pub scope: Scope,
    /// What is left out of that.
    pub exclude: Scope,
    /// A new snapshot is due when the newest is older than this.
    pub snapshot_every: Duration,
    /// The shortest time between two snapshots that are taken because syncs have ended.
    pub snapshot_gap: Duration,
    /// How long a cycle may take.
    pub cycle_budget: Duration,
    pub store: Store,
    pub inbox: Inbox,
    pub wake_ups: WakeUps,
    pub secrets: Secrets,
    pub arm: Arm,
    pub account: Account,
}

impl Tenant {
    pub fn id(&self) -> TenantId {
        self.policy.tenant
    }
}
