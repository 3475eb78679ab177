//! The estate: its subscriptions and connectors, and what must be true of them at every moment and in the end.

use super::chance::Chance;
use crate::stage::{Stage, names_in, subscription_of};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use world::{Call, CallKind, Connector, Service};

const HOUR: Duration = Duration::from_hours(1);
/// Calls of one kind that Qualys allows in an hour. We leave 30 % of them to others.
const CALLS_PER_HOUR: usize = 300;
/// Rule *syncs*: runs of one connector in 24 hours that nobody asked for.
const RUNS_A_DAY: usize = 4;
/// Rule *refusals back off*: after 15 minutes, doubled up to 6 hours, there is room for so many tries in 24 hours, and for one more
/// whose answer was unclear.
const CREATES_A_DAY: usize = 9;
/// One cycle every `CYCLE_GAP` (a minute), which is as often as Qualys may be looked at while it refuses calls for a moment.
const CYCLES_AN_HOUR: usize = 61;

pub(super) struct Estate {
    pub(super) stage: Stage,
    /// Every subscription, and how many machines it has.
    pub(super) subscriptions: BTreeMap<String, usize>,
    /// Connectors that others made, as they were.
    foreign: Vec<Connector>,
    /// Of two connectors of ours for one subscription: the one that is to be disabled.
    spare: Option<i64>,
    /// The calls to Qualys of the last day.
    calls: Vec<Call>,
    cycles: Vec<Timestamp>,
    requests: Vec<Timestamp>,
    /// The times for which a clock that was days ahead may have sent messages.
    strays: Vec<Range<Timestamp>>,
    /// When our clock began or ceased to be wrong.
    jumps: Vec<Timestamp>,
}

impl Estate {
    pub(super) fn new(size: usize, chance: &mut Chance) -> Self {
        let stage = Stage::doubting()
            .set("QUALYS_CALLS_PER_HOUR", &CALLS_PER_HOUR.to_string())
            .set("SNAPSHOT_EVERY", "24h")
            .set("SCOPE", "root");
        let world = &stage.world;
        world.group("root", None);
        world.manners(|manners| {
            manners.auto_start = Some(SignedDuration::from_mins(3));
            manners.run_lag = SignedDuration::from_secs(20);
            manners.sync_duration = SignedDuration::from_mins(4);
            manners.own_schedule = true;
        });
        let mut estate = Self {
            stage,
            subscriptions: BTreeMap::new(),
            foreign: Vec::new(),
            spare: None,
            calls: Vec::new(),
            cycles: Vec::new(),
            requests: Vec::new(),
            strays: Vec::new(),
            jumps: Vec::new(),
        };
        for number in 0..size {
            let id = estate.appear(number, chance);
            match chance.below(10) {
                0 => {
                    estate.stage.world.connector(&id);
                }
                // A cycle of a former day made it.
                1..=5 => {
                    estate.stage.ours(&id, Duration::from_mins(chance.between(1, 200)));
                }
                _ => {}
            }
        }
        // Somebody once made a second one of ours by hand.
        let twin = estate.stage.world.subscription("twin").in_group("root").id().to_owned();
        estate.stage.ours(&twin, Duration::from_mins(30));
        estate.spare = Some(estate.stage.ours(&twin, Duration::from_mins(20)));
        estate.subscriptions.insert(twin, 0);
        estate.foreign = estate.stage.world.connectors();
        estate.foreign.retain(|one| !one.description.contains("managed-by"));
        estate
    }

    /// A new subscription with some machines. Returns its id.
    pub(super) fn appear(&mut self, number: usize, chance: &mut Chance) -> String {
        let world = &self.stage.world;
        let id = world.subscription(&format!("s-{number:04}")).in_group("root").id().to_owned();
        let machines = chance.below(4);
        world.machines(&id, machines);
        self.subscriptions.insert(id.clone(), machines);
        id
    }

    pub(super) fn now(&self) -> Timestamp {
        self.stage.now()
    }

    pub(super) fn has_snapshot(&self) -> bool {
        self.stage.control("latest.json").exists()
    }

    pub(super) fn cycle_began(&mut self) {
        self.cycles.push(self.now());
    }

    pub(super) fn requested(&mut self) {
        self.requests.push(self.now());
    }

    /// What must never be, not even for a moment. Takes the calls since the last look.
    pub(super) fn harm(&mut self) -> Result<(), String> {
        let calls = self.stage.world.calls();
        self.stage.world.clear_calls();
        self.calls.extend(calls.into_iter().filter(|call| call.service == Service::Qualys));
        let now = self.now();
        let since = |age: Duration| now.checked_sub(SignedDuration::try_from(age).unwrap()).unwrap();
        let day = since(24 * HOUR);
        self.calls.retain(|call| call.at >= day);
        self.cycles.retain(|at| *at >= day);
        self.requests.retain(|at| *at >= day);
        self.bounded(since(HOUR))?;
        self.unharmed()
    }

    fn bounded(&self, hour: Timestamp) -> Result<(), String> {
        let (mut of_kind, mut runs, mut creates) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for call in &self.calls {
            if call.at >= hour {
                *of_kind.entry(format!("{:?}", call.call)).or_insert(0_usize) += 1;
            }
            match call.call {
                // A limit of the account says itself when to come again, and refuses before anything runs.
                CallKind::ConnectorRun | CallKind::ConnectorCreate if is_limit(call) => {}
                CallKind::ConnectorRun => *runs.entry(call.path.clone()).or_insert(0) += 1,
                CallKind::ConnectorCreate => *creates.entry(call.subscription.clone()).or_insert(0) += 1,
                _ => {}
            }
        }
        // To a clock that has just jumped, the calls of the hour before seem long past: then there may be twice as many.
        let jumped = self.jumps.iter().any(|at| *at >= hour);
        let allowed = if jumped { 2 * CALLS_PER_HOUR } else { CALLS_PER_HOUR };
        if let Some((kind, n)) = of_kind.iter().find(|(_, n)| **n > allowed) {
            return Err(format!("{n} calls of {kind} in an hour"));
        }
        let allowed = RUNS_A_DAY + self.requests.len();
        if let Some((path, n)) = runs.iter().find(|(_, n)| **n > allowed) {
            return Err(format!("{n} runs in a day ({allowed} allowed): {path}"));
        }
        if let Some((subscription, n)) = creates.iter().find(|(_, n)| **n > CREATES_A_DAY) {
            return Err(format!("{n} creates in a day for {subscription:?}"));
        }
        let cycles = self.cycles.iter().filter(|at| **at >= hour).count();
        if cycles > CYCLES_AN_HOUR { Err(format!("{cycles} cycles in an hour")) } else { Ok(()) }
    }

    fn unharmed(&self) -> Result<(), String> {
        let connectors = self.stage.world.connectors();
        let mut of: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &connectors {
            if Some(one.id) != self.spare {
                *of.entry(&one.subscription_id).or_default() += 1;
            }
            if one.disabled && Some(one.id) != self.spare {
                return Err(format!("connector {} of {} was disabled", one.id, one.subscription_id));
            }
        }
        if let Some((subscription, n)) = of.iter().find(|(_, n)| **n > 1) {
            let there: Vec<_> =
                connectors.iter().filter(|one| one.subscription_id == *subscription).collect();
            return Err(format!("{n} connectors of {subscription}: {there:?}"));
        }
        for before in &self.foreign {
            let Some(now) = connectors.iter().find(|one| one.id == before.id) else {
                return Err(format!("the foreign connector {} is gone", before.id));
            };
            let same =
                (&now.name, &now.description, now.runs) == (&before.name, &before.description, before.runs);
            if !same {
                return Err(format!("the foreign connector {} was changed: {now:?}", before.id));
            }
        }
        Ok(())
    }

    /// Our clock is ahead for a while: what it sends is for those times, and is dropped when they come.
    pub(super) fn clock_is_ahead(&mut self, ahead: SignedDuration, lasts: SignedDuration) {
        self.jumps.extend([self.now(), self.now() + lasts]);
        let from = self.now() + ahead;
        // The latest that it sends is for the end of an hour's wait.
        self.strays.push(from..from + lasts + SignedDuration::from_hours(1));
    }

    /// The messages of the queue that are due within an hour, without those of a clock that was days ahead.
    fn due_messages(&self) -> usize {
        let soon = self.now() + SignedDuration::from_hours(1);
        let visible = |name: &String| {
            let visible = name.split('_').next().unwrap().parse().unwrap();
            Timestamp::from_millisecond(visible).unwrap()
        };
        let counts = |at: &Timestamp| *at < soon && !self.strays.iter().any(|times| times.contains(at));
        names_in(&self.stage.queue_folder()).iter().map(visible).filter(counts).count()
    }

    /// What must be there in the end: the world that would be without any lie.
    pub(super) fn lack(&self) -> Result<(), String> {
        let connectors = self.stage.world.connectors();
        for id in self.subscriptions.keys() {
            // It may be at its next sync, which Qualys starts by itself.
            let healthy = |one: &&Connector| {
                one.subscription_id == *id
                    && !one.disabled
                    && one.last_sync.is_some()
                    && ["FINISHED_SUCCESS", "QUEUED", "PROCESSING"].contains(&one.state.as_str())
            };
            if !connectors.iter().any(|one| healthy(&one)) {
                let there: Vec<_> = connectors.iter().filter(|one| one.subscription_id == *id).collect();
                return Err(format!("{id} is starved: {there:?}"));
            }
        }
        if !connectors.iter().any(|one| Some(one.id) == self.spare && one.disabled) {
            return Err("the second connector of one subscription is still enabled".to_owned());
        }
        let items = self.stage.inbox();
        if !items.is_empty() {
            return Err(format!("items are left in the inbox: {items:?}"));
        }
        let due = self.due_messages();
        if due > 1 {
            return Err(format!("{due} messages are left in the queue"));
        }
        let latest = self.stage.latest().ok_or("there is no snapshot")?;
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        for row in &latest.rows {
            *rows.entry(subscription_of(row).unwrap()).or_default() += 1;
        }
        for (id, machines) in &self.subscriptions {
            let there = rows.get(id).copied().unwrap_or_default();
            if there != *machines {
                return Err(format!("{there} of {machines} machines of {id} are in the newest snapshot"));
            }
        }
        Ok(())
    }
}

/// Whether Qualys refused the call because of a limit of the account.
fn is_limit(call: &Call) -> bool {
    let is_conflict = |fault: &String| fault.contains("1960") || fault.contains("1965");
    call.status == Some(429) || call.fault.as_ref().is_some_and(is_conflict)
}
