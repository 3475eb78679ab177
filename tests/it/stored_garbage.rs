//! Stored garbage: whatever a blob of ours holds, it is named, nothing that cannot be told anew is lost, and no connector
//! is doubled; when the blob is put right, the next cycle goes on.

use crate::stage::{Stage, names_in};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::model::Asked;
use qualys_azure_inventory::queue::REDELIVERY;
use qualys_azure_inventory::report::chain;
use qualys_azure_inventory::store::ItemName;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;
use world::CallKind;

const MINUTE: Duration = Duration::from_mins(1);
const REQUEST: &str = "20261123T050000Z-00000001";
const OTHER: &str = "aaaaaaaa-0000-0000-0000-000000000009";

fn garbage() -> [(&'static str, Vec<u8>); 5] {
    [
        ("garbage", b"\0\x01\x02 not JSON".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("not UTF-8", b"{\"schema_version\": 1, \"x\": \"\xff\xfe\"}".to_vec()),
        ("deep", format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes()),
        ("newer", b"{\"schema_version\": 2}".to_vec()),
    ]
}

/// What the product logs on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

struct Case {
    stage: Stage,
    app: App,
    log: Log,
    /// Errors of cycles and of triggers.
    errors: Vec<String>,
}

impl Case {
    async fn new() -> Self {
        let stage = Stage::new().set("CYCLE_GAP", "1m").set("FOLLOW_UP", "2m").set("SNAPSHOT_GAP", "1h");
        stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
        stage.world.subscription("old").with_machines(2);
        let app = stage.app().await;
        let mut case = Self { stage, app, log: Log::default(), errors: vec![] };
        case.hours(1).await;
        assert!(case.errors.is_empty() && case.stage.latest().is_some());
        case
    }

    /// A tick every quarter of an hour, and every wake-up that is due.
    async fn hours(&mut self, hours: u32) {
        for minute in 0..hours * 60 {
            let now = self.stage.now();
            let tenant = self.app.config.policy.tenant;
            if minute % 15 == 0
                && let Err(error) =
                    self.app.leave(tenant, ItemName::Timer, &ItemContent::new(now, "test"), now).await
            {
                self.errors.push(chain(&error));
            }
            let queue = self.app.wake_ups.queue();
            while let Some(taken) = queue.take(REDELIVERY, now).await.unwrap() {
                match cycle::run(&self.app, StartedBy::WakeUp, now).await {
                    Ok(CycleResult::Ran(_) | CycleResult::Dropped { .. }) => {
                        queue.finish(taken).await.unwrap()
                    }
                    // It comes back.
                    Err(error) => self.errors.push(chain(&error)),
                }
            }
            self.stage.pass(MINUTE);
        }
    }

    /// All that anybody is told.
    fn told(&self) -> String {
        let log = String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned();
        let reports = names_in(&self.stage.control("reports"))
            .into_iter()
            .map(|name| std::fs::read_to_string(self.stage.control("reports").join(name)).unwrap());
        let status = std::fs::read(self.stage.control("status.json")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status).into_owned();
        reports.chain(self.errors.iter().cloned()).chain([log, status]).collect::<Vec<_>>().join("\n")
    }
}

/// Spoils a blob in every way, and gives what was not as it should be.
async fn spoil(name: &str, told_anew: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, bytes) in garbage() {
        let mut case = Case::new().await;
        let _guard = tracing::subscriber::set_default(
            tracing_subscriber::fmt().with_writer(case.log.clone()).with_ansi(false).finish(),
        );
        let tenant = case.app.config.policy.tenant;
        let now = case.stage.now();
        let asked = Asked { all: true, ..Asked::default() };
        case.app.leave_request(tenant, &REQUEST.parse().unwrap(), &asked, "test", now).await.unwrap();
        let new = case.stage.world.subscription("new").with_machines(3);
        let name = name.replace("{new}", new.id());
        let place = case.stage.control(&name);
        let before = std::fs::read(&place).ok();
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, &bytes).unwrap();
        case.stage.world.clear_calls();
        case.hours(1).await;

        let mut check = |so: bool, what: &str| {
            if !so {
                wrong.push(format!("{name}, {kind}: {what}"));
            }
        };
        let path = name.trim_start_matches("../");
        let told = case.told();
        let line = told.lines().find(|line| {
            line.contains(path)
                && (line.contains("is not what it should be") || line.contains("has schema version 2"))
        });
        let says = |word: &str| line.is_some_and(|line| line.contains(word));
        let replaced = std::fs::read(&place).ok().as_ref() != Some(&bytes);
        check(line.is_some(), "nobody is told");
        check(
            says("use the newer program") || says("Move it away") || says("is told anew"),
            "nobody is told what to do",
        );
        check(told_anew && kind != "newer" || !replaced, "it was written over or removed");
        check(!told.contains("\u{fffd}"), "its content is shown");
        let doubled = |case: &Case| {
            let covered: Vec<_> = case
                .stage
                .world
                .connectors()
                .into_iter()
                .map(|connector| connector.subscription_id)
                .collect();
            covered.len() > covered.iter().collect::<std::collections::BTreeSet<_>>().len()
        };
        check(!doubled(&case), "a connector is doubled");
        let searches = case.stage.world.calls().iter().filter(|c| c.call == CallKind::HostSearch).count();
        check(searches <= 4, &format!("{searches} readings of all machines in an hour"));
        // It is put right.
        match &before {
            Some(before) if !replaced => std::fs::write(&place, before).unwrap(),
            None if !replaced => std::fs::remove_file(&place).unwrap(),
            _ => {}
        }
        case.errors.clear();
        case.hours(2).await;
        check(case.errors.is_empty(), &format!("put right, and still {:?}", case.errors));
        check(
            case.stage.world.connectors_of(&new).len() == 1,
            "put right, and the new subscription has no connector",
        );
        check(!doubled(&case), "a connector is doubled when it is put right");
        check(case.stage.inbox().is_empty(), &format!("the inbox items lie: {:?}", case.stage.inbox()));
        let good = case.stage.json("status.json").is_some_and(|status| !status["last_good"].is_null());
        check(good, "no cycle ended well");
        check(
            case.stage.latest().is_some_and(|latest| latest.rows.len() == 5),
            "the new machines are in no snapshot",
        );
    }
    wrong
}

macro_rules! rules {
    ($($rule:ident: $place:expr, $told_anew:literal;)*) => {$(
        #[tokio::test]
        async fn $rule() {
            let wrong = spoil(&$place, $told_anew).await;
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    )*};
}

rules! {
    a_wake_up_is_told_anew: "wake-up.json", true;
    a_plan_is_told_anew: "plan.json", true;
    a_status_is_told_anew: "status.json", true;
    what_names_the_newest_snapshot_is_told_anew: "latest.json", true;
    another_tenants_wait_stops_nobody: format!("../account=default/waiting/{OTHER}.json"), false;
    the_tenants_memory_is_kept: "state.json", false;
    the_accounts_memory_is_kept: "../account=default/state.json", false;
    an_item_is_kept: "inbox/subscription={new}", false;
    a_request_is_kept: format!("inbox/request={REQUEST}"), false;
    the_page_of_a_request_is_kept: format!("requests/{REQUEST}.json"), false;
}

#[tokio::test]
async fn a_message_that_is_no_wake_up_of_ours_is_removed_and_said() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let app = stage.app().await;
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish(),
    );
    let folder = stage.folder.path().join("queue/cycles");
    std::fs::create_dir_all(&folder).unwrap();
    for (number, (_, bytes)) in garbage().into_iter().enumerate() {
        std::fs::write(folder.join(format!("000000000000{number}_x{number}_0.msg")), bytes).unwrap();
    }
    let garbage_is_gone = async || (!names_in(&folder).iter().any(|name| name.contains("_x"))).then_some(());
    tokio::select! {
        never = qualys_azure_inventory::trigger::drain(&app) => match never {},
        () = stage.wait("the garbage to go", garbage_is_gone) => {}
    }
    let said = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert_eq!(
        said.matches("Removed a message that is no wake-up of ours").count(),
        garbage().len(),
        "{said}"
    );
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_named_in_the_answer_with_what_to_do() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let host = stage.host().await;
    stage.cycle(&stage.app().await).await;
    for (page, blob) in [("status", "status.json"), ("plan", "plan.json")] {
        for (bytes, told) in
            [("{", "Move it away to start afresh"), ("{\"schema_version\":2}", "use the newer program")]
        {
            std::fs::write(stage.control(blob), bytes).unwrap();
            let answer = reqwest::get(format!("{}/api/{page}", host.url())).await.unwrap();
            assert_eq!(answer.status(), 503);
            let text = answer.text().await.unwrap();
            assert!(text.contains(blob) && text.contains(told), "{text}");
        }
    }
}
