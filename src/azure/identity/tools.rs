//! The Azure CLI and the Azure Developer CLI as processes.

use crate::azure::cloud::Cloud;
use azure_identity::Executor;
use std::ffi::OsStr;
use std::io;
use std::process::Output;
use tokio::process::Command;

/// Runs the tools for one cloud.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) cloud: Cloud,
}

#[async_trait::async_trait]
impl Executor for Tools {
    async fn run(&self, program: &OsStr, arguments: &[&OsStr]) -> io::Result<Output> {
        Command::new(program)
            .args(arguments)
            // Each setting of the Azure CLI has such a variable
            // (<https://learn.microsoft.com/cli/azure/azure-cli-configuration>). Without it the CLI signs in to the cloud that
            // somebody last chose there.
            .env("AZURE_CLOUD_NAME", self.cloud.cli_name)
            .kill_on_drop(true)
            .output()
            .await
    }
}
