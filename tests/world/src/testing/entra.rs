//! Tokens and their refusals.

use serde_json::Value;

use crate::testing::{Client, world};

async fn ask(client: &Client, tenant: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let body = form
        .iter()
        .map(|(key, value)| format!("{key}={}", crate::net::ask::encoded(value)))
        .collect::<Vec<_>>()
        .join("&");
    let request = client
        .http()
        .post(format!("{}/{tenant}/oauth2/v2.0/token", client.world.entra_url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let (status, text) = client.send(request).await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

fn form<'a>(app: &'a str, secret: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("client_id", app),
        ("client_secret", secret),
        ("scope", "https://management.azure.com/.default"),
        ("grant_type", "client_credentials"),
    ]
}

#[tokio::test]
async fn a_live_secret_gets_a_token_that_reads_where_the_application_has_reader() {
    let world = world();
    let (tenant, app, secret) = (world.tenant(), world.app_id(), world.app_secret());
    let open = world.subscription("open");
    let closed = world.subscription("closed").app_has_reader(false);
    let client = Client::new(&world);
    let (status, body) = ask(&client, &tenant, &form(&app, &secret)).await;
    assert_eq!((status, body["expires_in"].as_i64()), (200, Some(3_599)));
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(client.arm(token, &format!("/subscriptions/{open}?api-version=1")).await.0, 200);
    assert_eq!(client.arm(token, &format!("/subscriptions/{closed}?api-version=1")).await.0, 403);
    assert!(world.secrets().iter().any(|secret| secret == token));
}

#[tokio::test]
async fn each_refusal_carries_its_documented_code() {
    let world = world();
    let (tenant, app, secret) = (world.tenant(), world.app_id(), world.app_secret());
    let other = world.add_tenant();
    let client = Client::new(&world);
    let code = async |tenant: &str, app: &str, secret: &str| {
        let (_, body) = ask(&client, tenant, &form(app, secret)).await;
        body["error_codes"][0].as_i64()
    };
    assert_eq!(code(&tenant, &app, "wrong").await, Some(7_000_215));
    assert_eq!(code(&other, &app, &secret).await, Some(700_016));
    assert_eq!(code("00000000-0000-4000-8000-00000000dead", &app, &secret).await, Some(90_002));
    let newer = world.rotate_secret();
    world.expire_secret(&secret, world.now());
    assert_eq!(code(&tenant, &app, &secret).await, Some(7_000_222));
    assert_eq!(code(&tenant, &app, &newer).await, None);
    world.block_app(&app, true);
    assert_eq!(code(&tenant, &app, &newer).await, Some(53_003));
}

#[tokio::test]
async fn a_trusted_identity_token_stands_in_for_a_secret() {
    let world = world();
    let (tenant, app) = (world.tenant(), world.app_id());
    let client = Client::new(&world);
    let assertion = client.identity_token().await;
    let form = [
        ("client_id", app.as_str()),
        ("client_assertion", &assertion),
        ("scope", "https://management.azure.com/.default"),
        ("grant_type", "client_credentials"),
    ];
    assert_eq!(ask(&client, &tenant, &form).await.0, 400);
    world.trust_identity(&app);
    assert_eq!(ask(&client, &tenant, &form).await.0, 200);
}

#[tokio::test]
async fn the_identity_endpoint_wants_its_header_and_answers_expiry_as_a_string() {
    let world = world();
    let client = Client::new(&world);
    let url =
        format!("{}?api-version=2019-08-01&resource=https://vault.azure.net", world.identity_endpoint());
    let wrong = client.http().get(&url).header("x-identity-header", "wrong");
    assert_eq!(client.send(wrong).await.unwrap().0, 401);
    let right = client.http().get(&url).header("X-IDENTITY-HEADER", world.identity_header());
    let body = serde_json::from_str::<Value>(&client.send(right).await.unwrap().1).unwrap();
    assert!(body["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > world.now().as_second());
    assert_eq!(body["resource"], "https://vault.azure.net");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(client.arm(token, "/subscriptions?api-version=1").await.0, 401, "another audience");
}
