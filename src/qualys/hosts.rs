//! QPS 2.0 `hostasset`: Azure virtual machines, by ranges of ids.

use super::{Call, Qualys, QualysError, wire};
use crate::manifest::IdRange;
use crate::model::SubscriptionId;
use crate::state::Endpoint;
use bytes::Bytes;
use reqwest::Method;
use serde_json::json;

const NOUN: &str = "HostAsset";
/// The largest page that Qualys allows.
const PAGE: usize = 1000;
/// The fields that a snapshot keeps. Vulnerabilities, software and ports would multiply the size of the answer and are
/// not inventory. Paths go through `list`, as in Qualys's own Jenkins plugin.
const FIELDS: &str = "id,name,created,modified,type,qwebHostId,fqdn,os,dnsHostName,address,trackingMethod,isDockerHost,\
    tags.list.TagSimple.id,tags.list.TagSimple.name,\
    networkInterface.list.HostAssetInterface.hostname,networkInterface.list.HostAssetInterface.interfaceId,\
    networkInterface.list.HostAssetInterface.type,networkInterface.list.HostAssetInterface.address,\
    sourceInfo.list.AzureAssetSourceSimple";

/// One page of hosts, in the order of their ids.
#[derive(Debug)]
pub struct HostPage {
    pub rows: Vec<HostRow>,
    /// The next page holds ids greater than this; none: this was the last page.
    pub next_after: Option<i64>,
}

/// One host as Qualys returned it.
#[derive(Debug, Clone)]
pub struct HostRow {
    /// Its Qualys id.
    pub id: i64,
    /// The subscription of its Azure source; not every host has one.
    pub subscription: Option<SubscriptionId>,
    /// The record as JSON, on one line.
    pub json: Bytes,
}

/// Filters for the Azure hosts of a range.
fn criteria(range: IdRange) -> Vec<serde_json::Value> {
    let criterion = |field: &str, operator: &str, value: String| json!({ "field": field, "operator": operator, "value": value });
    let mut criteria = vec![criterion("cloudProviderType", "EQUALS", "AZURE".into())];
    criteria.push(criterion("id", "GREATER", range.after.to_string()));
    criteria.extend(range.before.map(|before| criterion("id", "LESSER", before.to_string())));
    criteria
}

impl Qualys {
    /// The first page of a range.
    ///
    /// # Errors
    /// When the call fails, or when the page differs from what it states or was asked for.
    pub async fn hosts(&self, range: IdRange) -> Result<HostPage, QualysError> {
        let endpoint = Endpoint::HostSearch;
        let request = json!({ "ServiceRequest": {
            "preferences": { "limitResults": PAGE }, "filters": { "Criteria": criteria(range) } } });
        let path = format!("/qps/rest/2.0/search/am/hostasset?fields={FIELDS}");
        let body = Some(request.to_string().into());
        let bytes = self.send(Call { endpoint, method: Method::POST, path, body }).await?;
        page(&bytes, range).map_err(|what| QualysError::Malformed { endpoint, what })
    }

    /// How many hosts Qualys counts in a range.
    ///
    /// # Errors
    /// When the call fails, or when its answer has no count.
    pub async fn count_hosts(&self, range: IdRange) -> Result<u64, QualysError> {
        let endpoint = Endpoint::HostCount;
        let request = json!({ "ServiceRequest": { "filters": { "Criteria": criteria(range) } } });
        let path = "/qps/rest/2.0/count/am/hostasset".into();
        let bytes = self
            .send(Call { endpoint, method: Method::POST, path, body: Some(request.to_string().into()) })
            .await?;
        let count =
            wire::response(&bytes).map(|answer| answer.count.and_then(|count| u64::try_from(count).ok()));
        let malformed = |what| QualysError::Malformed { endpoint, what };
        count.map_err(malformed)?.ok_or_else(|| malformed("it has no count".into()))
    }
}

pub(super) fn page(bytes: &Bytes, range: IdRange) -> Result<HostPage, String> {
    let answer = wire::response(bytes)?;
    let mut rows = answer
        .rows(NOUN, PAGE)?
        .into_iter()
        .map(|record| row(bytes, record))
        .collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| row.id);
    if let (Some(first), Some(last)) = (rows.first(), rows.last())
        && (first.id <= range.after || range.before.is_some_and(|before| last.id >= before))
    {
        return Err("it has records outside the range that was asked for".into());
    }
    let next_after = answer.next_after(rows.last().map(|row| row.id), Some(range.after))?;
    Ok(HostPage { rows, next_after })
}

fn row(bytes: &Bytes, record: &serde_json::value::RawValue) -> Result<HostRow, String> {
    let id = wire::id_of(record)?;
    let text = record.get();
    let json = if text.contains(['\n', '\r']) {
        // Line breaks occur only between tokens: inside a JSON string they are escaped.
        Bytes::from(text.replace(['\n', '\r'], " "))
    } else {
        bytes.slice_ref(text.as_bytes())
    };
    Ok(HostRow { id, subscription: subscription(record), json })
}

/// The subscription of a host's Azure source. A host has several sources in any order; those that are not Azure are objects
/// of other names.
fn subscription(record: &serde_json::value::RawValue) -> Option<SubscriptionId> {
    let sources = wire::Fields::of(record).ok()?.object("sourceInfo")?.list("list")?;
    sources.into_iter().find_map(|source| {
        let azure = wire::Fields::of(source).ok()?.object("AzureAssetSourceSimple")?;
        azure.text("subscriptionId")?.parse().ok()
    })
}
