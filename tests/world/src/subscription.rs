//! A handle for one subscription, to build it in one line.

use std::ops::Deref;

use crate::azure::{Access, SubscriptionState};
use crate::world::World;

/// A subscription of the world. It dereferences to its id, so `&subscription` can be used as a `&str`.
#[derive(Clone)]
pub struct Subscription {
    world: World,
    id: String,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the setters change the world; they return the handle only for the next setter"
)]
impl Subscription {
    pub(crate) fn new(world: World, id: String) -> Self {
        Self { world, id }
    }

    /// The subscription id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Moves it to a management group.
    pub fn in_group(self, group: &str) -> Self {
        self.world.move_subscription(&self.id, group);
        self
    }

    /// Moves it to another directory, under that directory's root group.
    pub fn in_tenant(self, tenant: &str) -> Self {
        self.world.edit_subscription(&self.id, |one| tenant.clone_into(&mut one.tenant));
        self.in_group(tenant)
    }

    /// Sets its state.
    pub fn state(self, state: SubscriptionState) -> Self {
        self.world.edit_subscription(&self.id, |one| one.state = state);
        self
    }

    /// Sets what the managed identity gets.
    pub fn access(self, access: Access) -> Self {
        self.world.edit_subscription(&self.id, |one| one.access = access);
        self
    }

    /// Sets whether the connector application has Reader on it.
    pub fn app_has_reader(self, has: bool) -> Self {
        self.world.edit_subscription(&self.id, |one| one.app_has_reader = has);
        self
    }

    /// Sets a tag.
    pub fn tag(self, key: &str, value: &str) -> Self {
        self.world.edit_subscription(&self.id, |one| {
            one.tags.insert(key.to_owned(), value.to_owned());
        });
        self
    }

    /// Adds `n` machines.
    pub fn with_machines(self, n: usize) -> Self {
        self.world.machines(&self.id, n);
        self
    }

    /// Gives it another display name.
    pub fn rename(&self, name: &str) {
        self.world.edit_subscription(&self.id, |one| name.clone_into(&mut one.name));
    }

    /// Removes it.
    pub fn remove(&self) {
        self.world.remove_subscription(&self.id);
    }
}

impl Deref for Subscription {
    type Target = str;

    fn deref(&self) -> &str {
        &self.id
    }
}

impl AsRef<str> for Subscription {
    fn as_ref(&self) -> &str {
        &self.id
    }
}

impl std::fmt::Display for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscription({})", self.id)
    }
}
