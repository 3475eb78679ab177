//! How the value of a setting is written.

use crate::model::Scope;
use crate::plan::Mode;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// `90s`, `15m`, `24h`, `500ms`.
pub(super) fn duration(text: &str, allowed: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let problem = || format!("`{}` is not a duration (examples: 90s, 15m, 24h)", short(text));
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(problem)?;
    let number: u64 = text[..split].parse().map_err(|_| problem())?;
    let factor_ms: u64 = match &text[split..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(problem()),
    };
    let value = Duration::from_millis(number.checked_mul(factor_ms).ok_or_else(problem)?);
    if allowed.contains(&value) {
        Ok(value)
    } else {
        Err(format!("must be between {} and {}", written(*allowed.start()), written(*allowed.end())))
    }
}

/// A duration as one would write it: in the largest unit that needs no fraction.
pub(super) fn written(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    match units.into_iter().find(|(_, factor)| milliseconds > 0 && milliseconds.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", milliseconds / factor),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// A whole number in a range.
pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(
    text: &str,
    allowed: &RangeInclusive<T>,
) -> Result<T, String> {
    match text.parse() {
        Ok(value) if allowed.contains(&value) => Ok(value),
        _ => Err(format!(
            "`{}` is not a whole number from {} to {}",
            short(text),
            allowed.start(),
            allowed.end()
        )),
    }
}

pub(super) fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "observe" => Ok(Mode::Observe),
        "enforce" => Ok(Mode::Enforce),
        "paused" => Ok(Mode::Paused),
        _ => Err(format!("`{}` is not one of observe, enforce, paused", short(text))),
    }
}

/// Management groups and subscriptions: `mg:NAME` or `NAME`, `sub:GUID` or `GUID`.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let mut scope = Scope::default();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        // The root group's name is the directory's GUID, so a group that looks like a subscription needs its prefix.
        if let Some(group) = entry.strip_prefix("mg:") {
            scope.groups.insert(group_name(group)?);
        } else if let Some(id) = entry.strip_prefix("sub:") {
            scope.subscriptions.insert(of_type(id)?);
        } else if let Ok(id) = entry.parse() {
            scope.subscriptions.insert(id);
        } else {
            scope.groups.insert(group_name(entry)?);
        }
    }
    Ok(scope)
}

/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmanagement>
fn group_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '(' | ')' | '.');
    if !text.is_empty() && text.chars().count() <= 90 && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{}` is neither a management group's name nor a subscription's GUID", short(text)))
    }
}

/// In minutes; the values that Qualys accepts, as its own script for tenant connectors lists them.
pub(super) fn run_frequency(text: &str) -> Result<u32, String> {
    const ACCEPTED: [u32; 8] = [60, 120, 180, 240, 360, 480, 720, 1440];
    let wait = duration(text, &(Duration::ZERO..=Duration::from_hours(168)))?;
    let minutes = u32::try_from(wait.as_secs() / 60).unwrap_or(u32::MAX);
    if ACCEPTED.contains(&minutes) && wait.as_secs().is_multiple_of(60) {
        Ok(minutes)
    } else {
        Err("Qualys accepts 1h, 2h, 3h, 4h, 6h, 8h, 12h and 24h".into())
    }
}

/// A template of a description, without a mark of its own.
pub(super) fn description(text: &str) -> Result<String, String> {
    if text.contains("managed-by: qualys-azure-inventory") {
        Err("must not contain the mark, which the program adds".into())
    } else if text.chars().count() > 1000 {
        // Qualys does not publish its limit; this is short enough to leave room for the mark.
        Err("must not be longer than 1,000 characters".into())
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn name_template(text: &str) -> Result<String, String> {
    if text.chars().count() > 150 {
        // Qualys accepts 255 characters, and an id has 36.
        Err("must not be longer than 150 characters".into())
    } else if text.contains("{subscription_id}") {
        Ok(text.to_owned())
    } else {
        // Two subscriptions may have the same name, and Qualys may refuse a second connector of that name.
        Err("must contain {subscription_id}, so that no two connectors have the same name".into())
    }
}

pub(super) fn apps(text: &str) -> Result<Vec<String>, String> {
    let found = words(text, &["AI", "CI", "CSA"])?;
    // A connector without any app would collect nothing.
    if found.is_empty() { Err("names no app: remove the setting to use AI".into()) } else { Ok(found) }
}

pub(super) fn modules(text: &str) -> Result<Vec<String>, String> {
    let found = words(text, &["VM", "PC", "SCA", "CERTVIEW", "CLOUDVIEW", "CSA"])?;
    if found.contains(&"PC".to_owned()) && found.contains(&"SCA".to_owned()) {
        return Err("PC and SCA cannot be used together".into());
    }
    Ok(found)
}

fn words(text: &str, allowed: &[&str]) -> Result<Vec<String>, String> {
    let found: Vec<String> = text
        .split(',')
        .map(|word| word.trim().to_ascii_uppercase())
        .filter(|word| !word.is_empty())
        .collect();
    match found.iter().find(|word| !allowed.contains(&word.as_str())) {
        Some(word) => Err(format!("`{}` is not one of {}", short(word), allowed.join(", "))),
        None => Ok(found),
    }
}

/// Tag ids, as Qualys numbers them.
pub(super) fn tags(text: &str) -> Result<Vec<i64>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| number(entry, &(1..=i64::MAX))).collect()
}

/// A base address: https, or http on this machine.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not an address (example: https://host)".to_owned())?;
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("must not contain a user name, a password or a query".into());
    }
    match url.scheme() {
        "https" => Ok(url),
        // Credentials never leave this machine unencrypted.
        "http" if local => Ok(url),
        _ => Err("must begin with https:// (http:// only on this machine)".into()),
    }
}

/// An address with TLS: each request carries a token.
pub(super) fn https(text: &str) -> Result<Url, String> {
    let url = url(text)?;
    if url.scheme() == "https" { Ok(url) } else { Err("must begin with https://".into()) }
}

/// An IP address and a port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "`{}` is not an IP address and a port (examples: 127.0.0.1:7071, 0.0.0.0:7071, [::1]:7071)",
            short(text)
        )
    })
}

/// A text in the form of its type.
pub(super) fn of_type<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A value for an error message: only its beginning, since it may be a secret in the wrong place.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(24).collect()
}
