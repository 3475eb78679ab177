//! Azurite beside the folder: each contract runs on both.

use crate::stage::WorldIdentity;
use qualys_azure_inventory::model::{Name, TenantId};
use qualys_azure_inventory::queue::{AzureQueue, FolderQueue, Queue};
use qualys_azure_inventory::store::{AzureStore, FolderStore, Store};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use world::azurite::{Azurite, blob_host, queue_host};
use world::{Setup, World};

/// One Azurite for all tests; each test has a tenant of its own.
pub struct AzureSide {
    pub world: World,
    pub _azurite: Azurite,
}

static AZURE: LazyLock<Option<AzureSide>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/azurite");
    if let Err(error) = Azurite::is_ready(&dir) {
        assert!(std::env::var_os("CI").is_none(), "on CI nothing is skipped: {error:#}");
        eprintln!("SKIPPED: Azurite is not there, so storage is tested on folders alone: {error:#}");
        return None;
    }
    let world = World::start(Setup::default());
    let azurite = Azurite::start(&dir, &world).unwrap();
    world.route(&blob_host(), azurite.blob_address());
    world.route(&queue_host(), azurite.queue_address());
    for container in ["inventory", "control"] {
        make(&world, &format!("https://{}/{container}?restype=container", blob_host()));
    }
    make(&world, &format!("https://{}/cycles", queue_host()));
    Some(AzureSide { world, _azurite: azurite })
});

/// Makes a container or a queue, as the infrastructure does.
fn make(world: &World, url: &str) {
    let (world, url) = (world.clone(), url.to_owned());
    let made = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let token = WorldIdentity::new(&world).token("https://storage.azure.com").await;
            let request = http(&world).put(url).bearer_auth(token).header("x-ms-version", "2026-04-06");
            request.header("content-length", 0).send().await.unwrap().status()
        })
    });
    assert_eq!(made.join().unwrap(), 201);
}

pub fn azure() -> Option<&'static AzureSide> {
    AZURE.as_ref()
}

/// A client that reaches Azure's names through the world's proxy, and trusts its CA.
pub fn http(world: &World) -> reqwest::Client {
    reqwest::Client::builder()
        .proxy(reqwest::Proxy::https(world.proxy_url()).unwrap())
        .tls_certs_merge([reqwest::Certificate::from_pem(world.ca_pem().as_bytes()).unwrap()])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A store and a queue of one kind.
pub struct Place {
    pub kind: &'static str,
    pub store: Store,
    pub queue: Queue,
    /// What `Queue` counts from: a folder takes the time as an argument, Azure has its own.
    pub folder: Option<tempfile::TempDir>,
}

/// Both kinds; Azurite where it is there.
pub fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let mut places = vec![Place {
        kind: "folder",
        store: Store::Folder(FolderStore::new(folder.path().join("store"))),
        queue: Queue::Folder(FolderQueue::new(folder.path().join("queue"))),
        folder: Some(folder),
    }];
    if let Some(AzureSide { world, .. }) = azure() {
        let identity = || Arc::new(WorldIdentity::new(world));
        let url = |host: String| format!("https://{host}").parse().unwrap();
        places.push(Place {
            kind: "Azurite",
            store: Store::Azure(AzureStore::new(http(world), url(blob_host()), identity()).unwrap()),
            queue: Queue::Azure(AzureQueue::new(http(world), url(queue_host()), identity()).unwrap()),
            folder: None,
        });
    }
    places
}

/// A tenant that no other test has.
pub fn tenant() -> TenantId {
    TenantId::new(uuid::Uuid::new_v4())
}

/// An account that no other test has.
pub fn account() -> Name {
    format!("a{}", uuid::Uuid::new_v4().simple()).parse().unwrap()
}
