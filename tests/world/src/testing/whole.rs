//! The world as a whole: its record, its secrets, how it stops, its control API.

use serde_json::{Value, json};

use crate::calls::{CallKind, Service};
use crate::testing::{Client, search, world};
use crate::world::{Setup, World};

#[tokio::test]
async fn every_request_is_recorded_with_what_it_was_about() {
    let world = world();
    let sub = world.subscription("shop");
    let id = world.connector(&sub);
    let client = Client::new(&world);
    client.run(id).await;
    let filter = [("authRecord.subscriptionId", "EQUALS", &*sub)];
    client
        .send(
            client
                .post("3.0/search/am/azureassetdataconnector", &search(&filter, 5))
                .header("X-Requested-With", "t"),
        )
        .await;
    let token = client.identity_token().await;
    client.arm(&token, &format!("/subscriptions/{sub}?api-version=1")).await;
    let calls = world.calls();
    let kinds = calls.iter().map(|call| (call.service, call.call, call.requested_with)).collect::<Vec<_>>();
    assert_eq!(
        kinds,
        [
            (Service::Qualys, CallKind::ConnectorRun, false),
            (Service::Qualys, CallKind::ConnectorSearch, true),
            (Service::Identity, CallKind::Identity, false),
            (Service::Arm, CallKind::ArmGet, false),
        ]
    );
    assert_eq!(calls[0].connector_id, Some(id));
    assert!([0, 1, 3].iter().all(|index| calls[*index].subscription.as_deref() == Some(sub.id())));
    assert_eq!((calls[0].status, calls[0].code.as_deref()), (Some(200), Some("SUCCESS")));
    assert_eq!(world.qualys_writes().len(), 1);
    world.clear_calls();
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn the_secrets_are_all_there() {
    let world = world();
    let client = Client::new(&world);
    let token = client.identity_token().await;
    let old = world.app_secret();
    let new = world.rotate_secret();
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!(
            "{}:{}",
            world.qualys_user(),
            world.qualys_password()
        ))
    };
    let secrets = world.secrets();
    for secret in [token, old, new, basic, world.qualys_password(), world.identity_header()] {
        assert!(secrets.contains(&secret), "{secret}");
    }
}

#[test]
fn two_worlds_made_alike_have_the_same_ids() {
    let ids = || {
        let world = world();
        let sub = world.subscription("a");
        world.machine(&sub, "vm");
        (world.tenant(), world.app_id(), sub.id().to_owned(), world.connector(&sub), world.app_secret())
    };
    assert_eq!(ids(), ids());
}

#[tokio::test]
async fn the_last_handle_to_go_stops_the_world_even_inside_a_runtime() {
    let world = world();
    let (url, clone) = (world.qualys_url(), world.clone());
    drop(world);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(client.get(&url).send().await.is_ok());
    drop(clone);
    assert!(client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn ten_thousand_connectors_are_paged_through() {
    let world = world();
    for _ in 0..10_000 {
        world.connector("00000000-0000-4000-8000-000000000001");
    }
    let client = Client::new(&world);
    let (mut from, mut seen) = (0, 0);
    loop {
        let page = client
            .qps(
                "3.0/search/am/azureassetdataconnector",
                &search(&[("id", "GREATER", &from.to_string())], 1_000),
            )
            .await;
        seen += page["data"].as_array().unwrap().len();
        let Some(last) = page["lastId"].as_i64() else { break };
        from = last;
    }
    assert_eq!(seen, 10_000);
}

#[tokio::test]
async fn the_control_api_changes_the_world() {
    let world = World::start(Setup { control_port: Some(0), ..Setup::default() });
    let client = Client::new(&world);
    let base = world.control_url().unwrap();
    let ask = async |method: reqwest::Method, path: &str| {
        let (status, text) =
            client.send(client.http().request(method, format!("{base}/control/{path}"))).await.unwrap();
        (status, serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)))
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let (status, made) = ask(post.clone(), "subscriptions?name=new+shop&machines=2").await;
    assert_eq!(status, 201);
    let id = made["subscriptionId"].as_str().unwrap().to_owned();
    let (_, listed) = ask(get.clone(), "subscriptions").await;
    assert_eq!(
        (&listed[0]["name"], listed[0]["machines"].as_array().unwrap().len()),
        (&json!("new shop"), 2)
    );
    assert_eq!(ask(post.clone(), &format!("subscriptions/{id}?state=Disabled&reader=false")).await.0, 200);
    let now = world.subscription_now(&id).unwrap();
    assert_eq!((now.state.as_str(), now.app_has_reader), ("Disabled", false));
    assert_eq!(ask(post.clone(), "throttle?seconds=60&calls=0").await.0, 200);
    let search = client.post("3.0/search/am/azureassetdataconnector", &search(&[], 1));
    assert_eq!(client.send(search).await.unwrap().0, 409);
    world.connector(&id);
    assert_eq!(ask(get.clone(), "connectors").await.1[0]["subscriptionId"], id);
    assert_eq!(ask(reqwest::Method::DELETE, &format!("subscriptions/{id}")).await.0, 200);
    for (path, status) in [("nothing", 404), ("", 200)] {
        assert_eq!(ask(get.clone(), path).await.0, status);
    }
    assert_eq!(ask(post, "subscriptions?machines=x").await.0, 400);
    assert_eq!(world.calls().len(), 1, "the control API is not part of the record");
}
