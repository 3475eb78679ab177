//! Rule *absence is only a suspicion* for Qualys's lists: empty, shorter and changed answers under HTTP 200.

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, CycleResult, Ran, StartedBy};
use std::time::Duration;
use world::{CallKind, Shown, Subscription};

const QUARTER: Duration = Duration::from_mins(15);

/// A tenant in which the product has been at work for hours.
struct Estate {
    stage: Stage,
    app: App,
    subscriptions: Vec<Subscription>,
}

impl Estate {
    /// Each subscription has a connector that others made.
    async fn foreign(subscriptions: usize) -> Self {
        let stage = Stage::doubting();
        let subscriptions = stage.world.subscriptions("s", subscriptions);
        for subscription in &subscriptions {
            stage.world.connector(subscription);
        }
        Self::settled(stage, subscriptions).await
    }

    /// Each subscription has a connector that we made.
    async fn ours(subscriptions: usize) -> Self {
        let stage = Stage::doubting();
        let subscriptions = stage.world.subscriptions("s", subscriptions);
        Self::settled(stage, subscriptions).await
    }

    async fn settled(stage: Stage, subscriptions: Vec<Subscription>) -> Self {
        let app = stage.app().await;
        let estate = Self { stage, app, subscriptions };
        estate.quarters(7).await;
        assert_eq!(estate.stage.world.connectors().len(), estate.subscriptions.len());
        assert_eq!(estate.stage.needs_a_person(), "[]");
        estate
    }

    async fn cycle(&self) -> Ran {
        self.stage.cycle(&self.app).await
    }

    /// A cycle every quarter of an hour.
    async fn quarters(&self, n: usize) {
        for _ in 0..n {
            self.cycle().await;
            self.stage.pass(QUARTER);
        }
    }

    /// Shows the connectors of the first subscriptions in these answers.
    fn show(&self, n: usize, shown: Shown) {
        for subscription in &self.subscriptions[..n] {
            for connector in self.stage.world.connectors_of(subscription) {
                self.stage.world.edit_connector(connector.id, |one| one.shown = shown);
            }
        }
    }

    fn edit_first(&self, change: impl FnOnce(&mut world::Connector)) -> i64 {
        let id = self.stage.world.connectors_of(&self.subscriptions[0])[0].id;
        self.stage.world.edit_connector(id, change);
        id
    }
}

#[tokio::test]
async fn an_empty_list_under_200_is_no_absence() {
    for estate in [Estate::foreign(30).await, Estate::ours(30).await] {
        estate.show(30, Shown::Nowhere);
        estate.stage.world.clear_calls();
        estate.cycle().await;
        assert_eq!(estate.stage.world.connectors().len(), 30);
        assert!(estate.stage.world.qualys_writes().is_empty());
        let said = estate.stage.needs_a_person();
        assert!(said.contains("it lacks 30 of 30 at once"), "{said}");
        assert!(said.contains("qualys-azure-inventory approve ") && said.contains(" --missing 30"), "{said}");
        estate.stage.pass(QUARTER);
        estate.show(30, Shown::Everywhere);
        estate.quarters(6).await;
        assert_eq!(estate.stage.world.connectors().len(), 30);
        assert_eq!(estate.stage.needs_a_person(), "[]", "the doubt ends when they are listed again");
    }
}

#[tokio::test]
async fn time_does_not_end_the_doubt_about_a_list() {
    let estate = Estate::foreign(30).await;
    estate.show(30, Shown::Nowhere);
    let new = estate.stage.world.subscription("new");
    estate.quarters(4 * 24).await;
    assert_eq!(estate.stage.world.connectors().len(), 31, "only the one that nothing covered");
    assert_eq!(estate.stage.world.connectors_of(&new).len(), 1);
    assert!(estate.stage.needs_a_person().contains("it lacks 30 of 31 at once"));
}

#[tokio::test]
async fn a_few_that_one_list_lacks_are_not_doubled() {
    let estate = Estate::ours(40).await;
    estate.show(3, Shown::Nowhere);
    estate.cycle().await;
    estate.stage.pass(QUARTER);
    estate.show(3, Shown::Everywhere);
    estate.quarters(8).await;
    assert_eq!(estate.stage.world.connectors().len(), 40);
}

#[tokio::test]
async fn what_three_lists_over_an_hour_and_every_search_lack_is_created_once() {
    let estate = Estate::ours(40).await;
    estate.show(3, Shown::Nowhere);
    estate.quarters(4).await;
    assert_eq!(estate.stage.world.connectors().len(), 40);
    estate.stage.world.clear_calls();
    estate.stage.pass(Duration::from_mins(1));
    estate.cycle().await;
    assert_eq!(estate.stage.world.connectors().len(), 43);
    let calls = |kind| estate.stage.world.calls().iter().filter(|call| call.call == kind).count();
    assert_eq!((calls(CallKind::ConnectorGet), calls(CallKind::ConnectorSearch)), (3, 1 + 3));
    estate.quarters(8).await;
    assert_eq!(estate.stage.world.connectors().len(), 43);
}

#[tokio::test]
async fn a_connector_that_lists_lack_and_its_id_finds_is_not_doubled() {
    let estate = Estate::foreign(40).await;
    estate.show(3, Shown::ByIdAlone);
    estate.stage.world.clear_calls();
    estate.quarters(4 * 24).await;
    assert_eq!(estate.stage.world.connectors().len(), 40);
    let said = estate.stage.needs_a_person();
    assert!(said.contains("Qualys has it when asked for it"), "{said}");
    let gets = estate.stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorGet).count();
    assert!((3..=30).contains(&gets), "{gets} reads by id in a day");
}

#[tokio::test]
async fn an_object_that_a_get_does_not_find_is_no_proof_while_a_search_finds_it() {
    let estate = Estate::ours(40).await;
    // The memory of this one is lost: its subscription alone is known as one that was covered.
    let state = estate.stage.control("state.json");
    let mut json = estate.stage.json("state.json").unwrap();
    let id = estate.edit_first(|_| ()).to_string();
    json["lists"]["connectors"].as_object_mut().unwrap().remove(&id);
    json["connectors"].as_object_mut().unwrap().remove(&id);
    std::fs::write(state, json.to_string()).unwrap();
    let number = estate.stage.world.connectors_of(&estate.subscriptions[0])[0].id;
    let world = estate.stage.world.clone();
    for _ in 0..6 {
        // The list lacks it; the search by subscription, which comes later in the cycle, has it.
        world.edit_connector(number, |one| one.shown = Shown::ByIdAlone);
        let shown = world.clone();
        world.on_answer_to(CallKind::ConnectorSearch, "", 1, move |_| {
            shown.edit_connector(number, |one| one.shown = Shown::Everywhere);
        });
        estate.quarters(1).await;
    }
    assert_eq!(world.connectors().len(), 40);
}

#[tokio::test]
async fn a_subscription_whose_connector_covers_another_one_now_gets_its_own() {
    let estate = Estate::foreign(10).await;
    let elsewhere = "aaaaaaaa-0000-0000-0000-00000000000e";
    estate.edit_first(|one| one.subscription_id = elsewhere.to_owned());
    estate.stage.world.clear_calls();
    estate.quarters(3).await;
    assert!(estate.stage.world.qualys_writes().is_empty(), "one odd answer is no proof");
    estate.quarters(4).await;
    assert_eq!(estate.stage.world.connectors_of(&estate.subscriptions[0]).len(), 1);
    assert_eq!(estate.stage.world.connectors().len(), 11);
}

#[tokio::test]
async fn a_connector_that_is_found_and_covers_another_subscription_does_not_count_and_starves_none() {
    let stage = Stage::still().set("MAX_CREATES", "1");
    let mut subscriptions = stage.world.subscriptions("s", 3);
    subscriptions.sort_by_key(|subscription| subscription.id().to_owned());
    let app = stage.app().await;
    for _ in 0..6 {
        stage.cycle(&app).await;
        stage.pass(QUARTER);
    }
    assert_eq!(stage.world.connectors().len(), 3);
    // The first one's connector was repointed, and lists lack it; the second one's only lists lack.
    let (first, second) = (
        stage.world.connectors_of(&subscriptions[0])[0].id,
        stage.world.connectors_of(&subscriptions[1])[0].id,
    );
    stage.world.edit_connector(first, |one| {
        (one.subscription_id, one.shown) = ("aaaaaaaa-0000-0000-0000-00000000000e".into(), Shown::ByIdAlone);
    });
    stage.world.edit_connector(second, |one| one.shown = Shown::ByIdAlone);
    let new = stage.world.subscription("new");
    for _ in 0..4 {
        stage.cycle(&app).await;
        stage.pass(QUARTER);
    }
    for (subscription, count) in [(&subscriptions[0], 1), (&subscriptions[1], 1), (&new, 1)] {
        assert_eq!(stage.world.connectors_of(subscription).len(), count);
    }
}

#[tokio::test]
async fn an_unknown_tenant_waits_an_hour_for_lists_that_agree_and_those_of_observe_count() {
    let stage = Stage::doubting();
    stage.world.subscriptions("s", 3);
    let observe = Stage { settings: stage.settings.clone(), folder: stage.folder, world: stage.world };
    let observe = observe.set("MODE", "observe");
    let app = observe.app().await;
    for _ in 0..4 {
        observe.cycle(&app).await;
        observe.pass(QUARTER);
    }
    let stage = observe.set("MODE", "enforce");
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    assert_eq!(ran.report.counts().done, 3, "{}", ran.report);
    // Nothing is known again, and nothing is created before the lists of an hour agree.
    let stage = Stage::doubting();
    stage.world.subscriptions("s", 3);
    let app = stage.app().await;
    stage.tick(&app).await;
    for minute in 0..=66 {
        stage.serve_wake_ups(&app).await;
        let made = stage.world.connectors().len();
        assert!(made == 0 || minute >= 60, "{made} in minute {minute}");
        stage.pass(Duration::from_mins(1));
    }
    assert_eq!(stage.world.connectors().len(), 3, "its own wake-ups are enough");
}

#[tokio::test]
async fn a_connector_that_states_no_subscription_keeps_the_one_that_it_last_stated() {
    for shows in [Shown::ByIdAlone, Shown::Nowhere] {
        let estate = Estate::foreign(30).await;
        let world = &estate.stage.world;
        for connector in world.connectors() {
            world.edit_connector(connector.id, |one| one.shows_subscription = shows);
        }
        world.clear_calls();
        estate.quarters(12).await;
        assert_eq!(
            (world.connectors().len(), estate.stage.needs_a_person().as_str()),
            (30, "[]"),
            "{shows:?}"
        );
        let gets = world.calls().iter().filter(|call| call.call == CallKind::ConnectorGet).count();
        assert!((60..=110).contains(&gets), "{shows:?}: {gets} reads by id in three hours");
    }
}

#[tokio::test]
async fn a_connector_that_never_stated_one_holds_back_only_what_its_own_search_finds() {
    for (shows, held_back) in [(Shown::ByIdAlone, 1), (Shown::Nowhere, 1)] {
        let stage = Stage::doubting();
        let subscriptions = stage.world.subscriptions("s", 3);
        let id = stage.world.connector(&subscriptions[0]);
        stage.world.edit_connector(id, |one| one.shows_subscription = shows);
        let app = stage.app().await;
        for _ in 0..7 {
            stage.cycle(&app).await;
            stage.pass(QUARTER);
        }
        assert_eq!(stage.world.connectors_of(&subscriptions[0]).len(), held_back, "{shows:?}");
        assert_eq!(stage.world.connectors().len(), 3, "{shows:?}");
        let named = stage.needs_a_person().contains(&format!("keep connector {id}: Qualys does not say"));
        assert_eq!(named, shows == Shown::Nowhere, "{}", stage.needs_a_person());
    }
}

#[tokio::test]
async fn with_its_state_lost_what_the_inventory_knows_as_covered_waits_and_is_asked_for() {
    let stage = Stage::doubting();
    let mut subscriptions = stage.world.subscriptions("ours", 2);
    subscriptions.extend(stage.world.subscriptions("foreign", 2));
    for subscription in &subscriptions {
        stage.world.machines_with_hosts(subscription, 1);
    }
    for subscription in &subscriptions[2..] {
        stage.world.connector(subscription);
    }
    let estate = Estate::settled(stage, subscriptions).await;
    let (stage, world) = (&estate.stage, &estate.stage.world);
    assert_eq!(stage.latest().unwrap().rows.len(), 4);
    std::fs::remove_dir_all(stage.folder.path().join("store/control")).unwrap();
    // No list shows any, for hours; those of ours are found by the ids that the audit knows.
    estate.show(4, Shown::ByIdAlone);
    let new = world.subscription("new");
    world.clear_calls();
    estate.quarters(4).await;
    assert!(world.qualys_writes().is_empty(), "nothing is created before the lists of an hour agree");
    let plan = std::fs::read_to_string(stage.control("plan.json")).unwrap();
    assert_eq!(plan.matches("\"reason\": \"connector-missing\"").count(), 4, "{plan}");
    for subscription in &estate.subscriptions[2..] {
        for connector in world.connectors_of(subscription) {
            world.edit_connector(connector.id, |one| one.shown = Shown::Everywhere);
        }
    }
    estate.quarters(6).await;
    assert_eq!((world.connectors().len(), world.connectors_of(&new).len()), (5, 1));
}

#[tokio::test]
async fn with_its_state_lost_a_list_that_lacks_what_the_inventory_knows_is_doubtful() {
    for shown in [Shown::ByIdAlone, Shown::Nowhere] {
        let stage = Stage::doubting();
        let subscriptions = stage.world.subscriptions("s", 12);
        // Half are ours, and the audit tells so. None has a machine, so no row of a snapshot tells that somebody covers it.
        for subscription in &subscriptions[..6] {
            stage.world.connector(subscription);
        }
        let estate = Estate::settled(stage, subscriptions).await;
        std::fs::remove_dir_all(estate.stage.folder.path().join("store/control")).unwrap();
        estate.show(12, shown);
        let new = estate.stage.world.subscription("new");
        estate.quarters(4 * 24).await;
        // Nor is one made for the new one: others may have made it after the manifest.
        assert_eq!(estate.stage.world.connectors().len(), 12, "{shown:?}");
        assert!(estate.stage.needs_a_person().contains("it lacks 12 of 12 at once"));
        estate.show(12, Shown::Everywhere);
        estate.quarters(6).await;
        assert_eq!(estate.stage.world.connectors().len(), 13);
        assert_eq!(estate.stage.world.connectors_of(&new).len(), 1);
        assert!(!estate.stage.needs_a_person().contains("doubtful"));
    }
}

/// Runs the command `approve`, at the real time: returns its exit code and what it printed.
fn approve(stage: &Stage, hash: &str, missing: usize) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"))
        .args(["approve", hash, "--missing", &missing.to_string()])
        .env_clear()
        .envs(&stage.settings)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), printed.concat())
}

#[tokio::test]
async fn an_approval_of_exactly_what_is_missing_ends_the_doubt_once() {
    let estate = Estate::foreign(30).await;
    let (stage, world) = (&estate.stage, &estate.stage.world);
    let nothing = approve(stage, "0", 1);
    assert!(nothing.0 == Some(1) && nothing.1.contains("there is nothing to approve"), "{nothing:?}");
    let gone: Vec<_> = world.connectors()[..20].iter().map(|one| one.id).collect();
    for id in &gone {
        world.edit_connector(*id, |one| one.deleted = true);
    }
    estate.quarters(6).await;
    assert_eq!(world.connectors().len(), 10);
    let said = stage.needs_a_person();
    let (_, rest) = said.split_once("qualys-azure-inventory approve ").expect("the command is shown");
    let hash = rest.split(' ').next().unwrap();
    for (hash, missing) in [(hash, 19), ("0123", 20)] {
        let (code, printed) = approve(stage, hash, missing);
        assert!(
            code == Some(1) && printed.contains("not approved") && printed.contains("--missing 20"),
            "{printed}"
        );
    }
    estate.quarters(1).await;
    assert_eq!(world.connectors().len(), 10, "nothing was approved yet");
    // The command reads the real clock.
    world.set_time(jiff::Timestamp::now());
    estate.cycle().await;
    let (code, printed) = approve(stage, hash, 20);
    assert_eq!(code, Some(0), "{printed}");
    // The plan command uses no approval up.
    let shown = cycle::run(&estate.app.tenant, StartedBy::Command { plan_only: true }, stage.now()).await;
    let CycleResult::Ran(shown) = shown.unwrap() else { panic!() };
    assert!(shown.plan.unwrap().doubt.is_some());
    world.clear_calls();
    estate.cycle().await;
    assert_eq!(world.connectors().len(), 30, "{}", stage.needs_a_person());
    let gets = world.calls().iter().filter(|call| call.call == CallKind::ConnectorGet).count();
    assert_eq!(gets, 20, "each was asked for by its id before another was created");
    // The same connectors are listed again and vanish once more: an approval is used once.
    for deleted in [false, true] {
        for id in &gone {
            world.edit_connector(*id, |one| one.deleted = deleted);
        }
        estate.quarters(2).await;
    }
    assert!(stage.needs_a_person().contains(&format!("approve {hash} --missing 20")));
    assert_eq!(crate::stage::names_in(&stage.control("approvals")).len(), 1, "it is marked as used");
}
