//! The program `world`: a small simulated estate to try things on (`serve`), and the demo of the product (`demo`).

pub(crate) mod control;
mod demo;

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;

use crate::world::{Setup, World};

/// A simulated Qualys account and Azure estate on loopback, to try a program without either.
#[derive(Debug, Parser)]
#[command(name = "world", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the estate, prints its addresses and the settings that a program needs, and runs until Ctrl-C.
    #[command(after_help = "Everything listens on 127.0.0.1 only and every secret is made up.\n\
        With --control-port 8799, change it like this (GET /control/ lists everything that it can do):\n  \
        curl -X POST 'http://127.0.0.1:8799/control/subscriptions?name=new-shop&machines=2'\n  \
        curl -X POST 'http://127.0.0.1:8799/control/throttle?seconds=60'\n  \
        curl http://127.0.0.1:8799/control/connectors")]
    Serve(Serve),
    /// Runs the real program against the simulated estate, step by step, and prints what happens. Fails if anything
    /// expected does not happen in time.
    Demo(demo::Demo),
}

#[derive(Debug, Args)]
struct Serve {
    /// Port of the Qualys API server (0: any free port)
    #[arg(long, default_value_t = 0)]
    qualys_port: u16,
    /// Port of Azure Resource Manager (0: any free port)
    #[arg(long, default_value_t = 0)]
    arm_port: u16,
    /// Port of the Entra token endpoint (0: any free port)
    #[arg(long, default_value_t = 0)]
    entra_port: u16,
    /// Port of the managed-identity endpoint (0: any free port)
    #[arg(long, default_value_t = 0)]
    identity_port: u16,
    /// Port of the control API (0: any free port)
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// Azure subscriptions to begin with
    #[arg(long, default_value_t = 5)]
    subscriptions: usize,
    /// Virtual machines in each subscription
    #[arg(long, default_value_t = 3)]
    machines: usize,
    /// Seconds that a connector's sync takes
    #[arg(long, default_value_t = 5)]
    sync_seconds: u32,
    /// Prints only the settings, as NAME='value' lines for a shell, once everything listens
    #[arg(long)]
    once_ready_print_env: bool,
}

/// Runs the program until Ctrl-C, or until the demo ends.
///
/// # Errors
/// When Ctrl-C cannot be handled, or when the demo fails.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(serve) => run_serve(&serve),
        Command::Demo(demo) => demo::run(&demo),
    }
}

fn run_serve(serve: &Serve) -> anyhow::Result<()> {
    let world = World::start(Setup {
        qualys_port: serve.qualys_port,
        arm_port: serve.arm_port,
        entra_port: serve.entra_port,
        identity_port: serve.identity_port,
        control_port: Some(serve.control_port),
        ..Setup::default()
    });
    world.manners(|manners| {
        manners.auto_start = None;
        manners.run_lag = SignedDuration::from_secs(1);
        manners.sync_duration = SignedDuration::from_secs(i64::from(serve.sync_seconds));
    });
    for subscription in world.subscriptions("shop", serve.subscriptions) {
        world.machines(&subscription, serve.machines);
    }
    print(&world, serve.once_ready_print_env);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    // Connections that stay open must not keep the program running.
    runtime.shutdown_timeout(Duration::from_millis(50));
    Ok(())
}

/// The settings with which the product uses this world, including its secrets.
pub(crate) fn settings(world: &World) -> Vec<(&'static str, String)> {
    vec![
        ("QUALYS_API_URL", world.qualys_url()),
        ("ARM_URL", world.arm_url()),
        ("IDENTITY_ENDPOINT", world.identity_endpoint()),
        ("IDENTITY_HEADER", world.identity_header()),
        ("TENANT_ID", world.tenant()),
        ("CONNECTOR_APP_ID", world.app_id()),
        ("QUALYS_USERNAME", world.qualys_user()),
        ("QUALYS_PASSWORD", world.qualys_password()),
        ("CONNECTOR_CLIENT_SECRET", world.app_secret()),
    ]
}

fn print(world: &World, env_only: bool) {
    use std::fmt::Write as _;
    use std::io::Write as _;
    let control = world.control_url().unwrap_or_default();
    let mut text = String::new();
    if !env_only {
        text += "The simulated estate is running. Stop it with Ctrl-C.\n\n";
        for (name, url) in [
            ("Qualys API", world.qualys_url()),
            ("Resource Manager", world.arm_url()),
            ("Entra", world.entra_url()),
            ("Identity", world.identity_endpoint()),
            ("Control", format!("{control}/control/")),
        ] {
            let _ = writeln!(text, "  {name:<17} {url}");
        }
        text += "\nSettings for a program that is to use it (all secrets are made up):\n\n";
    }
    for (name, value) in settings(world) {
        let _ = writeln!(text, "{name}='{value}'");
    }
    if env_only {
        let _ = writeln!(text, "WORLD_CONTROL_URL='{control}'\nWORLD_ENTRA_URL='{}'", world.entra_url());
    } else {
        let _ = writeln!(text, "\nTry: curl {control}/control/");
    }
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason to stop serving.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
