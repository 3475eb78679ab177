//! The rules of the plan.

mod absence;
mod coverage;
mod creations;
mod others;
mod properties;
mod refusals;
mod removals;
mod syncs;

use super::*;
use crate::model::{
    AppId, Asked, ClockReading, Connector, ConnectorId, ConnectorState, Mark, RequestId, Subscription,
    SubscriptionId, SubscriptionState, SyncRequest, TenantId, Turn, Unreadable, after,
};
use crate::state::{AbsenceRule, DisableProof, DisabledByUs, PendingRun, SyncState};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_mins(1);

fn at(minutes: u32) -> Timestamp {
    after("2026-11-23T04:00:00Z".parse().unwrap(), MINUTE * minutes)
}

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(0xd))
}

fn sub(number: u128) -> SubscriptionId {
    SubscriptionId::new(Uuid::from_u128(number))
}

fn policy() -> Policy {
    Policy {
        mode: Mode::Enforce,
        deployment: "default".parse().unwrap(),
        tenant: tenant(),
        application: AppId::new(Uuid::from_u128(0xa)),
        name: "{subscription_name} ({subscription_id})".into(),
        description: String::new(),
        apps: vec!["AI".into()],
        modules: vec![],
        tags: vec![],
        run_frequency_minutes: 240,
        sync_max_age: MINUTE * 300,
        follow_up: MINUTE * 2,
        max_creates: 100,
        max_removals: None,
        absence: AbsenceRule { lists: 3, age: MINUTE * 60 },
        calls_per_hour: 210,
    }
}

/// What is observed and known, and what the settings allow.
#[derive(Debug)]
struct Case {
    observed: Observed,
    state: TenantState,
    policy: Policy,
    /// By how much Qualys's clock is ahead of ours; none if its answers have no date.
    ahead: Option<SignedDuration>,
}

impl Case {
    fn new(subscriptions: u128) -> Self {
        let mut case = Self {
            observed: Observed {
                tenant: tenant(),
                subscriptions: BTreeMap::new(),
                unreadable: vec![],
                exclusion_unknown: false,
                direct: BTreeMap::new(),
                turn: Turn::default(),
                looks_left: false,
                unlisted: BTreeSet::new(),
                unplaced: BTreeSet::new(),
                elsewhere: BTreeSet::new(),
                connectors: BTreeMap::new(),
                read_by_id: BTreeSet::new(),
                qualys_clock: None,
                requests: vec![],
            },
            state: TenantState::default(),
            policy: policy(),
            ahead: Some(SignedDuration::ZERO),
        };
        for number in 1..=subscriptions {
            case.subscription(number, "Enabled");
        }
        case
    }

    fn subscription(&mut self, number: u128, state: &str) {
        let state = SubscriptionState::from(state.to_owned());
        let found = Subscription { id: sub(number), tenant: tenant(), name: format!("s{number}"), state };
        self.observed.subscriptions.insert(found.id, found);
    }

    /// Adds a connector that others made, healthy and fresh at minute 0.
    fn foreign(&mut self, id: i64, subscription: u128) -> &mut Connector {
        let connector = Connector {
            id: ConnectorId(id),
            name: format!("c{id}"),
            description: String::new(),
            state: ConnectorState::FinishedSuccess,
            last_sync: Some(at(0)),
            odd_last_sync: None,
            last_error: None,
            disabled: Some(false),
            member: Some(false),
            run_frequency_minutes: Some(240),
            application: None,
            directory: Some(tenant()),
            subscription: Some(sub(subscription)),
        };
        self.observed.connectors.entry(connector.id).insert_entry(connector).into_mut()
    }

    /// Adds a connector of ours, healthy and fresh at minute 0.
    fn ours(&mut self, id: i64, subscription: u128) -> &mut Connector {
        let mark = Mark {
            deployment: self.policy.deployment.clone(),
            tenant: tenant(),
            subscription: sub(subscription),
        };
        let connector = self.foreign(id, subscription);
        connector.description = mark.to_string();
        connector
    }

    fn connector(&mut self, id: i64) -> &mut Connector {
        self.observed.connectors.get_mut(&ConnectorId(id)).unwrap()
    }

    /// Records that a run was sent, which was answered clearly.
    fn run_sent(&mut self, id: i64, minute: u32, awaited: bool) {
        let run = PendingRun::new(&self.observed.connectors[&ConnectorId(id)], at(minute), false);
        self.state.connectors.get_mut(&ConnectorId(id)).unwrap().run_sent(run, awaited);
    }

    fn request(&mut self, minute: u32, asked: Asked) {
        let id = RequestId::new(at(minute), 1);
        self.observed.requests.push(SyncRequest { id, at: at(minute), asked });
    }

    /// Observes at a minute, as a cycle does, and plans.
    fn plan(&mut self, minute: u32) -> Plan {
        let ours: Vec<_> =
            self.observed.connectors.values().filter(|c| self.policy.is_ours(c)).cloned().collect();
        self.state.update_from(ours.iter(), at(minute));
        self.observed.qualys_clock =
            self.ahead.map(|ahead| ClockReading { theirs: at(minute) + ahead, ours: at(minute) });
        plan(&self.observed, &self.state, &self.policy, at(minute)).unwrap()
    }

    /// The plan as it prints, without its first line and its hash.
    fn lines(&mut self, minute: u32) -> String {
        let text = self.plan(minute).to_string();
        let lines: Vec<_> = text.lines().skip(1).filter(|line| !line.starts_with("hash")).collect();
        lines.join("\n").replace("00000000-0000-0000-0000-00000000000", "…")
    }
}
