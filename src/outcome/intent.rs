//! What a cycle is about to write to Qualys, and what that means when the cycle was killed.

use crate::model::{Connector, ConnectorId, ResponseCode, StatedTime};
use crate::plan::{Action, Step};
use crate::state::{DisabledByUs, PendingRun, SCHEMA_VERSION, TenantState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of `audit/…/<cycle id>.intent.jsonl`: a step that the cycle is about to carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    schema_version: u32,
    /// When it was written: before the cycle's first write to Qualys.
    at: Timestamp,
    #[serde(flatten)]
    action: Action,
    /// Why, for people to read. As a text, since a reason that this program does not know must not hide the action.
    reason: String,
    /// The connector before the action; none for a creation.
    before: Option<Before>,
}

/// The fields of a connector that actions may change, and those that show its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    name: String,
    /// None where Qualys did not say.
    disabled: Option<bool>,
    /// In Qualys's word.
    state: String,
    last_sync: Option<StatedTime>,
}

impl From<&Connector> for Before {
    fn from(connector: &Connector) -> Self {
        Self {
            name: connector.name.clone(),
            disabled: connector.disabled,
            state: connector.state.as_str().to_owned(),
            last_sync: connector.stated_sync(),
        }
    }
}

impl Intent {
    /// The intent to carry out a step. `connectors`: as they were observed.
    pub fn new(step: &Step, connectors: &BTreeMap<ConnectorId, Connector>, at: Timestamp) -> Self {
        let Step { action, reason, withheld: _ } = step;
        let before = action.connector().and_then(|id| connectors.get(&id)).map(Before::from);
        let (action, reason) = (action.clone(), reason.to_string());
        Self { schema_version: SCHEMA_VERSION, at, action, reason, before }
    }

    /// The intents of a stored file, and how many of its lines cannot be read.
    ///
    /// The file is written whole, so such a line was written by another version: nothing is known of it.
    pub fn read_lines(bytes: &[u8]) -> (Vec<Self>, usize) {
        let text = String::from_utf8_lossy(bytes);
        let intents: Vec<Self> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let unreadable = text.lines().count() - intents.len();
        (intents, unreadable)
    }

    /// Records in the state that a killed cycle may have carried this out.
    ///
    /// The intent was written before the cycle's first write, and its last write may have come minutes later, so `now` is the
    /// safe assumption for when it was done.
    pub fn recover(&self, state: &mut TenantState, now: Timestamp) {
        match &self.action {
            Action::Create { subscription, .. } => state.create_sent(*subscription, now),
            Action::Run { connector, awaited, .. } => {
                let sync = state.connectors.entry(*connector).or_default();
                let is_recorded = sync.last_run() >= Some(self.at);
                if !is_recorded {
                    sync.run_sent(self.unclear_run(now), *awaited);
                    sync.run_unclear(
                        now,
                        ResponseCode::NoAnswer,
                        "the cycle that sent it was killed".to_owned(),
                    );
                }
            }
            Action::Disable { connector, subscription, proof } => {
                state.removals.push(now);
                let record = DisabledByUs::new(*subscription, now, proof.clone());
                state.disabled.insert(*connector, record);
            }
        }
    }

    /// The record of a connector that is about to be disabled; none for other actions.
    pub fn disabled(&self) -> Option<(ConnectorId, DisabledByUs)> {
        match &self.action {
            Action::Disable { connector, subscription, proof } => {
                Some((*connector, DisabledByUs::new(*subscription, self.at, proof.clone())))
            }
            Action::Create { .. } | Action::Run { .. } => None,
        }
    }

    fn unclear_run(&self, at: Timestamp) -> PendingRun {
        let (state, last_sync) =
            self.before.as_ref().map_or_else(Default::default, |b| (b.state.clone(), b.last_sync));
        PendingRun { at, last_sync, state, error_digest: None, seen_in_progress: false, unclear: true }
    }
}
