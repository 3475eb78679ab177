//! Blobs as anyone may have changed them, and names as a listing returns them.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use crate::assertions::{assert_discreet, assert_survives};
use crate::inbox::{ItemContent, RequestStatus};
use crate::lease::Holder;
use crate::manifest::{Latest, Manifest};
use crate::model::{
    AppId, Correction, CycleId, Dated, Mark, Name, RequestId, ResponseCode, SnapshotId, SubscriptionId,
    TenantId,
};
use crate::plan::Plan;
use crate::queue::{Booking, WakeUp};
use crate::report::{Poison, Report, Status};
use crate::state::{AccountState, Approval, Doubt, Endpoint, Refusal, SCHEMA_VERSION, TenantState};
use crate::store::{BlobKey, ItemName, StoreError, decode};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use uuid::Uuid;

/// Names read from one input; more of them find nothing new.
const NAMES: usize = 20;

pub(super) fn blob(bytes: &[u8]) {
    read::<ItemContent>(bytes).as_ref().map(dated);
    read::<Booking>(bytes).as_ref().map(dated);
    read::<RequestStatus>(bytes);
    read::<Status>(bytes).as_ref().map(dated);
    read::<Latest>(bytes).as_ref().map(dated);
    read::<Manifest>(bytes);
    read::<Approval>(bytes);
    read::<Poison>(bytes);
    if let Some(plan) = read::<Plan>(bytes) {
        let _ = (plan.to_string(), plan.is_empty(), plan.holds_back_creations());
    }
    if let Some(report) = read::<Report>(bytes) {
        let _ = (report.to_string(), report.needs_a_person());
    }
    if let Some(state) = read::<TenantState>(bytes) {
        dated(&state);
        tenant_state(&state);
    }
    if let Some(account) = read::<AccountState>(bytes) {
        dated(&account);
        account_state(&account);
    }
    if let Ok(holder) = serde_json::from_slice::<Holder>(bytes) {
        assert_survives(&holder);
    }
    if let Ok(message) = serde_json::from_slice::<WakeUp>(bytes) {
        assert_survives(&message);
    }
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    match decode::<T>(bytes, "a/b.json") {
        Ok(value) => {
            assert_survives(&value);
            return Some(value);
        }
        Err(StoreError::Newer { found, known, .. }) => {
            assert!(found > u64::from(known) && known == SCHEMA_VERSION);
        }
        Err(error) => {
            assert!(matches!(error, StoreError::Unreadable { .. }));
            assert_discreet(&error);
        }
    }
    None
}

/// Times at which a state is asked, whatever it holds.
fn moments() -> [Timestamp; 3] {
    [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX]
}

/// Once corrected, nothing is left to correct.
fn dated<T: Dated + Clone + Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for now in moments() {
        let mut value = value.clone();
        let _ = Correction::of(&mut value, now);
        assert_survives(&value);
        assert_eq!(Correction::of(&mut value, now), None);
    }
}

fn tenant_state(state: &TenantState) {
    for now in moments() {
        let mut state = state.clone();
        for id in state.observed.clone() {
            let _ = (state.create_under_way(id, now), state.remembered_for(id));
            let _ = (state.lists.found_lately(id, now), state.lists.doubt.as_ref().map(Doubt::command));
            if let Some((_, until)) = state.create_waits(id, now) {
                assert!(until > now);
            }
            let refusal = Refusal { code: None, error: String::new(), unclear: false };
            state.create_refused(id, refusal, now);
        }
        for connector in state.connectors.values_mut() {
            connector.run_refused(now, ResponseCode::NoAnswer, String::new());
        }
        state.awaits_sync(|_| true, now);
        state.update_from(std::iter::empty(), now);
        assert_survives(&state);
    }
}

fn account_state(account: &AccountState) {
    /// Any limit will do.
    const ALLOWED: u32 = 210;
    for now in moments() {
        let mut account = account.clone();
        for endpoint in [Endpoint::ConnectorSearch, Endpoint::HostCount] {
            let used = account.used(endpoint, now);
            match account.book(endpoint, 20, ALLOWED, "visit", now) {
                Ok(calls) => assert!(
                    used.saturating_add(calls) <= ALLOWED,
                    "more calls than allowed: {used} and {calls}"
                ),
                Err(_) => assert!(used >= ALLOWED),
            }
        }
        account.conclude("visit", &[(Endpoint::HostCount, 5)].into(), now);
        assert_survives(&account);
    }
}

pub(super) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().take(NAMES) {
        name(line);
    }
    mark(&text);
}

fn name(text: &str) {
    let tenant = TenantId::new(Uuid::from_u128(1));
    if let Ok(name) = text.parse::<ItemName>() {
        assert_eq!(name.to_string(), text, "it names another blob");
    }
    let mut keys = Vec::new();
    keys.extend(printed::<ItemName>(text).map(|name| BlobKey::InboxItem(tenant, name)));
    keys.extend(printed::<Name>(text).map(BlobKey::Account));
    keys.extend(printed::<TenantId>(text).map(BlobKey::Latest));
    keys.extend(printed::<RequestId>(text).map(|id| BlobKey::Request(tenant, id)));
    keys.extend(printed::<CycleId>(text).map(|id| BlobKey::Audit(tenant, id)));
    keys.extend(printed::<SnapshotId>(text).map(|id| BlobKey::Manifest(tenant, id)));
    let _ = (printed::<SubscriptionId>(text), printed::<AppId>(text));
    for key in keys {
        let path = key.path();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '=');
        let safe = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
        assert!(path.split('/').all(safe), "{path}");
    }
    for error in [text.parse::<TenantId>().err(), text.parse::<CycleId>().err(), text.parse::<Name>().err()] {
        // They repeat only the start of the text, as a test of their own says.
        assert!(error.is_none_or(|error| error.to_string().len() < 350));
    }
}

/// A value that can be parsed prints as a text that means the same.
fn printed<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value = text.parse::<T>().ok()?;
    assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value));
    Some(value)
}

fn mark(description: &str) {
    if let Some(mark) = Mark::find(description) {
        assert_eq!(Mark::find(&mark.to_string()), Some(mark));
    }
    let ours = Mark {
        deployment: "default".parse().unwrap(),
        tenant: TenantId::new(Uuid::from_u128(1)),
        subscription: SubscriptionId::new(Uuid::from_u128(2)),
    };
    assert_eq!(Mark::find(&ours.sign(description)), Some(ours));
}
