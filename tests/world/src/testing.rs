//! A client for the crate's own tests: plain HTTP, no proxy, a time limit for each request.

mod azure;
mod connectors;
mod entra;
mod envelope;
mod faults;
mod hosts;
mod limits;
mod switches;
mod syncs;
mod times;
mod whole;

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Setup, World};

pub(crate) fn world() -> World {
    World::start(Setup::default())
}

/// The status and body of an answer; nothing if the connection failed.
pub(crate) type Got = Option<(u16, String)>;

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) world: World,
}

impl Client {
    pub(crate) fn new(world: &World) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
        Self { http, world: world.clone() }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Got {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/qps/rest/{path}", self.world.qualys_url()))
            .basic_auth(self.world.qualys_user(), Some(self.world.qualys_password()))
            .header("accept", "application/json")
            .json(body)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http
            .get(format!("{}/qps/rest/{path}", self.world.qualys_url()))
            .basic_auth(self.world.qualys_user(), Some(self.world.qualys_password()))
            .header("accept", "application/json")
    }

    /// The `ServiceResponse` of a POST that must answer 200.
    pub(crate) async fn qps(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.send(self.post(path, body)).await.expect("an answer");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).expect("JSON")["ServiceResponse"].clone()
    }

    pub(crate) async fn qps_get(&self, path: &str) -> Value {
        let (status, text) = self.send(self.get(path)).await.expect("an answer");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).expect("JSON")["ServiceResponse"].clone()
    }

    pub(crate) async fn connector(&self, id: i64) -> Value {
        let answer = self.qps_get(&format!("3.0/get/am/azureassetdataconnector/{id}")).await;
        answer["data"][0]["AzureAssetDataConnector"].clone()
    }

    /// Creates a connector with the given key and returns its id.
    pub(crate) async fn create(&self, subscription: &str, key: &str) -> i64 {
        let body = create_body(&self.world, subscription, key);
        let answer = self.qps("3.0/create/am/azureassetdataconnector", &body).await;
        answer["data"][0]["AzureAssetDataConnector"]["id"].as_i64().expect("an id")
    }

    pub(crate) async fn run(&self, id: i64) -> Value {
        self.qps(&format!("3.0/run/am/azureassetdataconnector/{id}"), &json!({})).await
    }

    pub(crate) async fn identity_token(&self) -> String {
        let request = self
            .http
            .get(format!(
                "{}?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com",
                self.world.identity_endpoint()
            ))
            .header("x-identity-header", self.world.identity_header());
        let (status, text) = self.send(request).await.expect("an answer");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn arm(&self, token: &str, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.world.arm_url())).bearer_auth(token);
        let (status, text) = self.send(request).await.expect("an answer");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    // Far more than anything here takes: only a hang reaches it, on a busy machine too.
    for _ in 0..6_000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}

pub(crate) fn create_body(world: &World, subscription: &str, key: &str) -> Value {
    json!({ "ServiceRequest": { "data": { "AzureAssetDataConnector": {
        "name": format!("c {subscription}"),
        "description": "made by a test",
        "runFrequency": 240,
        "disabled": false,
        "activation": { "set": { "ActivationModule": ["VM", "PC"] } },
        "authRecord": {
            "applicationId": world.app_id(),
            "directoryId": world.tenant(),
            "subscriptionId": subscription,
            "authenticationKey": key,
        },
        "connectorAppInfos": { "set": { "ConnectorAppInfoQList": [
            { "set": { "ConnectorAppInfo": { "name": "AI", "identifier": subscription } } },
        ] } },
    } } } })
}

/// A search body of criteria (field, operator, value) and a page size.
pub(crate) fn search(criteria: &[(&str, &str, &str)], limit: usize) -> Value {
    let rows = criteria
        .iter()
        .map(|(field, operator, value)| json!({ "field": field, "operator": operator, "value": value }));
    json!({ "ServiceRequest": {
        "preferences": { "limitResults": limit },
        "filters": { "Criteria": rows.collect::<Vec<_>>() },
    } })
}
