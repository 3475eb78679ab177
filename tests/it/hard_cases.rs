//! Hard cases: each was a defect once, found by a reader.

mod connectors;
mod credentials;
mod limits;
mod snapshots;
mod syncs;
mod wake_ups;

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::store::ItemName;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

fn still() -> Stage {
    let stage = Stage::new().set("CYCLE_GAP", "1m").set("FOLLOW_UP", "2m").set("SNAPSHOT_GAP", "1h");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage
}

async fn leave(app: &App, stage: &Stage) {
    let now = stage.now();
    app.leave(app.tenant.id(), ItemName::Timer, &ItemContent::new(now, "test"), now).await.unwrap();
}
