//! The main job on Azure's own edges, with names and trust from the environment alone.

use crate::stage::{Stage, assert_shows_none, azure_stage, subscription_of};
use std::time::Duration;
use world::CallKind;
use world::host::TimerKind;

#[tokio::test(flavor = "multi_thread")]
async fn timer_event_and_request_do_the_main_job_on_azures_edges() {
    const VENDING: &str = "/topics/vending";
    let Some(mut azure) = azure_stage() else { return };
    azure.stage = azure.stage.set("EVENT_SOURCES", VENDING);
    let world = azure.stage.world.clone();
    let first = world.subscription("first").with_machines(3);
    let host = azure.host().await;
    assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
    let rows = azure.wait_for_rows(3).await;
    assert!(rows.iter().all(|row| subscription_of(row).as_deref() == Some(first.id())));
    let second = world.subscription("second").with_machines(2);
    let event = world::events::vending(VENDING, &second, world.now());
    assert_eq!(host.deliver("subscription-event", &[event]).await, 202);
    azure.wait_for_rows(5).await;
    azure.wait_for_empty_inbox().await;
    let answer = reqwest::Client::new().post(format!("{}/api/sync", host.url())).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    azure.wait_for_empty_inbox().await;
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
    let (one, other) = (azure.host().await, azure.host().await);
    for host in [&one, &other] {
        assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
        // A second message for the same tenant, whatever the first has led to.
        let message = format!("{{\"tenant\":\"{}\"}}", azure.stage.settings["TENANT_ID"]);
        azure.azurite.send("cycles", &message, Duration::ZERO).unwrap();
    }
    azure.stage.wait("six connectors", async || (world.connectors().len() == 6).then_some(())).await;
    azure.wait_for_empty_inbox().await;
    let creates =
        world.qualys_writes().into_iter().filter(|call| call.call == CallKind::ConnectorCreate).count();
    assert_eq!((creates, world.connectors().len()), (6, 6));
    assert!(world.max_concurrency_seen() <= 2, "one at a time held the account");
}

/// As in the README's first steps, with an application's secret for an identity: every service under its real name.
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
        assert_shows_none("the output", &texts.concat(), &stage.world.secrets());
        (output.status.code(), texts)
    };
    let (code, [printed, log]) = plan(&stage);
    assert_eq!(code, Some(0), "{printed}{log}");
    assert!(printed.contains("+ create connector `new ("), "{printed}");
    for host in ["login.microsoftonline.com", "management.azure.com", "qualysapi.qualys.com"] {
        assert!(stage.world.proxied_hosts().contains(&host.to_owned()), "{host}");
    }
    let wrong = stage.set("AZURE_CLIENT_SECRET", "not-the-one");
    let (code, [printed, log]) = plan(&wrong);
    assert_eq!(code, Some(1), "{printed}{log}");
    assert!(log.contains("put the value of a client secret, not its id, into AZURE_CLIENT_SECRET"), "{log}");
}
