//! Azure's answers as anyone may have written them.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use super::ArmError;
use super::wire::{Page, WireDescendant, WireSubscription, below, next, parse, subscription};
use crate::assertions::{assert_discreet, assert_survives};
use crate::azure::code::code_in;
use url::Url;

const WHAT: &str = "the list of subscriptions";

/// A page of subscriptions or of descendants, one subscription, or a refusal from Key Vault.
pub(crate) fn answer(bytes: &[u8]) {
    if let Some(page) = read::<Page<WireSubscription>>(parse(bytes, WHAT)) {
        page.value.into_iter().for_each(one);
        follow(page.next_link);
    }
    if let Some(page) = read::<Page<WireDescendant>>(parse(bytes, WHAT)) {
        let declared = page.value.len();
        assert!(read(below(page.value, WHAT)).is_none_or(|found| found.len() <= declared));
        follow(page.next_link);
    }
    if let Some(wire) = read(parse(bytes, WHAT)) {
        one(wire);
    }
    if let Some(code) = code_in(bytes) {
        assert_discreet(&code);
    }
}

fn read<T>(result: Result<T, ArmError>) -> Option<T> {
    if let Err(error) = &result {
        assert!(matches!(error, ArmError::Malformed { .. }));
        assert_discreet(error);
    }
    result.ok()
}

fn one(wire: WireSubscription) {
    if let Some(subscription) = read(subscription(wire, WHAT)) {
        assert_survives(&subscription);
    }
}

/// A next link keeps the token on its own host.
fn follow(link: Option<String>) {
    let base = Url::parse("https://management.azure.com").unwrap();
    if let Some(Some(next)) = read(next(link, &base, WHAT)) {
        assert_eq!(
            (next.scheme(), next.host_str(), next.port()),
            ("https", Some("management.azure.com"), None)
        );
    }
}
