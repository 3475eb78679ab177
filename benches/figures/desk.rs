//! A simulated world, a folder, and the product in this process.

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::config::Config;
use qualys_azure_inventory::cycle::{self, CycleResult, Ran, StartedBy};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{Setup, World};

pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) settings: BTreeMap<String, String>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let world = World::start(Setup::default());
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| format!("folder:{}", folder.path().join(name).display());
        let settings = [
            ("MODE", "enforce".to_owned()),
            ("TENANT_ID", world.tenant()),
            ("CONNECTOR_APP_ID", world.app_id()),
            ("SECRETS", "env".to_owned()),
            ("QUALYS_USERNAME", world.qualys_user()),
            ("QUALYS_PASSWORD", world.qualys_password()),
            ("CONNECTOR_CLIENT_SECRET", world.app_secret()),
            ("QUALYS_API_URL", world.qualys_url()),
            // So that the account's limits do not hold the measurement up.
            ("QUALYS_CALLS_PER_HOUR", "1000000".to_owned()),
            ("MAX_CREATES", "10000".to_owned()),
            ("ARM_URL", world.arm_url()),
            ("IDENTITY_ENDPOINT", world.identity_endpoint()),
            ("IDENTITY_HEADER", world.identity_header()),
            ("STORAGE", place("store")),
            ("QUEUE", place("queue")),
            // The first list proves that there is no connector, so that the first cycle creates.
            ("ABSENCE_PROOFS", "1".to_owned()),
            ("ABSENCE_AGE", "0s".to_owned()),
            ("FOLLOW_UP", "100ms".to_owned()),
            ("SNAPSHOT_GAP", "0s".to_owned()),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { world, folder, settings }
    }

    pub(crate) fn config(&self) -> Config {
        Config::from_lookup(|name| self.settings.get(name).cloned()).unwrap()
    }

    pub(crate) async fn app(&self) -> App {
        let resource = "https://management.azure.com";
        let url = format!("{}?api-version=2019-08-01&resource={resource}", self.world.identity_endpoint());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer =
            http.get(url).header("x-identity-header", self.world.identity_header()).send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let token = body["access_token"].as_str().unwrap().to_owned();
        App::with_credential(self.config(), Arc::new(WorldIdentity { token })).unwrap()
    }

    /// Runs a cycle as from the command line.
    pub(crate) async fn cycle(&self, app: &App) -> Ran {
        self.cycle_started_by(app, StartedBy::Command { plan_only: false }).await
    }

    pub(crate) async fn cycle_started_by(&self, app: &App, started_by: StartedBy) -> Ran {
        match cycle::run(&app.tenant, started_by, self.world.now()).await.unwrap() {
            CycleResult::Ran(ran) => *ran,
            CycleResult::Dropped(closed) => panic!("dropped: {closed}"),
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[derive(Debug)]
struct WorldIdentity {
    token: String,
}

#[async_trait::async_trait]
impl TokenCredential for WorldIdentity {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires_on = azure_core::time::OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken { token: self.token.clone().into(), expires_on })
    }
}
