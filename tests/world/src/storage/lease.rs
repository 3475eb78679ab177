//! Steals leases, as another instance would if it took the holder for dead.

use anyhow::Context;
use reqwest::Method;

use super::rest::{Rest, at_once};
use crate::azurite::account::path_of;
use crate::azurite::{ACCOUNT, blob_host};
use crate::world::World;

/// The longest time for a lease that ends by itself.
const SECONDS: &str = "60";

impl World {
    /// Breaks the lease on a blob at once, if there is one, takes a new one for a minute as another client, and returns
    /// its id. Nothing of this is recorded. Needs an Azurite that belongs to this world.
    ///
    /// # Panics
    /// When there is no such blob, or when the holder takes the lease first.
    pub fn steal_lease(&self, container: &str, blob: &str) -> String {
        let stolen = self.lease(container, blob, |rest, path| async move {
            let (action, period) = (("x-ms-lease-action", "break"), ("x-ms-lease-break-period", "0"));
            let broken = rest.send(Method::PUT, &path, &[action, period], "").await?;
            if !broken.is_refused("LeaseNotPresentWithLeaseOperation") {
                broken.good().context("break")?;
            }
            let (action, duration) = (("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", SECONDS));
            let taken =
                rest.send(Method::PUT, &path, &[action, duration], "").await?.good().context("acquire")?;
            Ok(taken.header("x-ms-lease-id").context("a lease has an id")?.to_owned())
        });
        stolen.unwrap_or_else(|error| panic!("cannot steal the lease on {container}/{blob}: {error:#}"))
    }

    /// Gives a stolen lease back, so that the blob is free again.
    ///
    /// # Panics
    /// When the stolen lease is lost.
    pub fn give_back_lease(&self, container: &str, blob: &str, lease: &str) {
        let given = self.lease(container, blob, |rest, path| async move {
            let (action, id) = (("x-ms-lease-action", "release"), ("x-ms-lease-id", lease));
            rest.send(Method::PUT, &path, &[action, id], "").await?.good()
        });
        given.unwrap_or_else(|error| panic!("cannot give back the lease on {container}/{blob}: {error:#}"));
    }

    fn lease<T: Send, F>(
        &self,
        container: &str,
        blob: &str,
        work: impl FnOnce(Rest, String) -> F + Send,
    ) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let address = self
            .with(|state| state.routes.behind(&blob_host()))
            .context("this world has no Azurite to its name")?;
        let rest = Rest::new(self, &format!("https://{address}/{ACCOUNT}"), "world")?;
        at_once(|| work(rest, format!("/{container}/{}?comp=lease", path_of(blob))))
    }
}
