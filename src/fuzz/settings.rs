//! Settings as anyone may have typed them.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use crate::assertions::CANARY;
use crate::config::{Config, Place, SecretSource, ServeConfig};
use crate::model::{Mark, Observed, Subscription, SubscriptionId, SubscriptionState, Turn};
use crate::plan::{Action, Policy, plan};
use crate::state::TenantState;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;
use uuid::Uuid;

/// Complete settings, so that an input of a few lines reaches deep. The input does not choose the secrets.
const BASE: [(&str, &str); 6] = [
    ("TENANT_ID", "11111111-2222-3333-4444-555555555555"),
    ("CONNECTOR_APP_ID", "66666666-2222-3333-4444-555555555555"),
    ("SECRETS", "env"),
    ("QUALYS_PLATFORM", "EU2"),
    ("STORAGE", "folder:./inventory"),
    ("QUEUE", "folder:./queue"),
];
const SECRETS: [&str; 5] =
    ["QUALYS_USERNAME", "QUALYS_PASSWORD", "CONNECTOR_CLIENT_SECRET", "API_TOKEN", "AZURE_CLIENT_SECRET"];

pub(super) fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if text.contains(CANARY) {
        return;
    }
    let mut values: BTreeMap<&str, String> =
        BASE.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    values.extend(lines.map(|(name, value)| (name, value.replace("\\n", "\n"))));
    values.extend(SECRETS.iter().map(|name| (*name, CANARY.to_owned())));
    let lookup = |name: &str| values.get(name).cloned();
    match Config::from_lookup(lookup) {
        Ok(config) => {
            assert!(!format!("{config:?}").contains(CANARY), "a secret is printed with the settings");
            assert_valid(&config);
            // A subscription's name is untrusted text too.
            assert_connector(&config.policy, values.get("subscription").map_or("Name", String::as_str));
        }
        Err(error) => assert_names_settings(&error.to_string()),
    }
    match ServeConfig::from_lookup(lookup) {
        Ok(serve) => assert!(serve.host_port != Some(0)),
        Err(error) => assert_names_settings(&error.to_string()),
    }
}

/// An error has a short line for each wrong setting, and shows no secret.
fn assert_names_settings(error: &str) {
    /// The longest message lists the platforms.
    const LONGEST: usize = 250;
    assert!(!error.contains(CANARY), "{error}");
    let mut lines = error.lines().skip(1).peekable();
    assert!(lines.peek().is_some(), "{error}");
    for line in lines {
        let name = line.trim_start().split(':').next().unwrap_or_default();
        assert!(name.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !name.is_empty(), "{line}");
        assert!(line.len() <= LONGEST, "{line}");
    }
}

/// Accepted settings are within their limits.
fn assert_valid(config: &Config) {
    assert!((1..=10).contains(&config.concurrency) && config.reserve_percent <= 90);
    assert!((1..=config.calls_per_hour).contains(&config.policy.calls_per_hour));
    // A write must end before the lease does, and a cycle before the host ends it.
    assert!((15..=60).contains(&config.lease.as_secs()) && config.budget.as_secs() <= 540);
    let vault = if let SecretSource::Vault(url) = &config.secrets { Some(url) } else { None };
    let accounts = [&config.storage, &config.queue].into_iter().filter_map(|place| match place {
        Place::Account(url) => Some(url),
        Place::Folder(_) => None,
    });
    assert!(vault.into_iter().chain(accounts).all(|url| url.scheme() == "https" && is_bare(url)));
    for url in [&config.qualys_api, &config.arm] {
        let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        assert!(is_bare(url) && (url.scheme() == "https" || local && url.scheme() == "http"), "{url}");
    }
}

fn is_bare(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.has_host()
}

/// The name and the mark that a connector would get.
fn assert_connector(policy: &Policy, name: &str) {
    let id = SubscriptionId::new(Uuid::from_u128(3));
    let subscription =
        Subscription { id, tenant: policy.tenant, name: name.to_owned(), state: SubscriptionState::Enabled };
    let seen = Observed {
        tenant: policy.tenant,
        subscriptions: BTreeMap::from([(id, subscription)]),
        unreadable: Vec::new(),
        exclusion_unknown: false,
        unlisted: BTreeSet::new(),
        unplaced: BTreeSet::new(),
        elsewhere: BTreeSet::new(),
        direct: BTreeMap::new(),
        turn: Turn::default(),
        looks_left: false,
        connectors: BTreeMap::new(),
        read_by_id: BTreeSet::new(),
        qualys_clock: None,
        requests: Vec::new(),
    };
    let plan = plan(&seen, &TenantState::default(), policy, Timestamp::UNIX_EPOCH).unwrap();
    let [step] = &plan.steps[..] else { unreachable!("one subscription makes one step") };
    let Action::Create { name, description, .. } = &step.action else {
        unreachable!("it has no connector yet")
    };
    // Qualys takes 255 characters.
    assert!(name.chars().count() <= 255 && !name.chars().any(char::is_control), "{name}");
    assert!(name.contains(&id.to_string()), "two connectors could have the same name: {name}");
    let ours = Mark { deployment: policy.deployment.clone(), tenant: policy.tenant, subscription: id };
    assert_eq!(Mark::find(description), Some(ours), "{description}");
}
