//! Faults: what the client sees, and whether the request had its effect.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::calls::CallKind;
use crate::faults::{Fault, Kind};
use crate::testing::{Client, create_body, search, until, world};

const CREATE: &str = "3.0/create/am/azureassetdataconnector";
const SEARCH: &str = "3.0/search/am/azureassetdataconnector";

#[tokio::test]
async fn each_kind_shows_as_it_should_and_has_its_effect_or_none() {
    // Kind, status that the client saw (none if the connection failed), connectors created.
    let cases = [
        (Kind::Status(500), Some(500), 0),
        (Kind::Status(403), Some(403), 0),
        (Kind::Html404, Some(404), 0),
        (Kind::Html502, Some(502), 0),
        (Kind::Conflict409 { code: 1965, wait: Some(7) }, Some(409), 0),
        (Kind::TooMany429 { retry_after: None }, Some(429), 0),
        (Kind::Empty200, Some(200), 0),
        (Kind::ErrorUnder200("LIMIT_EXCEEDED".to_owned()), Some(200), 0),
        (Kind::ResetBefore, None, 0),
        (Kind::ResetAfter, None, 1),
        (Kind::TimeoutAfter, None, 1),
        (Kind::TornBody, None, 1),
        (Kind::TruncatedJson, Some(200), 1),
        (Kind::Slow(Duration::from_millis(1)), Some(200), 1),
    ];
    for (kind, status, made) in cases {
        let world = world();
        let client = Client::new(&world);
        world.fault(Fault::new(CallKind::ConnectorCreate, kind.clone()));
        let request = client.post(CREATE, &create_body(&world, "s", "x"));
        let got = if kind == Kind::TimeoutAfter {
            let effect = async { until("the effect", || world.connectors().len() == made).await };
            tokio::select! { got = client.send(request) => panic!("{got:?}"), () = effect => None }
        } else {
            client.send(request).await
        };
        assert_eq!(got.as_ref().map(|(status, _)| *status), status, "{kind:?}");
        assert_eq!(world.connectors().len(), made, "{kind:?}");
        let call = world.calls().remove(0);
        assert_eq!(call.fault, Some(format!("{kind:?}")));
        if kind == Kind::TruncatedJson {
            assert!(serde_json::from_str::<Value>(&got.unwrap().1).is_err());
        }
        let request = client.post(CREATE, &create_body(&world, "s", "x"));
        assert_eq!(client.send(request).await.unwrap().0, 200, "only the next request is struck");
    }
}

#[tokio::test]
async fn waits_are_told_where_the_fault_says_so() {
    let world = world();
    let client = Client::new(&world);
    let header = async |name: &str| {
        let answer = client.post(SEARCH, &search(&[], 1)).send().await.unwrap();
        answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    world.fault(Fault::new(CallKind::AnyQualys, Kind::TooMany429 { retry_after: Some(9) }));
    assert_eq!(header("retry-after").await.as_deref(), Some("9"));
    world.fault(Fault::new(CallKind::AnyQualys, Kind::Conflict409 { code: 1965, wait: Some(8) }));
    assert_eq!(header("x-ratelimit-towait-sec").await.as_deref(), Some("8"));
    world.fault(Fault::new(CallKind::AnyQualys, Kind::Conflict409 { code: 1960, wait: None }));
    assert_eq!(header("x-ratelimit-towait-sec").await, None);
}

#[tokio::test]
async fn pages_lose_and_repeat_rows_silently_and_counts_go_wrong() {
    let world = world();
    for _ in 0..3 {
        world.connector("s");
    }
    world.hosts("s", 4);
    let client = Client::new(&world);
    world.fault(Fault::new(CallKind::ConnectorSearch, Kind::DropRow));
    let page = client.qps(SEARCH, &search(&[], 10)).await;
    assert_eq!((page["data"].as_array().unwrap().len(), &page["count"]), (2, &json!(2)));
    world.fault(Fault::new(CallKind::ConnectorSearch, Kind::DuplicateRow));
    let page = client.qps(SEARCH, &search(&[], 10)).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 4);
    assert_eq!(page["data"][0], page["data"][1]);
    world.fault(Fault::new(CallKind::ConnectorSearch, Kind::WithoutField("authRecord")));
    let page = client.qps(SEARCH, &search(&[], 10)).await;
    let rows = page["data"].as_array().unwrap().iter().map(|row| &row["AzureAssetDataConnector"]);
    assert!(
        rows.clone().count() == 3
            && rows.clone().all(|row| row["authRecord"].is_null() && !row["id"].is_null())
    );
    world.fault(Fault::new(CallKind::HostCount, Kind::WrongCount(-1)));
    assert_eq!(client.qps("2.0/count/am/hostasset", &json!({})).await["count"], 3);
    world.subscriptions("s", 3);
    let token = client.identity_token().await;
    world.fault(Fault::new(CallKind::ArmList, Kind::DropRow));
    let (_, list) = client.arm(&token, "/subscriptions?api-version=1").await;
    assert_eq!(list["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn times_every_after_and_containing_choose_the_requests() {
    let world = world();
    let client = Client::new(&world);
    let ask = async |times: usize| {
        let mut seen = Vec::new();
        for _ in 0..times {
            seen.push(client.send(client.post(SEARCH, &search(&[], 1))).await.unwrap().0);
        }
        seen
    };
    let failing = || Fault::new(CallKind::ConnectorSearch, Kind::Status(503));
    world.fault(failing().times(2).after(1));
    assert_eq!(ask(4).await, [200, 503, 503, 200]);
    world.clear_faults();
    world.fault(failing().every(2));
    assert_eq!(ask(4).await, [200, 503, 200, 503]);
    world.clear_faults();
    world.fault(failing().always());
    assert_eq!(ask(2).await, [503, 503]);
    world.clear_faults();
    world.fault(failing().always().containing("needle"));
    assert_eq!(ask(1).await, [200]);
    let needle = client.post(SEARCH, &search(&[("name", "EQUALS", "a needle")], 1));
    assert_eq!(client.send(needle).await.unwrap().0, 503);
}

#[tokio::test]
async fn every_service_fails_in_its_own_shape() {
    let world = world();
    let client = Client::new(&world);
    let token = client.identity_token().await;
    world.fault(Fault::new(CallKind::ArmList, Kind::TooMany429 { retry_after: Some(3) }));
    let (status, body) = client.arm(&token, "/subscriptions?api-version=1").await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("TooManyRequests")));
    world.fault(Fault::new(CallKind::AnyArm, Kind::Status(500)));
    assert_eq!(
        client.arm(&token, "/subscriptions?api-version=1").await.1["error"]["code"],
        "InternalServerError"
    );
    world.fault(Fault::new(CallKind::Identity, Kind::ResetBefore));
    assert!(client.send(client.http().get(format!("{}?x", world.identity_endpoint()))).await.is_none());
    world.fault(Fault::new(CallKind::Token, Kind::Html502));
    let url = format!("{}/t/oauth2/v2.0/token", world.entra_url());
    assert_eq!(client.send(client.http().post(url)).await.unwrap().0, 502);
}

#[tokio::test]
async fn a_slow_answer_is_late_and_right() {
    let world = world();
    let client = Client::new(&world);
    world.fault(Fault::new(CallKind::ConnectorSearch, Kind::Slow(Duration::from_millis(120))));
    let began = Instant::now();
    assert_eq!(client.qps(SEARCH, &search(&[], 1)).await["count"], 0);
    assert!(began.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn hooks_run_at_the_given_request_before_its_effect_or_after_it() {
    let world = world();
    let client = Client::new(&world);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ran = Arc::new(AtomicUsize::new(0));
    for before in [true, false] {
        let (seen, ran, inside) = (Arc::clone(&seen), Arc::clone(&ran), world.clone());
        let hook = move |call: &crate::calls::Call| {
            ran.fetch_add(1, Ordering::SeqCst);
            seen.lock().unwrap().push((before, call.number, inside.connectors().len()));
        };
        if before { world.on_request(2, hook) } else { world.on_answer(2, hook) }
    }
    client.qps(SEARCH, &search(&[], 1)).await;
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    client.create("s", "x").await;
    let last = Arc::new(Mutex::new(None));
    let told = Arc::clone(&last);
    world.on_answer_to(CallKind::ConnectorCreate, "create", 2, move |call| {
        *told.lock().unwrap() = Some(call.number);
    });
    client.create("t", "x").await;
    client.create("u", "x").await;
    assert_eq!(*last.lock().unwrap(), Some(4));
    assert_eq!(*seen.lock().unwrap(), [(true, 2, 0), (false, 2, 1)]);
}

#[tokio::test]
async fn a_request_is_finished_even_if_its_client_gave_up() {
    let world = world();
    let client = Client::new(&world);
    let (came, has_come) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    world.on_request(1, move |_| {
        came.send(()).unwrap();
        let _ = may_go_on.recv();
    });
    let request = client.post(CREATE, &create_body(&world, "s", "x"));
    let come = until("the request", || has_come.try_recv().is_ok());
    tokio::select! { got = client.send(request) => panic!("{got:?}"), () = come => {} }
    assert!(world.connectors().is_empty());
    go_on.send(()).unwrap();
    until("the effect", || !world.connectors().is_empty()).await;
}
