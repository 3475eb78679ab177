//! Azure's clouds: where each signs in, and where its services are.
//!
//! A token of one cloud is not valid in another, and a secret must not be sent to another one's sign-in. So one cloud is
//! chosen for a deployment, and everything that differs between clouds comes from here. Only the audience of storage is the
//! [same in every cloud](https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory).

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use url::Url;

/// One of Azure's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cloud {
    /// As in `AZURE_CLOUD`.
    pub name: &'static str,
    /// As the Azure CLI calls it.
    pub cli_name: &'static str,
    sign_in: &'static str,
    arm: &'static str,
    /// The domains of its ARM, storage and vaults.
    domains: [&'static str; 3],
}

pub const PUBLIC: Cloud = Cloud {
    name: "public",
    cli_name: "AzureCloud",
    sign_in: "https://login.microsoftonline.com",
    arm: "https://management.azure.com",
    domains: ["management.azure.com", "core.windows.net", "vault.azure.net"],
};

/// The clouds (<https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure>,
/// <https://learn.microsoft.com/azure/china/resources-developer-guide>; where they sign in:
/// <https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>).
pub const CLOUDS: [Cloud; 3] = [
    PUBLIC,
    Cloud {
        name: "us-government",
        cli_name: "AzureUSGovernment",
        sign_in: "https://login.microsoftonline.us",
        arm: "https://management.usgovcloudapi.net",
        domains: ["management.usgovcloudapi.net", "core.usgovcloudapi.net", "vault.usgovcloudapi.net"],
    },
    Cloud {
        name: "china",
        cli_name: "AzureChinaCloud",
        sign_in: "https://login.partner.microsoftonline.cn",
        arm: "https://management.chinacloudapi.cn",
        domains: ["management.chinacloudapi.cn", "core.chinacloudapi.cn", "vault.azure.cn"],
    },
];

impl Cloud {
    /// The cloud whose domain a host is in; none for a host that could be in any.
    pub fn of_host(host: &str) -> Option<Self> {
        let is_in = |domain: &&str| {
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        CLOUDS.into_iter().find(|cloud| cloud.domains.iter().any(is_in))
    }

    /// What tokens for a vault are asked for; none if its host is in no cloud.
    pub(super) fn vault_scope(host: &str) -> Option<String> {
        let [_, _, vaults] = Self::of_host(host)?.domains;
        host.ends_with(vaults).then(|| format!("https://{vaults}/.default"))
    }

    pub fn arm(self) -> Url {
        // A test reads each.
        Url::parse(self.arm).unwrap_or_else(|_| unreachable!("a constant"))
    }

    /// What tokens for ARM are asked for.
    pub fn arm_scope(self) -> String {
        format!("{}/.default", self.arm)
    }

    /// The cloud for the SDK. Its own list has another host for China, and without a cloud it takes the public one.
    pub(super) fn for_sdk(self) -> CloudConfiguration {
        let mut cloud = CustomConfiguration::default();
        self.sign_in.clone_into(&mut cloud.authority_host);
        cloud.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_can_be_read() {
        for cloud in CLOUDS {
            assert_eq!(Cloud::of_host(cloud.arm().host_str().unwrap()), Some(cloud));
            assert_eq!(Url::parse(cloud.sign_in).unwrap().scheme(), "https");
        }
    }
}
