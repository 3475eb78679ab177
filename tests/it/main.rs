//! The product against the world: the real binary under the Functions host simulator, and whole cycles in process where
//! time must be virtual.
#![allow(
    missing_docs,
    clippy::clone_on_ref_ptr,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::future_not_send,
    clippy::large_futures,
    clippy::panic,
    clippy::pedantic,
    clippy::print_stderr,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

mod absence;
mod azure;
mod azure_faults;
mod azure_job;
mod azure_kills;
mod bad_input;
mod collapses;
mod command_line;
mod cycles;
mod doctor;
mod envelopes;
mod faults;
mod hard_cases;
mod identities;
mod kills;
mod leases;
mod lost_answers;
mod main_job;
mod memory;
mod messages;
mod modes;
mod moved;
mod package;
mod rights;
mod rivals;
mod serving;
mod settings;
mod snapshots;
mod stage;
mod stages;
mod stored_garbage;
mod stores;
mod tenants;
mod traffic;
mod vaults;
mod wake_ups;
mod weeks;
