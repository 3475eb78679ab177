//! Limits: waits that Qualys asks for, and the calls of the hour.

use super::{bench, bench_with, fixture, ok};
use crate::qualys::{CallBudget, QualysError};
use crate::state::{AccountState, Endpoint};
use crate::store::BlobKey;
use jiff::Timestamp;
use std::time::Duration;
use wiremock::matchers::any;
use wiremock::{Mock, ResponseTemplate};

/// A call that takes longer hangs, however busy the machine is.
const HANGS: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_long_wait_is_reported_and_not_slept_wherever_qualys_states_it() {
    let xml = "<SIMPLE_RETURN><RESPONSE><CODE>1965</CODE><ITEM_LIST><ITEM><KEY>SECONDS_TO_WAIT</KEY><VALUE>68928</VALUE></ITEM></ITEM_LIST></RESPONSE></SIMPLE_RETURN>";
    let stated = [
        ResponseTemplate::new(409).insert_header("X-RateLimit-ToWait-Sec", "68928"),
        ResponseTemplate::new(429).insert_header("retry-after", "68928"),
        ResponseTemplate::new(409).set_body_raw(xml, "application/xml"),
        ResponseTemplate::new(400).set_body_raw(xml, "application/xml"),
        conflicts(1920)[0].clone().insert_header("retry-after", "68928"),
    ];
    for template in stated {
        let bench = bench().await;
        bench.answer(template).await;
        // A client that slept would not be back within the limit of this test.
        let asked = tokio::time::timeout(HANGS, bench.qualys.connectors()).await;
        let error = asked.expect("it does not sleep").unwrap_err();
        assert!(
            matches!(error, QualysError::RateLimited { wait: Some(wait), .. } if wait.as_secs() == 68928),
            "{error:?}"
        );
        assert_eq!(bench.calls().await, 1);
        let next = bench.qualys.connectors().await.unwrap_err();
        assert!(matches!(next, QualysError::NoCallsLeft { .. }), "no further call is sent: {next:?}");
        assert_eq!(bench.calls().await, 1);
    }
}

/// What Qualys sends with a 409, as XML and as JSON.
fn conflicts(number: u32) -> [ResponseTemplate; 2] {
    let xml =
        format!("<SIMPLE_RETURN><RESPONSE><CODE>{number}</CODE><TEXT>no</TEXT></RESPONSE></SIMPLE_RETURN>");
    let json = serde_json::json!({ "SIMPLE_RETURN": { "RESPONSE": { "CODE": number, "TEXT": "no" } } });
    [
        ResponseTemplate::new(409).set_body_raw(xml, "application/xml"),
        ResponseTemplate::new(409).set_body_json(json),
    ]
}

#[tokio::test]
async fn only_the_limits_of_the_account_make_a_409_a_limit() {
    for template in conflicts(1920) {
        let bench = bench().await;
        bench.answer(template).await;
        let error = bench.qualys.connectors().await.unwrap_err();
        assert_eq!(error.to_string(), "Qualys refused the connector search: HTTP 409 (1920) (no)");
        assert!(!error.was_not_tried() && !error.is_unclear());
        assert_eq!((bench.calls().await, bench.qualys.calls().paused_until()), (1, None));
    }
    let envelope = serde_json::json!({ "ServiceResponse": { "responseCode": "IN_USE" } });
    let bench = bench().await;
    bench.answer(ResponseTemplate::new(409).set_body_json(envelope)).await;
    let error = bench.qualys.connectors().await.unwrap_err();
    assert_eq!(error.to_string(), "Qualys refused the connector search: IN_USE");
}

#[tokio::test]
async fn a_wait_that_is_not_stated_is_short_where_other_calls_need_only_end() {
    for (number, longest) in [(1960, 60), (1965, 180)] {
        let [template, _] = conflicts(number);
        let bench = bench().await;
        bench.answer(template).await;
        let began = bench.qualys.calls().now();
        let error = bench.qualys.connectors().await.unwrap_err();
        assert!(matches!(error, QualysError::RateLimited { wait: None, .. }), "{error:?}");
        let until = bench.qualys.calls().paused_until().unwrap();
        assert!(until.duration_since(began).as_secs() <= longest, "{number}: {until}");
    }
}

/// The pause, in seconds, after visits that each met this limit in a run.
async fn pauses(
    number: u32,
    stated: Option<u64>,
    visits: u32,
    between: impl Fn(&CallBudget, u32),
) -> Vec<i64> {
    let bench = bench().await;
    let mut now: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
    let mut pauses = Vec::new();
    for visit in 0..visits {
        let budget = bench.visit(now);
        drop(budget.permit(Endpoint::ConnectorSearch).await.unwrap());
        budget.succeeded(Endpoint::ConnectorSearch);
        drop(budget.permit(Endpoint::ConnectorRun).await.unwrap());
        between(&budget, visit);
        for _ in 0..2 {
            budget.pause(Endpoint::ConnectorRun, Some(number), stated.map(Duration::from_secs));
        }
        let until = budget.paused_until().unwrap();
        pauses.push(until.duration_since(now).as_secs());
        budget.close().await.unwrap();
        now = until;
    }
    pauses
}

#[tokio::test(start_paused = true)]
async fn the_pause_of_a_limit_that_repeats_grows_until_a_call_of_its_kind_succeeds() {
    let nothing = |_: &CallBudget, _: u32| {};
    assert_eq!(pauses(1960, None, 8, nothing).await, [30, 60, 120, 240, 480, 900, 900, 900]);
    assert_eq!(pauses(1965, None, 5, nothing).await, [120, 240, 480, 900, 900]);
    let fifth_succeeds = |budget: &CallBudget, visit: u32| {
        if visit == 4 {
            budget.succeeded(Endpoint::ConnectorRun);
        }
    };
    assert_eq!(pauses(1960, None, 7, fifth_succeeds).await, [30, 60, 120, 240, 30, 60, 120]);
}

#[tokio::test(start_paused = true)]
async fn a_stated_wait_is_obeyed_as_it_is_however_often_it_repeats() {
    assert_eq!(pauses(1965, Some(40), 8, |_, _| {}).await, [40; 8]);
    let unstated_before = |budget: &CallBudget, visit: u32| {
        if visit < 4 {
            budget.pause(Endpoint::ConnectorRun, Some(1960), None);
        }
    };
    assert_eq!(pauses(1965, Some(20), 6, unstated_before).await, [30, 60, 120, 240, 20, 20]);
}

#[tokio::test]
async fn empty_and_zero_limit_headers_count_as_absent() {
    let bench = bench().await;
    let template = ResponseTemplate::new(409)
        .insert_header("X-RateLimit-ToWait-Sec", "0")
        .insert_header("Retry-After", "");
    Mock::given(any()).respond_with(template).up_to_n_times(1).with_priority(1).mount(&bench.server).await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    bench.qualys.connectors().await.unwrap();
}

#[tokio::test]
async fn the_reserve_is_left_to_others_and_a_refused_call_is_not_sent() {
    let bench = bench_with(10, 30).await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    for _ in 0..7 {
        bench.qualys.connectors().await.unwrap();
    }
    let error = bench.qualys.connectors().await.unwrap_err();
    let QualysError::NoCallsLeft { until, .. } = error else { panic!("{error:?}") };
    assert!(
        until >= "2026-11-23T05:00:00Z".parse().unwrap(),
        "not before the first call leaves the window: {until}"
    );
    assert_eq!(bench.calls().await, 7);
}

#[tokio::test]
async fn calls_that_were_booked_and_not_made_are_given_back() {
    let bench = bench().await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    bench.qualys.connectors().await.unwrap();
    let key = BlobKey::Account("default".parse().unwrap());
    let booked = async || {
        let (account, _) = bench.store.read::<AccountState>(&key).await.unwrap().unwrap();
        account.booked.values().flatten().map(|booking| booking.calls).sum::<u32>()
    };
    assert_eq!(booked().await, 20, "a kill here leaves calls of the hour unused");
    let used = bench.qualys.calls().close().await.unwrap();
    assert_eq!((used.total, used.left, booked().await), (1, Some(209), 1));
}

/// The first visit lost the lease, and does not know that yet.
#[tokio::test]
async fn a_visit_that_ends_late_leaves_the_bookings_and_the_pause_of_the_next_one_alone() {
    let bench = bench().await;
    let now = "2026-11-23T04:00:00Z".parse().unwrap();
    let (first, second) = (bench.visit(now), bench.visit(now));
    drop(first.permit(Endpoint::ConnectorSearch).await.unwrap());
    for _ in 0..3 {
        drop(second.permit(Endpoint::ConnectorSearch).await.unwrap());
    }
    second.pause(Endpoint::ConnectorSearch, None, Some(Duration::from_hours(3)));
    second.close().await.unwrap();
    let key = BlobKey::Account("default".parse().unwrap());
    let read = async || bench.store.read::<AccountState>(&key).await.unwrap().unwrap().0;
    let before = read().await;
    assert!(before.pause_until.is_some());
    first.close().await.unwrap();
    let after = read().await;
    assert_eq!(after.pause_until, before.pause_until);
    let calls: Vec<_> = after.booked[&Endpoint::ConnectorSearch].iter().map(|made| made.calls).collect();
    assert_eq!(calls, [1, 3]);
}

#[tokio::test]
async fn limit_headers_win_over_our_own_count() {
    let bench = bench_with(10, 30).await;
    let template = ok(fixture("azure-connector-search-empty.json"));
    let template =
        template.insert_header("X-RateLimit-Limit", "2000").insert_header("X-RateLimit-Remaining", "1500");
    bench.answer(template).await;
    for _ in 0..9 {
        bench.qualys.connectors().await.unwrap();
    }
    bench.server.reset().await;
    let template = ok(fixture("azure-connector-search-empty.json"));
    let template =
        template.insert_header("X-RateLimit-Limit", "2000").insert_header("X-RateLimit-Remaining", "600");
    bench.answer(template).await;
    bench.qualys.connectors().await.unwrap();
    assert!(
        matches!(bench.qualys.connectors().await, Err(QualysError::NoCallsLeft { .. })),
        "only the reserve is left"
    );
}
