//! The Azure CLI and the Azure Developer CLI as processes.

use super::answers::first_sentence;
use crate::azure::cloud::Cloud;
use crate::sdk::{Issuer, SignInError};
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

/// What the tools say, in a line: Entra's sentence if they repeat one, else the first error of the Azure CLI.
pub(super) fn refusal(text: &str) -> SignInError {
    let from = Issuer::Tools;
    let code = text.split_once("AADSTS").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    });
    let said = if let Some(at) = text.find("AADSTS") {
        first_sentence(&text[at..])
    } else {
        // The SDK puts this before what each tool printed.
        let printed = text.split("authentication failed.").nth(1).unwrap_or(text).trim();
        first_sentence(printed.trim_start_matches("ERROR:"))
    };
    SignInError::Refused { from, code, said: said.unwrap_or_else(|| "it said nothing".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_say_is_one_line() {
        let az = |said: &str| {
            format!(
                "Multiple errors were encountered while attempting to authenticate:\n\
                 AzureCliCredential authentication failed. {said}\n\
                 To troubleshoot, visit https://aka.ms/x - {said}\n\
                 AzureDeveloperCliCredential authentication failed. azd not found on PATH"
            )
        };
        let login = refusal(&az("ERROR: Please run 'az login' to setup account.\n"));
        insta::assert_snapshot!(login, @"the Azure CLI refused the sign-in (Please run 'az login' to setup account)");
        let expired = refusal(&az(
            "ERROR: AADSTS70043: The refresh token has expired. Trace ID: 1\nInteractive authentication is needed.",
        ));
        insta::assert_snapshot!(expired, @"the Azure CLI refused the sign-in (AADSTS70043: The refresh token has expired)");
        insta::assert_snapshot!(refusal(&az("az not found on PATH")), @"the Azure CLI refused the sign-in (az not found on PATH)");
    }
}
