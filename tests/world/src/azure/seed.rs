//! Building and changing the Azure side from a test.

use jiff::Timestamp;

use crate::azure::{Access, ArmManners, AzureSubscription, Group, Machine, SubscriptionState};
use crate::ids::{GuidKind, Ids};
use crate::subscription::Subscription;
use crate::world::World;

fn new_machine(ids: &mut Ids, name: String, now: Timestamp) -> Machine {
    Machine {
        name,
        vm_id: ids.guid(GuidKind::Machine),
        resource_group: "rg-main".to_owned(),
        location: "westeurope".to_owned(),
        size: "Standard_B2s".to_owned(),
        os: "Linux".to_owned(),
        state: "RUNNING".to_owned(),
        tags: Vec::new(),
        public_ip: None,
        unseen_by_qualys: false,
        created: now,
        gone: None,
    }
}

impl World {
    pub fn tenant(&self) -> String {
        self.shared().lock().azure.tenants[0].clone()
    }

    /// Adds a directory; its root management group has the same id.
    pub fn add_tenant(&self) -> String {
        self.with(|state| {
            let id = state.ids.guid(GuidKind::Tenant);
            state.azure.add_tenant(id.clone());
            id
        })
    }

    /// Adds a management group under `parent` (`None`: under the default directory's root) and returns its id.
    pub fn group(&self, id: &str, parent: Option<&str>) -> String {
        self.with(|state| {
            let parent = parent.map_or_else(|| state.azure.tenants[0].clone(), ToOwned::to_owned);
            let group = Group { name: format!("Group {id}"), parent: Some(parent), access: Access::Readable };
            state.azure.groups.insert(id.to_owned(), group);
            id.to_owned()
        })
    }

    /// What the managed identity gets when it reads the descendants of a management group.
    pub fn group_access(&self, id: &str, access: Access) {
        self.with(|state| {
            if let Some(group) = state.azure.groups.get_mut(id) {
                group.access = access;
            }
        });
    }

    /// Adds an enabled, readable subscription to the default directory's root group.
    pub fn subscription(&self, name: &str) -> Subscription {
        let id = self.with(|state| {
            let (id, now) = (state.ids.guid(GuidKind::Subscription), state.now());
            let tenant = state.azure.tenants[0].clone();
            let subscription = AzureSubscription {
                id: id.clone(),
                name: name.to_owned(),
                tenant: tenant.clone(),
                state: SubscriptionState::Enabled,
                access: Access::Readable,
                app_has_reader: true,
                tags: std::collections::BTreeMap::new(),
                quota_id: "PayAsYouGo_2014-09-01".to_owned(),
                group: tenant,
                previous_group: None,
                created: now,
                moved: now,
                gone: None,
                machines: std::collections::BTreeMap::new(),
            };
            state.azure.subscriptions.insert(id.clone(), subscription);
            id
        });
        Subscription::new(self.clone(), id)
    }

    /// Adds `n` subscriptions named `{prefix}-0001` and so on.
    pub fn subscriptions(&self, prefix: &str, n: usize) -> Vec<Subscription> {
        (1..=n).map(|number| self.subscription(&format!("{prefix}-{number:04}"))).collect()
    }

    /// Changes a subscription, removed or not. Does nothing for an unknown id.
    pub fn edit_subscription(&self, subscription: &str, change: impl FnOnce(&mut AzureSubscription)) {
        self.with(|state| {
            if let Some(one) = state.azure.subscriptions.get_mut(subscription) {
                change(one);
            }
        });
    }

    /// A subscription as it is now, unless it was removed.
    pub fn subscription_now(&self, subscription: &str) -> Option<AzureSubscription> {
        self.with(|state| state.azure.live(subscription).cloned())
    }

    /// Moves a subscription to another management group; the tree shows it after its lag.
    pub fn move_subscription(&self, subscription: &str, group: &str) {
        self.with(|state| {
            let now = state.now();
            if let Some(one) = state.azure.subscriptions.get_mut(subscription) {
                // A subscription that the tree has not shown yet simply appears in its last group.
                let new = now <= one.created;
                one.previous_group = (!new).then(|| std::mem::take(&mut one.group));
                group.clone_into(&mut one.group);
                one.moved = now;
            }
        });
    }

    /// Removes a subscription: direct reads answer 404 at once, the lists after their lag.
    pub fn remove_subscription(&self, subscription: &str) {
        self.with(|state| {
            let now = state.now();
            if let Some(one) = state.azure.subscriptions.get_mut(subscription) {
                one.gone = Some(now);
            }
        });
    }

    /// Adds a machine and returns its `vmId`.
    pub fn machine(&self, subscription: &str, name: &str) -> String {
        self.with(|state| {
            let machine = new_machine(&mut state.ids, name.to_owned(), state.clock.now());
            let vm_id = machine.vm_id.clone();
            if let Some(one) = state.azure.subscriptions.get_mut(subscription) {
                one.machines.insert(name.to_owned(), machine);
            }
            vm_id
        })
    }

    /// Adds `n` machines with new names.
    pub fn machines(&self, subscription: &str, n: usize) {
        self.with(|state| {
            let now = state.now();
            let Some(one) = state.azure.subscriptions.get_mut(subscription) else { return };
            for _ in 0..n {
                state.azure.machines_made += 1;
                let name = format!("vm-{:06}", state.azure.machines_made);
                one.machines.insert(name.clone(), new_machine(&mut state.ids, name, now));
            }
        });
    }

    /// Changes a machine. Does nothing for an unknown name.
    pub fn edit_machine(&self, subscription: &str, name: &str, change: impl FnOnce(&mut Machine)) {
        self.with(|state| {
            let one = state.azure.subscriptions.get_mut(subscription);
            if let Some(machine) = one.and_then(|one| one.machines.get_mut(name)) {
                change(machine);
            }
        });
    }

    /// Removes a machine; the next successful sync turns its host into a tombstone.
    pub fn remove_machine(&self, subscription: &str, name: &str) {
        let now = self.now();
        self.edit_machine(subscription, name, |machine| machine.gone = Some(now));
    }

    pub fn arm_manners(&self, change: impl FnOnce(&mut ArmManners)) {
        self.with(|state| change(&mut state.azure.manners));
    }
}
