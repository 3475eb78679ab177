//! The QPS envelope as Qualys sends it. Parsing is lenient, since numbers and booleans also arrive as strings.

use crate::model::{Connector, ConnectorId, OddTime, StatedTime};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "ServiceResponse")]
    response: Response<'a>,
}

/// `ServiceResponse`. An empty result and a last page lack most of its fields (recorded in 2020 and 2022).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) response_code: Cow<'a, str>,
    #[serde(default, deserialize_with = "integer")]
    pub(super) count: Option<i64>,
    #[serde(default, deserialize_with = "flag")]
    pub(super) has_more_records: Option<bool>,
    #[serde(default, deserialize_with = "integer")]
    pub(super) last_id: Option<i64>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    pub(super) response_error_details: Option<ErrorDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorDetails {
    pub(super) error_message: Option<String>,
}

/// The envelope in a body. The error says what is wrong with the body and shows nothing of it.
pub(super) fn response(bytes: &[u8]) -> Result<Response<'_>, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".into());
    }
    match serde_json::from_slice::<Envelope<'_>>(bytes) {
        Ok(envelope) => Ok(envelope.response),
        Err(_) if bytes.trim_ascii_start().starts_with(b"<") => Err("it is XML or HTML, not JSON".into()),
        Err(error) => Err(position(&error)),
    }
}

/// Where parsing stopped and why. The message of `serde` may repeat values, so it is not used.
pub(super) fn position(error: &serde_json::Error) -> String {
    let class = match error.classify() {
        serde_json::error::Category::Eof => "it ends early",
        serde_json::error::Category::Syntax => "it is not JSON",
        _ => "its shape is not the documented one",
    };
    format!("{class} (line {}, column {})", error.line(), error.column())
}

impl<'a> Response<'a> {
    /// The records of one page of a search. An empty result states `count` 0, and a full page states whether there are more
    /// records. An answer that does not is an error, and never an empty list.
    pub(super) fn rows(&self, noun: &str, page: usize) -> Result<Vec<&'a RawValue>, String> {
        if self.count.is_none() {
            return Err("it has no count".into());
        }
        let rows = self.records(noun)?;
        if rows.len() >= page && self.has_more_records.is_none() {
            return Err("it is full and does not say whether there are more records".into());
        }
        Ok(rows)
    }

    /// The records of an answer, each without its one-key object. An error if their number differs from `count`.
    pub(super) fn records(&self, noun: &str) -> Result<Vec<&'a RawValue>, String> {
        let items: Vec<&'a RawValue> = match self.data {
            None => Vec::new(),
            // Documented as a list of one-key objects; one client also received a single object.
            Some(data) if data.get().starts_with('[') => {
                serde_json::from_str(data.get()).map_err(|e| position(&e))?
            }
            Some(data) => vec![data],
        };
        let records: Vec<&'a RawValue> =
            items.into_iter().map(|item| record(item, noun)).collect::<Result<_, _>>()?;
        match self.count {
            Some(count) if usize::try_from(count) != Ok(records.len()) => {
                Err(format!("it states {count} records and has {}", records.len()))
            }
            _ => Ok(records),
        }
    }

    /// The next page holds ids greater than this; none: this was the last page.
    ///
    /// It goes on after its last row. Whether `lastId` names that row or the next page's first one is not known, and if it
    /// names the latter, going on after it would lose a row a page.
    pub(super) fn next_after(
        &self,
        last_row: Option<i64>,
        before: Option<i64>,
    ) -> Result<Option<i64>, String> {
        if self.has_more_records != Some(true) {
            return Ok(None);
        }
        let Some(last_row) = last_row.filter(|last| Some(*last) > before) else {
            return Err("it says that there are more records but has no new one".into());
        };
        if self.last_id.is_some_and(|last_id| last_id < last_row) {
            return Err("its lastId is below the id of its last record".into());
        }
        Ok(Some(last_row))
    }
}

fn record<'a>(item: &'a RawValue, noun: &str) -> Result<&'a RawValue, String> {
    let mut object: std::collections::BTreeMap<Cow<'a, str>, &'a RawValue> =
        serde_json::from_str(item.get()).map_err(|error| position(&error))?;
    object.remove(noun).ok_or_else(|| format!("a record is not of type {noun}"))
}

/// The fields of a record, each read by itself: one of an odd type counts as not stated, and spoils nothing else.
pub(super) struct Fields<'a>(std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(super) fn of(record: &'a RawValue) -> Result<Self, String> {
        serde_json::from_str(record.get()).map(Self).map_err(|error| position(&error))
    }

    fn value<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// A field that one of the lenient readers below reads.
    fn read<T>(&self, name: &str, reader: fn(&'a RawValue) -> serde_json::Result<Option<T>>) -> Option<T> {
        reader(self.0.get(name)?).ok().flatten()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name)
    }

    pub(super) fn object(&self, name: &str) -> Option<Self> {
        self.value(name).map(Self)
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        self.value(name)
    }
}

/// The connector of a record; none when Qualys marks it as deleted. Any field but the id may be missing.
pub(super) fn connector(record: &RawValue) -> Result<Option<Connector>, String> {
    let id = ConnectorId(id_of(record)?);
    let fields = Fields::of(record)?;
    if fields.read("isDeleted", flag) == Some(true) {
        return Ok(None);
    }
    let auth = fields.object("authRecord");
    let auth = |name| auth.as_ref().and_then(|auth| auth.text(name));
    // An empty text, too, says nothing: the next name is looked at.
    let error = |name| fields.text(name).filter(|text| !text.trim().is_empty());
    // The schema says `lastSync`; Qualys's own tenant-connector script reads `lastSyncedOn`.
    let stated = fields.read("lastSync", time).or_else(|| fields.read("lastSyncedOn", time));
    let (last_sync, odd_last_sync) = match stated {
        None => (None, None),
        Some(Time::Stated(StatedTime::At(at))) => (Some(at), None),
        Some(Time::Stated(StatedTime::WithoutZone(at))) => (None, Some(OddTime::WithoutZone(at))),
        Some(Time::Other) => (None, Some(OddTime::NotATime)),
    };
    Ok(Some(Connector {
        id,
        name: fields.text("name").unwrap_or_default(),
        description: fields.text("description").unwrap_or_default(),
        state: word(&fields.text("connectorState").unwrap_or_default()).as_str().into(),
        last_sync,
        odd_last_sync,
        last_error: ["lastError", "errorDetail", "error"].into_iter().find_map(error),
        disabled: fields.read("disabled", flag),
        member: fields.read("isAttachedToOrgConnector", flag),
        run_frequency_minutes: fields
            .read("runFrequency", integer)
            .and_then(|minutes| u32::try_from(minutes).ok()),
        // An id that is not a GUID counts as not stated.
        application: auth("applicationId").and_then(|id| id.parse().ok()),
        directory: auth("directoryId").and_then(|id| id.parse().ok()),
        subscription: auth("subscriptionId").and_then(|id| id.parse().ok()),
    }))
}

/// Replaces a code or state that may not be shown.
pub(super) const UNREADABLE: &str = "(unreadable)";

/// A code or state of Qualys's as it may be stored and shown: only a name in capitals passes, since a server could
/// put anything here, a secret too.
pub(super) fn word(text: &str) -> String {
    const LONGEST: usize = 64;
    let text = text.trim();
    let is_name = text.len() <= LONGEST
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_name { text.to_owned() } else { UNREADABLE.to_owned() }
}

/// The id of a record of any type. Without it, nothing that the record says is of use.
pub(super) fn id_of(record: &RawValue) -> Result<i64, String> {
    Fields::of(record)?.read("id", integer).ok_or_else(|| "a record has no id that is a number".to_owned())
}

/// `SECONDS_TO_WAIT` in the body of a refusal, in the XML of the classic API or as JSON.
pub(super) fn seconds_to_wait(bytes: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(bytes).ok()?;
    let rest = text.split_once("SECONDS_TO_WAIT")?.1;
    // The value is in the next element or member, so a few characters later.
    let digits: String =
        rest.chars().take(80).skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// The response code of an XML answer.
pub(super) fn xml_code(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.split_once("<responseCode>")?.1.split_once("</responseCode>")?.0.trim())
}

/// The client secret inside the body of a request, to keep it out of errors.
pub(super) fn key_in(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let key = value.pointer("/ServiceRequest/data/AzureAssetDataConnector/authRecord/authenticationKey")?;
    key.as_str().map(str::to_owned)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Bool(bool),
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// A number, or a string that is one.
fn integer<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(match Loose::deserialize(from)? {
        Loose::Number(number) => Some(number),
        Loose::Text(text) => text.trim().parse().ok(),
        Loose::Bool(_) | Loose::Other(_) => None,
    })
}

/// A boolean, or a string that is one: Qualys sends strings, and its own scripts lower-case them.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Loose::deserialize(from)? {
        Loose::Bool(value) => Some(value),
        Loose::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Loose::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

/// What stands where a time should.
enum Time {
    Stated(StatedTime),
    /// Something else.
    Other,
}

/// ISO 8601; one published answer has a line break before it. A blank text counts as none.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    Ok(match Option::<Loose>::deserialize(from)? {
        None => None,
        Some(Loose::Text(text)) if text.trim().is_empty() => None,
        Some(Loose::Text(text)) => Some(text.trim().parse().map_or(Time::Other, Time::Stated)),
        Some(_) => Some(Time::Other),
    })
}
