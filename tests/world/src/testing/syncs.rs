//! The states of a sync, and its result.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::testing::{Client, search, world};
use crate::world::World;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A world whose clock stands still and whose syncs take 3 s after a lag of 2 s.
fn slow_world() -> World {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap());
    world.manners(|manners| {
        manners.auto_start = None;
        manners.run_lag = SECOND * 2;
        manners.sync_duration = SECOND * 3;
    });
    world
}

async fn state(client: &Client, id: i64) -> (String, Value) {
    let one = client.connector(id).await;
    (one["connectorState"].as_str().unwrap().to_owned(), one["lastSync"].clone())
}

#[tokio::test]
async fn a_run_shows_the_old_state_first_then_queued_then_processing_then_the_end() {
    let world = slow_world();
    let sub = world.subscription("shop").with_machines(2);
    let id = world.connector(&sub);
    let client = Client::new(&world);
    let old = state(&client, id).await;
    assert_eq!(old, ("FINISHED_SUCCESS".to_owned(), json!("2026-11-23T10:00:00Z")));
    client.run(id).await;
    let mut seen = vec![state(&client, id).await];
    for _ in 0..5 {
        world.advance(SECOND);
        seen.push(state(&client, id).await);
    }
    let states = seen.iter().map(|(state, _)| state.as_str()).collect::<Vec<_>>();
    assert_eq!(
        states,
        ["FINISHED_SUCCESS", "FINISHED_SUCCESS", "QUEUED", "PROCESSING", "PROCESSING", "FINISHED_SUCCESS"]
    );
    assert!(seen[..5].iter().all(|(_, at)| *at == old.1));
    assert_eq!(seen[5].1, "2026-11-23T10:00:05Z");
    assert_eq!(world.host_count(), 2);
}

#[tokio::test]
async fn any_key_is_accepted_and_the_run_then_ends_in_errors() {
    let world = slow_world();
    let sub = world.subscription("shop").with_machines(2);
    let client = Client::new(&world);
    let id = client.create(&sub, "NotARealKey").await;
    client.run(id).await;
    world.advance(SECOND * 10);
    let one = client.connector(id).await;
    assert_eq!(one["connectorState"], "FINISHED_ERRORS");
    assert!(one["lastError"].as_str().unwrap().starts_with("AADSTS7000215"));
    assert_eq!(one["lastSync"], "2026-11-23T10:00:05Z");
    let errors = client
        .qps("3.0/search/am/assetdataconnectorerrors", &search(&[("id", "EQUALS", &id.to_string())], 10))
        .await;
    assert_eq!(errors["count"], 1);
    assert_eq!(errors["data"][0]["AssetDataConnectorErrors"]["created"], "2026-11-23T10:00:05Z");
    assert_eq!(world.host_count(), 0);
}

#[tokio::test]
async fn a_failed_sync_moves_its_time_only_by_the_switch() {
    let world = slow_world();
    world.manners(|manners| manners.last_sync_moves_on_failure = false);
    let sub = world.subscription("shop");
    let id = world.connector(&sub);
    world.remove_secret(&world.app_secret());
    let client = Client::new(&world);
    client.run(id).await;
    world.advance(SECOND * 10);
    assert_eq!(state(&client, id).await, ("FINISHED_ERRORS".to_owned(), json!("2026-11-23T10:00:00Z")));
}

#[tokio::test]
async fn each_obstacle_fails_the_sync_and_its_end_heals_it() {
    use crate::azure::SubscriptionState;
    let world = slow_world();
    let sub = world.subscription("shop").with_machines(1);
    let id = world.connector(&sub);
    let client = Client::new(&world);
    let other = world.add_tenant();
    let home = world.tenant();
    let steps: [(&str, &dyn Fn()); 4] = [
        ("AuthorizationFailed", &(|| world.edit_subscription(&sub, |one| one.app_has_reader = false))),
        (
            "ReadOnlyDisabledSubscription",
            &(|| {
                world.edit_subscription(&sub, |one| {
                    one.app_has_reader = true;
                    one.state = SubscriptionState::Disabled;
                });
            }),
        ),
        (
            "InvalidAuthenticationTokenTenant",
            &(|| {
                world.edit_subscription(&sub, |one| {
                    one.state = SubscriptionState::Warned;
                    other.clone_into(&mut one.tenant);
                });
            }),
        ),
        (
            "AADSTS7000222",
            &(|| {
                world.edit_subscription(&sub, |one| home.clone_into(&mut one.tenant));
                world.expire_secret(&world.app_secret(), world.now());
            }),
        ),
    ];
    for (error, spoil) in steps {
        spoil();
        client.run(id).await;
        world.advance(SECOND * 10);
        let one = client.connector(id).await;
        assert!(one["lastError"].as_str().unwrap().starts_with(error), "{one}");
    }
    let fresh = world.rotate_secret();
    world.edit_connector(id, |one| one.authentication_key = fresh);
    client.run(id).await;
    world.advance(SECOND * 10);
    assert_eq!(state(&client, id).await.0, "FINISHED_SUCCESS");
    assert!(client.connector(id).await.get("lastError").is_none());
    assert_eq!(world.host_count(), 1);
}

#[tokio::test]
async fn a_machine_that_is_gone_stays_as_a_deleted_host_and_its_id_is_not_used_again() {
    let world = slow_world();
    let sub = world.subscription("shop");
    world.machine(&sub, "vm-1");
    let id = world.connector(&sub);
    let client = Client::new(&world);
    let sync = async || {
        client.run(id).await;
        world.advance(SECOND * 10);
    };
    sync().await;
    let first = world.all_hosts().remove(0);
    sync().await;
    let again = world.all_hosts().remove(0);
    assert_eq!((again.id, again.created), (first.id, first.created));
    assert!(again.last_updated > first.last_updated);
    world.remove_machine(&sub, "vm-1");
    world.machine(&sub, "vm-1");
    sync().await;
    let hosts = world.all_hosts();
    assert_eq!(hosts.len(), 2);
    assert_eq!(hosts[0].state, "DELETED");
    assert!(hosts[1].id > hosts[0].id);
    assert_eq!(hosts[1].name, hosts[0].name);
}

#[tokio::test]
async fn an_unseen_machine_is_a_blind_spot() {
    let world = slow_world();
    let sub = world.subscription("shop");
    world.machine(&sub, "seen");
    world.machine(&sub, "unseen");
    world.edit_machine(&sub, "unseen", |machine| machine.unseen_by_qualys = true);
    let id = world.connector(&sub);
    Client::new(&world).run(id).await;
    world.advance(SECOND * 10);
    assert_eq!(world.all_hosts().iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["seen"]);
}

#[tokio::test]
async fn a_new_connector_starts_alone_or_waits_until_it_is_run() {
    let world = slow_world();
    let sub = world.subscription("shop");
    let client = Client::new(&world);
    let waiting = client.create(&sub, &world.app_secret()).await;
    world.advance(SignedDuration::from_hours(1));
    assert_eq!(state(&client, waiting).await, ("QUEUED".to_owned(), Value::Null));
    world.manners(|manners| manners.auto_start = Some(SECOND));
    let alone = client.create(&sub, &world.app_secret()).await;
    assert_eq!(state(&client, alone).await.0, "QUEUED");
    world.advance(SECOND);
    assert_eq!(state(&client, alone).await.0, "PROCESSING");
    world.advance(SECOND * 3);
    assert_eq!(state(&client, alone).await.0, "FINISHED_SUCCESS");
    assert_eq!(state(&client, waiting).await.0, "QUEUED");
}

#[tokio::test]
async fn qualys_syncs_on_its_own_only_by_the_switch() {
    let world = slow_world();
    let sub = world.subscription("shop");
    let id = world.connector(&sub);
    let client = Client::new(&world);
    world.advance(SignedDuration::from_hours(5));
    assert_eq!(state(&client, id).await.0, "FINISHED_SUCCESS");
    world.manners(|manners| manners.own_schedule = true);
    assert_eq!(state(&client, id).await.0, "QUEUED");
    world.advance(SECOND * 3);
    assert_eq!(world.connectors()[0].syncs, 1);
    world.edit_connector(id, |one| one.disabled = true);
    world.advance(SignedDuration::from_hours(9));
    assert_eq!(world.connectors()[0].syncs, 1, "a disabled connector has no schedule");
}
