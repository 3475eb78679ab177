//! `world demo`: the story of the product, played with its real program against this world and narrated.
//!
//! Guarantees: whatever is told was seen; each thing that is expected has a limit, and one that does not happen is an error.
//! A further act is a function in `acts.rs` and a line in [`play`].

mod acts;
mod stage;
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
    /// Where everything is written, and stays; what an earlier demo wrote there goes first
    #[arg(long, default_value = "target/demo")]
    keep: PathBuf,
}

pub(super) fn run(demo: &Demo) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut stage = Stage::set(demo).await.context("the stage could not be set")?;
        let played = play(&mut stage).await;
        stage.host.stop().await;
        if let Err(error) = played {
            stage.say_log();
            return Err(
                error.context(format!("the demo failed; what was written lies in {}", demo.keep.display()))
            );
        }
        stage.say_what_is_left()?;
        say(&format!("The demo took {:.0} s.", stage.begun.elapsed().as_secs_f64()));
        Ok(())
    })
}

async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    acts::prologue(stage);
    acts::a_timer_ticks(stage).await?;
    acts::a_subscription_appears(stage).await?;
    acts::somebody_asks(stage).await?;
    acts::qualys_says_wait(stage).await?;
    acts::nothing_is_new(stage).await?;
    acts::epilogue(stage)
}
