//! Hard cases: each was a defect once, found by a reader.

mod clocks;
mod connectors;
mod credentials;
mod limits;
mod our_clock;
mod snapshots;
mod syncs;
mod wake_ups;

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
