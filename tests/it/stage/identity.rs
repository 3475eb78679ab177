//! The world's identity in this process.

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use serde_json::Value;
use world::World;

/// The world's identity endpoint as a credential.
pub struct WorldIdentity {
    world: World,
    /// Built once: a client reads all CA certificates of the machine.
    http: reqwest::Client,
}

impl WorldIdentity {
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), http: reqwest::Client::new() }
    }

    pub async fn token(&self, resource: &str) -> String {
        let url = format!("{}?api-version=2019-08-01&resource={resource}", self.world.identity_endpoint());
        let ask = self.http.get(url).header("x-identity-header", self.world.identity_header());
        let body: Value = serde_json::from_str(&ask.send().await.unwrap().text().await.unwrap()).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }
}

impl std::fmt::Debug for WorldIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorldIdentity")
    }
}

#[async_trait::async_trait]
impl TokenCredential for WorldIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.token(scopes[0].trim_end_matches("/.default")).await;
        let expires_on = azure_core::time::OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken { token: token.into(), expires_on })
    }
}
