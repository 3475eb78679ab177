//! The program `world`: see `world --help`.

use clap::Parser as _;
use world::program::{Cli, run};

fn main() -> anyhow::Result<()> {
    run(Cli::parse())
}
