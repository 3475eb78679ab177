//! The command line: the same code as the triggers.

mod approve;

use crate::app::App;
use crate::config::{self, Config, ConfigError, ServeConfig, logging};
use crate::cycle::{self, CycleResult, StartedBy, Stopped};
use crate::doctor;
use crate::plan::Mode;
use crate::report::Report;
use crate::secrets;
use crate::telemetry::{self, To};
use crate::trigger::{self, Caller, drain, now, router};
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::info;

/// Keeps one healthy Qualys connector for every Azure subscription in scope, and takes proven inventory snapshots.
///
/// Settings come from the environment and from the TOML file that `CONFIG` names. They are listed below;
/// docs/OPERATIONS.md says more about each. Set these first: `TENANT_ID`, `CONNECTOR_APP_ID`,
/// `QUALYS_PLATFORM`, `SECRETS`, `STORAGE` and `QUEUE`. Until you set `MODE`, it is `observe`: cycles plan,
/// report and take snapshots, and write nothing to Qualys.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EXIT_CODES, after_long_help = format!("{EXIT_CODES}\n\n{}", settings()))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// For `--help`; `-h` is short.
fn settings() -> String {
    format!("Settings, from the environment or the file that CONFIG names:\n\n{}", config::help())
}

/// 128 and the number of SIGINT, as shells have it.
const STOPPED: u8 = 130;
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something failed; the message says what, and what to do
  2  a setting or an argument is wrong
  3  another cycle holds the Qualys account; the message names it
  130  stopped by Ctrl-C or SIGTERM (cycle, plan)";

// `explain`, `snapshots` and `diff` will be variants here.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the functions; this is what the Azure Functions host starts.
    ///
    /// Without a host it serves HTTP on `LISTEN`, starts a cycle every 15 minutes, and delivers the queue's
    /// wake-ups itself.
    #[command(verbatim_doc_comment)]
    Serve,
    /// Run one cycle now: observe, plan, act (with `MODE=enforce`), take a snapshot if one is due, report.
    #[command(verbatim_doc_comment)]
    Cycle {
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a cycle would do now, without doing it.
    ///
    /// Nothing is written to Qualys, and inbox items stay.
    #[command(verbatim_doc_comment)]
    Plan {
        /// Print the plan as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Approve what a cycle does not do by itself, under your own sign-in.
    ///
    /// The status shows the command with HASH and N. The next cycle within 24 hours uses an approval, once.
    #[command(verbatim_doc_comment)]
    Approve {
        /// Names what is approved, as the status and the plan show it.
        hash: String,
        // `--removals N` will be beside it, and one of the two required.
        /// N connectors that the list lacks are gone: subscriptions that they covered may get new ones.
        #[arg(long, value_name = "N")]
        missing: usize,
    },
    /// Check settings, storage, queue, secrets, Azure and the sign-in to Qualys; say what to do about a failure.
    ///
    /// It makes one call to Qualys, even with credentials that were refused before. If Qualys accepts them
    /// now, cycles use them again.
    #[command(verbatim_doc_comment)]
    Doctor {
        /// Print the findings as JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Cli {
    /// Runs the command.
    pub async fn run(self) -> ExitCode {
        let (filter, format) = logging();
        let to = if matches!(self.command, Command::Serve) { To::Stdout } else { To::Stderr };
        if let Err(error) = telemetry::start(filter.as_deref(), format.as_deref(), to) {
            return say_error(&error.to_string(), 2);
        }
        let config = match Config::from_env() {
            Ok(config) => config,
            Err(error) => return wrong_settings(&error),
        };
        let app = match App::new(config) {
            Ok(app) => Arc::new(app),
            Err(error) => return say_error(&format!("{error:#}"), 1),
        };
        let result = match self.command {
            Command::Serve => match ServeConfig::from_env() {
                Ok(config) => Box::pin(serve(app, config)).await,
                Err(error) => return wrong_settings(&error),
            },
            Command::Cycle { json } => by_hand(&app, false, json).await,
            Command::Plan { json } => by_hand(&app, true, json).await,
            Command::Approve { hash, missing } => approve(&app, &hash, missing).await,
            Command::Doctor { json } => examine(&app, json).await,
        };
        result.unwrap_or_else(|error| say_error(&format!("{error:#}"), 1))
    }
}

async fn by_hand(app: &App, plan_only: bool, json: bool) -> anyhow::Result<ExitCode> {
    let ran = match until_stopped(app, StartedBy::Command { plan_only }).await? {
        Ok(CycleResult::Ran(ran)) => ran,
        Ok(CycleResult::Dropped(closed)) => {
            return Ok(say_error(&format!("{closed}; try again when it has ended"), 3));
        }
        Err(stopped) => return Ok(say_error(&stopped.to_string(), STOPPED)),
    };
    let text = match (&ran.plan, plan_only, json) {
        (Some(plan), true, false) => plan.to_string(),
        (Some(plan), true, true) => serde_json::to_string_pretty(plan)?,
        // Whoever reads the plan as JSON can use nothing else.
        (None, true, true) => return Ok(say_error(&why_no_plan(&ran.report), 1)),
        (_, false, true) => serde_json::to_string_pretty(&ran.report)?,
        (plan, _, false) => {
            let mut parts: Vec<String> = plan.iter().map(|plan| format!("{plan}\n")).collect();
            parts.push(ran.report.to_string());
            parts.extend(ran.report.needs_a_person().iter().map(|line| format!("! {line}")));
            parts.join("\n")
        }
    };
    say(&text)?;
    Ok(if ran.report.has_failed() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn approve(app: &App, hash: &str, missing: usize) -> anyhow::Result<ExitCode> {
    Ok(match approve::missing(app, hash, missing, now()).await? {
        approve::Approved::Stored(text) => {
            say(&text)?;
            ExitCode::SUCCESS
        }
        approve::Approved::Refused(text) => say_error(&text, 1),
    })
}

fn why_no_plan(report: &Report) -> String {
    let mut why = report.needs_a_person();
    if report.mode == Mode::Paused {
        why.push("MODE=paused calls neither Azure nor Qualys".to_owned());
    }
    if let Some(until) = report.waits_until {
        why.push(format!("Qualys asked to wait until {until}"));
    }
    format!("No plan was made: {}", why.join("; "))
}

/// Runs a cycle until Ctrl-C or SIGTERM. A second one ends the program at once.
async fn until_stopped(app: &App, started_by: StartedBy) -> anyhow::Result<Result<CycleResult, Stopped>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = oneshot::channel();
    let signals = async {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        say_error("Stopping, and giving the account back. Once more ends the program at once", STOPPED);
        let _ = stop.send(());
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    };
    let stopped = async {
        // The sender lives as long as the cycle.
        let _ = stopped.await;
    };
    tokio::select! {
        ended = cycle::run_until(&app.tenant, started_by, now(), stopped) => {
            Ok(ended?.map_err(|((), stopped)| stopped))
        }
        () = signals => at_once(),
    }
}

/// Ends the program without waiting for anything, such as a write to a disk that hangs.
#[expect(clippy::exit, reason = "a person asked twice")]
fn at_once() -> ! {
    std::process::exit(STOPPED.into())
}

async fn examine(app: &App, json: bool) -> anyhow::Result<ExitCode> {
    let findings = doctor::examine(app, now()).await;
    say(&if json { serde_json::to_string_pretty(&findings)? } else { findings.to_string() })?;
    Ok(ExitCode::from(findings.exit_code()))
}

async fn serve(app: Arc<App>, config: ServeConfig) -> anyhow::Result<ExitCode> {
    let (address, caller) = match config.host_port {
        // The host reaches us on this address and no other.
        Some(port) => ((std::net::Ipv4Addr::LOCALHOST, port).into(), Caller::Host),
        None if config.listen.ip().is_loopback() => (config.listen, Caller::Anyone { token: None }),
        None => {
            let token = app.tenant.secrets.get(secrets::API_TOKEN).await.context(
                "LISTEN accepts calls from other machines, so callers must send a token: add the secret `api-token`, or listen on 127.0.0.1",
            )?;
            (config.listen, Caller::Anyone { token: Some(token.value) })
        }
    };
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    info!(%address, "Serving on http://{address}");
    let server = trigger::serve(listener, router(Arc::clone(&app), &caller), &caller);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        // Work is safe to stop anywhere, so nothing is waited for.
        _ = terminate.recv() => info!("Stopped by SIGTERM"),
        _ = interrupt.recv() => info!("Stopped by SIGINT"),
        never = server => match never {},
        never = drain(&app), if config.host_port.is_none() => match never {},
    }
    Ok(ExitCode::SUCCESS)
}

/// Printed and not logged: it would be there twice.
fn wrong_settings(error: &ConfigError) -> ExitCode {
    say_error(&error.to_string(), 2)
}

/// Prints a command's output. A reader that has gone, as in `plan | head`, has read what it wanted.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a command's error. If nobody reads it, the exit code still says it.
fn say_error(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}
