//! The pure plan of 10,000 subscriptions: of ten, eight have a connector of ours, one has one that is not ours, and one
//! has none.

use crate::desk::Desk;
use crate::{Figure, median};
use jiff::{SignedDuration, Timestamp};
use qualys_azure_inventory::model::{
    ClockReading, Connector, ConnectorId, ConnectorState, Mark, Observed, Subscription, SubscriptionId,
    SubscriptionState, Turn,
};
use qualys_azure_inventory::plan::{Policy, plan};
use qualys_azure_inventory::state::TenantState;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const SUBSCRIPTIONS: u32 = 10_000;
const PLANS: usize = 7;

pub(crate) fn figures() -> Vec<Figure> {
    let policy = Desk::new().config().policy;
    let now = Timestamp::now();
    let seen = observed(&policy, now);
    let mut state = TenantState::default();
    state.update_from(seen.connectors.values().filter(|connector| policy.is_ours(connector)), now);
    let mut seconds = Vec::new();
    for _ in 0..PLANS {
        let before = cpu_seconds();
        let plan = plan(&seen, &state, &policy, now).unwrap();
        seconds.push(cpu_seconds() - before);
        assert_eq!(plan.cost.creates, SUBSCRIPTIONS as usize / 10);
    }
    vec![Figure {
        name: "plan_10000_cpu_seconds",
        value: median(seconds),
        unit: "s cpu",
        target: Some(1.0),
        n: PLANS,
    }]
}

fn observed(policy: &Policy, now: Timestamp) -> Observed {
    let mut subscriptions = BTreeMap::new();
    let mut connectors = BTreeMap::new();
    for number in 0..SUBSCRIPTIONS {
        let id = SubscriptionId::new(Uuid::from_u128(u128::from(number) << 64 | 7));
        let name = format!("subscription {number}");
        let subscription =
            Subscription { id, tenant: policy.tenant, name, state: SubscriptionState::Enabled };
        subscriptions.insert(id, subscription);
        let description = match number % 10 {
            0 => continue,
            1 => "by hand".to_owned(),
            _ => {
                let mark =
                    Mark { deployment: policy.deployment.clone(), tenant: policy.tenant, subscription: id };
                mark.sign("watched")
            }
        };
        let connector = Connector {
            id: ConnectorId(i64::from(number)),
            name: format!("connector {number}"),
            description,
            state: ConnectorState::FinishedSuccess,
            last_sync: Some(now - SignedDuration::from_mins(i64::from(number % 400))),
            odd_last_sync: None,
            last_error: None,
            disabled: Some(false),
            member: Some(false),
            run_frequency_minutes: Some(240),
            application: Some(policy.application),
            directory: Some(policy.tenant),
            subscription: Some(id),
        };
        connectors.insert(connector.id, connector);
    }
    Observed {
        tenant: policy.tenant,
        subscriptions,
        unreadable: Vec::new(),
        exclusion_unknown: false,
        unlisted: std::collections::BTreeSet::new(),
        unplaced: std::collections::BTreeSet::new(),
        elsewhere: std::collections::BTreeSet::new(),
        direct: BTreeMap::new(),
        turn: Turn::default(),
        looks_left: false,
        connectors,
        read_by_id: BTreeSet::new(),
        qualys_clock: Some(ClockReading { theirs: now, ours: now }),
        requests: Vec::new(),
    }
}

/// The processor time of this thread, which makes the whole plan. <https://docs.kernel.org/scheduler/sched-stats.html>
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = text.split_whitespace().next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}
