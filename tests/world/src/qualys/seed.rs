//! Building, changing and reading the Qualys side from a test.

use std::sync::Arc;

use jiff::Timestamp;

use crate::ids::GuidKind;
use crate::qualys::host::{Host, of_machine, plain};
use crate::qualys::{Connector, Shown, Source};
use crate::world::World;

/// A connector as it is right after a create.
pub(super) fn blank(now: Timestamp) -> Connector {
    Connector {
        id: 0,
        name: String::new(),
        description: String::new(),
        subscription_id: String::new(),
        application_id: String::new(),
        directory_id: String::new(),
        authentication_key: String::new(),
        disabled: false,
        member: false,
        deleted: false,
        gov_cloud: false,
        remediation: false,
        run_frequency: 240,
        state: "QUEUED".to_owned(),
        last_sync: None,
        last_error: None,
        default_tags: Vec::new(),
        modules: Vec::new(),
        apps: Vec::new(),
        cloudview_uuid: String::new(),
        sparse: false,
        shown: Shown::Everywhere,
        shows_subscription: Shown::Everywhere,
        created: now,
        errors: Vec::new(),
        syncs: 0,
        runs: 0,
        run: None,
    }
}

impl World {
    /// The API user.
    pub fn qualys_user(&self) -> String {
        self.shared().lock().qualys.user.clone()
    }

    /// The API user's password.
    pub fn qualys_password(&self) -> String {
        self.shared().lock().qualys.password.clone()
    }

    /// Changes the API user's password; the old one is wrong from now on.
    pub fn set_qualys_password(&self, password: &str) {
        self.with(|state| {
            let old = std::mem::replace(&mut state.qualys.password, password.to_owned());
            state.qualys.old_passwords.push(old);
        });
    }

    /// Adds a healthy connector for `subscription` that someone created by hand, without a mark. It was synced just now,
    /// with the default application's newest secret, and has created no hosts. Change it with [`World::edit_connector`].
    pub fn connector(&self, subscription: &str) -> i64 {
        let (tenant, app, key) = (self.tenant(), self.app_id(), self.app_secret());
        self.with(|state| {
            let mut one = blank(state.now());
            one.id = state.ids.connector();
            one.name = format!("by hand {}", one.id);
            subscription.clone_into(&mut one.subscription_id);
            one.directory_id =
                state.azure.subscriptions.get(subscription).map_or(tenant, |found| found.tenant.clone());
            one.application_id = app;
            one.authentication_key = key;
            one.cloudview_uuid = state.ids.guid(GuidKind::CloudView);
            "FINISHED_SUCCESS".clone_into(&mut one.state);
            one.last_sync = Some(state.qualys_now());
            let id = one.id;
            state.qualys.connectors.insert(id, one);
            id
        })
    }

    /// Changes a connector. Does nothing for an unknown id.
    pub fn edit_connector(&self, id: i64, change: impl FnOnce(&mut Connector)) {
        self.with(|state| {
            if let Some(one) = state.qualys.connectors.get_mut(&id) {
                let old_key = one.authentication_key.clone();
                change(one);
                state.qualys.old_keys.insert(old_key);
            }
        });
    }

    /// The connectors that were not deleted, by id, each with the state that answers show now.
    pub fn connectors(&self) -> Vec<Connector> {
        self.with(|state| {
            let now = state.now();
            let shown = |one: &Connector| Connector { state: one.state_at(now).to_owned(), ..one.clone() };
            state.qualys.connectors.values().filter(|one| !one.deleted).map(shown).collect()
        })
    }

    /// The connectors of one subscription.
    pub fn connectors_of(&self, subscription: &str) -> Vec<Connector> {
        let mut all = self.connectors();
        all.retain(|one| one.subscription_id.eq_ignore_ascii_case(subscription));
        all
    }

    /// Whether any sync has not ended.
    pub fn syncing(&self) -> bool {
        self.with(|state| !state.qualys.pending.is_empty())
    }

    /// Creates a tag and returns its id.
    pub fn tag(&self, name: &str) -> i64 {
        self.with(|state| {
            let id = state.ids.tag();
            state.qualys.tags.insert(id, name.to_owned());
            id
        })
    }

    /// Creates a host, applies `change` to it, and returns its id. Syncs do not change it.
    pub fn host(&self, subscription: &str, change: impl FnOnce(&mut Host)) -> i64 {
        self.with(|state| {
            let id = state.ids.host();
            let mut host = plain(id, subscription, state.now());
            change(&mut host);
            host.id = id;
            state.qualys.hosts.insert(id, Arc::new(host));
            id
        })
    }

    /// Creates `n` hosts, quickly enough for hundreds of thousands.
    pub fn hosts(&self, subscription: &str, n: usize) {
        self.with(|state| {
            let now = state.now();
            for _ in 0..n {
                let id = state.ids.host();
                state.qualys.hosts.insert(id, Arc::new(plain(id, subscription, now)));
            }
        });
    }

    /// Creates `n` machines in Azure, and the hosts that a sync would have created for them.
    pub fn machines_with_hosts(&self, subscription: &str, n: usize) {
        self.machines(subscription, n);
        self.with(|state| {
            let now = state.now();
            let Some(found) = state.azure.subscriptions.get(subscription) else { return };
            let known = state.qualys.synced.entry(subscription.to_owned()).or_default();
            for machine in found.live_machines() {
                if !known.contains_key(&machine.vm_id) {
                    let id = state.ids.host();
                    known.insert(machine.vm_id.clone(), id);
                    state.qualys.hosts.insert(id, Arc::new(of_machine(id, subscription, machine, now)));
                }
            }
        });
    }

    /// Creates a host that only AWS has. It must not match `cloudProviderType` `AZURE`.
    pub fn ec2_host(&self) -> i64 {
        self.host("", |host| {
            host.subscription = None;
            host.sources = vec![Source::Ec2, Source::Plain].into();
        })
    }

    /// Changes a host. Does nothing for an unknown id.
    pub fn edit_host(&self, id: i64, change: impl FnOnce(&mut Host)) {
        self.with(|state| {
            if let Some(host) = state.qualys.hosts.get_mut(&id) {
                let host = Arc::make_mut(host);
                change(host);
                host.id = id;
            }
        });
    }

    /// Removes a host from Qualys, without a tombstone.
    pub fn remove_host(&self, id: i64) {
        self.with(|state| {
            state.qualys.hosts.remove(&id);
            for known in state.qualys.synced.values_mut() {
                known.retain(|_, host| *host != id);
            }
        });
    }

    /// Every host, by id.
    pub fn all_hosts(&self) -> Vec<Host> {
        self.with(|state| state.qualys.hosts.values().map(|host| Host::clone(host)).collect())
    }

    /// How many hosts there are.
    pub fn host_count(&self) -> usize {
        self.with(|state| state.qualys.hosts.len())
    }
}
