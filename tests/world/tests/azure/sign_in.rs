//! Sign-in under Entra's real name, and the proxy around it.

use azure_core::error::ErrorKind;

use crate::stage::{application, http, with_secret, world};

#[tokio::test]
async fn a_client_secret_signs_in_under_entras_real_name() {
    let world = world();
    let token = application(&world).get_token(&["https://vault.azure.net/.default"], None).await.unwrap();
    assert!(world.secrets().iter().any(|secret| secret == token.token.secret()));
    assert_eq!(world.proxied_hosts(), ["login.microsoftonline.com"]);
}

#[tokio::test]
async fn a_wrong_secret_is_an_error_with_entras_code() {
    let world = world();
    let error = with_secret(&world, "wrong")
        .get_token(&["https://vault.azure.net/.default"], None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Credential);
    let inner = error.into_inner().unwrap().downcast::<azure_core::Error>().unwrap();
    let ErrorKind::HttpResponse { error_code, .. } = inner.kind() else { panic!("{inner:?}") };
    assert_eq!(error_code.as_deref(), Some("7000215"));
}

#[tokio::test]
async fn line_breaks_in_entras_message_cost_the_clients_own_error_its_code() {
    // azure_identity 1.0 reads the description as borrowed text, which fails on JSON escapes: a refusal looks like a malformed answer.
    let world = world();
    world.entra_line_breaks(true);
    let error = with_secret(&world, "wrong")
        .get_token(&["https://vault.azure.net/.default"], None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Credential);
    let inner = error.into_inner().unwrap().downcast::<azure_core::Error>().unwrap();
    assert_eq!(inner.kind(), &ErrorKind::DataConversion, "{inner:?}");
}

#[tokio::test]
async fn resource_manager_and_qualys_have_their_real_names_too() {
    let world = world();
    for n in 0..3 {
        world.subscription(&format!("s{n}"));
    }
    world.arm_manners(|manners| manners.page_size = 2);
    let http = http(&world);
    let token =
        application(&world).get_token(&["https://management.azure.com/.default"], None).await.unwrap();
    let text = http
        .get("https://management.azure.com/subscriptions?api-version=2022-12-01")
        .bearer_auth(token.token.secret())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(text.contains("\"nextLink\":\"https://management.azure.com/subscriptions?"), "{text}");
    let version = http
        .get("https://qualysapi.qg2.apps.qualys.eu/qps/rest/portal/version")
        .basic_auth(world.qualys_user(), Some(world.qualys_password()))
        .send()
        .await
        .unwrap();
    assert_eq!(version.status(), 200);
}

#[tokio::test]
async fn a_host_that_the_world_does_not_have_cannot_be_reached() {
    let world = world();
    let error = http(&world).get("https://example.com/").send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let error = http(&world).get("https://kv-other.vault.azure.net/").send().await.unwrap_err();
    assert!(error.is_connect(), "a vault that nobody made: {error:?}");
    assert_eq!(world.proxied_hosts(), ["example.com", "kv-other.vault.azure.net"]);
}

#[tokio::test]
async fn a_client_without_the_worlds_authority_refuses_its_certificates() {
    let (world, other) = (world(), world());
    let ca = reqwest::Certificate::from_pem(other.ca_pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .proxy(reqwest::Proxy::https(world.proxy_url()).unwrap())
        .tls_certs_only([ca])
        .build()
        .unwrap();
    let error = http.get("https://login.microsoftonline.com/").send().await.unwrap_err();
    assert!(
        format!("{error:?}").contains("UnknownIssuer") || format!("{error:?}").contains("BadSignature"),
        "{error:?}"
    );
}
