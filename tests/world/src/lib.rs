//! The simulated outside world: Qualys, Azure Resource Manager, Entra, Key Vault and the identity endpoint on loopback.
//!
//! Guarantees: it listens only on 127.0.0.1; ids and secrets come from counters, so that two runs print the same;
//! behaviour that was never observed on the real services is a switch ([`Manners`], [`ArmManners`]) with a documented
//! default; every request is recorded ([`World::calls`]), and every request can be made to fail ([`World::fault`]). It
//! shares no type with the product.

mod azure;
pub mod azurite;
mod calls;
mod clock;
mod entra;
pub mod events;
mod faults;
mod hooks;
pub mod host;
mod ids;
mod net;
pub mod program;
mod proxy;
mod qualys;
mod state;
mod storage;
mod subscription;
#[cfg(test)]
mod testing;
mod tls;
mod vault;
mod world;

pub use azure::{Access, ArmManners, AzureSubscription, LastLink, Machine, SubscriptionState};
pub use calls::{Call, CallKind, Service};
pub use faults::{Fault, Kind};
pub use qualys::{
    ActivationShape, App, Connector, DateHeader, ErrorName, Host, LastId, LastSyncForm, LastSyncName,
    LimitBody, Manners, OnDisabled, OnDuplicate, OnRunning, Rate, Shown, Source, ToWait,
};
pub use subscription::Subscription;
pub use vault::{VaultManners, VaultPermissions};
pub use world::{Setup, World};
