//! Qualys's answers as anyone may have written them.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use super::{CallBudget, CallLimits, Qualys, QualysError, Setup, error, hosts, wire};
use crate::assertions::{assert_discreet, head};
use crate::manifest::IdRange;
use crate::model::{ConnectorId, Mark, after};
use crate::report::chain;
use crate::retry::{Again, LONGEST, delay};
use crate::secrets::shows;
use crate::state::Endpoint;
use crate::store::{FolderStore, Store};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Secrets with various characters. A server may repeat any of them in its answer.
const USER: &str = "SCANNER_77";
const PASSWORD: &str = "pa ss/w\"ord+7";
const KEY: &str = "k3y~.Secret-of_Entra";
/// The headers whose values are on the first line of an input, in this order, after the status.
const HEADERS: [&str; 4] =
    ["x-ratelimit-towait-sec", "retry-after", "x-ratelimit-remaining", "x-ratelimit-limit"];
/// A client that sends nothing and does not use its store: only the secrets that it removes from texts matter.
static QUALYS: LazyLock<Qualys> = LazyLock::new(|| {
    Qualys::new(Setup {
        http: reqwest::Client::new(),
        base: Url::parse("https://qualysapi.example").unwrap(),
        username: USER.to_owned().into(),
        password: PASSWORD.to_owned().into(),
        write_timeout: Duration::ZERO,
        deadline: Instant::now(),
        calls: call_budget(),
        may_send: Arc::new(|_| false),
    })
});

fn call_budget() -> CallBudget {
    let store = Store::Folder(FolderStore::new("nowhere"));
    CallBudget::new(
        store,
        "default".parse().unwrap(),
        CallLimits { per_hour: 300, reserve_percent: 30, at_once: 2 },
        (Timestamp::UNIX_EPOCH, Instant::now()),
    )
}

/// The body of the request that is answered; it holds the client secret.
fn sent() -> Bytes {
    let connector = serde_json::json!({ "authRecord": { "authenticationKey": KEY } });
    serde_json::json!({ "ServiceRequest": { "data": { "AzureAssetDataConnector": connector } } })
        .to_string()
        .into()
}

pub(crate) fn answer(bytes: &[u8]) {
    let (head, body) = head(bytes);
    let mut words = head.split(' ');
    let status =
        words.next().and_then(|word| StatusCode::from_bytes(word.as_bytes()).ok()).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, word) in HEADERS.into_iter().zip(words) {
        if let Ok(value) = HeaderValue::from_str(word) {
            headers.insert(name, value);
        }
    }
    let wait = error::asked_wait(&headers);
    let scrub = |text: &str| QUALYS.scrub(text, Some(&sent()));
    match error::check(Endpoint::ConnectorCreate, status, wait, body, scrub) {
        Ok(()) => assert!(status.is_success() && wire::response(body).is_ok()),
        Err(error) => refusal(&error),
    }
    waits(&headers, wait.or_else(|| wire::seconds_to_wait(body)));
    connectors(body);
    for range in [IdRange { after: 0, before: None }, IdRange { after: 10, before: Some(1000) }] {
        hosts(body, range);
    }
    let _ = wire::key_in(body);
}

fn refusal(error: &QualysError) {
    let text = format!("{}; {}", chain(error), error.code());
    // Qualys's part of the message is cut at 200 characters, and ours is a sentence.
    assert!(text.chars().count() <= 600 && !text.chars().any(char::is_control), "{text:?}");
    let pair = format!("{USER}:{PASSWORD}");
    for secret in [USER, PASSWORD, KEY, &pair] {
        assert!(!shows(&text, secret) && !shows(&format!("{error:?}"), secret), "{secret}: {text}");
    }
    let _ = (error.is_transient(), error.is_unclear());
}

/// Whatever Qualys asks for, no pause is longer than a day, and no wait inside a cycle longer than a few seconds.
fn waits(headers: &HeaderMap, wait: Option<Duration>) {
    let budget = call_budget();
    budget.read_limit_headers(Endpoint::HostSearch, headers);
    budget.pause(Endpoint::ConnectorSearch, None, wait);
    let latest = after(budget.now(), Duration::from_hours(24));
    assert!(budget.paused_until().is_some_and(|until| until <= latest));
    if let Some(wait) = wait {
        assert!(!wait.is_zero());
        budget.delay_all(wait);
        assert!(delay(1, Again::After(wait), 1.0).is_none_or(|slept| slept >= wait && slept <= 2 * LONGEST));
    }
}

fn connectors(body: &[u8]) {
    /// The page size of a search.
    const PAGE: usize = 1000;
    let answer = match wire::response(body) {
        Ok(answer) => answer,
        Err(what) => return assert_discreet(&what),
    };
    let rows = match answer.rows("AzureAssetDataConnector", PAGE) {
        Ok(rows) => rows,
        Err(what) => return assert_discreet(&what),
    };
    assert_eq!(answer.count.and_then(|count| usize::try_from(count).ok()), Some(rows.len()));
    for row in &rows {
        match wire::connector(row) {
            Ok(Some(found)) => {
                assert_eq!(wire::id_of(row).map(ConnectorId), Ok(found.id));
                let state = found.state.as_str();
                assert!(["(none)", wire::UNREADABLE, &wire::word(state)].contains(&state), "{state}");
                assert!(found.mark().is_none_or(|mark| Mark::find(&mark.to_string()) == Some(mark)));
            }
            Ok(None) => {}
            Err(what) => assert_discreet(&what),
        }
    }
    let last = rows.last().and_then(|row| wire::id_of(row).ok());
    for before in [None, Some(0), Some(i64::MAX)] {
        match answer.next_after(last, before) {
            Ok(Some(next)) => assert!(Some(next) > before && Some(next) >= last),
            Ok(None) => {}
            Err(what) => assert_discreet(&what),
        }
    }
}

fn hosts(body: &[u8], range: IdRange) {
    let page = match hosts::page(&Bytes::copy_from_slice(body), range) {
        Ok(page) => page,
        Err(what) => return assert_discreet(&what),
    };
    let declared = wire::response(body).ok().and_then(|answer| answer.count);
    assert_eq!(declared.and_then(|count| usize::try_from(count).ok()), Some(page.rows.len()));
    assert!(page.rows.is_sorted_by_key(|row| row.id));
    for row in &page.rows {
        assert!(row.id > range.after && range.before.is_none_or(|before| row.id < before));
        assert!(!row.json.contains(&b'\n') && !row.json.contains(&b'\r'), "a record is one line");
        let record: &serde_json::value::RawValue = serde_json::from_slice(&row.json).unwrap();
        assert_eq!(wire::id_of(record), Ok(row.id));
    }
    assert!(page.next_after.is_none_or(|next| next > range.after));
}
