//! The command line: what it prints, to whom, and how it ends.

use crate::stage::{Hold, Stage, files_below};
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use world::CallKind;

fn command(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
    command.args(arguments).env_clear().envs(&stage.settings).stdin(Stdio::null());
    command
}

/// Runs a command on a thread of its own, since the world answers on this one.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_closed_pipe_is_success_for_every_command_that_prints() {
    let stage = Stage::new().set("MODE", "observe");
    stage.world.subscription("a");
    let lines: [&[&str]; 8] = [
        &["plan"],
        &["plan", "--json"],
        &["cycle"],
        &["cycle", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["--help"],
        &["--version"],
    ];
    for arguments in lines {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut closed = command(&stage, arguments);
        closed.stdout(writer.try_clone().unwrap());
        let ended = output(closed).await;
        assert_eq!(
            (ended.status.code(), text(&ended.stderr).contains("panicked")),
            (Some(0), false),
            "{arguments:?}"
        );
        // As in `plan 2>&1 | head`.
        let mut closed = command(&stage, arguments);
        closed.stdout(writer.try_clone().unwrap()).stderr(writer);
        let code = tokio::task::spawn_blocking(move || closed.status().unwrap().code()).await.unwrap();
        assert_eq!(code, Some(0), "{arguments:?} with its errors");
    }
}

/// What nobody reads, the exit code still says.
#[tokio::test]
async fn an_error_that_nobody_reads_is_no_panic() {
    let stage = Stage::new().set("MAX_CREATES", "many");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut closed = command(&stage, &["plan"]);
    closed.stdout(writer.try_clone().unwrap()).stderr(writer);
    let code = tokio::task::spawn_blocking(move || closed.status().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn an_error_in_the_settings_is_printed_once() {
    let stage = Stage::new().set("MAX_CREATES", "many");
    for arguments in [["plan"], ["cycle"], ["doctor"], ["serve"]] {
        let ended = output(command(&stage, &arguments)).await;
        let printed = text(&ended.stdout) + &text(&ended.stderr);
        assert_eq!((ended.status.code(), printed.matches("MAX_CREATES").count()), (Some(2), 1), "{printed}");
    }
}

#[tokio::test]
async fn without_a_plan_plan_json_says_why_and_prints_no_json() {
    let paused = Stage::new().set("MODE", "paused");
    let empty = Stage::new();
    for (stage, why) in [(&paused, "MODE=paused calls neither Azure nor Qualys"), (&empty, "no subscription")]
    {
        let ended = output(command(stage, &["plan", "--json"])).await;
        let said = text(&ended.stderr);
        assert_eq!((ended.status.code(), text(&ended.stdout).as_str()), (Some(1), ""), "{said}");
        let last = said.lines().last().unwrap_or_default().to_lowercase();
        assert!(last.starts_with("no plan was made: ") && last.contains(&why.to_lowercase()), "{said}");
    }
}

#[tokio::test]
async fn connectors_that_were_just_made_are_no_longer_missing() {
    let stage = Stage::still();
    for name in ["a", "b", "c", "d", "e"] {
        stage.world.subscription(name);
    }
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    assert_eq!(ran.report.counts().done, 5);
    let status: Value = stage.json("status.json").unwrap();
    let gaps = status["coverage"]["gaps"].as_array().unwrap();
    let made = gaps.iter().filter(|gap| gap["cause"] == "made" && gap["connector"].is_i64()).count();
    assert_eq!((gaps.len(), made), (5, 5), "{status:#}");
}

#[tokio::test]
async fn actions_that_were_not_begun_say_why_in_the_text_and_in_the_json() {
    let stage = Stage::still().set("QUALYS_CALLS_PER_HOUR", "10");
    for number in 0..12 {
        stage.world.subscription(&format!("s{number:02}"));
    }
    let app = stage.app().await;
    let report = stage.cycle(&app).await.report;
    let not_started = report.counts().not_started;
    assert!(not_started > 0, "{report}");
    let (said, json) = (report.to_string(), serde_json::to_value(&report).unwrap());
    assert!(said.contains(&format!(", {not_started} not started (")), "{said}");
    let begun =
        json["outcomes"].as_array().unwrap().iter().filter(|outcome| outcome["result"] == "not-started");
    for outcome in begun {
        let error = outcome["error"].as_str().unwrap();
        assert!(said.contains(error) && error.contains("no call left"), "{said}: {error}");
    }
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

fn start(stage: &Stage) -> Child {
    command(stage, &["cycle"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Files that are half written: hidden, and no lock.
fn half_written(stage: &Stage) -> Vec<String> {
    let files = files_below(stage.folder.path()).into_iter();
    let names = files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.') && !name.contains("lock") && !name.contains("lease")).collect()
}

#[tokio::test]
async fn ctrl_c_gives_the_account_back_and_says_what_becomes_of_the_cycle() {
    let stage = Stage::new();
    stage.world.subscriptions("shop", 30);
    for (call, wanted) in [
        (CallKind::ConnectorSearch, "Stopped while reading: nothing was changed at Qualys"),
        (CallKind::ConnectorCreate, "Stopped while carrying out 30 actions: the log names those that ended"),
        // A part is half written then.
        (CallKind::HostSearch, "Stopped while taking a snapshot: the actions are done and recorded"),
    ] {
        let hold = Hold::new();
        stage.world.on_answer_to(call, "", 1, hold.hook());
        let child = start(&stage);
        hold.wait().await;
        interrupt(&child);
        let ended = ended(child).await;
        hold.release();
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(130), "{said}");
        assert!(said.contains(wanted) && said.contains("Account `default` is free"), "{said}");
        assert_eq!(half_written(&stage), [""; 0]);
        assert_eq!(text(&ended.stdout), "");
    }
    // The next cycle takes it up, and nothing is doubled.
    let ended = output(command(&stage, &["cycle"])).await;
    assert_eq!(ended.status.code(), Some(0), "{}{}", text(&ended.stdout), text(&ended.stderr));
    let mut covered: Vec<_> = stage.world.connectors().into_iter().map(|one| one.subscription_id).collect();
    covered.sort();
    let all = covered.len();
    covered.dedup();
    assert_eq!(covered.len(), all, "no connector is doubled");
}

#[tokio::test]
async fn a_second_ctrl_c_ends_the_program_at_once() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let hold = Hold::new();
    stage.world.on_answer_to(CallKind::ConnectorSearch, "", 1, hold.hook());
    let child = start(&stage);
    hold.wait().await;
    interrupt(&child);
    interrupt(&child);
    assert_eq!(ended(child).await.status.code(), Some(130));
    hold.release();
}
