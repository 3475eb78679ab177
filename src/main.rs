//! `qualys-azure-inventory`: see `--help`.

use clap::Parser;
use qualys_azure_inventory::cli::Cli;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
