//! Key Vault: each failure is named, with what to do about it, in under five seconds.

use crate::azure::http;
use crate::stage::WorldIdentity;
use qualys_azure_inventory::azure::vault::Vault;
use qualys_azure_inventory::report::chain;
use qualys_azure_inventory::secrets::Secrets;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use world::{Access, CallKind, Fault, Kind, Setup, World};

fn world() -> World {
    let world = World::start(Setup::default());
    world.vault("kv-test");
    world.set_secret("kv-test", "qualys-password", "first");
    world
}

fn secrets(world: &World, http: reqwest::Client) -> Secrets {
    let url = "https://kv-test.vault.azure.net".parse().unwrap();
    Secrets::Vault(Vault::new(http, url, Arc::new(WorldIdentity::new(world))).unwrap())
}

/// The error, in time. Both timers are this runtime's, and the client's is looked at first: a busy machine delays both alike.
async fn failure(secrets: &Secrets, name: &str) -> String {
    let error = tokio::select! {
        biased;
        got = secrets.get(name) => got.unwrap_err(),
        () = tokio::time::sleep(Duration::from_secs(5)) => panic!("no answer about `{name}` in time"),
    };
    format!("{}: {}", chain(&error), error.advice())
}

#[tokio::test]
async fn the_newest_version_is_read_each_time() {
    let world = world();
    let secrets = secrets(&world, http(&world));
    let first = secrets.get("qualys-password").await.unwrap();
    assert_eq!(first.value.expose_secret(), "first");
    let version = world.set_secret("kv-test", "qualys-password", "second");
    let second = secrets.get("qualys-password").await.unwrap();
    assert_eq!((second.value.expose_secret(), second.version), ("second", Some(version)));
    assert_ne!(first.version, Some("".into()));
    let at = "2030-01-01T00:00:00Z".parse().unwrap();
    world.secret_expires("kv-test", "qualys-password", Some(at));
    assert_eq!(secrets.get("qualys-password").await.unwrap().expires, Some(at));
}

#[tokio::test]
async fn a_missing_disabled_or_forbidden_secret_is_named_with_what_to_do() {
    let world = world();
    let secrets = secrets(&world, http(&world));
    let text = failure(&secrets, "no-such").await;
    assert!(
        text.contains(
            "cannot read the secret `no-such` from https://kv-test.vault.azure.net/: there is no such secret"
        ),
        "{text}"
    );
    world.disable_secret("kv-test", "qualys-password", true);
    assert!(failure(&secrets, "qualys-password").await.contains("its newest version is disabled: enable it"));
    world.disable_secret("kv-test", "qualys-password", false);
    world.vault_access(Access::Forbidden);
    let text = failure(&secrets, "qualys-password").await;
    assert!(
        text.contains("(ForbiddenByRbac): give the identity the role `Key Vault Secrets User`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_failure_that_passes_is_retried_and_a_lasting_one_is_named() {
    let world = world();
    let secrets = secrets(&world, http(&world));
    for kind in [Kind::Status(500), Kind::TooMany429 { retry_after: Some(1) }, Kind::ResetBefore] {
        world.fault(Fault::new(CallKind::VaultGet, kind));
        assert_eq!(secrets.get("qualys-password").await.unwrap().value.expose_secret(), "first");
    }
    world.fault(Fault::new(CallKind::VaultGet, Kind::TooMany429 { retry_after: None }).always());
    assert!(failure(&secrets, "qualys-password").await.contains("too many requests"));
    world.clear_faults();
    world.fault(Fault::new(CallKind::VaultGet, Kind::TimeoutAfter).always());
    assert!(failure(&secrets, "qualys-password").await.contains("cannot be reached"));
}

#[tokio::test]
async fn an_unknown_ca_and_an_unreachable_vault_are_told_apart() {
    let world = world();
    let no_ca =
        reqwest::Client::builder().proxy(reqwest::Proxy::https(world.proxy_url()).unwrap()).build().unwrap();
    let text = failure(&secrets(&world, no_ca), "qualys-password").await;
    assert!(text.contains("certificate is not trusted") && text.contains("SSL_CERT_FILE"), "{text}");
    let nowhere = reqwest::Client::builder()
        .proxy(reqwest::Proxy::https("http://127.0.0.1:9").unwrap())
        .build()
        .unwrap();
    let text = failure(&secrets(&world, nowhere), "qualys-password").await;
    assert!(text.contains("cannot be reached (") && text.contains("check KEY_VAULT_URL"), "{text}");
}
