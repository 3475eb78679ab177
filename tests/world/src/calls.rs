//! The record of requests: one [`Call`] for each, in order of arrival.
//!
//! Guarantees: a request is recorded before it has any effect; its status is added when it is answered.

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
    /// Any request to Key Vault without a token, which is answered with where to get one. Azure's own clients begin with
    /// such a request.
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
    /// `PUT /{container}/{blob}?comp=lease`, for all actions. For a fault of one action use `containing("renew")`.
    BlobLease,
    /// `POST /{queue}/messages`.
    QueueSend,
    /// `GET /{queue}/messages`.
    QueueReceive,
    /// `PUT /{queue}/messages/{id}`.
    QueueUpdate,
    /// `DELETE /{queue}/messages/{id}`.
    QueueDelete,
    /// Any other request to storage: about a container or queue as a whole, metadata, the account.
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

    /// Whether a fault for `self` applies to a `call` to `service`.
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

/// One request as the world received it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts from 1, since the world started.
    pub number: u64,
    pub at: Timestamp,
    pub service: Service,
    pub call: CallKind,
    pub method: String,
    /// Path and query. For storage `%2F` is shown as a slash, since Azure's own client sends it in names of blobs.
    pub path: String,
    /// `None` until it is answered, and when the connection was dropped.
    pub status: Option<u16>,
    /// The response code of Qualys, the error code of ARM or Entra, the inner code of Key Vault where there is one, or
    /// `x-ms-error-code` of storage.
    pub code: Option<String>,
    /// The connector in the path, or in the answer to a create.
    pub connector_id: Option<i64>,
    /// The subscription in the path, body or criteria, or that of the connector in the path.
    pub subscription: Option<String>,
    /// Whether `X-Requested-With` was sent (no source proves that QPS demands it, so it is only recorded).
    pub requested_with: bool,
    /// The JSON body that was sent, with its secrets. For storage: a blob of up to 64 KiB, a message without its base64,
    /// or the action on a lease.
    pub sent: Option<Value>,
    /// The name of the fault that struck, if any.
    pub fault: Option<String>,
}

/// At least this many calls are kept. A world that serves for days must not grow without limit.
const KEPT: usize = 200_000;

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
        // Numbers grow by one, so the position of a call follows from the number of the first call that is kept.
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
