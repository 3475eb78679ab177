//! Azurite beside the folder: the contract of a store, a queue or a lease is tested on both.

use crate::stage::WorldIdentity;
use qualys_azure_inventory::model::{Name, TenantId};
use qualys_azure_inventory::queue::{AzureQueue, FolderQueue, Queue};
use qualys_azure_inventory::store::{AzureStore, FolderStore, Store};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use world::azurite::{Azurite, blob_host, queue_host};
use world::{Setup, World};

/// An Azurite and the world that gives out its tokens.
pub struct AzureSide {
    pub world: World,
    pub _azurite: Azurite,
}

static AZURE: LazyLock<Option<AzureSide>> = LazyLock::new(|| {
    let world = World::start(Setup::default());
    let azurite = azurite(&world)?;
    for container in ["inventory", "control"] {
        azurite.create_container(container).unwrap();
    }
    azurite.create_queue("cycles").unwrap();
    Some(AzureSide { world, _azurite: azurite })
});

/// A new Azurite, by its real names behind the world's proxy. None where it is not installed; in CI that fails.
pub fn azurite(world: &World) -> Option<Azurite> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/azurite");
    if let Err(error) = Azurite::is_ready(&dir) {
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped: {error:#}");
        eprintln!("SKIPPED: Azurite is not there, so storage is tested on folders alone: {error:#}");
        return None;
    }
    Some(Azurite::start(&dir, world).unwrap())
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

/// A store of one kind.
pub struct Place {
    pub kind: &'static str,
    pub store: Store,
    pub folder: Option<tempfile::TempDir>,
}

/// A store of each kind; Azurite's is shared by the tests, each of which has a tenant or an account of its own.
pub fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Folder(FolderStore::new(folder.path().join("store")));
    let mut places = vec![Place { kind: "folder", store, folder: Some(folder) }];
    if let Some(AzureSide { world, .. }) = azure() {
        let identity = Arc::new(WorldIdentity::new(world));
        let store = AzureStore::new(http(world), url(&blob_host()), identity).unwrap();
        places.push(Place { kind: "Azurite", store: Store::Azure(store), folder: None });
    }
    places
}

/// An empty queue of one kind, with what keeps it alive.
pub struct QueuePlace {
    pub kind: &'static str,
    pub queue: Queue,
    _folder: Option<tempfile::TempDir>,
    _azure: Option<AzureSide>,
}

/// A queue of each kind, for one test alone: whoever takes from a shared one may get another test's message.
pub fn queues() -> Vec<QueuePlace> {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::Folder(FolderQueue::new(folder.path().join("queue")));
    let mut queues = vec![QueuePlace { kind: "folder", queue, _folder: Some(folder), _azure: None }];
    let world = World::start(Setup::default());
    if let Some(azurite) = azurite(&world) {
        azurite.create_queue("cycles").unwrap();
        let identity = Arc::new(WorldIdentity::new(&world));
        let queue = AzureQueue::new(http(&world), url(&queue_host()), identity).unwrap();
        let azure = AzureSide { world, _azurite: azurite };
        queues.push(QueuePlace {
            kind: "Azurite",
            queue: Queue::Azure(queue),
            _folder: None,
            _azure: Some(azure),
        });
    }
    queues
}

fn url(host: &str) -> url::Url {
    format!("https://{host}").parse().unwrap()
}

/// A tenant that no other test has.
pub fn tenant() -> TenantId {
    TenantId::new(uuid::Uuid::new_v4())
}

/// An account that no other test has.
pub fn account() -> Name {
    format!("a{}", uuid::Uuid::new_v4().simple()).parse().unwrap()
}
