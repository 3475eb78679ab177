//! The queue listener on queues of a storage account, with Azurite as the account.

use super::super::{AzureQueues, Host, HostOptions};
use super::{App, until};
use crate::azurite::{Azurite, queue_host};
use crate::{CallKind, Fault, Kind, Service, Setup, World};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

static STORAGE: LazyLock<Option<(World, Azurite)>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../azurite");
    if let Err(error) = Azurite::is_ready(&dir) {
        assert!(std::env::var_os("CI").is_none(), "{error:#}");
        // Written directly, because the output of a test that passes is captured. If that fails, there is nowhere left to
        // say it.
        let _ = writeln!(std::io::stderr(), "NOT TESTED, there is no Azurite: {error:#}");
        return None;
    }
    let world = World::start(Setup::default());
    let azurite = Azurite::start(&dir, &world).unwrap();
    world.storage(&azurite);
    Some((world, azurite))
});

/// An app whose function `work` listens to the queue `name`, which is this test's own.
struct Stage {
    app: App,
    world: &'static World,
    azurite: &'static Azurite,
    name: &'static str,
}

impl Stage {
    fn new(name: &'static str, more: &[Value]) -> Option<Self> {
        let (world, azurite) = STORAGE.as_ref()?;
        let app = App::new();
        let mut bindings =
            vec![json!({"type": "queueTrigger", "direction": "in", "name": "item", "queueName": name})];
        bindings.extend_from_slice(more);
        app.function("work", &bindings);
        Some(Self { app, world, azurite, name })
    }

    fn options(&self) -> HostOptions {
        let url = format!("https://{}", queue_host());
        HostOptions {
            queue_dir: None,
            queue_account: Some(AzureQueues { world: self.world.clone(), url }),
            ..self.app.options()
        }
    }

    async fn start(&self) -> Host {
        self.azurite.create_queue(self.name).unwrap();
        Host::start(self.options()).await.unwrap()
    }

    fn send(&self, text: &str) {
        self.azurite.send(self.name, text, Duration::ZERO).unwrap();
    }

    fn length(&self) -> u64 {
        self.azurite.queue_length(self.name).unwrap()
    }

    fn poisoned(&self) -> Vec<String> {
        self.azurite.peek(&format!("{}-poison", self.name)).unwrap()
    }
}

#[tokio::test]
async fn a_message_is_served_once_and_deleted() {
    let Some(stage) = Stage::new("served", &[]) else { return };
    let host = stage.start().await;
    for text in ["one", "{\"tenant\":\"<a>\"}", "drei & vier"] {
        stage.send(text);
    }
    until("an empty queue", || stage.length() == 0).await;
    host.stop().await;
    let answers = host.invocations().iter().map(|done| done.answer.clone().unwrap()).collect::<Vec<_>>();
    let seen = |index: usize| -> Value {
        let answer = answers[index].json().unwrap();
        serde_json::from_str(answer["ReturnValue"]["body"].as_str().unwrap()).unwrap()
    };
    assert_eq!(answers.len(), 3);
    assert_eq!(seen(1)["Data"]["item"], json!("\"{\\\"tenant\\\":\\\"<a>\\\"}\""));
    let metadata = &seen(2)["Metadata"];
    assert_eq!(metadata["DequeueCount"], "1");
    for (key, ending) in
        [("InsertionTime", "+00:00"), ("ExpirationTime", "+00:00"), ("NextVisibleTime", "+00:00")]
    {
        assert!(metadata[key].as_str().unwrap().ends_with(ending), "{key}: {metadata}");
    }
    assert!(metadata["PopReceipt"].as_str().unwrap().len() > 4);
    let id = serde_json::from_str::<String>(metadata["Id"].as_str().unwrap()).unwrap();
    assert!(uuid::Uuid::parse_str(&id).is_ok());
    host.assert_clean();
    host.assert_no_secret(&stage.world.secrets());
    let is_ours = |call: &crate::Call| call.service == Service::Storage && call.path.contains("served");
    assert!(!stage.world.calls().iter().any(is_ours), "the host's own requests are not recorded");
}

#[tokio::test]
async fn a_failed_message_comes_back_and_then_goes_to_a_poison_queue_that_is_made_for_it() {
    let Some(stage) = Stage::new("failing", &[]) else { return };
    stage.app.host_json(|json| json["extensions"]["queues"]["visibilityTimeout"] = json!("00:00:01"));
    let host = stage.start().await;
    stage.send("fail");
    until("poison", || !stage.poisoned().is_empty()).await;
    host.stop().await;
    let attempts = host.invocations().iter().map(|done| (done.attempt, done.started)).collect::<Vec<_>>();
    assert_eq!(attempts.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2]);
    assert!(attempts[1].1.duration_since(attempts[0].1).as_millis() >= 900);
    assert_eq!((stage.poisoned(), stage.length()), (vec!["fail".to_owned()], 0));
}

#[tokio::test]
async fn a_text_that_is_not_base64_is_poisoned_without_an_invocation() {
    let Some(stage) = Stage::new("plain", &[]) else { return };
    let host = stage.start().await;
    stage.azurite.send_raw("plain", "{\"plain\": \"<text>\"}", Duration::ZERO).unwrap();
    until("poison", || !stage.poisoned().is_empty()).await;
    assert_eq!(stage.poisoned(), ["{\"plain\": \"<text>\"}"]);
    assert!(host.invocations().is_empty());
    assert!(host.lines().iter().any(|line| line.text.contains("not base64")));
}

#[tokio::test]
async fn without_message_encoding_the_text_is_taken_as_it_is() {
    let Some(stage) = Stage::new("raw", &[]) else { return };
    stage.app.host_json(|json| json["extensions"]["queues"]["messageEncoding"] = json!("none"));
    let host = stage.start().await;
    stage.azurite.send_raw("raw", "not base64!", Duration::ZERO).unwrap();
    until("an invocation", || host.invocations().len() == 1).await;
    assert_eq!(host.invocations()[0].answer.as_ref().unwrap().status, 200);
}

#[tokio::test]
async fn a_long_run_keeps_its_message_hidden() {
    let Some(stage) = Stage::new("long", &[]) else { return };
    stage.azurite.create_queue("long").unwrap();
    // Renewed after one second; the other host would take it after two.
    let options = HostOptions { invisibility: Duration::from_secs(2), ..stage.options() };
    let (one, two) = tokio::join!(Host::start(options.clone()), Host::start(options));
    let (one, two) = (one.unwrap(), two.unwrap());
    stage.send("sleep:2500");
    until("the end", || stage.length() == 0).await;
    assert_eq!(one.invocations().len() + two.invocations().len(), 1);
    one.assert_clean();
    two.assert_clean();
}

#[tokio::test]
async fn a_dropped_hosts_message_comes_back_when_its_invisibility_runs_out() {
    let Some(stage) = Stage::new("dropped", &[]) else { return };
    stage.azurite.create_queue("dropped").unwrap();
    let options = HostOptions { invisibility: Duration::from_secs(2), ..stage.options() };
    let host = Host::start(options.clone()).await.unwrap();
    stage.send("sleep:300");
    until("a start", || !host.open_invocations().is_empty()).await;
    drop(host);
    let second = Host::start(options).await.unwrap();
    until("the second delivery", || second.invocations().len() == 1).await;
    assert_eq!(second.invocations()[0].attempt, 2);
}

#[tokio::test]
async fn a_success_whose_delete_fails_is_delivered_again() {
    let Some(stage) = Stage::new("undeleted", &[]) else { return };
    stage.azurite.create_queue("undeleted").unwrap();
    stage.world.fault(Fault::new(CallKind::QueueDelete, Kind::Status(503)).containing("/undeleted/"));
    let options = HostOptions { invisibility: Duration::from_secs(1), ..stage.options() };
    let host = Host::start(options).await.unwrap();
    stage.send("hello");
    until("an empty queue", || stage.length() == 0).await;
    let attempts = host.invocations().iter().map(|done| done.attempt).collect::<Vec<_>>();
    assert_eq!(attempts, [1, 2]);
    let struck = stage.world.calls().into_iter().filter(|call| call.path.contains("/undeleted/"));
    let struck = struck.map(|call| (call.call, call.status, call.code)).collect::<Vec<_>>();
    assert_eq!(struck, [(CallKind::QueueDelete, Some(503), Some("ServerBusy".to_owned()))]);
}

#[tokio::test]
async fn a_queue_that_does_not_exist_yet_is_empty() {
    let Some(stage) = Stage::new("later", &[]) else { return };
    let host = Host::start(stage.options()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.azurite.create_queue("later").unwrap();
    stage.send("hello");
    until("an invocation", || host.invocations().len() == 1).await;
    host.assert_clean();
}

#[tokio::test]
async fn a_queue_output_becomes_messages() {
    let output = json!({"type": "queue", "direction": "out", "name": "next", "queueName": "outputs-next"});
    let Some(stage) = Stage::new("outputs", &[output]) else { return };
    let host = stage.start().await;
    stage.send("out");
    until("an empty queue", || stage.length() == 0).await;
    let mut texts = stage.azurite.peek("outputs-next").unwrap();
    texts.sort();
    assert_eq!(texts, ["plain text", "{\"a\":1}"]);
    host.assert_clean();
}

#[tokio::test]
async fn the_account_may_be_given_by_address() {
    let Some(stage) = Stage::new("address", &[]) else { return };
    stage.azurite.create_queue("address").unwrap();
    let account = AzureQueues { world: stage.world.clone(), url: stage.azurite.queue_url() };
    let host = Host::start(HostOptions { queue_account: Some(account), ..stage.options() }).await.unwrap();
    stage.send("hello");
    until("an empty queue", || stage.length() == 0).await;
    assert_eq!(host.invocations().len(), 1);
}

#[tokio::test]
async fn folders_and_an_account_exclude_each_other() {
    let Some(stage) = Stage::new("both", &[]) else { return };
    let queue_dir = Some(stage.app.queues.path().to_owned());
    assert!(Host::start(HostOptions { queue_dir, ..stage.options() }).await.is_err());
}
