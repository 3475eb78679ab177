//! A host asset.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::azure::Machine;

/// One entry of `sourceInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `AzureAssetSourceSimple`.
    Azure,
    /// `Ec2AssetSourceSimple`.
    Ec2,
    /// `QualysAssetSource`.
    Qualys,
    /// `AssetSource`, empty.
    Plain,
}

/// A host asset. [`crate::World::host`] and [`crate::World::edit_host`] can set every field.
#[derive(Clone, Debug)]
pub struct Host {
    pub id: i64,
    pub name: String,
    /// Some assets have none.
    pub subscription: Option<String>,
    pub resource_group: String,
    /// The machine's name in Azure, if it differs from the asset's name.
    pub machine_name: Option<String>,
    /// Azure's `vmId`.
    pub vm_id: String,
    /// The state of the machine. Any word is possible.
    pub state: String,
    pub location: String,
    pub vm_size: String,
    pub os: String,
    pub private_ip: String,
    /// Often missing.
    pub public_ip: Option<String>,
    /// As Azure writes it.
    pub mac_address: String,
    /// Azure tags; `None` leaves `azureVmTags` out.
    pub azure_tags: Option<Vec<(String, String)>>,
    /// Ids of Qualys tags.
    pub tags: Vec<i64>,
    /// `VIRTUAL_MACHINE_ID`, `VM_ID` (both seen) or `QAGENT` where an agent runs.
    pub tracking_method: Cow<'static, str>,
    /// The sources, in the order of the answer.
    pub sources: Cow<'static, [Source]>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed. The criterion `updated` compares with this.
    pub modified: Timestamp,
    /// The first time in the Azure source.
    pub first_discovered: Timestamp,
    /// The last time in the Azure source.
    pub last_updated: Timestamp,
}

impl Host {
    /// The values of `cloudProviderType` that match this source.
    pub(super) fn is_of(&self, provider: &str) -> bool {
        self.sources.iter().any(|source| match source {
            Source::Azure => provider == "AZURE",
            Source::Ec2 => provider == "AWS",
            Source::Qualys | Source::Plain => false,
        })
    }
}

/// A private address, derived from the id.
fn private_ip(id: i64) -> String {
    let byte = |shift: u32| (id >> shift) & 0xff;
    format!("10.{}.{}.{}", byte(16), byte(8), byte(0))
}

fn mac_address(id: i64) -> String {
    let byte = |shift: u32| (id >> shift) & 0xff;
    format!("00-0D-3A-{:02X}-{:02X}-{:02X}", byte(16), byte(8), byte(0))
}

/// An ordinary Azure host.
pub(super) fn plain(id: i64, subscription: &str, now: Timestamp) -> Host {
    Host {
        id,
        name: format!("host-{id}"),
        subscription: Some(subscription.to_owned()),
        resource_group: "rg-main".to_owned(),
        machine_name: None,
        vm_id: format!("4b000000-0000-4000-8000-{id:012x}"),
        state: "RUNNING".to_owned(),
        location: "westeurope".to_owned(),
        vm_size: "Standard_B2s".to_owned(),
        os: "Linux".to_owned(),
        private_ip: private_ip(id),
        public_ip: None,
        mac_address: mac_address(id),
        azure_tags: None,
        tags: Vec::new(),
        tracking_method: Cow::Borrowed("VIRTUAL_MACHINE_ID"),
        sources: Cow::Borrowed(&[Source::Azure, Source::Plain]),
        created: now,
        modified: now,
        first_discovered: now,
        last_updated: now,
    }
}

/// The host that a sync creates for a machine.
pub(super) fn of_machine(id: i64, subscription: &str, machine: &Machine, now: Timestamp) -> Host {
    Host {
        name: machine.name.clone(),
        resource_group: machine.resource_group.clone(),
        vm_id: machine.vm_id.clone(),
        state: machine.state.clone(),
        location: machine.location.clone(),
        vm_size: machine.size.clone(),
        os: machine.os.clone(),
        public_ip: machine.public_ip.clone(),
        azure_tags: (!machine.tags.is_empty()).then(|| machine.tags.clone()),
        ..plain(id, subscription, now)
    }
}
