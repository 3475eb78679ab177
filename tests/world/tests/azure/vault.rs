//! Key Vault as its own client sees it.

use azure_core::error::{ErrorKind, ErrorResponse};
use azure_core::http::{ClientOptions, RetryOptions, StatusCode};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions};
use azure_security_keyvault_secrets::models::SecretClientGetSecretOptions;
use azure_security_keyvault_secrets::{ResourceExt as _, SecretClient, SecretClientOptions};
use futures::TryStreamExt as _;
use world::{Access, CallKind, Fault, Kind, VaultPermissions, World};

use crate::stage::{alone, application, options, world};

fn client(world: &World, host: &str) -> SecretClient {
    let options = SecretClientOptions { client_options: options(world), ..SecretClientOptions::default() };
    SecretClient::new(&format!("https://{host}"), application(world), Some(options)).unwrap()
}

/// Status, code and inner code of a read that must fail.
async fn refusal(client: &SecretClient, name: &str) -> (StatusCode, String, String) {
    let error = client.get_secret(name, None).await.unwrap_err();
    let status = error.http_status().unwrap();
    let detail = ErrorResponse::try_from(error).unwrap().error.unwrap();
    let inner = detail.inner_error.and_then(|inner| inner.code).unwrap_or_default();
    (status, detail.code.unwrap_or_default(), inner)
}

#[tokio::test]
async fn a_secret_is_read_in_its_newest_version_and_in_one_that_is_named() {
    let world = world();
    let host = world.vault("kv-test");
    let old = world.set_secret("kv-test", "Qualys-Password", "one");
    let new = world.set_secret("kv-test", "qualys-password", "two");
    let client = client(&world, &host);
    let secret = client.get_secret("qualys-password", None).await.unwrap().into_model().unwrap();
    assert_eq!(secret.value.as_deref(), Some("two"));
    assert_eq!(secret.resource_id().unwrap().version.as_deref(), Some(new.as_str()));
    let options = SecretClientGetSecretOptions { secret_version: Some(old.clone()), ..Default::default() };
    let secret = client.get_secret("qualys-password", Some(options)).await.unwrap().into_model().unwrap();
    assert_eq!(secret.value.as_deref(), Some("one"));
    assert_eq!(secret.attributes.unwrap().enabled, Some(true));

    let pager = client.list_secret_properties_versions("qualys-password", None).unwrap();
    let versions = pager.try_collect::<Vec<_>>().await.unwrap();
    let mut ids = versions.iter().filter_map(|one| one.resource_id().unwrap().version).collect::<Vec<_>>();
    let mut wanted = vec![old, new];
    ids.sort();
    wanted.sort();
    assert_eq!(ids, wanted);

    let calls = world.calls().iter().map(|call| call.call).collect::<Vec<_>>();
    let (challenge, get, list) = (CallKind::VaultChallenge, CallKind::VaultGet, CallKind::VaultVersions);
    assert_eq!(calls, [challenge, CallKind::Token, get, get, list], "the scope is learnt once");
    let secrets = world.secrets();
    assert!(["one", "two"].iter().all(|value| secrets.iter().any(|secret| secret == value)));
}

#[tokio::test]
async fn more_versions_than_a_page_are_listed_whole() {
    let world = world();
    let host = world.vault("kv-test");
    for n in 0..30 {
        world.set_secret("kv-test", "many", &format!("value {n}"));
    }
    let pager = client(&world, &host).list_secret_properties_versions("many", None).unwrap();
    assert_eq!(pager.try_collect::<Vec<_>>().await.unwrap().len(), 30);
}

#[tokio::test]
async fn each_refusal_carries_its_code_and_inner_code() {
    let world = world();
    let host = world.vault("kv-test");
    world.set_secret("kv-test", "a", "value");
    let client = client(&world, &host);
    let got = |status: StatusCode, code: &str, inner: &str| (status, code.to_owned(), inner.to_owned());
    assert_eq!(refusal(&client, "missing").await, got(StatusCode::NotFound, "SecretNotFound", ""));
    world.disable_secret("kv-test", "a", true);
    assert_eq!(refusal(&client, "a").await, got(StatusCode::Forbidden, "Forbidden", "SecretDisabled"));
    world.disable_secret("kv-test", "a", false);
    for (permissions, inner) in [
        (VaultPermissions::Roles, "ForbiddenByRbac"),
        (VaultPermissions::Policies, "AccessDenied"),
        (VaultPermissions::Firewall, "ForbiddenByFirewall"),
    ] {
        world.vault_manners(|manners| {
            manners.access = Access::Forbidden;
            manners.permissions = permissions;
        });
        assert_eq!(refusal(&client, "a").await, got(StatusCode::Forbidden, "Forbidden", inner));
    }
    world.vault_access(Access::Readable);
    world.delete_secret("kv-test", "a");
    assert_eq!(refusal(&client, "a").await, got(StatusCode::NotFound, "SecretNotFound", ""));
}

#[tokio::test]
async fn line_breaks_in_the_message_cost_the_clients_own_error_its_code() {
    // azure_core 1.1 reads code and message as borrowed text, which fails on JSON escapes, and puts the status in the code's place.
    let world = world();
    let host = world.vault("kv-test");
    world.vault_access(Access::Forbidden);
    let error = client(&world, &host).get_secret("a", None).await.unwrap_err();
    let ErrorKind::HttpResponse { error_code, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!(error_code.as_deref(), Some("403"));
}

#[tokio::test]
async fn an_expired_secret_is_still_read_unless_the_switch_says_otherwise() {
    let world = world();
    let host = world.vault("kv-test");
    world.set_secret("kv-test", "a", "value");
    let past = world.now() - jiff::SignedDuration::from_hours(1);
    world.secret_expires("kv-test", "a", Some(past));
    let client = client(&world, &host);
    let secret = client.get_secret("a", None).await.unwrap().into_model().unwrap();
    let expires = secret.attributes.unwrap().expires.unwrap();
    assert_eq!(expires.unix_timestamp(), past.as_second());
    world.vault_manners(|manners| manners.refuse_expired = true);
    assert_eq!(refusal(&client, "a").await.2, "SecretExpired");
}

#[tokio::test]
async fn faults_strike_the_read_and_not_the_challenge_before_it() {
    let world = world();
    let host = world.vault("kv-test");
    world.set_secret("kv-test", "a", "value");
    let client = client(&world, &host);
    world.fault(Fault::new(CallKind::VaultGet, Kind::TooMany429 { retry_after: Some(7) }));
    let error = client.get_secret("a", None).await.unwrap_err();
    let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!((*status, error_code.as_deref()), (StatusCode::TooManyRequests, Some("Throttled")));
    let headers = raw_response.as_ref().unwrap().headers();
    assert_eq!(headers.get_optional_string(&"retry-after".into()).as_deref(), Some("7"));
    world.fault(Fault::new(CallKind::VaultGet, Kind::Status(500)));
    assert_eq!(refusal(&client, "a").await.0, StatusCode::InternalServerError);
    assert!(client.get_secret("a", None).await.is_ok());
}

#[tokio::test]
async fn a_token_of_the_wrong_kind_is_refused_with_the_challenge() {
    let world = world();
    let host = world.vault("kv-test");
    world.set_secret("kv-test", "a", "value");
    let url = format!("https://{host}/secrets/a/?api-version=2025-07-01");
    let http = crate::stage::http(&world);
    let ask = async |token: Option<&str>| {
        let request = http.get(&url);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer = request.send().await.unwrap();
        let challenge =
            answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let body = answer.json::<serde_json::Value>().await.unwrap();
        (challenge, body["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let challenge = Some(format!(
        "Bearer authorization=\"https://login.microsoftonline.com/{}\", resource=\"https://vault.azure.net\"",
        world.tenant()
    ));
    let (got, text) = ask(None).await;
    assert_eq!(got, challenge);
    assert!(text.starts_with("AKV10000"), "{text}");
    for (scope, code) in [
        ("https://management.azure.com/.default", "AKV10022"),
        ("https://vault.azure.net//.default", "AKV10022"),
    ] {
        let token = application(&world).get_token(&[scope], None).await.unwrap();
        let (got, text) = ask(Some(token.token.secret())).await;
        assert_eq!(got, challenge);
        assert!(text.starts_with(code), "{text}");
    }
    let token = application(&world).get_token(&["https://vault.azure.net/.default"], None).await.unwrap();
    assert_eq!(ask(Some(token.token.secret())).await, (None, String::new()));
    world.advance(jiff::SignedDuration::from_hours(2));
    assert!(ask(Some(token.token.secret())).await.1.contains("TokenExpired"));
}

#[test]
fn the_managed_identity_reads_a_secret_when_only_the_environment_says_where() {
    let world = world();
    let host = world.vault("kv-test");
    world.set_secret("kv-test", "a", "the value");
    let (passed, text) =
        alone("vault::managed_identity", &world, &[("KEY_VAULT_URL", &format!("https://{host}"))]);
    assert!(passed, "{text}");
    assert_eq!(world.proxied_hosts(), ["kv-test.vault.azure.net"], "the identity endpoint is plain http");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn managed_identity() {
    // The default transport of azure_core has no TLS here, as in the product.
    let http = reqwest::Client::new();
    let transport = azure_core::http::Transport::new(std::sync::Arc::new(http));
    let options =
        ClientOptions { retry: RetryOptions::none(), transport: Some(transport), ..ClientOptions::default() };
    let credential = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
        client_options: options.clone(),
        ..Default::default()
    }))
    .unwrap();
    let options = SecretClientOptions { client_options: options, ..SecretClientOptions::default() };
    let client =
        SecretClient::new(&std::env::var("KEY_VAULT_URL").unwrap(), credential, Some(options)).unwrap();
    let secret = client.get_secret("a", None).await.unwrap().into_model().unwrap();
    assert_eq!(secret.value.as_deref(), Some("the value"));
}
