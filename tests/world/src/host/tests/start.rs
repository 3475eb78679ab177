//! Start, readiness, stop, and the findings about a run.

use super::super::{Host, HostOptions, Level, Outcome, Stream, TimerKind};
use super::{App, until};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_host_is_started_when_its_handler_answers_anything() {
    let app = App::new();
    let host = app.start().await;
    assert!(host.ready_after() > Duration::ZERO && host.handler_pid().is_some());
    assert_eq!(host.functions(), ["event", "tick", "work"]);
    let done = host.fire_timer("tick", TimerKind::OnTime).await;
    assert!(done.succeeded(), "{done:?}");
    until("lines", || host.lines().iter().any(|line| line.text == "listening")).await;
    assert!(host.lines().iter().any(|line| line.stream == Stream::Function && line.text == "seen"));
    host.assert_clean();
    host.assert_no_secret(&["a secret".to_owned()]);
    host.stop().await;
    assert_eq!(host.stopped().as_deref(), Some("stopped"));
    assert!(host.handler_pid().is_none());
}

#[tokio::test]
async fn a_handler_gets_the_settings_and_the_hosts_own_variables_only() {
    let app = App::new();
    app.host_json(|json| {
        json["customHandler"]["description"]["arguments"] = json!(["-c", "\"env\u{20}>env.txt; exit 3\""]);
    });
    let options = HostOptions {
        executable: Some("/bin/sh".into()),
        env: vec![("MODE".into(), "observe".into())],
        ..app.options()
    };
    assert!(Host::start(options).await.is_err());
    let text = std::fs::read_to_string(app.dir.path().join("env.txt")).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    // The shell adds these itself.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    let expected = [
        "FUNCTIONS_APP_ROOT_PATH",
        "FUNCTIONS_CUSTOMHANDLER_PORT",
        "FUNCTIONS_CUSTOMHANDLER_WORKER_ID",
        "FUNCTIONS_HTTPWORKER_ID",
        "FUNCTIONS_HTTPWORKER_PORT",
        "MODE",
        "PATH",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_handler_that_cannot_start_stops_the_host_at_its_third_try() {
    let app = App::new();
    let mut options = app.options();
    options.env.push(("PLAY".into(), "crash".into()));
    let error = Host::start(options).await.err().unwrap().to_string();
    assert!(error.contains("Exceeded http worker restart retry count"), "{error}");
    assert!(error.contains("cannot start: no configuration"), "{error}");
}

#[tokio::test]
async fn a_handler_that_never_listens_runs_into_the_initialization_timeout() {
    let app = App::new();
    let mut options = app.options();
    options.env.push(("PLAY".into(), "deaf".into()));
    options.initialization_timeout = Some(Duration::from_millis(50));
    let error = Host::start(options).await.err().unwrap().to_string();
    assert!(error.contains("Initializing HttpWorker timed out"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_the_handlers_failure() {
    let app = App::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = app.options();
    options.handler_port = Some(taken.local_addr().unwrap().port());
    let error = Host::start(options).await.err().unwrap().to_string();
    assert!(error.contains("is taken"), "{error}");
}

#[tokio::test]
async fn a_handler_that_listens_on_every_address_is_found_out() {
    let app = App::new();
    let mut options = app.options();
    options.env.push(("PLAY".into(), "everywhere".into()));
    let host = Host::start(options).await.unwrap();
    let findings = host.findings().join("\n");
    assert!(findings.contains("listens on 00000000:"), "{findings}");
}

#[tokio::test]
async fn a_line_on_stderr_spoils_a_run_and_secrets_are_found_in_answers() {
    let app = App::new();
    let host = app.start().await;
    assert_eq!(
        host.deliver("event", &[json!({"data": {"wish": "stderr", "token": "hush\"hush"}})]).await,
        202
    );
    until("the line", || host.lines().iter().any(|line| line.level == Level::Error)).await;
    assert!(host.findings().join("\n").contains("something is wrong"));
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(
            || host.assert_no_secret(&["hush\"hush".into()])
        ))
        .is_err()
    );
}

#[tokio::test]
async fn a_stop_waits_for_running_invocations_within_its_bound() {
    let app = App::new();
    let host =
        Host::start(HostOptions { stop_bound: Duration::from_mins(1), ..app.options() }).await.unwrap();
    host.queue("work").send("sleep:100", Duration::ZERO).unwrap();
    until("a start", || !host.open_invocations().is_empty()).await;
    host.stop().await;
    assert!(host.invocations()[0].succeeded());
    assert!(host.queue("work").messages().unwrap().is_empty());

    let host =
        Host::start(HostOptions { stop_bound: Duration::from_millis(50), ..app.options() }).await.unwrap();
    host.queue("work").send("sleep:19000", Duration::ZERO).unwrap();
    until("a start", || !host.open_invocations().is_empty()).await;
    let began = Instant::now();
    host.stop().await;
    assert!(began.elapsed() < Duration::from_secs(19));
    until("the end", || host.open_invocations().is_empty()).await;
    assert_eq!(host.invocations()[0].outcome, Outcome::Killed);
    // Nothing put the message back, so it stays invisible.
    let left = host.queue("work").messages().unwrap();
    assert_eq!((left.len(), left[0].dequeue_count), (1, 1));
    assert!(left[0].visible_at_ms > jiff::Timestamp::now().as_millisecond() + 60_000);
}
