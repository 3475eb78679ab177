//! A client that reaches the world by the services' real names, and one Azurite for all tests.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use world::azurite::Azurite;
use world::{Setup, World};

pub(crate) fn world() -> World {
    World::start(Setup::default())
}

/// Ends a test that hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// Trusts the system's authorities and the world's, and sends https through the world's proxy.
pub(crate) fn http(world: &World) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(world.ca_pem().as_bytes()).unwrap();
    reqwest::Client::builder()
        .proxy(reqwest::Proxy::https(world.proxy_url()).unwrap())
        .tls_certs_merge([ca])
        .redirect(reqwest::redirect::Policy::none())
        // Only a hang takes that long, on a busy machine too.
        .connect_timeout(LIMIT)
        .read_timeout(LIMIT)
        .build()
        .unwrap()
}

pub(crate) fn options(world: &World) -> ClientOptions {
    ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(http(world)))),
        ..ClientOptions::default()
    }
}

/// The world's application, signed in with its secret.
pub(crate) fn application(world: &World) -> Arc<dyn TokenCredential> {
    with_secret(world, &world.app_secret())
}

pub(crate) fn with_secret(world: &World, secret: &str) -> Arc<dyn TokenCredential> {
    let options = ClientSecretCredentialOptions { client_options: options(world) };
    let secret = Secret::new(secret.to_owned());
    ClientSecretCredential::new(&world.tenant(), world.app_id(), secret, Some(options)).unwrap()
}

static STORAGE: LazyLock<Option<(World, Azurite)>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../azurite");
    if let Err(error) = Azurite::is_ready(&dir) {
        assert!(std::env::var_os("CI").is_none(), "{error:#}");
        // Written past the test harness, which does not show what a test that passes prints. Without a standard error it is lost.
        let _ = writeln!(std::io::stderr(), "NOT TESTED, there is no Azurite: {error:#}");
        return None;
    }
    let world = world();
    let azurite = Azurite::start(&dir, &world).unwrap();
    Some((world, azurite))
});

/// The shared Azurite with its world; `None` where it is not installed, which is an error in CI.
pub(crate) fn storage() -> Option<&'static (World, Azurite)> {
    STORAGE.as_ref()
}

/// Runs the ignored test `name` of this program in a process of its own, which is set up by its environment alone, as the product
/// is.
pub(crate) fn alone(name: &str, world: &World, more: &[(&str, &str)]) -> (bool, String) {
    let dir = std::env::temp_dir().join(format!("world-ca-{}-{name}", std::process::id()).replace(':', "-"));
    std::fs::create_dir_all(&dir).unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", world.ca_file(&dir))
        .env("HTTPS_PROXY", world.proxy_url())
        .env("IDENTITY_ENDPOINT", world.identity_endpoint())
        .env("IDENTITY_HEADER", world.identity_header())
        .envs(more.iter().copied())
        .output()
        .unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success() && text.contains("1 passed"), text)
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < LIMIT, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
