//! Credentials: refused ones are used no more, and none is stored where it could be read.

use super::MINUTE;
use crate::stage::Stage;
use qualys_azure_inventory::account::{CycleTime, Entry, Login};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, StartedBy};
use qualys_azure_inventory::doctor::{self, Findings};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::model::{Asked, CycleId, RequestId};
use qualys_azure_inventory::secrets::Secret;
use qualys_azure_inventory::store::ItemName;
use world::{CallKind, Fault, Kind, Service};

#[tokio::test]
async fn the_breaker_is_not_closed_by_another_tenants_good_credentials() {
    let first = Stage::still();
    let tenant = first.world.add_tenant();
    let cid = first.world.add_app(&tenant);
    let mut second = Stage::on(first.world.clone());
    second.settings = first.settings.clone();
    let second = second
        .set("TENANT_ID", &tenant)
        .set("CONNECTOR_APP_ID", &cid)
        .set("CONNECTOR_CLIENT_SECRET", &first.world.newest_secret(&cid))
        .set("QUALYS_PASSWORD", "the-old-one");
    first.world.subscription("one");
    let (good, bad) = (first.app().await, second.app().await);
    let mut refused = 0;
    for _ in 0..20 {
        first.cycle(&good).await;
        first.world.clear_calls();
        second.cycle(&bad).await;
        refused += first.world.calls().iter().filter(|c| c.service == Service::Qualys).count();
        first.pass(15 * MINUTE);
    }
    assert_eq!(refused, 1, "sign-ins with the refused password");
}

/// How many calls to Qualys were made since the last time that this was asked.
fn calls(stage: &Stage) -> usize {
    let count = stage.world.calls().iter().filter(|call| call.service == Service::Qualys).count();
    stage.world.clear_calls();
    count
}

/// How many breakers are open.
fn breakers(stage: &Stage) -> usize {
    let state = std::fs::read(stage.account("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    state["refused"].as_array().unwrap().len()
}

/// A day with refused credentials: 96 timer ticks, with events, requests and plans by hand between them; each wake-up is served
/// when it is due.
async fn a_day_of_refusal(stage: &Stage, app: &App) {
    let tenant = app.tenant.id();
    let new = stage.world.subscription("new").id().parse().unwrap();
    let mut ran = 0;
    for tick in 0..96 {
        stage.tick(app).await;
        ran += stage.serve_wake_ups(app).await;
        stage.pass(5 * MINUTE);
        let now = stage.now();
        if tick % 7 == 3 {
            for name in [ItemName::Subscription(new), ItemName::Secret] {
                app.leave(tenant, name, &ItemContent::new(now, "event"), now).await.unwrap();
            }
        }
        if tick % 11 == 5 {
            let asked = Asked { all: true, ..Asked::default() };
            app.leave_request(tenant, &RequestId::new(now, tick), &asked, "test", now).await.unwrap();
            cycle::run(&app.tenant, StartedBy::Command { plan_only: true }, now).await.unwrap();
        }
        ran += stage.serve_wake_ups(app).await;
        stage.pass(10 * MINUTE);
    }
    assert!(ran > 96, "{ran} cycles");
    assert_eq!((calls(stage), breakers(stage)), (1, 1), "repeated failures lock the user out");
    let items = stage.inbox();
    assert!(items.iter().any(|item| item.starts_with("request=")), "{items:?}");
    assert!(items.iter().any(|item| item.starts_with("subscription=")), "{items:?}");
    let needs = stage.needs_a_person();
    assert!(needs.contains("`qualys-password`") && needs.contains("run `doctor`"), "{needs}");
}

/// The breaker does not stop the next cycle, which does what the inbox items ask for.
async fn assert_goes_on(stage: &Stage, app: &App) {
    stage.tick(app).await;
    assert_eq!(stage.serve_wake_ups(app).await, 1);
    assert_eq!(stage.world.connectors().len(), 1);
    let status = stage.json("status.json").unwrap();
    assert!(!status["needs_a_person"].to_string().contains("doctor"), "{status}");
}

fn sign_in(findings: &Findings) -> String {
    findings.checks.last().unwrap().to_string()
}

#[tokio::test]
async fn a_day_with_a_locked_user_costs_one_call_and_only_a_doctor_that_succeeds_ends_it() {
    let stage = Stage::still();
    let password = stage.world.qualys_password();
    stage.world.set_qualys_password("a-person-changed-it");
    let app = stage.app().await;
    a_day_of_refusal(&stage, &app).await;

    let findings = doctor::examine(&app, stage.now()).await;
    let line = sign_in(&findings);
    assert!(
        line.starts_with("FAIL    Qualys sign-in: Qualys refused") && line.contains("run `doctor`"),
        "{line}"
    );
    assert_eq!((findings.exit_code(), calls(&stage), breakers(&stage)), (1, 1, 1));
    stage.pass(15 * MINUTE);
    stage.tick(&app).await;
    assert_eq!((stage.serve_wake_ups(&app).await, calls(&stage)), (1, 0), "it stays open");

    stage.world.set_qualys_password(&password);
    stage.pass(15 * MINUTE);
    stage.tick(&app).await;
    assert_eq!((stage.serve_wake_ups(&app).await, calls(&stage)), (1, 0), "nothing has said so yet");
    let findings = doctor::examine(&app, stage.now()).await;
    assert!(sign_in(&findings).contains("cycles use them again"), "{findings}");
    assert_eq!((findings.exit_code(), calls(&stage), breakers(&stage)), (0, 1, 0));
    stage.pass(15 * MINUTE);
    assert_goes_on(&stage, &app).await;
    stage.assert_no_secret();
}

#[tokio::test]
async fn a_day_with_a_wrong_secret_costs_one_call_and_a_new_version_ends_it() {
    let stage = Stage::still().with_vault();
    let password = stage.world.qualys_password();
    stage.world.set_secret("kv-test", "qualys-password", "not-the-one");
    let app = stage.app().await;
    a_day_of_refusal(&stage, &app).await;
    stage.world.set_secret("kv-test", "qualys-password", &password);
    stage.pass(15 * MINUTE);
    assert_goes_on(&stage, &app).await;
    stage.assert_no_secret();
}

#[tokio::test]
async fn a_doctor_that_is_refused_first_opens_the_breaker() {
    let stage = Stage::still().set("QUALYS_PASSWORD", "not-the-one");
    stage.world.subscription("new");
    let app = stage.app().await;
    assert_eq!(doctor::examine(&app, stage.now()).await.exit_code(), 1);
    assert_eq!((calls(&stage), breakers(&stage)), (1, 1));
    stage.cycle(&app).await;
    assert_eq!(calls(&stage), 0);
}

#[tokio::test]
async fn refused_credentials_stop_the_cycle_that_met_them() {
    let stage = Stage::still();
    stage.world.subscriptions("s", 8);
    let app = stage.app().await;
    for kind in [CallKind::ConnectorCreate, CallKind::HostSearch, CallKind::HostCount] {
        stage.world.fault(Fault::new(kind, Kind::ErrorUnder200("INVALID_CREDENTIALS".into())).always());
    }
    stage.cycle(&app).await;
    let calls = stage.world.calls();
    let refused = calls
        .iter()
        .filter(|c| matches!(c.call, CallKind::ConnectorCreate | CallKind::HostSearch | CallKind::HostCount))
        .count();
    assert!(refused <= 2, "{refused} sign-ins with refused credentials in one cycle");
}

#[tokio::test]
async fn a_refusal_opens_the_breaker_even_when_the_cycle_cannot_save_its_state() {
    let stage = Stage::still();
    stage.world.subscription("new");
    let app = stage.app().await;
    let refusal = Kind::ErrorUnder200("INVALID_CREDENTIALS".into());
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, refusal).always());
    // Another writer changes the state while the create is under way, so that the cycle's own write conflicts.
    let state = stage.control("state.json");
    stage.world.on_answer_to(CallKind::ConnectorCreate, "", 1, move |_| {
        std::fs::write(&state, std::fs::read_to_string(&state).unwrap() + "\n").unwrap();
    });
    let by_hand = StartedBy::Command { plan_only: false };
    let error = cycle::run(&app.tenant, by_hand, stage.now()).await.unwrap_err();
    assert!(error.to_string().contains("outcome could not be written down"), "{error}");
    assert_eq!(breakers(&stage), 1, "the next cycle must not sign in with these credentials");
}

#[tokio::test]
async fn a_key_that_qualys_repeats_in_an_error_is_not_stored() {
    let stage = Stage::still();
    let secret = stage.world.app_secret();
    stage.world.manners(|m| m.sync_error_text = Some(format!("cannot sign in with {secret}")));
    stage.world.subscription("broken").app_has_reader(false);
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    stage.assert_no_secret();
}

#[tokio::test]
async fn a_secret_that_qualys_gives_as_a_response_code_is_not_stored() {
    let stage = Stage::still();
    let secret = stage.world.app_secret();
    stage.world.subscription("a");
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ErrorUnder200(secret)));
    stage.cycle(&stage.app().await).await;
    stage.assert_no_secret();
}

#[tokio::test]
async fn a_refusal_after_the_breaker_was_closed_in_the_same_session_opens_it_again() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    let refuse = || stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::Status(401)));
    refuse();
    stage.cycle(&app).await;
    assert_eq!(breakers(&stage), 1);
    let time = CycleTime::new(stage.now(), MINUTE);
    let cycle = CycleId::new(stage.now(), 1);
    let entry = app.tenant.account.enter(&cycle, app.tenant.id(), time).await.unwrap();
    let Entry::Inside(visit) = entry else { panic!("nobody else is inside") };
    let secret = |value: String| Secret { value: value.into(), version: None, expires: None };
    let login = Login {
        username: secret(stage.world.qualys_user()),
        password: secret(stage.world.qualys_password()),
    };
    let session = visit.sign_in_even_if_refused(&login).await.unwrap().unwrap();
    session.try_credentials().await.unwrap().unwrap();
    assert_eq!(breakers(&stage), 0);
    refuse();
    session.qualys().connectors().await.unwrap_err();
    session.end().await.unwrap();
    visit.leave().await.unwrap();
    assert_eq!(breakers(&stage), 1);
    stage.world.clear_calls();
    stage.cycle(&app).await;
    assert_eq!(calls(&stage), 0, "no call is made with credentials that were refused last");
}
