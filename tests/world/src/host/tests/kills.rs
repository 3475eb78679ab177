//! Hangs, time-outs, kills and exits.

use super::super::{ExitZero, Host, HostOptions, Outcome};
use super::{App, until};
use serde_json::{Value, json};
use std::time::Duration;

fn wish(text: &str) -> Vec<u8> {
    let value = Value::String(Value::String(text.into()).to_string());
    json!({"Data": {"item": value}, "Metadata": {}}).to_string().into_bytes()
}

#[tokio::test]
async fn an_empty_or_null_success_hangs_and_the_handler_is_replaced() {
    let app = App::new();
    let host = app.start().await;
    for (turn, text) in ["null", "empty"].into_iter().enumerate() {
        let pid = host.handler_pid();
        host.invoke_raw("work", &wish(text)).await.unwrap();
        assert_eq!(host.invocations()[turn].outcome, Outcome::Hung);
        host.ready().await.unwrap();
        assert_ne!(host.handler_pid(), pid);
    }
    // A replaced handler has made no error.
    assert!(host.invoke_raw("work", &wish("fine")).await.is_ok());
    assert!(host.findings().join("\n").contains("was never completed"));
}

#[tokio::test]
async fn a_time_out_kills_the_handler_with_all_its_invocations() {
    let app = App::new();
    let options = HostOptions { function_timeout: Some(Duration::from_secs(1)), ..app.options() };
    let host = Host::start(options).await.unwrap();
    let (slow, late) = (wish("sleep:9000"), wish("sleep:5000"));
    let both = async {
        tokio::join!(host.invoke_raw("work", &slow), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            host.invoke_raw("work", &late).await
        })
    };
    let (slow, late) = both.await;
    assert!(
        slow.unwrap_err()
            .to_string()
            .contains("Timeout value of 00:00:01 exceeded by function: Functions.work")
    );
    // On a busy machine the other one may run out of time in the same moment.
    let late = late.unwrap_err().to_string();
    assert!(late.contains("Killed") || late.contains("Timeout value"), "{late}");
    host.ready().await.unwrap();
    assert!(host.invoke_raw("work", &wish("fine")).await.is_ok());
}

#[tokio::test]
async fn the_third_crash_in_a_series_stops_the_host() {
    let app = App::new();
    let host = app.start().await;
    for _ in 0..2 {
        let body = wish("sleep:9000");
        let call = host.invoke_raw("work", &body);
        let kill = async {
            until("a start", || !host.open_invocations().is_empty()).await;
            host.kill_handler().await;
        };
        assert!(tokio::join!(call, kill).0.unwrap_err().to_string().contains("Killed"));
        host.ready().await.unwrap();
    }
    host.kill_handler().await;
    assert!(host.ready().await.unwrap_err().to_string().contains("Exceeded http worker restart retry count"));
    assert!(host.stopped().is_some());
    assert!(host.invoke_raw("work", &wish("fine")).await.is_err());
}

#[tokio::test]
async fn crashes_far_apart_do_not_add_up() {
    let app = App::new();
    let host = Host::start(HostOptions { error_window: Duration::ZERO, ..app.options() }).await.unwrap();
    for _ in 0..4 {
        host.kill_handler().await;
        host.ready().await.unwrap();
    }
}

#[tokio::test]
async fn exit_codes_0_and_200_restart_without_counting() {
    let app = App::new();
    let host = app.start().await;
    for code in [200, 0, 200, 0] {
        assert!(host.invoke_raw("work", &wish(&format!("exit:{code}"))).await.is_err());
        host.ready().await.unwrap();
    }
    assert!(host.invoke_raw("work", &wish("fine")).await.is_ok());
}

#[tokio::test]
async fn on_old_hosts_exit_code_0_leaves_a_dead_handler() {
    let app = App::new();
    let host = Host::start(HostOptions { exit_zero: ExitZero::StaysDead, ..app.options() }).await.unwrap();
    assert!(host.invoke_raw("work", &wish("exit:0")).await.unwrap_err().to_string().contains("Killed"));
    let error = host.invoke_raw("work", &wish("fine")).await.unwrap_err().to_string();
    assert!(error.contains("Failed"), "{error}");
    host.kill_handler().await;
    host.restart().await.unwrap();
    assert!(host.invoke_raw("work", &wish("fine")).await.is_ok());
}

#[tokio::test]
async fn a_dropped_host_takes_its_handler_with_it() {
    let app = App::new();
    let host = app.start().await;
    let process = format!("/proc/{}/exe", host.handler_pid().unwrap());
    assert!(std::fs::read_link(&process).is_ok());
    drop(host);
    until("the handler's end", || std::fs::read_link(&process).is_err()).await;
}

#[tokio::test]
async fn whatever_is_no_envelope_is_a_failure_without_a_body() {
    let app = App::new();
    let host = app.start().await;
    for (turn, text) in ["fail", "plain"].into_iter().enumerate() {
        host.invoke_raw("work", &wish(text)).await.unwrap();
        assert!(matches!(host.invocations()[turn].outcome, Outcome::Failed { .. }), "{text}");
    }
}
