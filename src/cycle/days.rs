//! Simulated days of one connector of ours against a Qualys that lies: observation, plan, outcomes and settlement, without I/O.

use super::settle::Settlement;
use crate::inbox::{InboxItem, ItemContent};
use crate::model::{
    AppId, Asked, ClockReading, Connector, ConnectorId, Mark, Observed, OddTime, RequestId, ResponseCode,
    Subscription, SubscriptionId, SubscriptionState, TenantId, Turn, after,
};
use crate::outcome::{ActionResult, Outcome};
use crate::plan::{Action, Mode, Plan, Policy, Reason, Why, plan};
use crate::state::{AbsenceRule, TenantState};
use crate::store::{ETag, ItemName};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: i64 = 24 * 60;
const CONNECTOR: ConnectorId = ConnectorId(7);

fn at(minute: i64) -> Timestamp {
    after("2026-11-23T00:00:00Z".parse().unwrap(), MINUTE * u32::try_from(minute).unwrap())
}

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(0xd))
}

fn subscription() -> SubscriptionId {
    SubscriptionId::new(Uuid::from_u128(1))
}

fn policy() -> Policy {
    Policy {
        mode: Mode::Enforce,
        deployment: "default".parse().unwrap(),
        tenant: tenant(),
        application: AppId::new(Uuid::from_u128(0xa)),
        name: "{subscription_id}".into(),
        description: String::new(),
        apps: vec![],
        modules: vec![],
        tags: vec![],
        run_frequency_minutes: 240,
        sync_max_age: MINUTE * 300,
        follow_up: MINUTE * 2,
        max_creates: 100,
        max_removals: None,
        absence: AbsenceRule { lists: 1, age: Duration::ZERO },
        calls_per_hour: 210,
    }
}

/// How Qualys states the time of the last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Zoned,
    /// Of another clock than the answer's `Date`, by so many hours.
    OffBy(i64),
    WithoutZone,
    NotATime,
    Missing,
}

/// What Qualys makes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnRun {
    Accepts,
    Refuses,
    /// With a code that no document lists, so that nobody knows what it means.
    RefusesOddly,
    Forbids,
    LosesTheRequest,
    LosesTheAnswer,
}

/// How Qualys behaves for some time.
#[derive(Debug, Clone)]
struct Phase {
    minutes: i64,
    form: Form,
    on_run: OnRun,
    fails: bool,
    /// By how many minutes Qualys's clock is ahead.
    ahead: i64,
    dated: bool,
    /// The state that answers show instead of the true one.
    shows: Option<&'static str>,
}

const HONEST: Phase = Phase {
    minutes: 2 * DAY,
    form: Form::Zoned,
    on_run: OnRun::Accepts,
    fails: false,
    ahead: 0,
    dated: true,
    shows: None,
};

/// Qualys as it is, whatever it says: one connector, all times in minutes.
#[derive(Debug, Clone)]
struct Simulated {
    /// Minutes between its own syncs; none if it starts none.
    schedule: Option<i64>,
    /// When it starts a new connector by itself.
    starts_alone: Option<i64>,
    last_end: Option<i64>,
    /// The same as it was stamped.
    stamped: Option<Timestamp>,
    well: bool,
    /// The sync in progress: when it becomes visible, and when it ends.
    sync: Option<(i64, i64)>,
    syncs: u32,
}

impl Simulated {
    fn healthy(schedule: Option<i64>) -> Self {
        let (last_end, stamped) = (Some(0), Some(at(0)));
        Self { schedule, starts_alone: None, last_end, stamped, well: true, sync: None, syncs: 0 }
    }

    fn new(schedule: Option<i64>, starts_alone: Option<i64>) -> Self {
        Self { starts_alone, last_end: None, stamped: None, ..Self::healthy(schedule) }
    }

    fn minute(&mut self, now: i64, phase: &Phase) {
        if self.sync.is_some_and(|(_, ends)| ends <= now) {
            (self.sync, self.last_end, self.well) = (None, Some(now), !phase.fails);
            self.stamped = Some(at(now) + SignedDuration::from_mins(phase.ahead));
            self.syncs += 1;
        }
        let is_due = match self.last_end {
            Some(last) => self.schedule.is_some_and(|every| now >= last + every),
            None => self.starts_alone.is_some_and(|start| now >= start),
        };
        if is_due {
            self.run(now, 0);
        }
    }

    fn run(&mut self, now: i64, lag: i64) {
        self.sync.get_or_insert((now + lag, now + lag + 5));
    }

    fn state(&self, now: i64) -> &'static str {
        match (self.sync, self.last_end) {
            (Some((visible, _)), _) if now >= visible => "PROCESSING",
            (_, None) => "QUEUED",
            (_, Some(_)) if self.well => "FINISHED_SUCCESS",
            (_, Some(_)) => "FINISHED_ERRORS",
        }
    }

    fn shown(&self, now: i64, phase: &Phase) -> Connector {
        let mark = Mark { deployment: policy().deployment, tenant: tenant(), subscription: subscription() };
        let (last_sync, odd_last_sync) = match (phase.form, self.stamped) {
            (_, None) | (Form::Missing, _) => (None, None),
            (Form::Zoned, Some(at)) => (Some(at), None),
            (Form::OffBy(hours), Some(at)) => (Some(at + SignedDuration::from_hours(hours)), None),
            (Form::WithoutZone, Some(at)) => {
                (None, Some(OddTime::WithoutZone(TimeZone::UTC.to_datetime(at))))
            }
            (Form::NotATime, Some(_)) => (None, Some(OddTime::NotATime)),
        };
        Connector {
            id: CONNECTOR,
            name: "n".into(),
            description: mark.to_string(),
            state: phase.shows.unwrap_or_else(|| self.state(now)).into(),
            last_sync,
            odd_last_sync,
            last_error: (!self.well).then(|| "AADSTS7000215: Invalid client secret.".to_owned()),
            disabled: Some(false),
            member: Some(false),
            run_frequency_minutes: Some(240),
            application: None,
            directory: Some(tenant()),
            subscription: Some(subscription()),
        }
    }

    fn answer(&mut self, now: i64, phase: &Phase) -> ActionResult {
        let refused =
            |code: &str| (ResponseCode::from(code.to_owned()), format!("Qualys refused it: {code}"));
        if matches!(phase.on_run, OnRun::Accepts | OnRun::LosesTheAnswer) {
            self.run(now, 1);
        }
        let (code, error) = match phase.on_run {
            OnRun::Accepts => return ActionResult::Done { id: CONNECTOR, found_after: None },
            OnRun::Refuses => refused("INVALID_REQUEST"),
            OnRun::Forbids => refused("FORBIDDEN"),
            OnRun::RefusesOddly => refused("SOMETHING_NEW"),
            OnRun::LosesTheRequest | OnRun::LosesTheAnswer => refused("NO_ANSWER"),
        };
        match phase.on_run {
            OnRun::Refuses | OnRun::Forbids => ActionResult::Failed { code, error },
            _ => ActionResult::Unclear { code, error },
        }
    }
}

/// One connector, and what we know and did.
struct Days {
    qualys: Simulated,
    state: TenantState,
    open: Vec<InboxItem>,
    now: i64,
    /// When we ran it without being asked.
    unasked: Vec<i64>,
    runs: usize,
    cycles: usize,
    /// How each request was settled, and after how many minutes.
    settled: Vec<(String, i64)>,
    /// Minutes at which a cycle called the subscription uncovered.
    uncovered: Vec<i64>,
    last: Option<Plan>,
}

impl Days {
    fn new(qualys: Simulated) -> Self {
        let (state, open) = (TenantState::default(), Vec::new());
        let (unasked, settled, uncovered) = (Vec::new(), Vec::new(), Vec::new());
        Self { qualys, state, open, now: 0, unasked, runs: 0, cycles: 0, settled, uncovered, last: None }
    }

    fn ask(&mut self, minute: i64) {
        let asked = Some(Asked { all: true, ..Asked::default() });
        let number = u32::try_from(self.open.len()).unwrap();
        let name = ItemName::Request(RequestId::new(at(minute), number));
        let content = ItemContent { asked, ..ItemContent::new(at(minute), "test") };
        self.open.push(InboxItem { name, etag: ETag("e".into()), content });
    }

    /// Lets the phase pass. `asked`: the minutes of it at which somebody asks for a sync.
    fn pass(&mut self, phase: &Phase, asked: &BTreeSet<i64>) {
        let (began, end) = (self.now, self.now + phase.minutes);
        let mut next = began;
        while self.now < end {
            self.qualys.minute(self.now, phase);
            if asked.contains(&(self.now - began)) {
                self.ask(self.now);
                next = self.now;
            }
            if self.now >= next {
                self.cycle(phase);
                let awaits = self.state.awaits_sync(|_| true, at(self.now));
                next = self.now + if awaits { 2 } else { 15 - self.now % 15 };
            }
            self.now += 1;
        }
        let stored = serde_json::to_string(&self.state).unwrap();
        assert_eq!(serde_json::from_str::<TenantState>(&stored).unwrap(), self.state);
    }

    fn observed(&self, phase: &Phase) -> Observed {
        let id = subscription();
        let state = SubscriptionState::from("Enabled".to_owned());
        let found = Subscription { id, tenant: tenant(), name: "s".into(), state };
        let ahead = SignedDuration::from_mins(phase.ahead);
        Observed {
            tenant: tenant(),
            subscriptions: BTreeMap::from([(id, found)]),
            unreadable: vec![],
            exclusion_unknown: false,
            unlisted: BTreeSet::new(),
            direct: BTreeMap::new(),
            turn: Turn::default(),
            looks_left: false,
            read_by_id: BTreeSet::new(),
            unplaced: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            connectors: BTreeMap::from([(CONNECTOR, self.qualys.shown(self.now, phase))]),
            qualys_clock: phase
                .dated
                .then(|| ClockReading { theirs: at(self.now) + ahead, ours: at(self.now) }),
            requests: self.open.iter().filter_map(InboxItem::request).collect(),
        }
    }

    fn cycle(&mut self, phase: &Phase) {
        let (policy, now) = (policy(), at(self.now));
        let observed = self.observed(phase);
        self.cycles += 1;
        self.state.take_in(&observed, |connector| policy.is_ours(connector), policy.absence, now, now);
        let plan = plan(&observed, &self.state, &policy, now).unwrap();
        let mut outcomes = Vec::new();
        for step in &plan.steps {
            assert!(matches!(step.action, Action::Run { .. }), "{plan}");
            let shown = &observed.connectors[&CONNECTOR];
            assert!(shown.state.as_str() != "PROCESSING", "run while in progress: {plan}");
            self.runs += 1;
            if !matches!(step.reason, Reason::Requested { .. }) {
                self.unasked.push(self.now);
            }
            let result = self.qualys.answer(self.now, phase);
            outcomes.push(Outcome { action: step.action.clone(), at: now, result });
        }
        for outcome in &outcomes {
            outcome.record(&mut self.state, &observed.connectors);
        }
        if plan.coverage.covered == 0 {
            self.uncovered.push(self.now);
        }
        let settlement = Settlement {
            policy: &policy,
            state: &self.state,
            observed: Some(&observed),
            plan: Some(&plan),
            outcomes: &outcomes,
            now,
        };
        let settled = &mut self.settled;
        self.open.retain(|item| match settlement.of(item) {
            Some(how) => {
                settled.push((how, now.duration_since(item.content.left).as_mins()));
                false
            }
            None => true,
        });
        self.last = Some(plan);
    }

    fn most_unasked_in_a_day(&self) -> usize {
        let in_a_day =
            |from: &i64| self.unasked.iter().filter(|run| (*from..from + DAY).contains(run)).count();
        self.unasked.iter().map(in_a_day).max().unwrap_or(0)
    }

    /// Why the latest plan leaves the connector alone; none if it runs it.
    fn why(&self) -> Option<&Why> {
        self.last.as_ref()?.kept.first().map(|kept| &kept.why)
    }

    /// Whether nothing is wrong with the connector, as far as we know.
    fn is_well(&self) -> bool {
        let sync = &self.state.connectors[&CONNECTOR];
        sync.failing.is_none() && sync.not_accepted.is_none() && !self.why().is_some_and(Why::needs_a_person)
    }
}

fn any_form() -> impl Strategy<Value = Form> {
    prop_oneof![
        Just(Form::Zoned),
        prop::sample::select(vec![-14, -8, 8, 14]).prop_map(Form::OffBy),
        Just(Form::WithoutZone),
        Just(Form::NotATime),
        Just(Form::Missing),
    ]
}

fn any_ahead() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 2 => -10i64..=10, 3 => -14i64 * 60..=14 * 60, 1 => -400 * DAY..400 * DAY]
}

prop_compose! {
    fn any_phase()(
        minutes in 5i64..3 * DAY,
        form in any_form(),
        on_run in prop::sample::select(vec![
            OnRun::Accepts, OnRun::Refuses, OnRun::RefusesOddly, OnRun::Forbids, OnRun::LosesTheRequest, OnRun::LosesTheAnswer,
        ]),
        fails: bool,
        ahead in any_ahead(),
        dated in prop::bool::weighted(0.8),
        shows in prop::option::weighted(0.2, prop::sample::select(vec![
            "QUEUED", "PENDING", "RUNNING", "FINISHED_SUCCESS", "FINISHED_ERRORS", "ERROR", "INCOMPLETE", "DISABLED", "ODD", "",
        ])),
    ) -> Phase {
        Phase { minutes, form, on_run, fails, ahead, dated, shows }
    }
}

prop_compose! {
    fn any_qualys()(
        schedule in prop::option::of(Just(240i64)),
        alone in prop::option::of(0i64..200),
        is_new: bool,
    ) -> Simulated {
        if is_new { Simulated::new(schedule, alone) } else { Simulated::healthy(schedule) }
    }
}

fn any_requests() -> impl Strategy<Value = BTreeSet<i64>> {
    prop::collection::btree_set(0i64..3 * DAY, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_qualys_says_four_runs_a_day_and_every_request_has_an_end(
        qualys in any_qualys(),
        phases in prop::collection::vec((any_phase(), any_requests()), 1..6),
    ) {
        let mut days = Days::new(qualys);
        for (phase, asked) in &phases {
            days.pass(phase, asked);
        }
        let lied_until = days.now;
        prop_assert!(days.most_unasked_in_a_day() <= 4, "{:?}", days.unasked);
        let days_passed = usize::try_from(days.now / DAY + 1).unwrap();
        prop_assert!(
            days.cycles <= days_passed * 96 + (days.runs + days.settled.len() + 2 * days_passed) * 32,
            "{} cycles in {days_passed} days with {} runs", days.cycles, days.runs
        );
        // After the last lie it is as without lies. A cause that lasted a day may need somebody who asks.
        let before = days.qualys.syncs;
        days.pass(&HONEST, &BTreeSet::from([DAY]));
        prop_assert!(days.open.is_empty(), "open: {:?}", days.open);
        prop_assert!(days.qualys.syncs > before);
        let (how, minutes) = days.settled.last().unwrap();
        prop_assert!(how == "1 syncs ended, 0 left alone" && *minutes <= 60, "{how} after {minutes}");
        prop_assert!(days.is_well(), "{:?}", days.why());
        let late = days.uncovered.iter().filter(|minute| **minute > lied_until + DAY + 60).collect::<Vec<_>>();
        prop_assert!(days.qualys.schedule.is_none() || late.is_empty(), "{late:?}");
        prop_assert!(days.most_unasked_in_a_day() <= 4, "{:?}", days.unasked);
    }

    #[test]
    fn a_connector_that_syncs_well_by_qualyss_schedule_is_not_run_whatever_its_clock_says(
        form in prop::sample::select(vec![Form::Zoned, Form::WithoutZone]),
        clocks in prop::collection::vec((any_ahead(), prop::bool::weighted(0.7), 5i64..2 * DAY), 1..5),
    ) {
        let mut days = Days::new(Simulated::healthy(Some(240)));
        // Before it is set back or forth, its times are of one clock, and a sync is seen.
        let ahead = clocks[0].0;
        days.qualys.stamped = Some(at(0) + SignedDuration::from_mins(ahead));
        days.pass(&Phase { form, ahead, minutes: 300, ..HONEST }, &BTreeSet::new());
        for (ahead, dated, minutes) in clocks {
            days.pass(&Phase { minutes, form, ahead, dated, ..HONEST }, &BTreeSet::new());
        }
        prop_assert_eq!(days.runs, 0);
        prop_assert!(days.uncovered.is_empty(), "{:?}", days.uncovered);
    }

    #[test]
    fn a_healthy_connector_of_which_qualys_states_no_time_is_covered_and_run_four_times_a_day_at_most(
        form in prop::sample::select(vec![Form::Missing, Form::NotATime]),
        ahead in any_ahead(),
    ) {
        let mut days = Days::new(Simulated::healthy(Some(240)));
        days.pass(&Phase { form, ahead, minutes: 4 * DAY, ..HONEST }, &BTreeSet::new());
        prop_assert!(days.most_unasked_in_a_day() <= 4, "{:?}", days.unasked);
        prop_assert!(days.uncovered.is_empty(), "{:?}", days.uncovered);
        prop_assert!(days.is_well(), "{:?}", days.why());
    }

    #[test]
    fn a_request_is_served_by_a_sync_after_it_whatever_the_clocks_say(
        form in any_form(),
        ahead in any_ahead(),
        dated: bool,
        minute in 1i64..DAY,
    ) {
        let mut days = Days::new(Simulated::healthy(Some(240)));
        days.qualys.stamped = Some(at(0) + SignedDuration::from_mins(ahead));
        let phase = Phase { form, ahead, dated, minutes: DAY + 120, ..HONEST };
        days.pass(&phase, &BTreeSet::from([minute]));
        let syncs_by_schedule = u32::try_from(days.now / 240).unwrap();
        prop_assert!(days.open.is_empty() && days.settled[0].1 <= 60, "{:?} {:?}", days.open, days.settled);
        prop_assert!(days.settled[0].0.starts_with("1 syncs ended"), "{:?}", days.settled);
        prop_assert!(days.runs > 0 || days.qualys.syncs >= syncs_by_schedule);
    }
}

#[test]
fn a_local_clock_that_calls_itself_utc_costs_one_run() {
    for hours in [-14, -8, 8, 14] {
        let mut days = Days::new(Simulated::healthy(Some(240)));
        let phase = Phase { form: Form::OffBy(hours), minutes: 5 * DAY, ..HONEST };
        days.pass(&phase, &BTreeSet::new());
        assert!(days.runs <= 1, "{hours} hours: {:?}", days.unasked);
    }
}

#[test]
fn a_sync_that_ended_before_the_request_does_not_serve_it_when_qualyss_clock_is_ahead() {
    let mut days = Days::new(Simulated::healthy(Some(240)));
    days.pass(&Phase { ahead: 10, minutes: 243, ..HONEST }, &BTreeSet::new());
    // By its clock, the sync of minute 245 ends at minute 255.
    days.pass(&Phase { ahead: 10, minutes: 60, ..HONEST }, &BTreeSet::from([7]));
    assert_eq!((days.runs, days.unasked.len()), (1, 0));
    assert_eq!(days.settled[0].0, "1 syncs ended, 0 left alone");
}

#[test]
fn runs_that_qualys_does_not_accept_wait_longer_each_time_and_are_named_with_code_and_text() {
    for on_run in [OnRun::Refuses, OnRun::RefusesOddly, OnRun::Forbids, OnRun::LosesTheRequest] {
        let mut days = Days::new(Simulated::new(None, None));
        days.pass(&Phase { on_run, minutes: DAY, ..HONEST }, &BTreeSet::new());
        assert_eq!(days.runs, 4, "{on_run:?}: {:?}", days.unasked);
        let waits: Vec<_> = days.unasked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.is_sorted() && waits[2] >= 30, "{on_run:?}: {waits:?}");
        let why = days.why().unwrap();
        let Why::RunNotAccepted { failures: 4, code, error, until: None, .. } = why else {
            panic!("{on_run:?}: {why:?}")
        };
        assert!(error.contains(&code.to_string()) && why.needs_a_person(), "{why}");
        assert!(days.cycles < 96 + 3 * 32, "{on_run:?}: {} cycles", days.cycles);
        days.pass(&HONEST, &BTreeSet::new());
        assert!(days.qualys.syncs > 0 && days.is_well(), "{on_run:?}: it is tried again the next day");
    }
}

#[test]
fn after_a_day_of_one_cause_only_qualyss_schedule_or_a_request_retries() {
    let mut days = Days::new(Simulated::healthy(None));
    days.qualys.well = false;
    let failing = Phase { fails: true, ..HONEST };
    days.pass(&Phase { minutes: 5 * DAY, ..failing.clone() }, &BTreeSet::new());
    assert_eq!(days.runs, 4, "{:?}", days.unasked);
    assert!(matches!(days.why(), Some(Why::FailedForADay { .. })), "{:?}", days.why());
    days.pass(&failing, &BTreeSet::from([10]));
    assert_eq!((days.runs, days.unasked.len()), (5, 4), "somebody asked");
    days.pass(&HONEST, &BTreeSet::from([10]));
    assert!(days.is_well(), "{:?}", days.why());
}
