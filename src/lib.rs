//! Keeps one healthy Qualys connector for every Azure subscription in scope, and takes proven inventory snapshots.
//!
//! ```text
//! trigger ──► inbox ──► wake-up ──► observe ──► plan ──► act ──► snapshot ──► report
//!  (says now)  (blob)   (queue)      (reads)   (pure)  (writes)  (streams)   (one blob, one log line)
//! ```
//!
//! Dependencies point one way, from the bottom of this table to its top. `layers.rs` has the whole table, with what
//! modules of one layer may use of each other, and tests it.
//!
//! | layer | modules | what they are |
//! | --- | --- | --- |
//! | data | [`model`], [`state`], [`plan`], [`outcome`], [`manifest`], [`report`] | plain values and decisions: no I/O, clock, `async` or log |
//! | edges | [`retry`], `sdk`, [`azure`], [`secrets`], [`store`], [`inbox`], [`lease`], [`queue`], [`qualys`] | clients of everything outside the program |
//! | door | [`account`] | lease, turns, sign-in, call budget, time: whoever calls Qualys passes it |
//! | steps | [`observe`], [`act`], [`snapshot`] | what a cycle does, each by itself |
//! | spine | [`tenant`], [`cycle`] | one pass from beginning to end |
//! | shell | [`config`], [`telemetry`], [`host`], [`app`], [`doctor`], [`trigger`], [`cli`] | settings, HTTP, command line |

// data
pub mod manifest;
pub mod model;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod state;

// edges
pub mod azure;
mod bounded;
pub mod inbox;
pub mod lease;
pub mod qualys;
pub mod queue;
pub mod retry;
mod sdk;
pub mod secrets;
pub mod store;

// door
pub mod account;

// steps
pub mod act;
pub mod observe;
pub mod snapshot;

// spine
pub mod cycle;
pub mod tenant;

// shell
pub mod app;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod host;
pub mod telemetry;
pub mod trigger;

#[cfg(any(test, fuzzing))]
mod assertions;
#[cfg(test)]
mod documents;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod schemas;
