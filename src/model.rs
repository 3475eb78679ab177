//! The nouns: ids, subscriptions, connectors, response codes, what was observed.
//!
//! Plain data: no I/O, no clock, no `async`. Everything here compares and prints the same on every machine.

mod code;
mod collapse;
mod connector;
mod dated;
mod hex;
mod ids;
mod mark;
mod observed;
mod scope;
mod subscription;
mod sync_time;
mod time;
mod turn;

pub use code::ResponseCode;
pub use collapse::Collapse;
pub use connector::{Connector, ConnectorState, KnownConnector, OddTime, SyncClass};
pub use dated::{Correction, Dated, in_words};
pub use hex::hex;
pub use ids::{AppId, ConnectorId, CycleId, IdError, Name, RequestId, SnapshotId, SubscriptionId, TenantId};
pub use mark::Mark;
pub use observed::{Asked, Direct, Observed, OutOfScope, ReadFailure, SyncRequest, Unreadable};
pub use scope::Scope;
pub use subscription::{Subscription, SubscriptionState};
pub use sync_time::{ClockReading, StatedTime};
pub use time::{after, before, elapsed};
pub use turn::{Chosen, Turn};
