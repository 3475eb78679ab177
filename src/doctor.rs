//! `doctor`: checks what a cycle needs, one thing after the other, and says what to do about each failure.
//!
//! Guarantees: it changes nothing but a small blob of its own, which it removes, and the account's state, which counts its one
//! call to Qualys. No secret is in its output. A check that another failure makes impossible is reported as skipped.

mod azure;
mod qualys;

use crate::account::Login;
use crate::app::App;
use crate::cycle::secrets::{LOGIN, read_connector, read_login};
use crate::model::{after, elapsed};
use crate::plan::Mode;
use crate::qualys::QualysError;
use crate::queue::Queue;
use crate::report::chain;
use crate::sdk::SignInError;
use crate::secrets::{CONNECTOR_CLIENT_SECRET, Secret, SecretError};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Container, StoreError};
use jiff::Timestamp;
use qualys::Tried;
use serde::Serialize;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// A secret that expires sooner gets a warning: time enough for most change procedures.
const SOON: Duration = Duration::from_hours(30 * 24);

/// What `doctor` found.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// In the order in which they were done.
    pub checks: Vec<Check>,
    /// Another visitor holds the account, so Qualys was not asked.
    pub held: bool,
    /// The sign-in to Azure failed. It is named once, and what needs a token is skipped.
    #[serde(skip)]
    no_token: bool,
}

/// One check and its result.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub check: String,
    pub result: Verdict,
    pub found: String,
    /// What to do about a failure. With `ok` it is a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Ok,
    Failed,
    /// Not checked.
    Skipped,
}

/// Checks everything.
pub async fn examine(app: &App, now: Timestamp) -> Findings {
    let mut findings = Findings::default();
    let mode = format!("{:?}", app.tenant.policy.mode).to_lowercase();
    findings.ok("settings", format!("complete; MODE is {mode}"));
    if app.tenant.policy.mode != Mode::Paused {
        findings.azure_sign_in(app).await;
    }
    let stored = findings.storage(app).await;
    let login = findings.login(app, now).await;
    findings.connector_secret(app, now).await;
    if app.tenant.policy.mode == Mode::Paused {
        let why = "MODE is paused, which calls neither Azure Resource Manager nor Qualys";
        findings.skipped("ARM", why.to_owned());
        findings.skipped(QUALYS, why.to_owned());
        return findings;
    }
    azure::examine(&mut findings, app).await;
    match login {
        _ if !stored => {
            findings.skipped(QUALYS, "no call is made without the account's state in the storage".into());
        }
        None => findings.skipped(QUALYS, "the user name or the password could not be read".into()),
        Some(login) => findings.qualys(app, &login, now).await,
    }
    findings
}

const SIGN_IN: &str = "Azure sign-in";
const QUALYS: &str = "Qualys sign-in";

impl Findings {
    /// 1 when something failed, 3 when only the account is held, else 0.
    pub fn exit_code(&self) -> u8 {
        match (self.checks.iter().any(|check| check.result == Verdict::Failed), self.held) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 0,
        }
    }

    fn ok(&mut self, check: &str, found: String) {
        self.add(check, Verdict::Ok, found, None);
    }

    fn skipped(&mut self, check: &str, why: String) {
        self.add(check, Verdict::Skipped, why, None);
    }

    fn failed(&mut self, check: &str, error: &dyn Error, to_do: &str) {
        self.add(check, Verdict::Failed, chain(error), Some(to_do.to_owned()));
    }

    fn add(&mut self, check: &str, result: Verdict, found: String, to_do: Option<String>) {
        self.checks.push(Check { check: check.to_owned(), result, found, to_do });
    }

    /// Names a failed sign-in, unless it is named already.
    fn no_token(&mut self, check: &str, why: &SignInError) {
        if self.no_token {
            self.skipped(check, format!("there is no token; see `{SIGN_IN}`"));
        } else {
            self.failed(check, why, &why.advice());
        }
    }

    async fn azure_sign_in(&mut self, app: &App) {
        match app.tenant.arm.sign_in(Instant::now() + azure::LIMIT).await {
            Ok(()) => self.ok(SIGN_IN, "there is a token for ARM".into()),
            Err(why) => {
                self.failed(SIGN_IN, &why, &why.advice());
                self.no_token = true;
            }
        }
    }

    /// Checks both containers and the queue. Returns whether the account's state can be stored.
    async fn storage(&mut self, app: &App) -> bool {
        let key = BlobKey::Doctor(app.tenant.id());
        let control = write_and_remove(app, &key).await;
        match &control {
            Ok(()) => self.ok("storage, control", "a blob was written, read and removed".into()),
            Err(StoreError::SignIn { why }) => self.no_token("storage, control", why),
            Err(error @ StoreError::Conflict { .. }) => {
                self.failed("storage, control", error, "run `doctor` alone");
            }
            Err(error) => self.storage_failed("storage, control", error),
        }
        // A write-once policy would keep a test blob for good, so none is written.
        let below = format!("{}-nothing", key.path());
        match app.tenant.store.list(Container::Inventory, &below).await {
            Ok(_) => self.ok("storage, inventory", "it exists and can be listed".into()),
            Err(StoreError::SignIn { why }) => self.no_token("storage, inventory", &why),
            Err(error) => self.storage_failed("storage, inventory", &error),
        }
        match app.tenant.wake_ups.queue() {
            Queue::Azure(_) if self.no_token => {
                self.skipped("queue", format!("there is no token; see `{SIGN_IN}`"));
            }
            queue => match queue.check().await {
                Ok(()) => self.ok("queue", "it exists and can be read".into()),
                // The errors of Azure's queue say what to do.
                Err(error) => {
                    let to_do = matches!(queue, Queue::Folder(_)).then(|| "check QUEUE".to_owned());
                    self.add("queue", Verdict::Failed, chain(&error), to_do);
                }
            },
        }
        control.is_ok()
    }

    fn storage_failed(&mut self, check: &str, error: &StoreError) {
        self.add(check, Verdict::Failed, chain(error), error.advice().map(str::to_owned));
    }

    /// Checks the two secrets for Qualys. Returns them, if both can be used.
    async fn login(&mut self, app: &App, now: Timestamp) -> Option<Login> {
        let [username, password] = read_login(&app.tenant.secrets, now).await;
        for (name, secret) in LOGIN.into_iter().zip([&username, &password]) {
            self.secret(name, secret, now);
        }
        Some(Login { username: username.ok()?, password: password.ok()? })
    }

    /// Checks the secret of new connectors, in the one mode that creates some.
    async fn connector_secret(&mut self, app: &App, now: Timestamp) {
        let mode = app.tenant.policy.mode;
        if mode == Mode::Enforce {
            let read = read_connector(&app.tenant.secrets, now).await;
            return self.secret(CONNECTOR_CLIENT_SECRET, &read, now);
        }
        let mode = format!("{mode:?}").to_lowercase();
        let why = format!("MODE is {mode}, which never reads it. MODE=enforce needs it, and checks it here");
        self.skipped(&format!("secret {CONNECTOR_CLIENT_SECRET}"), why);
    }

    fn secret(&mut self, name: &str, secret: &Result<Secret, SecretError>, now: Timestamp) {
        let check = format!("secret {name}");
        match secret {
            Err(SecretError::SignIn(why)) => self.no_token(&check, why),
            Err(error) => self.failed(&check, error, &error.advice()),
            Ok(secret) => match secret.expires {
                None => self.ok(&check, "it exists".into()),
                Some(at) if at >= after(now, SOON) => {
                    self.ok(&check, format!("it exists and expires at {at}"));
                }
                Some(at) => {
                    let days = elapsed(at, now).as_secs() / (24 * 3600);
                    let to_do = "add a new version before then".to_owned();
                    let found = format!("it exists, and expires in {days} days, at {at}");
                    self.add(&check, Verdict::Ok, found, Some(to_do));
                }
            },
        }
    }

    async fn qualys(&mut self, app: &App, login: &Login, now: Timestamp) {
        match qualys::try_login(&app.tenant, login, now).await {
            Ok(Tried::Accepted { was_refused }) => {
                let closed =
                    if was_refused { "; it had refused them before, and cycles use them again" } else { "" };
                self.ok(QUALYS, format!("Qualys accepts the credentials{closed}"));
            }
            Ok(Tried::Waits(until)) => {
                self.skipped(
                    QUALYS,
                    format!("Qualys asked to wait until {until}: no call is made before then"),
                );
            }
            Ok(Tried::Closed(closed)) => {
                self.held = true;
                self.skipped(QUALYS, format!("{closed}; try again when it has ended"));
            }
            Ok(Tried::Failed(
                error @ (QualysError::NoCallsLeft { .. } | QualysError::RateLimited { .. }),
            )) => {
                self.skipped(QUALYS, chain(&error));
            }
            Ok(Tried::Failed(error)) => self.failed(QUALYS, &error, error.advice()),
            Err(error) => self.add(QUALYS, Verdict::Failed, chain(&error), None),
        }
    }
}

async fn write_and_remove(app: &App, key: &BlobKey) -> Result<(), StoreError> {
    let written = serde_json::json!({ "schema_version": SCHEMA_VERSION, "written_by": "doctor" });
    let etag = app.tenant.store.write(key, &written, Condition::Any).await?;
    let read = app.tenant.store.read::<serde_json::Value>(key).await?;
    if read != Some((written, etag.clone())) || !app.tenant.store.remove(key, &etag).await? {
        return Err(StoreError::Conflict { path: key.path() });
    }
    Ok(())
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, check) in self.checks.iter().enumerate() {
            let end = if line == 0 { "" } else { "\n" };
            write!(f, "{end}{check}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAIL",
            Verdict::Skipped => "skipped",
        };
        write!(f, "{result:<8}{}: {}", self.check, self.found)?;
        match (&self.to_do, self.result) {
            (Some(to_do), Verdict::Ok) => write!(f, " (warning: {to_do})"),
            (Some(to_do), _) => write!(f, "; to do: {to_do}"),
            (None, _) => Ok(()),
        }
    }
}
