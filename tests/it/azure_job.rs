//! The main job on Azure's own edges: Azurite's blobs and queue, the vault, managed identity; names and trust from the
//! environment alone. And the days on which they fail.

use crate::stage::{Stage, subscription_of};
use jiff::SignedDuration;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
use qualys_azure_inventory::manifest::Manifest;
use qualys_azure_inventory::model::CycleId;
use qualys_azure_inventory::queue::REDELIVERY;
use qualys_azure_inventory::store::ItemName;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use world::azurite::{Azurite, blob_host, queue_host};
use world::host::TimerKind;
use world::{CallKind, Fault, Kind, Service};

/// A stage whose product speaks to Azure; none where Azurite is not there.
pub struct AzureStage {
    pub stage: Stage,
    azurite: Azurite,
}

pub fn azure_stage() -> Option<AzureStage> {
    // Says loudly that it skips, and fails on CI.
    crate::azure::azure()?;
    let stage = Stage::new();
    let azurite =
        Azurite::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/azurite"), &stage.world).unwrap();
    stage.world.storage(&azurite);
    for container in ["inventory", "control"] {
        azurite.create_container(container).unwrap();
    }
    azurite.create_queue("cycles").unwrap();
    let stage = stage
        .behind_the_proxy()
        .with_vault()
        .set("STORAGE", &format!("https://{}", blob_host()))
        .set("QUEUE", &format!("https://{}", queue_host()))
        .set("FOLLOW_UP", "1s")
        .set("LEASE", "15s");
    Some(AzureStage { stage, azurite })
}

impl AzureStage {
    fn json(&self, name: &str) -> Option<Value> {
        let path = format!("tenant={}/{name}", self.stage.settings["TENANT_ID"]);
        let bytes = self.azurite.blob("control", &path).unwrap()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    pub fn inbox(&self) -> Vec<String> {
        self.azurite.blobs("control", &format!("tenant={}/inbox/", self.stage.settings["TENANT_ID"])).unwrap()
    }

    /// The rows of the newest snapshot; every file has the manifest's hash.
    pub fn rows(&self) -> Option<Vec<Value>> {
        let latest = self.json("latest.json")?;
        let read = |path: &str| self.azurite.blob("inventory", path).unwrap().expect("each file is there");
        let manifest: Manifest = serde_json::from_slice(&read(latest["manifest"].as_str().unwrap())).unwrap();
        let mut rows = Vec::new();
        for file in &manifest.files {
            let bytes = read(&file.path);
            assert_eq!(file.sha256, crate::stage::sha256(&bytes));
            rows.extend(
                crate::stage::gunzip(&bytes).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()),
            );
        }
        Some(rows)
    }

    /// Messages in the queue, visible or not.
    pub fn messages(&self) -> u64 {
        self.azurite.queue_length("cycles").unwrap()
    }

    async fn wait_for_rows(&self, wanted: usize) -> Vec<Value> {
        self.stage
            .wait("the rows in the newest snapshot", async || self.rows().filter(|rows| rows.len() == wanted))
            .await
    }

    async fn quiet(&self) {
        self.stage.wait("the inbox items to go", async || self.inbox().is_empty().then_some(())).await;
    }

    pub fn assert_no_secret(&self) {
        let secrets = self.stage.world.secrets();
        let mut scanned = 0;
        for container in ["inventory", "control"] {
            for name in self.azurite.blobs(container, "").unwrap() {
                let bytes = self.azurite.blob(container, &name).unwrap().unwrap_or_default();
                let text = if name.ends_with(".gz") {
                    crate::stage::gunzip(&bytes)
                } else {
                    String::from_utf8_lossy(&bytes).into_owned()
                };
                crate::stage::assert_shows_none(&name, &text, &secrets);
                scanned += 1;
            }
        }
        assert!(scanned > 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timer_event_and_request_do_the_main_job_on_azures_edges() {
    const VENDING: &str = "/topics/vending";
    let Some(mut azure) = azure_stage() else { return };
    azure.stage = azure.stage.set("EVENT_SOURCES", VENDING);
    let world = azure.stage.world.clone();
    let first = world.subscription("first").with_machines(3);
    let host = azure.stage.azure_host(&format!("https://{}", queue_host())).await;
    assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
    let rows = azure.wait_for_rows(3).await;
    assert!(rows.iter().all(|row| subscription_of(row).as_deref() == Some(first.id())));
    let second = world.subscription("second").with_machines(2);
    let event = world::events::vending(VENDING, &second, world.now());
    assert_eq!(host.deliver("subscription-event", &[event]).await, 202);
    azure.wait_for_rows(5).await;
    azure.quiet().await;
    let answer = reqwest::Client::new().post(format!("{}/api/sync", host.url())).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    azure.quiet().await;
    host.quiet().await;
    assert_eq!(world.connectors().len(), 2);
    host.assert_no_secret(&world.secrets());
    azure.assert_no_secret();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_on_one_account_one_works_and_the_other_drops_its_wake_up() {
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscriptions("s", 6);
    world.manners(|m| m.latency = Some(Duration::from_millis(150)));
    let url = format!("https://{}", queue_host());
    let (one, other) = (azure.stage.azure_host(&url).await, azure.stage.azure_host(&url).await);
    for host in [&one, &other] {
        assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
        // A second message for the same tenant, whatever the first has led to.
        azure
            .azurite
            .send(
                "cycles",
                &format!("{{\"tenant\":\"{}\"}}", azure.stage.settings["TENANT_ID"]),
                Duration::ZERO,
            )
            .unwrap();
    }
    azure.stage.wait("six connectors", async || (world.connectors().len() == 6).then_some(())).await;
    azure.quiet().await;
    let creates =
        world.qualys_writes().into_iter().filter(|call| call.call == CallKind::ConnectorCreate).count();
    assert_eq!((creates, world.connectors().len()), (6, 6));
    assert!(world.max_concurrency_seen() <= 2, "one at a time held the account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_lease_stops_all_calls_to_qualys() {
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscriptions("s", 40);
    world.manners(|m| m.latency = Some(Duration::from_millis(600)));
    let host = azure.stage.azure_host(&format!("https://{}", queue_host())).await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    azure.stage.wait("the first creates", async || (world.qualys_writes().len() >= 2).then_some(())).await;
    let thief = world.steal_lease("control", "account=default/lease");
    // The next renewal, a quarter of the lease on, tells it; until then the lease counts as held.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let calls = || world.calls().into_iter().filter(|call| call.service == Service::Qualys).count();
    let made = calls();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(calls(), made, "nothing more is written or read");
    assert!(azure.json("status.json").is_none(), "the holder writes it");
    assert!(world.connectors().len() < 40);
    world.give_back_lease("control", "account=default/lease", &thief);
    world.manners(|m| m.latency = None);
    azure
        .stage
        .wait("the rest", async || {
            host.fire_timer("schedule", TimerKind::OnTime).await;
            (world.connectors().len() == 40).then_some(())
        })
        .await;
    let subscriptions: std::collections::BTreeSet<_> =
        world.connectors().into_iter().map(|c| c.subscription_id).collect();
    assert_eq!(subscriptions.len(), 40, "no duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_storage_fault_loses_no_item_and_is_named_with_what_to_mend() {
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscription("a").with_machines(1);
    let host = azure.stage.azure_host(&format!("https://{}", queue_host())).await;
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
        (CallKind::QueueSend, Kind::StorageCode(404, "QueueNotFound"), Some("make the queue `cycles`")),
        (CallKind::BlobPut, Kind::StorageCode(412, "ConditionNotMet"), Some("was changed by somebody else")),
        (
            CallKind::BlobPut,
            Kind::StorageCode(409, "BlobAlreadyExists"),
            Some("was changed by somebody else"),
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
    for (call, kind, told) in faults {
        let fault = Fault::new(call, kind.clone());
        world.fault(if told.is_some() { fault.always() } else { fault });
        let answer = host.fire_timer("schedule", TimerKind::OnTime).await;
        world.clear_faults();
        match told {
            // A stumble is repeated within the trigger.
            None => assert!(answer.succeeded(), "{call:?} {kind:?}"),
            Some(told) => {
                assert!(!answer.succeeded(), "{call:?} {kind:?}: the trigger tries again");
                let lines: Vec<_> = host.lines().into_iter().map(|line| line.text).collect();
                assert!(
                    lines.iter().any(|line| line.contains(told)),
                    "{call:?} {kind:?}: {told}\n{}",
                    lines.join("\n")
                );
            }
        }
        assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
        azure.quiet().await;
        // While a wake-up is pending, a trigger sends none, and would not meet the next fault.
        azure
            .stage
            .wait("no wake-up to be pending", async || {
                azure.json("wake-up.json")?["due"].is_null().then_some(())
            })
            .await;
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
    let host = azure.stage.azure_host(&format!("https://{}", queue_host())).await;
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

/// The desk of the README, with an application's secret for an identity: every service under its real name.
#[tokio::test(flavor = "multi_thread")]
async fn at_a_desk_an_applications_secret_signs_in_and_the_plan_is_printed() {
    let stage = Stage::new();
    let world = &stage.world;
    world.subscription("new");
    let settings = [
        ("AZURE_IDENTITY", "client-secret".to_owned()),
        ("AZURE_TENANT_ID", world.tenant()),
        ("AZURE_CLIENT_ID", world.app_id()),
        ("AZURE_CLIENT_SECRET", world.app_secret()),
        ("QUALYS_PLATFORM", "US1".to_owned()),
        ("SSL_CERT_FILE", world.ca_file(stage.folder.path()).display().to_string()),
        ("HTTPS_PROXY", world.proxy_url()),
    ];
    let mut stage = settings.into_iter().fold(stage, |stage, (name, value)| stage.set(name, &value));
    for name in ["ARM_URL", "QUALYS_API_URL", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"] {
        stage.settings.remove(name);
    }
    let plan = |stage: &Stage| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
        let output = command.arg("plan").env_clear().envs(&stage.settings).output().unwrap();
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        crate::stage::assert_shows_none("the output", &texts.concat(), &stage.world.secrets());
        (output.status.code(), texts)
    };
    let (code, [told, log]) = plan(&stage);
    assert_eq!(code, Some(0), "{told}{log}");
    assert!(told.contains("+ create connector `new ("), "{told}");
    for host in ["login.microsoftonline.com", "management.azure.com", "qualysapi.qualys.com"] {
        assert!(stage.world.proxied_hosts().contains(&host.to_owned()), "{host}");
    }
    let wrong = stage.set("AZURE_CLIENT_SECRET", "not-the-one");
    let (code, [told, log]) = plan(&wrong);
    assert_eq!(code, Some(1), "{told}{log}");
    assert!(log.contains("check the identity (AZURE_IDENTITY)"), "{log}");
}

/// The holder gives the lease back and looks for inbox items just then: the wake-up still counts as pending, and nobody else would book one.
#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_that_is_refused_while_the_holder_already_looks_for_items_is_not_lost() {
    let Some(azure) = azure_stage() else { return };
    let (world, stage) = (&azure.stage.world, &azure.stage);
    let app = stage.app().await;
    let (tenant, now) = (app.config.policy.tenant, stage.now());
    let us = Holder { cycle: CycleId::new(now, 1), tenant, since: now };
    let held = Lease::acquire(&app.store, &app.config.account, &us, app.config.lease).await.unwrap();
    assert!(matches!(held, Acquired::Ours(_)));
    app.leave(tenant, ItemName::Timer, &ItemContent::new(now, "schedule"), now).await.unwrap();
    let taken = app.wake_ups.queue().take(REDELIVERY, now).await.unwrap().unwrap();
    let holder = world.clone();
    world.on_answer_to(CallKind::BlobLease, "/lease", 1, move |_| {
        let ours = holder.steal_lease("control", "account=default/lease");
        holder.give_back_lease("control", "account=default/lease", &ours);
    });
    assert!(matches!(cycle::run(&app, StartedBy::WakeUp, now).await.unwrap(), CycleResult::Dropped { .. }));
    app.wake_ups.queue().finish(taken).await.unwrap();
    assert_eq!(azure.messages(), 1, "a wake-up stands for the item");
}
