//! Stored garbage: whatever a blob of ours holds, it is named, nothing that cannot be written again is lost, and no connector is
//! doubled. When the blob is put right, the next cycle goes on.

use crate::stage::{Log, Stage, names_in, started_by};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, CycleResult};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::model::Asked;
use qualys_azure_inventory::queue::REDELIVERY;
use qualys_azure_inventory::report::chain;
use qualys_azure_inventory::store::ItemName;
use std::time::Duration;
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

struct Case {
    stage: Stage,
    app: App,
    /// Errors of cycles and of triggers.
    errors: Vec<String>,
}

impl Case {
    async fn new() -> Self {
        let stage = Stage::still();
        stage.world.subscription("old").with_machines(2);
        let app = stage.app().await;
        let mut case = Self { stage, app, errors: vec![] };
        case.hours(1).await;
        assert!(case.errors.is_empty() && case.stage.latest().is_some());
        case
    }

    /// A timer's item every quarter of an hour, and every wake-up that is due.
    async fn hours(&mut self, hours: u32) {
        for minute in 0..hours * 60 {
            let now = self.stage.now();
            let tenant = self.app.tenant.id();
            let item = ItemContent::new(now, "test");
            if minute % 15 == 0
                && let Err(error) = self.app.leave(tenant, ItemName::Timer, &item, now).await
            {
                self.errors.push(chain(&error));
            }
            let queue = self.app.tenant.wake_ups.queue();
            while let Some(taken) = queue.take(REDELIVERY, now).await.unwrap() {
                match cycle::run(&self.app.tenant, started_by(&taken), now).await {
                    Ok(CycleResult::Ran(_) | CycleResult::Dropped(_)) => queue.finish(taken).await.unwrap(),
                    // It comes back.
                    Err(error) => self.errors.push(chain(&error)),
                }
            }
            self.stage.pass(MINUTE);
        }
    }

    /// All that an operator can read: the log, errors, reports and the status.
    fn texts(&self, log: &Log) -> String {
        let reports = names_in(&self.stage.control("reports"))
            .into_iter()
            .map(|name| std::fs::read_to_string(self.stage.control("reports").join(name)).unwrap());
        let status = std::fs::read(self.stage.control("status.json")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status).into_owned();
        reports.chain(self.errors.iter().cloned()).chain([log.text(), status]).collect::<Vec<_>>().join("\n")
    }
}

/// Spoils a blob in every way. Returns what was not as it should be.
async fn spoil(name: &str, is_written_again: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, bytes) in garbage() {
        let mut case = Case::new().await;
        let log = Log::of_this_thread();
        let tenant = case.app.tenant.id();
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
        let texts = case.texts(&log);
        let line = texts.lines().find(|line| {
            line.contains(path) && (line.contains("is malformed") || line.contains("has schema version 2"))
        });
        let says = |word: &str| line.is_some_and(|line| line.contains(word));
        let replaced = std::fs::read(&place).ok().as_ref() != Some(&bytes);
        check(line.is_some(), "it is not named");
        check(
            says("use the newer program") || says("Move it away") || says("will be written again"),
            "what to do about it is not said",
        );
        check(is_written_again && kind != "newer" || !replaced, "it was written over or removed");
        check(!texts.contains("\u{fffd}"), "its content is shown");
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
        // The blob is put right.
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
        check(case.stage.inbox().is_empty(), &format!("left in the inbox: {:?}", case.stage.inbox()));
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
    ($($rule:ident: $place:expr, $is_written_again:literal;)*) => {$(
        #[tokio::test]
        async fn $rule() {
            let wrong = spoil(&$place, $is_written_again).await;
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    )*};
}

rules! {
    a_booking_is_written_again: "wake-up.json", true;
    a_plan_is_written_again: "plan.json", true;
    a_status_is_written_again: "status.json", true;
    the_name_of_the_newest_snapshot_is_written_again: "latest.json", true;
    another_tenants_wait_stops_no_cycle: format!("../account=default/waiting/{OTHER}.json"), false;
    the_tenants_state_is_kept: "state.json", false;
    the_accounts_state_is_kept: "../account=default/state.json", false;
    an_inbox_item_is_kept: "inbox/subscription={new}", false;
    a_request_is_kept: format!("inbox/request={REQUEST}"), false;
    a_request_status_is_kept: format!("requests/{REQUEST}.json"), false;
}

#[tokio::test]
async fn a_message_that_is_no_wake_up_of_ours_is_removed_and_logged() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let app = stage.app().await;
    let log = Log::of_this_thread();
    let folder = stage.queue_folder();
    std::fs::create_dir_all(&folder).unwrap();
    for (number, (_, bytes)) in garbage().into_iter().enumerate() {
        std::fs::write(folder.join(format!("000000000000{number}_x{number}_0.msg")), bytes).unwrap();
    }
    let garbage_is_gone = async || (!names_in(&folder).iter().any(|name| name.contains("_x"))).then_some(());
    tokio::select! {
        never = qualys_azure_inventory::trigger::drain(&app) => match never {},
        () = stage.wait("the garbage to go", garbage_is_gone) => {}
    }
    let log = log.text();
    let removed = log.matches("cannot use its input: a message that is not a wake-up").count();
    assert_eq!(removed, garbage().len(), "{log}");
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_named_in_the_answer_with_what_to_do() {
    let stage = Stage::new();
    stage.world.subscription("a");
    // A cycle of the host's own would write both blobs again.
    let host = stage.host_without_queue().await;
    stage.cycle(&stage.app().await).await;
    for (page, blob) in [("status", "status.json"), ("plan", "plan.json")] {
        let cases =
            [("{", "Move it away to start afresh"), ("{\"schema_version\":2}", "use the newer program")];
        for (bytes, advice) in cases {
            std::fs::write(stage.control(blob), bytes).unwrap();
            let answer = reqwest::get(format!("{}/api/{page}", host.url())).await.unwrap();
            assert_eq!(answer.status(), 503);
            let text = answer.text().await.unwrap();
            assert!(text.contains(blob) && text.contains(advice), "{text}");
        }
    }
}
