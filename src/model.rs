//! The nouns: ids, subscriptions, connectors, response codes, what was observed.
//!
//! Plain data: no I/O, no clock, no `async`. Everything here compares and prints the same on every machine.

mod code;
mod connector;
mod dated;
mod hex;
mod ids;
mod mark;
mod observed;
mod scope;
mod subscription;
mod time;

pub use code::ResponseCode;
pub use connector::{Connector, ConnectorState, SyncClass};
pub use dated::{Correction, Dated, in_words};
pub use hex::hex;
pub use ids::{AppId, ConnectorId, CycleId, IdError, Name, RequestId, SnapshotId, SubscriptionId, TenantId};
pub use mark::Mark;
pub use observed::{Asked, Direct, Observed, OutOfScope, ReadFailure, SyncRequest, Unreadable};
pub use scope::Scope;
pub use subscription::{Subscription, SubscriptionState};
pub use time::{after, before, elapsed};
