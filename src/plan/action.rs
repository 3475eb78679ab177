//! Actions: the changes that a plan may ask for, and the one table that says what each is called and costs.

use crate::model::{ConnectorId, SubscriptionId};
use crate::state::DisableProof;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A change to one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Make a connector for a subscription that has none.
    Create {
        subscription: SubscriptionId,
        name: String,
        /// With our mark.
        description: String,
        /// Read these connectors first, besides the search for one of this subscription: they covered it, and the list lacks
        /// them.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        remembered: BTreeSet<ConnectorId>,
    },
    /// Start a sync.
    Run {
        connector: ConnectorId,
        subscription: SubscriptionId,
        /// A first or requested sync: a snapshot, and perhaps a person, waits for it.
        awaited: bool,
    },
    /// Switch a connector off.
    Disable {
        connector: ConnectorId,
        subscription: SubscriptionId,
        /// Why it may be: checked once more just before the write.
        #[serde(default)]
        proof: DisableProof,
    },
}

/// The kinds of action, in the order in which a cycle carries them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionKind {
    /// Makes a connector; rule *creation brake* limits these.
    Creation,
    /// Starts a sync.
    Sync,
    /// Takes cover away from a subscription; rule *removals brake* limits these.
    Removal,
}

/// One row of the table in [`Action::summary`]: all that is said of an action, counted or hashed.
#[derive(Debug)]
pub struct Summary<'a> {
    pub kind: ActionKind,
    /// `+` makes, `~` changes, `-` takes away.
    pub sign: char,
    /// What is to be done, as in "create connector 7".
    pub verb: &'static str,
    /// What was done, as in "Created connector 7".
    pub past: &'static str,
    pub target: Target<'a>,
    pub subscription: SubscriptionId,
    /// The fields of the connector that it sets. Two actions that set something else differ in the plan's hash.
    pub sets: Vec<(&'static str, &'a str)>,
    /// The calls to Qualys that it needs when none fails, those of later cycles included.
    pub calls: usize,
}

/// The connector that an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// One that it makes, by its name.
    New(&'a str),
    Existing(ConnectorId),
}

impl Action {
    /// The table of actions: a new one needs its row here.
    pub fn summary(&self) -> Summary<'_> {
        match self {
            Self::Create { subscription, name, description, remembered } => Summary {
                kind: ActionKind::Creation,
                sign: '+',
                verb: "create",
                past: "Created",
                target: Target::New(name),
                subscription: *subscription,
                sets: vec![("name", name), ("description", description)],
                // The search before it, the create, and perhaps a run in a later cycle.
                calls: 3 + remembered.len(),
            },
            Self::Run { connector, subscription, awaited: _ } => Summary {
                kind: ActionKind::Sync,
                sign: '~',
                verb: "run",
                past: "Started a sync of",
                target: Target::Existing(*connector),
                subscription: *subscription,
                sets: Vec::new(),
                calls: 1,
            },
            Self::Disable { connector, subscription, proof: _ } => Summary {
                kind: ActionKind::Removal,
                sign: '-',
                verb: "disable",
                past: "Disabled",
                target: Target::Existing(*connector),
                subscription: *subscription,
                sets: Vec::new(),
                // Both connectors are read before the write.
                calls: 3,
            },
        }
    }

    pub fn kind(&self) -> ActionKind {
        self.summary().kind
    }

    /// The subscription that it is about.
    pub fn subscription(&self) -> SubscriptionId {
        self.summary().subscription
    }

    /// The existing connector that it changes; none for one that makes a connector.
    pub fn connector(&self) -> Option<ConnectorId> {
        match self.summary().target {
            Target::Existing(connector) => Some(connector),
            Target::New(_) => None,
        }
    }

    /// The line that goes into the plan's hash.
    pub(super) fn hashed_line(&self) -> String {
        let Summary { kind: _, sign: _, verb, past: _, target: _, subscription, sets, calls: _ } =
            self.summary();
        format!("{verb} {:?} {subscription} {sets:?}", self.connector())
    }
}

/// Without the sign: `create connector `name` for …`, `run connector 7 of …`.
impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, target, subscription, .. } = self;
        match target {
            Target::New(name) => write!(f, "{verb} connector `{name}` for {subscription}"),
            Target::Existing(connector) => write!(f, "{verb} connector {connector} of {subscription}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary();
        write!(f, "{} {summary}", summary.sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn create(name: &str, remembered: Option<i64>) -> Action {
        Action::Create {
            subscription: SubscriptionId::new(Uuid::from_u128(1)),
            name: name.into(),
            description: "d".into(),
            remembered: remembered.into_iter().map(ConnectorId).collect(),
        }
    }

    #[test]
    fn actions_that_differ_in_what_they_do_differ_in_the_hash() {
        let line = |action: Action| action.hashed_line();
        assert_ne!(line(create("a", None)), line(create("b", None)));
        assert_eq!(line(create("a", None)), line(create("a", Some(7))), "how it looks is no change");
        let (connector, subscription) = (ConnectorId(7), SubscriptionId::new(Uuid::from_u128(1)));
        let run = |awaited| Action::Run { connector, subscription, awaited };
        assert_eq!(line(run(true)), line(run(false)));
        let proof = DisableProof::Twin { stays: ConnectorId(6) };
        assert_ne!(line(run(true)), line(Action::Disable { connector, subscription, proof }));
    }

    #[test]
    fn actions_are_carried_out_creations_first_and_removals_last() {
        assert!(ActionKind::Creation < ActionKind::Sync && ActionKind::Sync < ActionKind::Removal);
    }
}
