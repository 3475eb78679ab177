//! Azure's own edges when they fail.

use crate::stage::{azure_stage, started_by};
use jiff::{SignedDuration, Timestamp};
use qualys_azure_inventory::cycle::{self, CycleResult};
use qualys_azure_inventory::model::SnapshotId;
use qualys_azure_inventory::queue::REDELIVERY;
use qualys_azure_inventory::store::{BlobKey, Condition};
use std::collections::BTreeSet;
use std::time::Duration;
use world::host::TimerKind;
use world::{CallKind, Fault, Kind, Service};

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_lease_stops_all_calls_to_qualys() {
    const NEW: usize = 90;
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscriptions("s", NEW);
    // Two calls at a time: all creates would take 27 s, and the lease of 15 s is lost long before.
    world.manners(|m| m.latency = Some(Duration::from_millis(600)));
    let host = azure.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    azure.stage.wait("the first creates", async || (world.qualys_writes().len() >= 2).then_some(())).await;
    let thief = world.steal_lease("control", "account=default/lease");
    // The next renewal is refused; until then the lease counts as held.
    azure
        .stage
        .wait("the cycle to end", async || {
            host.invocations().iter().any(|ended| ended.function == "cycle").then_some(())
        })
        .await;
    assert!(world.connectors().len() < NEW, "nothing more is written");
    let is_reading = |kind| matches!(kind, CallKind::HostSearch | CallKind::HostCount);
    assert!(
        !world.calls().iter().any(|call| is_reading(call.call)),
        "nothing more is read: no snapshot is begun"
    );
    assert!(azure.json("status.json").is_none(), "only the holder writes it");
    world.give_back_lease("control", "account=default/lease", &thief);
    world.manners(|m| m.latency = None);
    azure
        .stage
        .wait("the rest", async || {
            host.fire_timer("schedule", TimerKind::OnTime).await;
            (world.connectors().len() == NEW).then_some(())
        })
        .await;
    let subscriptions: BTreeSet<_> = world.connectors().into_iter().map(|c| c.subscription_id).collect();
    assert_eq!(subscriptions.len(), NEW, "no duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_storage_fault_loses_no_item_and_is_named_with_what_to_do() {
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscription("a").with_machines(1);
    let host = azure.host().await;
    let faults = [
        (
            CallKind::BlobPut,
            Kind::StorageCode(403, "AuthorizationPermissionMismatch"),
            Some("Storage Blob Data Contributor"),
        ),
        (
            CallKind::BlobPut,
            Kind::StorageCode(404, "ContainerNotFound"),
            Some("there is no container `control`"),
        ),
        (
            CallKind::QueueSend,
            Kind::StorageCode(403, "AuthorizationPermissionMismatch"),
            Some("Storage Queue Data Contributor"),
        ),
        (CallKind::QueueSend, Kind::StorageCode(404, "QueueNotFound"), Some("create the queue `cycles`")),
        (CallKind::BlobPut, Kind::StorageCode(412, "ConditionNotMet"), Some("was changed by another writer")),
        (
            CallKind::BlobPut,
            Kind::StorageCode(409, "BlobAlreadyExists"),
            Some("was changed by another writer"),
        ),
        (
            CallKind::BlobPut,
            Kind::StorageCode(409, "ContainerBeingDeleted"),
            Some("HTTP 409 ContainerBeingDeleted"),
        ),
        (CallKind::BlobPut, Kind::TimeoutAfter, None),
        (CallKind::QueueSend, Kind::TimeoutAfter, None),
        (CallKind::BlobPut, Kind::Status(500), None),
        (CallKind::BlobPut, Kind::Status(503), None),
        (CallKind::BlobPut, Kind::ResetBefore, None),
        (CallKind::BlobPut, Kind::ResetAfter, None),
        (CallKind::QueueSend, Kind::ResetAfter, None),
    ];
    for (call, kind, advice) in faults {
        let fault = Fault::new(call, kind.clone());
        world.fault(if advice.is_some() { fault.always() } else { fault });
        let answer = host.fire_timer("schedule", TimerKind::OnTime).await;
        world.clear_faults();
        match advice {
            // A failure that passes is retried within the trigger.
            None => assert!(answer.succeeded(), "{call:?} {kind:?}"),
            Some(advice) => {
                assert!(!answer.succeeded(), "{call:?} {kind:?}: the host is to try again");
                azure.stage.wait_for_line(&host, advice).await;
            }
        }
        assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
        // While a wake-up is pending a trigger sends none, and a cycle may meet the next fault before the trigger does.
        azure.wait_for_rest().await;
    }
    assert_eq!(world.connectors().len(), 1);
    azure.wait_for_rows(1).await;
    host.assert_no_secret(&world.secrets());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_does_not_answer_is_in_the_status_and_costs_no_call_to_qualys() {
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscription("a");
    world.disable_secret("kv-test", "qualys-password", true);
    let host = azure.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    let status = azure.stage.wait("a status", async || azure.json("status.json")).await;
    let needs = status["needs_a_person"].to_string();
    assert!(
        needs.contains("`qualys-password`") && needs.contains("its newest version is disabled: enable it"),
        "{needs}"
    );
    assert!(world.calls().iter().all(|call| call.service != Service::Qualys));
    world.disable_secret("kv-test", "qualys-password", false);
    let at = world.now().checked_sub(SignedDuration::from_hours(1)).unwrap();
    world.secret_expires("kv-test", "qualys-password", Some(at));
    host.fire_timer("schedule", TimerKind::OnTime).await;
    azure
        .stage
        .wait("the expiry to be named", async || {
            let needs = azure.json("status.json")?["needs_a_person"].to_string();
            needs.contains("expired at").then_some(())
        })
        .await;
}

/// The holder gives the lease back and looks for inbox items just before the wake-up stops being pending. So nobody else would
/// book one for the item.
#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_that_is_refused_while_the_holder_already_looks_for_items_is_not_lost() {
    let Some(mut azure) = azure_stage() else { return };
    // The lease must not end while the wake-up meets it.
    azure.stage = azure.stage.set("LEASE", "60s");
    let (world, stage) = (&azure.stage.world, &azure.stage);
    let app = stage.app().await;
    let now = stage.now();
    let _held = stage.hold(&app).await;
    stage.tick(&app).await;
    let taken = app.tenant.wake_ups.queue().take(REDELIVERY, now).await.unwrap().unwrap();
    let holder = world.clone();
    world.on_answer_to(CallKind::BlobLease, "/lease", 1, move |_| {
        let ours = holder.steal_lease("control", "account=default/lease");
        holder.give_back_lease("control", "account=default/lease", &ours);
    });
    assert!(matches!(
        cycle::run(&app.tenant, started_by(&taken), now).await.unwrap(),
        CycleResult::Dropped(_)
    ));
    app.tenant.wake_ups.queue().finish(taken).await.unwrap();
    assert_eq!(azure.messages(), 1, "a wake-up stands for the item");
}

/// Azure may answer a repeated write by its policy, before it looks at the write's condition.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_once_policys_refusal_of_our_own_repeated_write_is_a_success() {
    let Some(azure) = azure_stage() else { return };
    let (app, world) = (azure.stage.app().await, &azure.stage.world);
    let store = &app.tenant.store;
    let manifest =
        |number| BlobKey::Manifest(app.tenant.id(), SnapshotId::new(Timestamp::UNIX_EPOCH, number));
    let text = |text: &str| bytes::Bytes::copy_from_slice(text.as_bytes());
    for code in ["BlobImmutableDueToPolicy", "UnauthorizedBlobOverwrite"] {
        let number = u32::try_from(code.len()).unwrap();
        let refused = |call| Fault::new(call, Kind::StorageCode(409, code));
        // The write's answer is lost, and the policy refuses its repetition.
        world.fault(Fault::new(CallKind::BlobPut, Kind::ResetAfter));
        world.fault(refused(CallKind::BlobPut).after(1));
        let etag = store.put(&manifest(number), text("ours"), Condition::New).await.unwrap();
        assert_eq!(store.get(&manifest(number)).await.unwrap().unwrap().etag, etag);
        world.fault(Fault::new(CallKind::BlockListPut, Kind::ResetAfter));
        world.fault(refused(CallKind::BlockListPut).after(1));
        let mut part = store.new_blob(manifest(number + 100)).await.unwrap();
        part.write(text("part")).await.unwrap();
        part.publish().await.unwrap();
        // A cycle after a kill writes the same bytes again; another content stays refused, and says why.
        world.fault(refused(CallKind::BlobPut));
        assert_eq!(store.put(&manifest(number), text("ours"), Condition::New).await.unwrap(), etag);
        world.fault(refused(CallKind::BlobPut));
        let error = store.put(&manifest(number), text("theirs"), Condition::Any).await.unwrap_err();
        assert!(error.to_string().contains("a write-once policy protects"), "{error}");
        world.fault(refused(CallKind::BlockListPut));
        let mut part = store.new_blob(manifest(number + 100)).await.unwrap();
        part.write(text("another")).await.unwrap();
        let error = part.publish().await.unwrap_err();
        assert!(error.to_string().contains("a write-once policy protects"), "{error}");
    }
}
