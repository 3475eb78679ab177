//! Keeps one healthy Qualys connector for every Azure subscription in scope, and takes proven inventory snapshots.
//!
//! ```text
//! trigger ──► item ──► wake-up ──► observe ──► plan ──► act ──► snapshot ──► report
//!  (says now)  (blob)  (queue)   (reads)    (pure)  (writes)  (streams)   (one blob, one log line)
//! ```
//!
//! Dependencies point one way, from the bottom of this table to its top:
//!
//! | layer | modules | may use |
//! | --- | --- | --- |
//! | data | [`model`], [`state`], [`plan`], [`outcome`], [`manifest`], [`report`] | std, serde, thiserror; no I/O, clock or `async` |
//! | edges | [`azure`], [`qualys`], [`store`], [`inbox`], [`queue`], [`lease`], [`secrets`], [`retry`] | data, [`store`], [`retry`] |
//! | steps | [`observe`], [`act`], [`snapshot`] | data, edges; not each other |
//! | spine | [`cycle`] | steps, edges, data |
//! | shell | [`trigger`], [`host`], [`cli`], [`app`], [`doctor`], [`config`], [`telemetry`] | all |

// data
pub mod manifest;
pub mod model;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod state;

// edges
pub mod azure;
pub mod inbox;
pub mod lease;
pub mod qualys;
pub mod queue;
pub mod retry;
pub mod secrets;
pub mod store;

// steps
pub mod act;
pub mod observe;
pub mod snapshot;

// spine
pub mod cycle;

// shell
pub mod app;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod host;
pub mod telemetry;
pub mod trigger;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod schemas;
