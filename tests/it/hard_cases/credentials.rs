//! Credentials: refused ones stop at once, and none is kept where it could be read.

use super::{MINUTE, still};
use crate::stage::Stage;
use world::{CallKind, Fault, Kind, Service};

#[tokio::test]
async fn the_breaker_is_not_closed_by_another_tenants_good_credentials() {
    let first = still();
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

#[tokio::test]
async fn refused_credentials_stop_the_cycle_that_met_them() {
    let stage = still();
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
async fn an_error_of_qualys_that_repeats_the_key_is_not_kept() {
    let stage = still();
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
async fn a_response_code_is_not_kept_as_it_comes() {
    let stage = still();
    let secret = stage.world.app_secret();
    stage.world.subscription("a");
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ErrorUnder200(secret)));
    stage.cycle(&stage.app().await).await;
    stage.assert_no_secret();
}
