//! Every blob that there is: its container, its path, its content type, in one place.

use crate::model::{CycleId, Name, RequestId, SnapshotId, SubscriptionId, TenantId};
use std::fmt;
use std::str::FromStr;

/// A container. There are two, because the first may be under a write-once policy and the second never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Written once, never changed.
    Inventory,
    /// Changed under `ETag`s.
    Control,
}

impl Container {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Control => "control",
        }
    }
}

/// One kind of blob. Later kinds (`data/` in Parquet, changes, blind spots, approvals) get their variant here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobKey {
    /// What Qualys answered, one record a line.
    Raw {
        /// The tenant.
        tenant: TenantId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// The resource type.
        resource_type: String,
        /// The part's number.
        part: u32,
    },
    /// A snapshot's table of contents and proof.
    Manifest(TenantId, SnapshotId),
    /// What a cycle is about to write to Qualys.
    Intent(TenantId, CycleId),
    /// What became of it.
    Audit(TenantId, CycleId),
    /// Who holds the account.
    Lease(Name),
    /// What the account remembers.
    Account(Name),
    /// A tenant that waits for its turn on the account.
    Waiting(Name, TenantId),
    /// The newest complete snapshot.
    Latest(TenantId),
    /// How the tenant is.
    Status(TenantId),
    /// What the tenant remembers.
    State(TenantId),
    /// The newest plan.
    Plan(TenantId),
    /// The next wake-up.
    WakeUp(TenantId),
    /// What a trigger left.
    InboxItem(TenantId, ItemName),
    /// What became of a request made by hand.
    Request(TenantId, RequestId),
    /// What a cycle did.
    Report(TenantId, CycleId),
    /// A message that was no wake-up, or one that could not be served.
    Poison(TenantId, RequestId),
    /// What `doctor` writes, reads and removes.
    Doctor(TenantId),
}

impl BlobKey {
    /// The container it lives in.
    pub fn container(&self) -> Container {
        match self {
            Self::Raw { .. } | Self::Manifest(..) | Self::Intent(..) | Self::Audit(..) => {
                Container::Inventory
            }
            _ => Container::Control,
        }
    }

    /// Its path inside the container.
    pub fn path(&self) -> String {
        match self {
            Self::Raw { tenant, snapshot, resource_type, part } => {
                format!(
                    "tenant={tenant}/snapshots/{snapshot}/raw/type={resource_type}/part-{part:05}.jsonl.gz"
                )
            }
            Self::Manifest(tenant, snapshot) => format!("tenant={tenant}/snapshots/{snapshot}/manifest.json"),
            Self::Intent(tenant, cycle) => {
                format!("tenant={tenant}/audit/{}/{cycle}.intent.jsonl", cycle.date())
            }
            Self::Audit(tenant, cycle) => format!("tenant={tenant}/audit/{}/{cycle}.jsonl", cycle.date()),
            Self::Lease(account) => format!("account={account}/lease"),
            Self::Account(account) => format!("account={account}/state.json"),
            Self::Waiting(account, tenant) => format!("account={account}/waiting/{tenant}.json"),
            Self::Latest(tenant) => format!("tenant={tenant}/latest.json"),
            Self::Status(tenant) => format!("tenant={tenant}/status.json"),
            Self::State(tenant) => format!("tenant={tenant}/state.json"),
            Self::Plan(tenant) => format!("tenant={tenant}/plan.json"),
            Self::WakeUp(tenant) => format!("tenant={tenant}/wake-up.json"),
            Self::InboxItem(tenant, item) => format!("tenant={tenant}/inbox/{item}"),
            Self::Request(tenant, request) => format!("tenant={tenant}/requests/{request}.json"),
            Self::Report(tenant, cycle) => format!("tenant={tenant}/reports/{cycle}.json"),
            Self::Poison(tenant, id) => format!("tenant={tenant}/poison/{id}.json"),
            Self::Doctor(tenant) => format!("tenant={tenant}/doctor.json"),
        }
    }

    /// What it holds.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Raw { .. } => "application/gzip",
            Self::Intent(..) | Self::Audit(..) => "application/x-ndjson",
            _ => "application/json",
        }
    }

    /// The folder of a tenant's inbox.
    pub fn inbox(tenant: TenantId) -> String {
        format!("tenant={tenant}/inbox")
    }

    /// The place below which the tenants lie that wait for an account.
    pub fn waiting(account: &Name) -> String {
        format!("account={account}/waiting")
    }
}

/// The name of an inbox item: one each, so that duplicates fold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemName {
    /// The timer ticked.
    Timer,
    /// A secret changed.
    Secret,
    /// Something was said about a subscription.
    Subscription(SubscriptionId),
    /// Somebody asked by hand.
    Request(RequestId),
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timer => f.write_str("timer"),
            Self::Secret => f.write_str("secret"),
            Self::Subscription(id) => write!(f, "subscription={id}"),
            Self::Request(id) => write!(f, "request={id}"),
        }
    }
}

impl FromStr for ItemName {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let name = match text.split_once('=') {
            None if text == "timer" => Self::Timer,
            None if text == "secret" => Self::Secret,
            Some(("subscription", id)) => Self::Subscription(id.parse().map_err(|_| ())?),
            Some(("request", id)) => Self::Request(id.parse().map_err(|_| ())?),
            _ => return Err(()),
        };
        // Another spelling of an id is another blob: under the name that we print there is none.
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests;
