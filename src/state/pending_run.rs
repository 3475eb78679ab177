//! A run of ours whose end has not been seen yet.

use crate::model::{Connector, ConnectorState, Correction, Dated, StatedTime, SyncClass, elapsed, hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A run whose answer was unclear and of which nothing shows is forgotten after this time, so that it may be repeated.
pub(super) const UNCLEAR_RUN_LASTS: Duration = Duration::from_mins(5);

/// A run of ours, and what the connector showed before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PendingRun {
    /// When we sent it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// `lastSync` before it, as last stated.
    pub last_sync: Option<StatedTime>,
    /// Qualys's word for the state before it; empty when that is not known.
    pub state: String,
    /// A digest of the error before it, in hexadecimal. The text itself may hold anything, so it is not stored.
    pub error_digest: Option<String>,
    /// An in-progress state was seen since.
    pub seen_in_progress: bool,
    /// Its answer was unclear: it may not have been received.
    pub unclear: bool,
}

impl Dated for PendingRun {
    fn correct(&mut self, correction: &mut Correction) {
        // `last_sync` is of Qualys's clock.
        let Self { at, last_sync: _, state: _, error_digest: _, seen_in_progress: _, unclear: _ } = self;
        correction.done([at]);
    }
}

impl PendingRun {
    /// A run of this connector, as it was before.
    pub fn new(before: &Connector, at: Timestamp, unclear: bool) -> Self {
        Self {
            at,
            last_sync: before.stated_sync(),
            state: before.state.as_str().to_owned(),
            error_digest: error_digest(before),
            seen_in_progress: false,
            unclear,
        }
    }

    /// Whether a connector in a terminal state shows the end of this run. `stated`: its `lastSync`, if that is believed.
    pub(super) fn has_ended(&self, connector: &Connector, stated: Option<StatedTime>, well: bool) -> bool {
        // `lastSync` may stay where it was (after a failure no source says), or not be stated, so another state counts too.
        let shows_another_end = || {
            let before = ConnectorState::from(self.state.as_str());
            if well {
                !matches!(before.class(), SyncClass::EndedWell | SyncClass::Unknown)
            } else {
                connector.state != before || error_digest(connector) != self.error_digest
            }
        };
        self.seen_in_progress || stated.is_some_and(|at| at.moved_from(self.last_sync)) || shows_another_end()
    }

    /// Whether its answer was unclear and nothing has shown since.
    pub(super) fn is_lost(&self, now: Timestamp) -> bool {
        self.unclear && !self.seen_in_progress && elapsed(now, self.at) >= UNCLEAR_RUN_LASTS
    }
}

/// Distinguishes one error text from another without storing it.
fn error_digest(connector: &Connector) -> Option<String> {
    connector.last_error.as_deref().map(digest)
}

/// Distinguishes one text from another without storing it.
pub(super) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}
