//! What outcomes, and intents without an outcome, change in the state.

use super::*;
use crate::model::{Connector, ConnectorState, ResponseCode, after};
use crate::plan::{Reason, Step};
use crate::state::{DisableProof, DisabledByUs, PendingRun, TenantState};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

const CONNECTOR: ConnectorId = ConnectorId(7);

fn at(minutes: u32) -> Timestamp {
    after("2026-11-23T04:00:00Z".parse().unwrap(), Duration::from_mins(1) * minutes)
}

fn subscription() -> SubscriptionId {
    SubscriptionId::new(Uuid::from_u128(1))
}

fn create() -> Action {
    let (name, description) = ("n".to_owned(), "d".to_owned());
    Action::Create { subscription: subscription(), name, description, remembered: [].into() }
}

fn run() -> Action {
    Action::Run { connector: CONNECTOR, subscription: subscription(), awaited: true }
}

fn disable() -> Action {
    Action::Disable { connector: CONNECTOR, subscription: subscription(), proof: proof() }
}

fn proof() -> DisableProof {
    DisableProof::Twin { stays: ConnectorId(6) }
}

fn results() -> [ActionResult; 6] {
    let (code, error) = (ResponseCode::Http(500), String::from("e"));
    [
        ActionResult::Done { id: CONNECTOR, found_after: None },
        ActionResult::AlreadyThere { id: CONNECTOR },
        ActionResult::Failed { code: code.clone(), error: error.clone() },
        ActionResult::Unclear { code, error },
        ActionResult::NotStarted { because: NotStarted::TimeOver },
        Unproved::SubscriptionNotStated { checked: CONNECTOR }.into(),
    ]
}

fn connectors() -> BTreeMap<ConnectorId, Connector> {
    let connector = Connector {
        id: CONNECTOR,
        name: "n".into(),
        description: String::new(),
        state: ConnectorState::FinishedSuccess,
        last_sync: Some(at(0)),
        odd_last_sync: None,
        last_error: None,
        disabled: Some(false),
        member: Some(false),
        run_frequency_minutes: None,
        application: None,
        directory: None,
        subscription: Some(subscription()),
    };
    [(CONNECTOR, connector)].into()
}

/// The state after each of the results of an action.
fn states(action: &Action, before: &TenantState) -> [TenantState; 6] {
    results().map(|result| {
        let mut state = before.clone();
        Outcome { action: action.clone(), at: at(1), result }.record(&mut state, &connectors());
        state
    })
}

#[test]
fn a_create_that_may_have_made_a_connector_is_not_repeated_and_one_that_was_refused_waits() {
    let mut before = TenantState::default();
    let refusal = results()[2].refusal().unwrap();
    before.create_refused(subscription(), refusal, at(0));
    let [done, there, failed, unclear, not_started, _] = states(&create(), &before);
    let under_way = |state: &TenantState| state.create_under_way(subscription(), at(2));
    assert!(under_way(&done) && under_way(&unclear) && !under_way(&there) && !under_way(&failed));
    assert!(done.covered.contains(&subscription()) && !unclear.covered.contains(&subscription()));
    assert_eq!(failed.refused[&subscription()].count, 2);
    assert!([&done, &there].iter().all(|state| state.refused.is_empty()));
    assert_eq!(unclear.refused[&subscription()].count, 2, "repeatedly unclear ones back off, too");
    assert_eq!(not_started, before);
    let new = &done.connectors[&CONNECTOR];
    assert_eq!((new.made, new.queued_since, new.awaited), (Some(at(1)), Some(at(1)), true));
    assert!(unclear.connectors.is_empty() && there.connectors.is_empty());
}

#[test]
fn a_run_that_may_have_begun_is_pending_and_one_that_was_refused_waits() {
    let before = TenantState::default();
    let [done, _, failed, unclear, not_started, _] = states(&run(), &before);
    let pending = |state: &TenantState| state.connectors[&CONNECTOR].pending_run.clone();
    let expected = |unclear| Some(PendingRun::new(&connectors()[&CONNECTOR], at(1), unclear));
    assert_eq!((pending(&done), pending(&unclear)), (expected(false), expected(true)));
    assert!(done.connectors[&CONNECTOR].awaited);
    assert_eq!(
        (failed.connectors[&CONNECTOR].not_accepted.as_ref().map(|not| not.count), pending(&failed)),
        (Some(1), None)
    );
    assert_eq!(not_started, before);
}

#[test]
fn a_removal_counts_and_stays_in_the_state_unless_it_certainly_did_not_happen() {
    let before = TenantState::default();
    let [done, there, failed, unclear, not_started, stopped] = states(&disable(), &before);
    for counted in [done, unclear] {
        assert_eq!(counted.removals, [at(1)]);
        let record = DisabledByUs::new(subscription(), at(1), proof());
        assert_eq!(counted.disabled, [(CONNECTOR, record)].into());
    }
    for not_ours in [there, failed, not_started, stopped] {
        assert!(not_ours.removals.is_empty() && not_ours.disabled.is_empty(), "{not_ours:?}");
    }
}

#[test]
fn a_disable_is_recorded_from_the_intent_after_a_kill() {
    let mut state = TenantState::default();
    intent(disable()).recover(&mut state, at(9));
    let record = DisabledByUs::new(subscription(), at(9), proof());
    assert_eq!((&state.removals[..], state.disabled), (&[at(9)][..], [(CONNECTOR, record)].into()));
    let mut line = serde_json::to_value(intent(disable())).unwrap();
    line.as_object_mut().unwrap().remove("proof");
    let (older, unreadable) = Intent::read_lines(line.to_string().as_bytes());
    assert_eq!((older.len(), unreadable), (1, 0), "an older version recorded no proof");
}

#[test]
fn the_record_of_a_disabled_connector_ends_when_it_is_seen_enabled_or_long_gone() {
    let mut state = TenantState::default();
    let record = DisabledByUs::new(subscription(), at(0), proof());
    state.disabled.insert(CONNECTOR, record);
    let mut connector = connectors().remove(&CONNECTOR).unwrap();
    state.update_from([&connector].into_iter(), at(9));
    assert_eq!(state.disabled.len(), 1, "a list may be late");
    connector.disabled = None;
    state.update_from([&connector].into_iter(), at(15));
    assert_eq!(state.disabled.len(), 1, "one that does not say so is not seen enabled");
    connector.disabled = Some(true);
    state.update_from([&connector].into_iter(), at(20));
    state.update_from(std::iter::empty(), at(20 + 29 * 24 * 60));
    assert_eq!(state.disabled.len(), 1, "a connector that a list lacks is not gone");
    let (mut enabled, mut gone) = (state.clone(), state);
    connector.disabled = Some(false);
    enabled.update_from([&connector].into_iter(), at(30));
    gone.update_from(std::iter::empty(), at(20 + 30 * 24 * 60));
    assert!(enabled.disabled.is_empty() && gone.disabled.is_empty());
}

fn intent(action: Action) -> Intent {
    let reason = Reason::NotCovered;
    Intent::new(&Step { action, reason, withheld: None }, &connectors(), at(1))
}

#[test]
fn what_a_killed_cycle_meant_to_do_counts_as_done_now_and_unclear() {
    let mut state = TenantState::default();
    for action in [create(), run(), disable()] {
        intent(action).recover(&mut state, at(9));
    }
    assert!(state.create_under_way(subscription(), at(18)));
    let expected =
        PendingRun { at: at(9), unclear: true, ..PendingRun::new(&connectors()[&CONNECTOR], at(9), true) };
    assert_eq!(state.connectors[&CONNECTOR].pending_run, Some(expected));
    assert_eq!(state.removals, [at(9)]);
}

#[test]
fn a_run_that_the_killed_cycle_had_recorded_is_not_counted_twice() {
    let mut state = TenantState::default();
    Outcome { action: run(), at: at(2), result: results()[0].clone() }.record(&mut state, &connectors());
    let before = state.clone();
    intent(run()).recover(&mut state, at(9));
    assert_eq!(state, before);
}

#[test]
fn intents_are_read_as_they_are_written_and_other_lines_are_counted() {
    let intents = [create(), run(), disable()].map(intent);
    let mut lines: Vec<_> = intents.iter().map(|intent| serde_json::to_string(intent).unwrap()).collect();
    lines.insert(1, "{\"action\": \"of another version\"}".into());
    assert_eq!(Intent::read_lines(lines.join("\n").as_bytes()), (intents.to_vec(), 1));
    assert!(lines[0].contains("\"before\":null") && lines[2].contains("\"state\":\"FINISHED_SUCCESS\""));
}

#[test]
fn an_intent_with_a_reason_of_another_version_is_recovered() {
    let line = serde_json::to_string(&intent(create())).unwrap();
    let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["reason"] = "this program does not know it".into();
    let (intents, unreadable) = Intent::read_lines(line.to_string().as_bytes());
    assert_eq!((intents.len(), unreadable), (1, 0));
    let mut state = TenantState::default();
    intents[0].recover(&mut state, at(9));
    assert!(state.create_under_way(create().subscription(), at(10)), "its create is not repeated");
}

#[test]
fn outcomes_are_read_as_they_are_written() {
    let stopped = NotStarted::CallsStopped { code: ResponseCode::NoCallsLeft, error: "e".into() };
    let found = ActionResult::Done { id: CONNECTOR, found_after: Some(ResponseCode::NoAnswer) };
    let more = [ActionResult::NotStarted { because: stopped }, found];
    for result in results().into_iter().chain(more) {
        let outcome = Outcome { action: run(), at: at(1), result };
        let stored = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&stored).unwrap(), outcome, "{stored}");
    }
}

#[test]
fn an_action_that_was_not_begun_says_why() {
    let stopped =
        NotStarted::CallsStopped { code: ResponseCode::Http(429), error: "Qualys asks to wait".into() };
    let texts = [NotStarted::LeaseLost, NotStarted::TimeOver, stopped].map(|because| because.to_string());
    assert_eq!(texts, ["the account's lease was lost", "the cycle's time is over", "Qualys asks to wait"]);
}

#[test]
fn only_a_refused_sync_of_the_connector_itself_is_one() {
    let refused = |action, code| {
        let error = String::new();
        let result = ActionResult::Failed { code, error };
        Outcome { action, at: at(1), result }.is_refused_sync_of(CONNECTOR)
    };
    assert!(refused(run(), ResponseCode::ObjectNotFound));
    assert!(!refused(run(), ResponseCode::InvalidCredentials));
    assert!(!refused(disable(), ResponseCode::ObjectNotFound));
    let other = Action::Run { connector: ConnectorId(8), subscription: subscription(), awaited: true };
    assert!(!refused(other, ResponseCode::ObjectNotFound));
}

#[test]
fn what_the_audit_tells_of_a_lost_state_is_cover_and_removals() {
    let mut state = TenantState::default();
    for action in [create(), run(), disable()] {
        for result in results() {
            Outcome { action: action.clone(), at: at(1), result }.recall(&mut state, None, at(9));
        }
    }
    assert_eq!(state.covered, [subscription()].into());
    assert_eq!(state.remembered_for(subscription()), [CONNECTOR].into(), "it is read by its id");
    assert!(
        state.create_under_way(subscription(), at(10)) && !state.create_under_way(subscription(), at(11))
    );
    // An `AlreadyThere` is somebody else's disable.
    assert_eq!((state.removals.len(), state.connectors.len()), (2, 0));
}

#[test]
fn an_intent_of_the_version_before_is_recovered() {
    let before = format!(
        r#"{{"schema_version":1,"at":"2026-11-23T04:00:00Z","action":"create","subscription":"{}","name":"n","description":"d","look_first":true,"known":7,"reason":"r","before":null}}"#,
        subscription()
    );
    let (intents, unreadable) = Intent::read_lines(before.as_bytes());
    assert_eq!((intents.len(), unreadable), (1, 0));
    let mut state = TenantState::default();
    intents[0].recover(&mut state, at(1));
    assert!(state.create_under_way(subscription(), at(2)));
}
