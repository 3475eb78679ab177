//! The switches that no other file tests, each both ways.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::qualys::{ActivationShape, ErrorName, LastSyncName, OnDisabled, OnDuplicate, OnRunning};
use crate::testing::{Client, create_body, search, world};

const CREATE: &str = "3.0/create/am/azureassetdataconnector";

#[tokio::test]
async fn duplicates_are_allowed_or_refused() {
    let world = world();
    let client = Client::new(&world);
    let body = create_body(&world, "s1", "x");
    assert_eq!(client.qps(CREATE, &body).await["responseCode"], "SUCCESS");
    assert_eq!(client.qps(CREATE, &body).await["responseCode"], "SUCCESS");
    world.manners(|manners| manners.duplicate_name = OnDuplicate::Refuse);
    assert_eq!(client.qps(CREATE, &body).await["responseCode"], "INVALID_REQUEST");
    world.manners(|manners| {
        manners.duplicate_name = OnDuplicate::Allow;
        manners.duplicate_subscription = OnDuplicate::Refuse;
    });
    assert_eq!(client.qps(CREATE, &body).await["responseCode"], "INVALID_REQUEST");
    assert_eq!(client.qps(CREATE, &create_body(&world, "s2", "x")).await["responseCode"], "SUCCESS");
}

#[tokio::test]
async fn a_run_of_a_running_or_disabled_connector_follows_the_switch() {
    let world = world();
    let client = Client::new(&world);
    let id = world.connector("s1");
    world.manners(|manners| manners.run_lag = SignedDuration::from_hours(1));
    assert_eq!(
        client.run(id).await["data"][0]["AzureAssetDataConnector"]["connectorState"],
        "FINISHED_SUCCESS"
    );
    assert_eq!(client.run(id).await["responseCode"], "SUCCESS");
    world.manners(|manners| manners.run_while_running = OnRunning::Refuse);
    assert_eq!(client.run(id).await["responseCode"], "INVALID_REQUEST");
    let disabled = world.connector("s2");
    world.edit_connector(disabled, |one| one.disabled = true);
    assert_eq!(client.run(disabled).await["responseCode"], "INVALID_REQUEST");
    world.manners(|manners| manners.run_disabled = OnDisabled::Accept);
    assert_eq!(client.run(disabled).await["responseCode"], "SUCCESS");
}

#[tokio::test]
async fn activation_and_names_take_the_documented_shapes() {
    let world = world();
    let id = world.connector("s1");
    world.edit_connector(id, |one| {
        one.modules = vec!["VM".to_owned()];
        one.last_error = Some("broken".to_owned());
        one.disabled = true;
    });
    let client = Client::new(&world);
    for (shape, shown) in [
        (ActivationShape::List, json!({"list": ["VM"]})),
        (ActivationShape::Wrapped, json!({"list": {"ActivationModule": ["VM"]}})),
        (ActivationShape::Bare, json!(["VM"])),
    ] {
        world.manners(|manners| manners.activation_shape = shape);
        assert_eq!(client.connector(id).await["activation"], shown);
    }
    world.manners(|manners| {
        manners.last_sync_name = LastSyncName::LastSyncedOn;
        manners.error_name = ErrorName::ErrorDetail;
        manners.disabled_shows_as_state = true;
    });
    let shown = client.connector(id).await;
    assert!(shown.get("lastSync").is_none() && shown.get("lastSyncedOn").is_some());
    assert_eq!((&shown["errorDetail"], &shown["connectorState"]), (&json!("broken"), &json!("DISABLED")));
    world.manners(|manners| manners.sparse = true);
    assert_eq!(client.connector(id).await, json!({"id": id, "authRecord": {"subscriptionId": "s1"}}));
}

#[tokio::test]
async fn a_new_connector_lags_in_search_but_not_in_get() {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap());
    world.manners(|manners| manners.search_lag = SignedDuration::from_mins(5));
    let client = Client::new(&world);
    let id = client.create("s1", "x").await;
    let count =
        async || client.qps("3.0/search/am/azureassetdataconnector", &search(&[], 10)).await["count"].clone();
    assert_eq!(count().await, 0);
    assert_eq!(client.connector(id).await["id"], id);
    world.advance(SignedDuration::from_mins(5));
    assert_eq!(count().await, 1);
}

#[tokio::test]
async fn the_rude_server_repeats_the_key_in_its_error() {
    let world = world();
    world.manners(|manners| manners.echo_secret_in_error = true);
    let client = Client::new(&world);
    let answer = client.qps(CREATE, &create_body(&world, "s1", "my-key")).await;
    assert_eq!(answer["responseCode"], "INVALID_REQUEST");
    assert!(answer["responseErrorDetails"]["errorMessage"].as_str().unwrap().contains("my-key"));
    assert!(world.connectors().is_empty());
}

#[tokio::test]
async fn an_empty_set_clears_and_an_odd_frequency_passes_unless_switched() {
    let world = world();
    let id = world.connector("s1");
    world.edit_connector(id, |one| one.modules = vec!["VM".to_owned()]);
    let client = Client::new(&world);
    let update = async |data: serde_json::Value| {
        let body = json!({ "ServiceRequest": { "data": { "AzureAssetDataConnector": data } } });
        client.qps(&format!("3.0/update/am/azureassetdataconnector/{id}"), &body).await["responseCode"]
            .clone()
    };
    world.manners(|manners| manners.empty_set_clears = false);
    assert_eq!(update(json!({"activation": {"set": {}}})).await, "SUCCESS");
    assert_eq!(world.connectors()[0].modules, ["VM"]);
    world.manners(|manners| manners.empty_set_clears = true);
    assert_eq!(update(json!({"activation": {"set": {}}})).await, "SUCCESS");
    assert!(world.connectors()[0].modules.is_empty());
    assert_eq!(update(json!({"runFrequency": 61})).await, "SUCCESS");
    world.manners(|manners| manners.odd_run_frequency_refused = true);
    assert_eq!(update(json!({"runFrequency": 61})).await, "INVALID_REQUEST");
    assert_eq!(update(json!({"runFrequency": 240})).await, "SUCCESS");
}
