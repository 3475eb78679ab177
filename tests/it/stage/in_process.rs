//! The product in this process, at the world's time.

use super::{Stage, WorldIdentity, names_in};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::config::Config;
use qualys_azure_inventory::cycle::{self, CycleResult, Ran, StartedBy};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
use qualys_azure_inventory::queue::{REDELIVERY, Received, WakeUp};
use qualys_azure_inventory::store::ItemName;
use std::path::PathBuf;
use std::sync::Arc;

/// What a message of the queue says as the start of a cycle.
pub fn started_by(taken: &Received) -> StartedBy {
    StartedBy::WakeUp { due: WakeUp::parse(&taken.text).unwrap().due }
}

impl Stage {
    /// The app in this process, with the world's identity.
    pub async fn app(&self) -> App {
        let config = Config::from_lookup(|name| self.settings.get(name).cloned()).unwrap();
        let credential = Arc::new(WorldIdentity::new(&self.world));
        // Storage and vault keep their real names, which the world's proxy knows.
        App::with_client(config, crate::azure::http(&self.world), credential).unwrap()
    }

    /// One cycle by hand.
    pub async fn cycle(&self, app: &App) -> Ran {
        match cycle::run(&app.tenant, StartedBy::Command { plan_only: false }, self.now()).await.unwrap() {
            CycleResult::Ran(ran) => *ran,
            CycleResult::Dropped(closed) => panic!("dropped: {closed}"),
        }
    }

    /// What a timer does: leaves its item and books a wake-up.
    pub async fn tick(&self, app: &App) {
        let now = self.now();
        let item = ItemContent::new(now, "test");
        app.leave(app.tenant.id(), ItemName::Timer, &item, now).await.unwrap();
    }

    /// Serves the wake-ups that are due. Returns how many cycles ran.
    pub async fn serve_wake_ups(&self, app: &App) -> usize {
        let queue = app.tenant.wake_ups.queue();
        let mut ran = 0;
        while let Some(taken) = queue.take(REDELIVERY, self.now()).await.unwrap() {
            let result = cycle::run(&app.tenant, started_by(&taken), self.now()).await.unwrap();
            if let CycleResult::Ran(_) = result {
                ran += 1;
            }
            queue.finish(taken).await.unwrap();
        }
        ran
    }

    /// The account's lease, held as cycle `20261123T040500Z-1f2e3d4c` of this tenant.
    pub async fn hold(&self, app: &App) -> Lease {
        let cycle = "20261123T040500Z-1f2e3d4c".parse().unwrap();
        let holder = Holder { cycle, tenant: app.tenant.id(), since: self.now() };
        match Lease::acquire(&app.tenant.store, &app.tenant.account.name, &holder, app.tenant.account.lease)
            .await
            .unwrap()
        {
            Acquired::Ours(lease) => lease,
            Acquired::Held(by) => panic!("held by {by:?}"),
        }
    }

    /// How many messages the folder's queue holds, due or not.
    pub fn queued(&self) -> usize {
        names_in(&self.queue_folder()).len()
    }

    pub fn queue_folder(&self) -> PathBuf {
        self.folder.path().join("queue/cycles")
    }

    /// The account's blobs.
    pub fn account(&self, name: &str) -> PathBuf {
        self.folder.path().join("store/control/account=default").join(name)
    }
}
