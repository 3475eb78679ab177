//! What was asked of the world: one [`Call`] a request, in order of arrival.
//!
//! Guarantees: a request is recorded before it has any effect; its status follows when it is answered.

use jiff::Timestamp;
use serde_json::Value;

/// One of the services that the world plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The Qualys API server.
    Qualys,
    /// Azure Resource Manager and Resource Graph.
    Arm,
    /// The Entra token endpoint.
    Entra,
    /// The App Service identity endpoint.
    Identity,
    /// The secrets of Key Vault.
    Vault,
    /// Blobs and queues of a storage account ([`crate::World::storage`]).
    Storage,
}

/// Which operation a request is; in a [`crate::Fault`] also a family of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// Faults only: every request.
    Any,
    /// Faults only: every request to Qualys.
    AnyQualys,
    /// Faults only: every request to Resource Manager.
    AnyArm,
    /// Faults only: every request to storage.
    AnyStorage,
    /// `POST /qps/rest/3.0/search/am/azureassetdataconnector`.
    ConnectorSearch,
    /// `GET /qps/rest/3.0/get/am/azureassetdataconnector/{id}`.
    ConnectorGet,
    /// `POST /qps/rest/3.0/create/am/azureassetdataconnector`.
    ConnectorCreate,
    /// `POST /qps/rest/3.0/update/am/azureassetdataconnector/{id}`.
    ConnectorUpdate,
    /// `POST /qps/rest/3.0/run/am/azureassetdataconnector/{id}`.
    ConnectorRun,
    /// `POST /qps/rest/3.0/delete/am/azureassetdataconnector/{id}`.
    ConnectorDelete,
    /// `POST /qps/rest/3.0/search/am/assetdataconnectorerrors`.
    ConnectorErrors,
    /// `POST /qps/rest/2.0/search/am/hostasset`.
    HostSearch,
    /// `POST /qps/rest/2.0/count/am/hostasset`.
    HostCount,
    /// `GET /qps/rest/2.0/get/am/hostasset/{id}`.
    HostGet,
    /// `POST /qps/rest/2.0/search/am/tag`.
    TagSearch,
    /// `GET /qps/rest/portal/version`.
    PortalVersion,
    /// `GET /subscriptions`.
    ArmList,
    /// `GET /subscriptions/{id}`.
    ArmGet,
    /// `GET …/managementGroups/{group}/descendants`.
    ArmDescendants,
    /// `POST …/Microsoft.ResourceGraph/resources`.
    ArmGraph,
    /// `POST /{tenant}/oauth2/v2.0/token`.
    Token,
    /// `GET` of the identity endpoint.
    Identity,
    /// Any request to Key Vault without a token, which is only told where to get one. Azure's own clients begin with one.
    VaultChallenge,
    /// `GET /secrets/{name}` and `GET /secrets/{name}/{version}`, with a token.
    VaultGet,
    /// `GET /secrets/{name}/versions`, with a token.
    VaultVersions,
    /// `GET /{container}/{blob}`.
    BlobGet,
    /// `HEAD /{container}/{blob}`.
    BlobProperties,
    /// `PUT /{container}/{blob}`.
    BlobPut,
    /// `PUT /{container}/{blob}?comp=block`.
    BlockPut,
    /// `PUT /{container}/{blob}?comp=blocklist`.
    BlockListPut,
    /// `DELETE /{container}/{blob}`.
    BlobDelete,
    /// `GET /{container}?restype=container&comp=list`.
    BlobList,
    /// `PUT /{container}/{blob}?comp=lease`, whatever the action; a fault for one action is one `containing("renew")`.
    BlobLease,
    /// `POST /{queue}/messages`.
    QueueSend,
    /// `GET /{queue}/messages`.
    QueueReceive,
    /// `PUT /{queue}/messages/{id}`.
    QueueUpdate,
    /// `DELETE /{queue}/messages/{id}`.
    QueueDelete,
    /// Any other request to storage: to containers and queues themselves, metadata, the account.
    StorageOther,
    /// A path that the service does not have.
    Unknown,
}

impl CallKind {
    /// Whether the operation changes something in Qualys.
    pub fn is_qualys_write(self) -> bool {
        matches!(
            self,
            Self::ConnectorCreate | Self::ConnectorUpdate | Self::ConnectorRun | Self::ConnectorDelete
        )
    }

    /// Whether `self` is a family of operations.
    pub(crate) fn is_family(self) -> bool {
        matches!(self, Self::Any | Self::AnyQualys | Self::AnyArm | Self::AnyStorage)
    }

    /// Whether a fault for `self` applies to a request of kind `call` to `service`.
    pub(crate) fn covers(self, call: Self, service: Service) -> bool {
        match self {
            Self::Any => true,
            Self::AnyQualys => service == Service::Qualys,
            Self::AnyArm => service == Service::Arm,
            Self::AnyStorage => service == Service::Storage,
            one => one == call,
        }
    }
}

/// One request as the world saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Number of the request since the world began, from 1.
    pub number: u64,
    /// When it arrived, by the world's clock.
    pub at: Timestamp,
    /// Which service was asked.
    pub service: Service,
    /// Which operation.
    pub call: CallKind,
    /// HTTP method.
    pub method: String,
    /// Path and query; of storage with slashes where `%2F` was sent, as Azure's own client does in names of blobs.
    pub path: String,
    /// Status answered; `None` while unanswered and when the connection was dropped.
    pub status: Option<u16>,
    /// Qualys response code or ARM, Entra error code answered; of Key Vault the inner code, where there is one; of
    /// storage `x-ms-error-code`.
    pub code: Option<String>,
    /// Connector in the path, or in the answer of a create.
    pub connector_id: Option<i64>,
    /// Subscription in the path, body or criteria, or of the connector in the path.
    pub subscription: Option<String>,
    /// Whether `X-Requested-With` was sent (no source proves that QPS demands it, so it is only recorded).
    pub requested_with: bool,
    /// The JSON body that was sent, secrets included. Of storage: a blob of up to 64 KiB, the message without its base64, and for a
    /// lease the action.
    pub sent: Option<Value>,
    /// Name of the fault that struck, if one did.
    pub fault: Option<String>,
}

/// Calls kept at least; a world that serves for days must not grow without end.
const KEPT: usize = 200_000;

/// The record, and the number of the next request.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    kept: Vec<Call>,
    numbered: u64,
}

impl Calls {
    pub(crate) fn record(&mut self, mut call: Call) -> u64 {
        self.numbered += 1;
        call.number = self.numbered;
        if self.kept.len() == 2 * KEPT {
            self.kept.drain(..KEPT);
        }
        self.kept.push(call);
        self.numbered
    }

    pub(crate) fn edit(&mut self, number: u64, change: impl FnOnce(&mut Call)) {
        // Numbers grow by one, so the place of a call follows from the number of the first that is kept.
        let first = self.kept.first().map_or(0, |call| call.number);
        if let Some(index) = number.checked_sub(first).and_then(|index| usize::try_from(index).ok())
            && let Some(call) = self.kept.get_mut(index)
        {
            change(call);
        }
    }

    /// Number of the latest request.
    pub(crate) fn numbered(&self) -> u64 {
        self.numbered
    }

    pub(crate) fn kept(&self) -> &[Call] {
        &self.kept
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }
}
