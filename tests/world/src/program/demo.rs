//! `world demo`: runs the real program against this world, step by step, and prints what happens.
//!
//! Guarantees: everything that is printed was seen; what does not happen in time is an error. A further step is a
//! function in `steps.rs` and a line in [`play`].

mod setup;
mod stage;
mod steps;
mod tell;

use anyhow::Context;
use clap::Args;
use stage::Stage;
use std::path::PathBuf;
use tell::say;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The program that the Functions host starts
    #[arg(long)]
    handler: PathBuf,
    /// The repository, for host.json and the function folders
    #[arg(long)]
    root: PathBuf,
    /// Where to write. What an earlier demo wrote there is removed first
    #[arg(long, default_value = "target/demo")]
    keep: PathBuf,
}

pub(super) fn run(demo: &Demo) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut stage = Stage::start(demo).await.context("the demo could not be started")?;
        let played = play(&mut stage).await;
        stage.host.stop().await;
        if let Err(error) = played {
            stage.say_log();
            return Err(
                error.context(format!("the demo failed; what it wrote is in {}", demo.keep.display()))
            );
        }
        stage.say_what_was_written()?;
        say(&format!("The demo took {:.0} s.", stage.begun.elapsed().as_secs_f64()));
        Ok(())
    })
}

async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    steps::before(stage);
    steps::the_timer_ticks(stage).await?;
    steps::a_subscription_appears(stage).await?;
    steps::a_person_asks(stage).await?;
    steps::qualys_asks_to_wait(stage).await?;
    steps::nothing_is_new(stage).await?;
    steps::after(stage)
}
