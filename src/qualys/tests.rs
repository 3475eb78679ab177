//! One test for each answer that the client distinguishes.

mod connectors;
mod hosts;
mod limits;
mod refusals;

use super::CallLimits;
use super::{CallBudget, NewConnector, Qualys, Setup};
use crate::model::{AppId, SubscriptionId, TenantId};
use crate::store::{FolderStore, Store};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A client and the server that it calls.
struct Bench {
    server: MockServer,
    qualys: Qualys,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    bench_with(300, 30).await
}

async fn bench_with(calls_per_hour: u32, reserve_percent: u32) -> Bench {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Folder(FolderStore::new(folder.path()));
    let now: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
    let budget = CallBudget::new(
        store.clone(),
        "default".parse().unwrap(),
        CallLimits { per_hour: calls_per_hour, reserve_percent, at_once: 2 },
        (now, Instant::now()),
    );
    let qualys = Qualys::new(Setup {
        http: reqwest::Client::new(),
        base: server.uri().parse().unwrap(),
        username: "user".to_owned().into(),
        password: "s3cret-password".to_owned().into(),
        write_timeout: Duration::from_secs(2),
        deadline: Instant::now() + Duration::from_secs(20),
        calls: budget,
        may_send: Arc::new(|_| true),
    });
    Bench { server, qualys, store, _folder: folder }
}

impl Bench {
    /// The call budget of another visit to the account, at this moment.
    fn visit(&self, now: Timestamp) -> CallBudget {
        let limits = CallLimits { per_hour: 300, reserve_percent: 30, at_once: 2 };
        CallBudget::new(self.store.clone(), "default".parse().unwrap(), limits, (now, Instant::now()))
    }

    async fn answer(&self, template: ResponseTemplate) {
        Mock::given(any()).respond_with(template).mount(&self.server).await;
    }

    async fn calls(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/qualys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn ok(body: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "application/json")
}

fn success(count: usize, data: &Value) -> Value {
    json!({ "ServiceResponse": { "responseCode": "SUCCESS", "count": count, "data": data } })
}

fn new_connector() -> NewConnector {
    NewConnector {
        name: "n".into(),
        description: "d".into(),
        application: AppId::new(Uuid::from_u128(1)),
        directory: TenantId::new(Uuid::from_u128(2)),
        subscription: SubscriptionId::new(Uuid::from_u128(3)),
        secret: "cl1ent/s3cret".to_owned().into(),
        apps: vec!["AI".into(), "CI".into()],
        modules: vec![],
        tags: vec![7],
        run_frequency_minutes: 240,
    }
}
