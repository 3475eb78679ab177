//! QPS 3.0 `azureassetdataconnector`: search, get, create, update, run, delete.

use super::{Call, Qualys, QualysError, wire};
use crate::model::{AppId, Connector, ConnectorId, SubscriptionId, TenantId};
use crate::state::Endpoint;
use bytes::Bytes;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const NOUN: &str = "AzureAssetDataConnector";
/// The largest page that Qualys allows (1 to 1,000): 1,000 subscriptions cost one call.
const PAGE: usize = 1000;
/// The page size when a search states none.
const DEFAULT_PAGE: usize = 100;

/// A connector to create.
#[derive(Debug, Clone)]
pub struct NewConnector {
    pub name: String,
    /// With our mark.
    pub description: String,
    /// The application id of the service principal.
    pub application: AppId,
    pub directory: TenantId,
    pub subscription: SubscriptionId,
    /// The secret of the service principal.
    pub secret: SecretString,
    /// `AI`, `CI`, `CSA`.
    pub apps: Vec<String>,
    /// Modules to activate on the machines that the connector finds.
    pub modules: Vec<String>,
    /// Ids of the tags that Qualys puts on the assets that the connector finds.
    pub tags: Vec<i64>,
    /// Minutes between the syncs that Qualys starts itself.
    pub run_frequency_minutes: u32,
}

/// One page of the list of connectors.
struct Page {
    /// The ids of its rows, in their order, those of deleted connectors too.
    ids: Vec<i64>,
    connectors: BTreeMap<ConnectorId, Connector>,
    has_more: bool,
}

impl Qualys {
    /// Every Azure connector of the account that is not deleted.
    ///
    /// A list of one page is as complete as its `count` and `hasMoreRecords` say. A longer one must also have rising ids, and
    /// a page past its end must be empty. Whether Qualys counts this noun is not known, so it is not asked to.
    ///
    /// # Errors
    /// When any page fails or differs from what it states: a list that is returned is complete.
    pub async fn connectors(&self) -> Result<BTreeMap<ConnectorId, Connector>, QualysError> {
        let malformed = |what: &str| QualysError::Malformed {
            endpoint: Endpoint::ConnectorSearch,
            what: what.to_owned(),
        };
        let mut found = BTreeMap::new();
        let mut page = self.page_after(None).await?;
        found.append(&mut page.connectors);
        if !page.has_more {
            return Ok(found);
        }
        loop {
            // By the last row, not by the `lastId` that the answer states: that one may name a row that was not sent.
            let Some(last) = page.ids.last().copied() else {
                return Err(malformed("it says that there are more records but has none"));
            };
            if !page.ids.is_sorted_by(|a, b| a < b) {
                return Err(malformed("the ids of a list of several pages do not rise"));
            }
            let ended = !page.has_more;
            page = self.page_after(Some(last)).await?;
            // Whether the row named by `startFromId` is returned again is not known.
            if page.ids.first() == Some(&last) {
                page.ids.remove(0);
            }
            if page.ids.first().is_some_and(|first| *first <= last) {
                return Err(malformed("a page has rows of the page before it"));
            }
            match (ended, page.ids.is_empty()) {
                (true, true) => return Ok(found),
                (true, false) => {
                    return Err(malformed("it has records after the page that it calls the last"));
                }
                (false, true) => {
                    return Err(malformed("it says that there are more records but has no new one"));
                }
                (false, false) => found.append(&mut page.connectors),
            }
        }
    }

    /// The page of connectors whose ids come after one, or the first page.
    async fn page_after(&self, after: Option<i64>) -> Result<Page, QualysError> {
        let mut preferences = json!({ "limitResults": PAGE });
        if let Some(after) = after {
            // Qualys's own script uses `startFromId` on this noun.
            preferences["startFromId"] = json!(after);
        }
        let bytes = self.search(&json!({ "ServiceRequest": { "preferences": preferences } })).await?;
        let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorSearch, what };
        let answer = wire::response(&bytes).map_err(malformed)?;
        let mut page = Page {
            ids: Vec::new(),
            connectors: BTreeMap::new(),
            has_more: answer.has_more_records == Some(true),
        };
        for record in answer.rows(NOUN, PAGE).map_err(malformed)? {
            page.ids.push(wire::id_of(record).map_err(malformed)?);
            if let Some(connector) = wire::connector(record).map_err(malformed)? {
                page.connectors.insert(connector.id, connector);
            }
        }
        // What the answer states of the next page must fit its rows, too.
        answer.next_after(page.ids.last().copied(), after).map_err(malformed)?;
        let distinct: BTreeSet<_> = page.ids.iter().collect();
        if distinct.len() < page.ids.len() {
            return Err(malformed("it has a record twice".into()));
        }
        Ok(page)
    }

    /// Asks for one connector at most: the cheapest call that shows whether Qualys accepts the credentials.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn sign_in(&self) -> Result<(), QualysError> {
        let bytes =
            self.search(&json!({ "ServiceRequest": { "preferences": { "limitResults": 1 } } })).await?;
        let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorSearch, what };
        // A proxy's own success page is not a sign-in.
        wire::response(&bytes).and_then(|answer| answer.rows(NOUN, 1)).map_err(malformed)?;
        Ok(())
    }

    /// The connectors that Qualys has for one subscription.
    ///
    /// # Errors
    /// When the call fails, or when its answer cannot be used.
    pub async fn connectors_of(&self, subscription: SubscriptionId) -> Result<Vec<Connector>, QualysError> {
        let criteria = [json!({
            // Spelt as in Qualys's own script, which works; the documentation has it in lower case.
            "field": "authRecord.subscriptionId", "operator": "EQUALS", "value": subscription.to_string()
        })];
        let request = json!({ "ServiceRequest": { "filters": { "Criteria": criteria } } });
        let bytes = self.search(&request).await?;
        let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorSearch, what };
        let answer = wire::response(&bytes).map_err(malformed)?;
        if answer.has_more_records == Some(true) {
            return Err(malformed("it has over a hundred connectors for one subscription".into()));
        }
        let mut found = Vec::new();
        for record in answer.rows(NOUN, DEFAULT_PAGE).map_err(malformed)? {
            found.extend(wire::connector(record).map_err(malformed)?);
        }
        Ok(found)
    }

    async fn search(&self, request: &serde_json::Value) -> Result<Bytes, QualysError> {
        self.send(Call {
            endpoint: Endpoint::ConnectorSearch,
            method: Method::POST,
            path: "/qps/rest/3.0/search/am/azureassetdataconnector".into(),
            body: Some(request.to_string().into()),
        })
        .await
    }

    /// One connector.
    ///
    /// # Errors
    /// When the call fails. [`QualysError::NotFound`] may also mean that it is deleted or outside the user's scope.
    pub async fn connector(&self, id: ConnectorId) -> Result<Connector, QualysError> {
        let endpoint = Endpoint::ConnectorGet;
        let path = format!("/qps/rest/3.0/get/am/azureassetdataconnector/{id}");
        let bytes = self.send(Call { endpoint, method: Method::GET, path, body: None }).await?;
        let malformed = |what| QualysError::Malformed { endpoint, what };
        let records = wire::response(&bytes).and_then(|answer| answer.records(NOUN)).map_err(malformed)?;
        let [record] = records[..] else {
            return Err(malformed(format!("it has {} records instead of one", records.len())));
        };
        match wire::connector(record).map_err(malformed)? {
            Some(connector) if connector.id == id => Ok(connector),
            Some(other) => Err(malformed(format!("it is connector {} instead of {id}", other.id))),
            None => Err(QualysError::NotFound { endpoint }),
        }
    }

    /// Creates a connector. Qualys does not check the credentials then: a wrong secret shows only after the first sync.
    ///
    /// # Errors
    /// When the call fails. If the error [is unclear](QualysError::is_unclear), Qualys may have created the connector: look
    /// before the call is repeated.
    pub async fn create(&self, new: &NewConnector) -> Result<ConnectorId, QualysError> {
        let subscription = new.subscription.to_string();
        // One object an app, as Qualys's own script sends it.
        let apps: Vec<_> = new
            .apps
            .iter()
            .map(|app| json!({ "set": { "ConnectorAppInfo": { "name": app, "identifier": subscription } } }))
            .collect();
        let mut connector = json!({
            "name": new.name,
            "description": new.description,
            "disabled": false,
            "runFrequency": new.run_frequency_minutes,
            "authRecord": {
                "applicationId": new.application.to_string(),
                "directoryId": new.directory.to_string(),
                "subscriptionId": subscription,
                "authenticationKey": new.secret.expose_secret(),
            },
            "connectorAppInfos": { "set": { "ConnectorAppInfoQList": apps } },
        });
        if !new.modules.is_empty() {
            connector["activation"] = json!({ "set": { "ActivationModule": new.modules } });
        }
        if !new.tags.is_empty() {
            let tags: Vec<_> = new.tags.iter().map(|id| json!({ "id": id })).collect();
            connector["defaultTags"] = json!({ "set": { "TagSimple": tags } });
        }
        let bytes = self.write(Endpoint::ConnectorCreate, "create", None, Some(&connector)).await?;
        let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorCreate, what };
        let records = wire::response(&bytes).and_then(|answer| answer.records(NOUN)).map_err(malformed)?;
        let [record] = records[..] else {
            return Err(malformed(format!("it has {} records instead of one", records.len())));
        };
        wire::id_of(record).map(ConnectorId).map_err(malformed)
    }

    /// Disables or enables a connector. Qualys leaves the fields that are not sent as they are.
    ///
    /// # Errors
    /// When the call fails. If the error [is unclear](QualysError::is_unclear), Qualys may have made the change.
    pub async fn set_disabled(&self, id: ConnectorId, disabled: bool) -> Result<(), QualysError> {
        self.write(Endpoint::ConnectorUpdate, "update", Some(id), Some(&json!({ "disabled": disabled })))
            .await?;
        Ok(())
    }

    /// Starts a sync. The answer has no run id, and the connector may show its old state for a while.
    ///
    /// # Errors
    /// When the call fails. If the error [is unclear](QualysError::is_unclear), Qualys may have started the sync.
    pub async fn run(&self, id: ConnectorId) -> Result<(), QualysError> {
        self.write(Endpoint::ConnectorRun, "run", Some(id), None).await?;
        Ok(())
    }

    /// Deletes a connector. It is a success if there is none any more.
    ///
    /// # Errors
    /// When the call fails. If the error [is unclear](QualysError::is_unclear), Qualys may have deleted the connector.
    pub async fn delete(&self, id: ConnectorId) -> Result<(), QualysError> {
        match self.write(Endpoint::ConnectorDelete, "delete", Some(id), None).await {
            Ok(_) | Err(QualysError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes to one connector by its id, never by a filter: filters once matched connectors by mistake, and Qualys has
    /// forbidden `NOT EQUALS` in them since.
    async fn write(
        &self,
        endpoint: Endpoint,
        verb: &str,
        id: Option<ConnectorId>,
        data: Option<&serde_json::Value>,
    ) -> Result<Bytes, QualysError> {
        let mut path = format!("/qps/rest/3.0/{verb}/am/azureassetdataconnector");
        if let Some(id) = id {
            path = format!("{path}/{id}");
        }
        let body =
            data.map(|data| json!({ "ServiceRequest": { "data": { NOUN: data } } }).to_string().into());
        self.send(Call { endpoint, method: Method::POST, path, body }).await
    }
}
