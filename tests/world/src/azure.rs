//! The Azure side: directories, management groups, subscriptions and machines.
//!
//! Guarantees: a direct read is always current; the lists lag by the switches of [`ArmManners`].

pub(crate) mod arm;
mod graph;
mod pages;
mod seed;
mod tree;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::clock::later;

/// A subscription's `state` as Resource Manager reports it (Azure documentation, subscription states).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionState {
    #[default]
    Enabled,
    /// Near a limit; works.
    Warned,
    /// Unpaid; works.
    PastDue,
    /// Only reads and deletes; machines are deallocated.
    Disabled,
    /// About to be removed.
    Deleted,
}

impl SubscriptionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Warned => "Warned",
            Self::PastDue => "PastDue",
            Self::Disabled => "Disabled",
            Self::Deleted => "Deleted",
        }
    }

    /// Whether a connector can read machines in it.
    pub fn works(self) -> bool {
        matches!(self, Self::Enabled | Self::Warned | Self::PastDue)
    }
}

/// What the managed identity gets when it reads a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    #[default]
    Readable,
    /// 403 `AuthorizationFailed`, and absent from lists.
    Forbidden,
    /// 404, and absent from lists.
    NotFound,
}

/// Where the `nextLink` of a list's last page leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastLink {
    /// The last page has none.
    #[default]
    None,
    /// Back to the first page, so that the list goes round for ever. Never observed.
    Back,
    /// On to an empty page, and from there to another one, for ever. Never observed.
    Onward,
}

/// The switches of Resource Manager.
#[derive(Clone, Debug)]
pub struct ArmManners {
    /// Rows on a page of a list. The service chooses it; default 1,000.
    pub page_size: usize,
    /// How long a new, moved or removed subscription is missing from (or left in) the management-group tree. Azure
    /// documentation says up to 30 minutes; default none.
    pub tree_lag: SignedDuration,
    /// The same for `GET /subscriptions`; not documented; default none.
    pub list_lag: SignedDuration,
    /// How long a new or removed machine is missing from (or left in) Resource Graph, which is eventually consistent;
    /// default none.
    pub graph_lag: SignedDuration,
    /// A base address for every `nextLink`, to prove that a client does not follow a link to another host; default none.
    pub foreign_next_link: Option<String>,
    /// Where the last page of a list leads; default nowhere.
    pub last_link: LastLink,
    /// What `Resource Graph` answers to the managed identity; default readable.
    pub graph_access: Access,
}

impl Default for ArmManners {
    fn default() -> Self {
        Self {
            page_size: 1_000,
            tree_lag: SignedDuration::ZERO,
            list_lag: SignedDuration::ZERO,
            graph_lag: SignedDuration::ZERO,
            foreign_next_link: None,
            last_link: LastLink::None,
            graph_access: Access::Readable,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Machine {
    /// Unique in its subscription.
    pub name: String,
    pub vm_id: String,
    pub resource_group: String,
    pub location: String,
    pub size: String,
    pub os: String,
    /// State as Qualys shows it (power and provisioning states share one field there).
    pub state: String,
    pub tags: Vec<(String, String)>,
    pub public_ip: Option<String>,
    /// Whether syncs leave it out, so that it is a blind spot.
    pub unseen_by_qualys: bool,
    pub(crate) created: Timestamp,
    pub(crate) gone: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct AzureSubscription {
    pub id: String,
    pub name: String,
    pub tenant: String,
    pub state: SubscriptionState,
    pub access: Access,
    /// Whether connector applications of its directory have Reader on it.
    pub app_has_reader: bool,
    pub tags: BTreeMap<String, String>,
    /// Offer (`subscriptionPolicies.quotaId`).
    pub quota_id: String,
    pub(crate) group: String,
    pub(crate) previous_group: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) moved: Timestamp,
    pub(crate) gone: Option<Timestamp>,
    pub(crate) machines: BTreeMap<String, Machine>,
}

impl AzureSubscription {
    /// Whether a list that lags by `lag` shows it now.
    pub(crate) fn listed(&self, now: Timestamp, lag: SignedDuration) -> bool {
        seen(self.created, self.gone, now, lag)
    }

    /// The management group that a tree lagging by `lag` shows it under.
    pub(crate) fn group_seen(&self, now: Timestamp, lag: SignedDuration) -> Option<&str> {
        if !self.listed(now, lag) {
            return None;
        }
        match &self.previous_group {
            Some(previous) if now < later(self.moved, lag) => Some(previous),
            _ => Some(&self.group),
        }
    }

    pub(crate) fn live_machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values().filter(|machine| machine.gone.is_none())
    }
}

/// Whether a list that lags shows something that was created and perhaps removed.
pub(crate) fn seen(created: Timestamp, gone: Option<Timestamp>, now: Timestamp, lag: SignedDuration) -> bool {
    now >= later(created, lag) && gone.is_none_or(|gone| now < later(gone, lag))
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) access: Access,
}

/// Everything on the Azure side.
#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) tenants: Vec<String>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) subscriptions: BTreeMap<String, AzureSubscription>,
    pub(crate) manners: ArmManners,
    /// How many names [`crate::World::machines`] has used, so that each call uses new ones.
    pub(crate) machines_made: u64,
}

impl Azure {
    pub(crate) fn new(tenant: String) -> Self {
        let mut azure = Self {
            tenants: Vec::new(),
            groups: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            manners: ArmManners::default(),
            machines_made: 0,
        };
        azure.add_tenant(tenant);
        azure
    }

    /// Adds a directory with its root group, whose id is the directory's (Azure documentation).
    pub(crate) fn add_tenant(&mut self, tenant: String) {
        let root = Group { name: "Tenant Root Group".to_owned(), parent: None, access: Access::Readable };
        self.groups.insert(tenant.clone(), root);
        self.tenants.push(tenant);
    }

    /// The subscription, unless it was removed.
    pub(crate) fn live(&self, id: &str) -> Option<&AzureSubscription> {
        self.subscriptions.get(&id.to_ascii_lowercase()).filter(|one| one.gone.is_none())
    }
}
