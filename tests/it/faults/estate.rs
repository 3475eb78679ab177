//! A tenant for which one cycle makes every kind of call, and what must be true of it whatever happens.

use crate::stage::Stage;
use qualys_azure_inventory::cycle::Ran;
use std::collections::BTreeMap;
use std::time::Duration;
use world::{CallKind, Service, SubscriptionState};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const HOSTS: usize = 30;

/// A call, and what the report calls it.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) call: CallKind,
    pub(super) service: Service,
    place: &'static str,
    /// The fault strikes only requests that contain this.
    pub(super) containing: &'static str,
}

const fn qualys(name: &'static str, call: CallKind, place: &'static str) -> Column {
    Column { name, call, service: Service::Qualys, place, containing: "" }
}

const fn arm(name: &'static str, call: CallKind, place: &'static str) -> Column {
    Column { name, call, service: Service::Arm, place, containing: "" }
}

pub(super) const COLUMNS: [Column; 10] = [
    qualys("create", CallKind::ConnectorCreate, "connector create"),
    qualys("get", CallKind::ConnectorGet, "connector get"),
    qualys("update", CallKind::ConnectorUpdate, "connector update"),
    qualys("run", CallKind::ConnectorRun, "connector run"),
    qualys("search", CallKind::ConnectorSearch, "connector search"),
    qualys("host search", CallKind::HostSearch, "host asset search"),
    qualys("count", CallKind::HostCount, "host asset count"),
    arm("ARM list", CallKind::ArmList, "\"scope\":\"subscriptions\""),
    // One of two groups: the subscriptions below the other go on.
    Column { containing: "/a/", ..arm("MG tree", CallKind::ArmDescendants, "management group `a`") },
    arm("direct read", CallKind::ArmGet, "direct read"),
];

impl Column {
    /// How the report may name the call.
    pub(super) fn place(&self, estate: &Estate) -> Vec<String> {
        let action = match self.call {
            CallKind::ConnectorCreate => "\"action\":\"create\"",
            CallKind::ConnectorRun => "\"action\":\"run\"",
            CallKind::ConnectorUpdate => "\"action\":\"disable\"",
            CallKind::ArmGet => estate.ids["young"].as_str(),
            _ => self.place,
        };
        vec![self.place.to_owned(), action.to_owned()]
    }
}

pub(super) struct Estate {
    pub(super) stage: Stage,
    pub(super) ids: BTreeMap<&'static str, String>,
    /// The connectors that must stay enabled.
    kept: Vec<i64>,
    /// The second connector of one subscription, which is to be disabled.
    younger_twin: i64,
}

impl Estate {
    pub(super) async fn new() -> Self {
        let stage = Stage::new()
            .set("SCOPE", "a,b")
            .set("CYCLE_GAP", "1m")
            .set("FOLLOW_UP", "2m")
            .set("SNAPSHOT_GAP", "10m")
            .set("SNAPSHOT_EVERY", "1h");
        let world = &stage.world;
        world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
        world.arm_manners(|manners| manners.list_lag = jiff::SignedDuration::from_mins(30));
        world.group("a", None);
        world.group("b", None);
        let mut ids = BTreeMap::new();
        let mut subscription = |name: &'static str, group: &str| {
            let id =
                world.subscription(name).state(SubscriptionState::Enabled).in_group(group).id().to_owned();
            ids.insert(name, id.clone());
            id
        };
        // Its connector is ours and was deleted by hand: it is asked for by its id before another is made.
        let gone = subscription("gone", "a");
        let healthy = subscription("healthy", "a");
        world.hosts(&healthy, HOSTS);
        stage.pass(HOUR);
        stage.ours(&healthy, 10 * MINUTE);
        let app = stage.app().await;
        for _ in 0..3 {
            stage.cycle(&app).await;
            stage.pass(4 * MINUTE);
        }
        let made = world.connectors_of(&gone)[0].id;
        world.edit_connector(made, |connector| connector.deleted = true);
        let (stale, twin) = (subscription("stale", "a"), subscription("twin", "b"));
        subscription("new", "b");
        stage.pass(2 * HOUR);
        // Only the tree shows it yet, so it is read directly.
        subscription("young", "b");
        let kept = vec![
            world.connectors_of(&healthy)[0].id,
            stage.ours(&stale, 12 * HOUR),
            stage.ours(&twin, MINUTE),
        ];
        let younger_twin = stage.ours(&twin, MINUTE);
        world.clear_calls();
        Self { stage, ids, kept, younger_twin }
    }

    pub(super) async fn cycle(&self) -> Ran {
        self.stage.cycle(&self.stage.app().await).await
    }

    /// For a fault that is waited out: a write waits for half a lease, a read until the cycle must close. No other cycle has so
    /// little time, or on a busy machine it might not get as far as the fault.
    pub(super) async fn cycle_in_little_time(&mut self) -> Ran {
        let settings = self.stage.settings.clone();
        let little = [("LEASE", "15s"), ("CYCLE_BUDGET", "20s")];
        self.stage.settings.extend(little.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let ran = self.cycle().await;
        self.stage.settings = settings;
        ran
    }

    /// A new version of the password: a refused one is not tried again.
    pub(super) fn new_password(&mut self) {
        self.stage.world.set_qualys_password("another-password-2");
        self.stage.settings.insert("QUALYS_PASSWORD".into(), "another-password-2".into());
    }

    /// What must never be, not even for a moment.
    pub(super) fn harm(&self) -> Option<String> {
        let connectors = self.stage.world.connectors();
        for one in &connectors {
            if one.disabled && one.id != self.younger_twin {
                return Some(format!("connector {} was disabled", one.id));
            }
        }
        for id in &self.kept {
            if !connectors.iter().any(|one| one.id == *id) {
                return Some(format!("connector {id} is gone"));
            }
        }
        let doubled = self.ids.iter().find(|(name, id)| {
            let count = connectors.iter().filter(|one| one.subscription_id == **id).count();
            count > if **name == "twin" { 2 } else { 1 }
        });
        doubled.map(|(name, _)| format!("`{name}` has too many connectors"))
    }

    /// What must be there in the end.
    pub(super) fn lack(&self) -> Option<String> {
        let connectors = self.stage.world.connectors();
        for (name, id) in &self.ids {
            let healthy = |one: &&world::Connector| {
                one.subscription_id == *id && !one.disabled && one.state == "FINISHED_SUCCESS"
            };
            if connectors.iter().filter(healthy).count() != 1 {
                return Some(format!("`{name}` has no healthy connector: {connectors:?}"));
            }
        }
        let stale = connectors.iter().find(|one| one.subscription_id == self.ids["stale"])?;
        if stale.syncs == 0 {
            return Some("`stale` was not synced".to_owned());
        }
        match self.stage.latest() {
            Some(latest) if latest.rows.len() == HOSTS => None,
            Some(latest) => Some(format!("{} rows", latest.rows.len())),
            None => Some("no snapshot".to_owned()),
        }
    }
}
