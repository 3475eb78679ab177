//! Every kind of blob: its container, its path and its content type, in one place.

use crate::model::{CycleId, Name, RequestId, SnapshotId, SubscriptionId, TenantId};
use std::fmt;
use std::str::FromStr;

/// A container. A write-once policy may apply to the first and must never apply to the second; the third is writable by
/// operators alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Written once, never changed.
    Inventory,
    /// Changed, guarded by [`ETag`](super::ETag)s.
    Control,
    /// What operators approved; cycles only read it.
    Approvals,
}

impl Container {
    /// Its name in the storage account.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Control => "control",
            Self::Approvals => "approvals",
        }
    }
}

/// One kind of blob. Later kinds (`data/` in Parquet, changes, blind spots) get a variant here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobKey {
    /// Records as Qualys returned them, one a line.
    Raw {
        tenant: TenantId,
        snapshot: SnapshotId,
        resource_type: String,
        /// The number of the part, from 0.
        part: u32,
    },
    /// What a snapshot consists of, with its proof.
    Manifest(TenantId, SnapshotId),
    /// The actions that a cycle is about to carry out.
    Intent(TenantId, CycleId),
    /// The outcome of each of them.
    Audit(TenantId, CycleId),
    /// The lease of an account, with its holder.
    Lease(Name),
    /// The state of an account.
    Account(Name),
    /// A tenant that waits for its turn on the account.
    Waiting(Name, TenantId),
    /// The newest complete snapshot.
    Latest(TenantId),
    /// How the tenant is doing.
    Status(TenantId),
    /// The state of a tenant.
    State(TenantId),
    /// The newest plan.
    Plan(TenantId),
    /// The booking of the next wake-up.
    WakeUp(TenantId),
    /// An item that a trigger left in the inbox.
    InboxItem(TenantId, ItemName),
    /// The state of a request.
    Request(TenantId, RequestId),
    /// What a cycle did.
    Report(TenantId, CycleId),
    /// A message that is not a wake-up, or a wake-up that could not be served.
    Poison(TenantId, RequestId),
    /// An operator's approval that connectors which a list lacks are gone, by the hash that names them. That of removals
    /// will be another.
    ApprovedMissing(TenantId, String),
    /// The mark that an approval was used.
    UsedApproval(TenantId, RequestId),
    /// Written, read and removed by `doctor` to test the storage.
    Doctor(TenantId),
}

impl BlobKey {
    pub fn container(&self) -> Container {
        match self {
            Self::Raw { .. } | Self::Manifest(..) | Self::Intent(..) | Self::Audit(..) => {
                Container::Inventory
            }
            Self::Lease(_)
            | Self::Account(_)
            | Self::Waiting(..)
            | Self::Latest(_)
            | Self::Status(_)
            | Self::State(_)
            | Self::Plan(_)
            | Self::WakeUp(_)
            | Self::InboxItem(..)
            | Self::Request(..)
            | Self::Report(..)
            | Self::Poison(..)
            | Self::UsedApproval(..)
            | Self::Doctor(_) => Container::Control,
            Self::ApprovedMissing(..) => Container::Approvals,
        }
    }

    /// The path inside the container.
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
            Self::ApprovedMissing(tenant, hash) => format!("tenant={tenant}/missing-{hash}.json"),
            Self::UsedApproval(tenant, id) => format!("tenant={tenant}/approvals/{id}.json"),
            Self::Doctor(tenant) => format!("tenant={tenant}/doctor.json"),
        }
    }

    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Raw { .. } => "application/gzip",
            Self::Intent(..) | Self::Audit(..) => "application/x-ndjson",
            Self::Manifest(..)
            | Self::Lease(_)
            | Self::Account(_)
            | Self::Waiting(..)
            | Self::Latest(_)
            | Self::Status(_)
            | Self::State(_)
            | Self::Plan(_)
            | Self::WakeUp(_)
            | Self::InboxItem(..)
            | Self::Request(..)
            | Self::Report(..)
            | Self::Poison(..)
            | Self::ApprovedMissing(..)
            | Self::UsedApproval(..)
            | Self::Doctor(_) => "application/json",
        }
    }

    /// The folder with a folder for each snapshot of a tenant.
    pub fn snapshots(tenant: TenantId) -> String {
        format!("tenant={tenant}/snapshots")
    }

    /// The folder with a folder for each day of a tenant's audit.
    pub fn audits(tenant: TenantId) -> String {
        format!("tenant={tenant}/audit")
    }

    /// The folder of a tenant's inbox.
    pub fn inbox(tenant: TenantId) -> String {
        format!("tenant={tenant}/inbox")
    }

    /// The folder of the tenants that wait for an account.
    pub fn waiting(account: &Name) -> String {
        format!("account={account}/waiting")
    }
}

/// The name of an inbox item. Items about the same thing have the same name, so duplicates fold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemName {
    /// The timer fired.
    Timer,
    /// A secret changed.
    Secret,
    /// An event or a person named a subscription.
    Subscription(SubscriptionId),
    /// A person or a pipeline asked for something.
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
        // Another spelling of the id would be read under the name that we print, where there is no blob.
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests;
