//! QPS 3.0 `azureassetdataconnector`: search, get, create, update, run, delete.

use super::{Call, Qualys, QualysError, wire};
use crate::model::{AppId, Connector, ConnectorId, SubscriptionId, TenantId};
use crate::state::Endpoint;
use bytes::Bytes;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::collections::BTreeMap;

const NOUN: &str = "AzureAssetDataConnector";
/// The largest page that Qualys allows (1 to 1,000): 1,000 subscriptions cost one call.
const PAGE: usize = 1000;
/// The size of a page when none is asked for.
const DEFAULT_PAGE: usize = 100;

/// A connector to be made.
#[derive(Debug, Clone)]
pub struct NewConnector {
    /// Its name.
    pub name: String,
    /// Its description, with our mark.
    pub description: String,
    /// The service principal's application.
    pub application: AppId,
    /// The directory.
    pub directory: TenantId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The service principal's secret.
    pub secret: SecretString,
    /// Apps: `AI`, `CI`, `CSA`.
    pub apps: Vec<String>,
    /// Modules to activate on the machines found.
    pub modules: Vec<String>,
    /// Ids of the tags to put on what is found.
    pub tags: Vec<i64>,
    /// Minutes between the syncs that Qualys starts itself.
    pub run_frequency_minutes: u32,
}

impl Qualys {
    /// Every Azure connector of the account that is not deleted.
    ///
    /// # Errors
    /// When any page fails or is not what it says: the list is never shorter than the account's.
    pub async fn connectors(&self) -> Result<BTreeMap<ConnectorId, Connector>, QualysError> {
        let mut found = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut after: Option<i64> = None;
        loop {
            let mut preferences = json!({ "limitResults": PAGE });
            if let Some(after) = after {
                // `startFromId` is what Qualys's own script uses on this noun. Whether the row with that id comes again
                // is not known, so rows are told apart by their id.
                preferences["startFromId"] = json!(after);
            }
            let request = json!({ "ServiceRequest": { "preferences": preferences } });
            let bytes = self.search(&request).await?;
            let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorSearch, what };
            let answer = wire::response(&bytes).map_err(malformed)?;
            let before = seen.len();
            for record in answer.rows(NOUN, PAGE).map_err(malformed)? {
                seen.insert(wire::id_of(record).map_err(malformed)?);
                if let Some(connector) = wire::connector(record).map_err(malformed)? {
                    found.insert(connector.id, connector);
                }
            }
            match answer.next_after(seen.last().copied(), after).map_err(malformed)? {
                None => return Ok(found),
                Some(_) if seen.len() == before => {
                    return Err(malformed("it says that there is more, and does not go on".into()));
                }
                next => after = next,
            }
        }
    }

    /// Asks for one connector at most: the cheapest call that shows whether Qualys accepts the user.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn sign_in(&self) -> Result<(), QualysError> {
        let bytes =
            self.search(&json!({ "ServiceRequest": { "preferences": { "limitResults": 1 } } })).await?;
        let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorSearch, what };
        // A page of somebody in between is no sign-in.
        wire::response(&bytes).and_then(|answer| answer.rows(NOUN, 1)).map_err(malformed)?;
        Ok(())
    }

    /// The connectors that Qualys has for one subscription.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn connectors_of(&self, subscription: SubscriptionId) -> Result<Vec<Connector>, QualysError> {
        let criteria = [json!({
            // Spelt as in Qualys's own working script; the documentation writes it in lower case.
            "field": "authRecord.subscriptionId", "operator": "EQUALS", "value": subscription.to_string()
        })];
        let request = json!({ "ServiceRequest": { "filters": { "Criteria": criteria } } });
        let bytes = self.search(&request).await?;
        let malformed = |what| QualysError::Malformed { endpoint: Endpoint::ConnectorSearch, what };
        let answer = wire::response(&bytes).map_err(malformed)?;
        if answer.has_more_records == Some(true) {
            return Err(malformed("over a hundred connectors of one subscription".into()));
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
    /// [`QualysError::NotFound`] also when it is deleted or outside the user's scope.
    pub async fn connector(&self, id: ConnectorId) -> Result<Connector, QualysError> {
        let endpoint = Endpoint::ConnectorGet;
        let path = format!("/qps/rest/3.0/get/am/azureassetdataconnector/{id}");
        let bytes = self.send(Call { endpoint, method: Method::GET, path, body: None }).await?;
        let malformed = |what| QualysError::Malformed { endpoint, what };
        let records = wire::response(&bytes).and_then(|answer| answer.records(NOUN)).map_err(malformed)?;
        let [record] = records[..] else {
            return Err(malformed(format!("it has {} records instead of one", records.len())));
        };
        wire::connector(record).map_err(malformed)?.ok_or(QualysError::NotFound { endpoint })
    }

    /// Makes a connector. Qualys does not check the credentials now: a wrong secret shows after the first sync.
    ///
    /// # Errors
    /// An error that [`QualysError::is_unclear`] may stand for a connector that was made: look before doing it again.
    pub async fn create(&self, new: &NewConnector) -> Result<ConnectorId, QualysError> {
        let subscription = new.subscription.to_string();
        // One list for each app, as Qualys's own script sends it.
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

    /// Switches a connector on or off. Fields that are not sent stay as they are.
    ///
    /// # Errors
    /// An error that [`QualysError::is_unclear`] may stand for a change that was made.
    pub async fn set_disabled(&self, id: ConnectorId, disabled: bool) -> Result<(), QualysError> {
        self.write(Endpoint::ConnectorUpdate, "update", Some(id), Some(&json!({ "disabled": disabled })))
            .await?;
        Ok(())
    }

    /// Starts a sync. The answer gives no run id, and the connector may show its old state for a while.
    ///
    /// # Errors
    /// An error that [`QualysError::is_unclear`] may stand for a sync that was started.
    pub async fn run(&self, id: ConnectorId) -> Result<(), QualysError> {
        self.write(Endpoint::ConnectorRun, "run", Some(id), None).await?;
        Ok(())
    }

    /// Deletes a connector. One that is gone already is a success.
    ///
    /// # Errors
    /// An error that [`QualysError::is_unclear`] may stand for a connector that was deleted.
    pub async fn delete(&self, id: ConnectorId) -> Result<(), QualysError> {
        match self.write(Endpoint::ConnectorDelete, "delete", Some(id), None).await {
            Ok(_) | Err(QualysError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Always by id: the filter forms once hit connectors that nobody meant (Qualys forbids `NOT EQUALS` in them since).
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
