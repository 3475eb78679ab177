//! A flood of events leads to a handful of cycles, and nothing is lost.

use crate::stage::{Stage, started_by};
use qualys_azure_inventory::cycle::{self, CycleResult};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::queue::REDELIVERY;
use qualys_azure_inventory::store::ItemName;
use std::time::Duration;

#[tokio::test]
async fn five_thousand_events_in_a_minute_start_at_most_three_cycles_in_two_minutes() {
    let stage = Stage::new().set("CYCLE_GAP", "60s").set("FOLLOW_UP", "2m").set("MAX_CREATES", "1000");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    let known = stage.world.subscriptions("s", 200);
    let app = stage.app().await;
    let tenant = app.tenant.id();
    let mut starts = Vec::new();
    let began = stage.now();
    let mut deliver = async || {
        let queue = app.tenant.wake_ups.queue();
        while let Some(taken) = queue.take(REDELIVERY, stage.now()).await.unwrap() {
            let result = cycle::run(&app.tenant, started_by(&taken), stage.now()).await.unwrap();
            if let CycleResult::Ran(_) = result {
                starts.push(stage.now().duration_since(began).as_secs());
            }
            queue.finish(taken).await.unwrap();
        }
    };
    for event in 0..5000_usize {
        // Every tenth event names a subscription that ARM does not know.
        let id = if event % 10 == 9 {
            format!("eeeeeeee-0000-0000-0000-{:012x}", event % 50)
        } else {
            known[event % known.len()].id().to_owned()
        };
        let name = ItemName::Subscription(id.parse().unwrap());
        let now = stage.now();
        app.leave(tenant, name, &ItemContent::new(now, "test"), now).await.unwrap();
        stage.pass(Duration::from_millis(12));
        if event % 50 == 0 {
            deliver().await;
        }
    }
    while stage.now().duration_since(began).as_secs() < 30 * 60 {
        stage.pass(Duration::from_secs(1));
        deliver().await;
    }
    let early = starts.iter().filter(|at| **at <= 120).count();
    assert!(early <= 3, "{starts:?}");
    assert_eq!(stage.world.connectors().len(), 200, "each subscription has its connector");
    let items = stage.inbox();
    assert!(
        items.iter().all(|item| item.starts_with("subscription=eeeeeeee")) && items.len() == 5,
        "{items:?}"
    );
}
