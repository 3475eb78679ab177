//! Entra: applications, their secrets, and the tokens that were issued.
//!
//! Guarantees: a connector's key counts only while it is a live secret of its application in its directory.

pub(crate) mod identity;
pub(crate) mod token;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::later;
use crate::world::World;

/// The principal that a token was issued to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The function's managed identity.
    Identity,
    /// An application with a secret or a federated credential.
    App { id: String },
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) principal: Principal,
    pub(crate) tenant: String,
    pub(crate) audience: String,
    pub(crate) expires: Timestamp,
}

#[derive(Clone, Debug)]
struct Secret {
    value: String,
    expires: Option<Timestamp>,
    removed: bool,
}

/// An application; it may have a service principal in several directories.
#[derive(Clone, Debug, Default)]
struct App {
    tenants: Vec<String>,
    secrets: Vec<Secret>,
    trusts_identity: bool,
    blocked: bool,
}

/// What is wrong with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretCheck {
    Good,
    /// Unknown application, or not in that directory.
    NoApp,
    Wrong,
    Expired,
    /// Conditional access refuses it a token.
    Blocked,
}

/// Everything on the Entra side.
#[derive(Debug)]
pub(crate) struct Entra {
    apps: Vec<(String, App)>,
    tokens: HashMap<String, Token>,
    made: u64,
    pub(crate) identity_header: String,
    pub(crate) identity_tenant: String,
    pub(crate) token_lifetime: SignedDuration,
    pub(crate) line_breaks: bool,
}

impl Entra {
    pub(crate) fn new(tenant: &str, app: String) -> Self {
        let mut entra = Self {
            apps: Vec::new(),
            tokens: HashMap::new(),
            made: 0,
            identity_header: "world-identity-header-6f1d0c".to_owned(),
            identity_tenant: tenant.to_owned(),
            token_lifetime: SignedDuration::from_secs(3_599),
            line_breaks: false,
        };
        entra.add_app(tenant, app);
        entra
    }

    fn add_app(&mut self, tenant: &str, id: String) {
        let secret = self.new_secret();
        let app = App { tenants: vec![tenant.to_owned()], secrets: vec![secret], ..App::default() };
        self.apps.push((id, app));
    }

    fn new_secret(&mut self) -> Secret {
        self.made += 1;
        // The alphabet of real client secrets, so that careless escaping is noticed.
        Secret { value: format!("w0r1d~app.secret_{:03}-q+Z/=", self.made), expires: None, removed: false }
    }

    fn app(&mut self, id: &str) -> Option<&mut App> {
        self.apps.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(id)).map(|(_, app)| app)
    }

    fn known(&self, id: &str) -> Option<&App> {
        self.apps.iter().find(|(known, _)| known.eq_ignore_ascii_case(id)).map(|(_, app)| app)
    }

    /// Checks an application's secret in a directory.
    pub(crate) fn check(&self, tenant: &str, app: &str, secret: &str, now: Timestamp) -> SecretCheck {
        let Some(app) =
            self.known(app).filter(|app| app.tenants.iter().any(|one| one.eq_ignore_ascii_case(tenant)))
        else {
            return SecretCheck::NoApp;
        };
        match app.secrets.iter().find(|known| known.value == secret && !known.removed) {
            None => SecretCheck::Wrong,
            Some(known) if known.expires.is_some_and(|at| at <= now) => SecretCheck::Expired,
            Some(_) if app.blocked => SecretCheck::Blocked,
            Some(_) => SecretCheck::Good,
        }
    }

    fn trusts_identity(&self, tenant: &str, app: &str) -> bool {
        self.known(app).is_some_and(|app| app.trusts_identity && app.tenants.iter().any(|one| one == tenant))
    }

    /// Issues a token in the form of a JWT, without a signature.
    pub(crate) fn issue(
        &mut self,
        principal: Principal,
        tenant: &str,
        audience: &str,
        now: Timestamp,
    ) -> (String, Timestamp) {
        self.made += 1;
        // Storage is simulated by another program (Azurite), which compares a token's times with the real clock.
        let now = if for_storage(audience) { Timestamp::now() } else { now };
        let expires = later(now, self.token_lifetime);
        let subject = match &principal {
            Principal::Identity => "world-managed-identity",
            Principal::App { id } => id,
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!(
            "{}.{}.{}",
            part(&json!({ "typ": "JWT", "alg": "none" })),
            part(&json!({
                "aud": audience,
                "iss": format!("https://sts.windows.net/{tenant}/"),
                "iat": now.as_second(),
                "nbf": now.as_second(),
                "exp": expires.as_second(),
                "tid": tenant,
                "sub": subject,
                "appid": subject,
            })),
            URL_SAFE_NO_PAD.encode(format!("world-signature-{}", self.made)),
        );
        let audience = audience.to_owned();
        self.tokens.insert(text.clone(), Token { principal, tenant: tenant.to_owned(), audience, expires });
        (text, expires)
    }

    pub(crate) fn token(&self, text: &str) -> Option<&Token> {
        self.tokens.get(text)
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let apps =
            self.apps.iter().flat_map(|(_, app)| app.secrets.iter().map(|secret| secret.value.clone()));
        let mut all = apps.collect::<Vec<_>>();
        all.extend(self.tokens.keys().cloned());
        all.push(self.identity_header.clone());
        all
    }
}

/// Whether a token for `audience` is meant for Blob or Queue Storage.
fn for_storage(audience: &str) -> bool {
    let host = audience.trim_end_matches('/');
    host == "https://storage.azure.com" || host.contains(".blob.core.") || host.contains(".queue.core.")
}

impl World {
    /// The default connector application's id.
    pub fn app_id(&self) -> String {
        self.shared().lock().entra.apps[0].0.clone()
    }

    /// The default application's newest secret.
    pub fn app_secret(&self) -> String {
        let app = self.app_id();
        self.newest_secret(&app)
    }

    /// An application's newest secret; empty for an unknown application.
    pub fn newest_secret(&self, app: &str) -> String {
        self.with(|state| {
            let secret = state.entra.known(app).and_then(|app| app.secrets.last());
            secret.map(|secret| secret.value.clone()).unwrap_or_default()
        })
    }

    /// Registers another application in `tenant`, with a secret, and returns its id.
    pub fn add_app(&self, tenant: &str) -> String {
        self.with(|state| {
            let id = state.ids.guid(crate::ids::GuidKind::App);
            state.entra.add_app(tenant, id.clone());
            id
        })
    }

    /// Gives an application a service principal in another directory.
    pub fn add_app_to_tenant(&self, app: &str, tenant: &str) {
        self.with(|state| {
            if let Some(app) = state.entra.app(app) {
                app.tenants.push(tenant.to_owned());
            }
        });
    }

    /// Adds a secret to the default application and returns it; older ones stay valid.
    pub fn rotate_secret(&self) -> String {
        let app = self.app_id();
        self.rotate_secret_of(&app)
    }

    /// Adds a secret to an application and returns it; older ones stay valid.
    pub fn rotate_secret_of(&self, app: &str) -> String {
        self.with(|state| {
            let secret = state.entra.new_secret();
            let value = secret.value.clone();
            if let Some(app) = state.entra.app(app) {
                app.secrets.push(secret);
            }
            value
        })
    }

    /// Lets a secret expire at `at`.
    pub fn expire_secret(&self, secret: &str, at: Timestamp) {
        self.edit_secret(secret, |one| one.expires = Some(at));
    }

    /// Removes a secret from its application.
    pub fn remove_secret(&self, secret: &str) {
        self.edit_secret(secret, |one| one.removed = true);
    }

    fn edit_secret(&self, secret: &str, change: impl Fn(&mut Secret)) {
        self.with(|state| {
            let all = state.entra.apps.iter_mut().flat_map(|(_, app)| app.secrets.iter_mut());
            all.filter(|one| one.value == secret).for_each(change);
        });
    }

    /// Whether conditional access refuses the application a token (53003); its connectors still sync.
    pub fn block_app(&self, app: &str, blocked: bool) {
        self.with(|state| {
            if let Some(app) = state.entra.app(app) {
                app.blocked = blocked;
            }
        });
    }

    /// Accepts the managed identity's token in place of a secret of `app` (workload identity federation).
    pub fn trust_identity(&self, app: &str) {
        self.with(|state| {
            if let Some(app) = state.entra.app(app) {
                app.trusts_identity = true;
            }
        });
    }

    /// The value for `IDENTITY_HEADER`.
    pub fn identity_header(&self) -> String {
        self.shared().lock().entra.identity_header.clone()
    }

    /// Whether Entra puts line breaks into its error descriptions, as in the samples of Microsoft's documentation.
    /// Default no; whether it still does was not observed. A client that does not unescape JSON text fails on them.
    pub fn entra_line_breaks(&self, breaks: bool) {
        self.with(|state| state.entra.line_breaks = breaks);
    }

    /// The lifetime of tokens that are issued from now on; default 3,599 s.
    pub fn token_lifetime(&self, lifetime: SignedDuration) {
        self.with(|state| state.entra.token_lifetime = lifetime);
    }
}
