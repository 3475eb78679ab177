//! The refusals of Key Vault, in its own words.
//!
//! Guarantees: code, inner code and status are as recorded from the service. A client must not rely on the texts.

use serde_json::json;

use crate::entra::{Principal, Token};
use crate::net::reply::Reply;
use crate::vault::{VaultManners, VaultPermissions};

/// An error in the form of Key Vault's, with or without an inner code.
pub(crate) fn error(status: u16, code: &str, inner: Option<&str>, message: &str) -> Reply {
    let mut body = json!({ "error": { "code": code, "message": message } });
    if let Some(inner) = inner {
        body["error"]["innererror"] = json!({ "code": inner });
    }
    // Recorded 2022: every answer of the service forbids caching.
    Reply::json(status, &body).header("cache-control", "no-cache").code(inner.unwrap_or(code))
}

/// 401 with the challenge that tells a client where to sign in, and for which audience.
pub(super) fn unauthorized(tenant: &str, audience: &str, manners: &VaultManners, message: &str) -> Reply {
    let of_cloud = match audience {
        "https://vault.usgovcloudapi.net" => "login.microsoftonline.us",
        "https://vault.azure.cn" => "login.partner.microsoftonline.cn",
        _ => "login.microsoftonline.com",
    };
    let host = manners.challenge_host.as_deref().unwrap_or(of_cloud);
    error(401, "Unauthorized", None, message).header(
        "www-authenticate",
        format!("Bearer authorization=\"https://{host}/{tenant}\", resource=\"{audience}\""),
    )
}

pub(super) fn forbidden(manners: &VaultManners, vault: &str, name: &str, token: &Token) -> Reply {
    let id = match &token.principal {
        Principal::Identity => "world-managed-identity",
        Principal::App { id } => id,
    };
    let caller = format!("appid={id};oid={id};iss=https://sts.windows.net/{}/", token.tenant);
    let (inner, message) = match manners.permissions {
        VaultPermissions::Roles => (
            "ForbiddenByRbac",
            format!(
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions \
                 were changed recently, please observe propagation time.\r\nCaller: {caller}\r\n\
                 Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n\
                 Resource: '/subscriptions/5b000000-0000-4000-8000-000000000000/resourcegroups/rg/providers/microsoft.keyvault/vaults/{vault}/secrets/{name}'\r\n\
                 Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: {vault};location=westeurope\r\n"
            ),
        ),
        VaultPermissions::Policies => (
            "AccessDenied",
            format!(
                "The user, group or application '{caller}' does not have secrets get permission on key vault \
                 '{vault};location=westeurope'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"
            ),
        ),
        VaultPermissions::Firewall => (
            "ForbiddenByFirewall",
            format!(
                "Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\n\
                 Caller: {caller}\r\nVault: {vault};location=westeurope"
            ),
        ),
    };
    error(403, "Forbidden", Some(inner), &message)
}

pub(super) fn not_found(name: &str) -> Reply {
    let message = format!(
        "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be able to \
         recover it using the correct recovery command. For help resolving this issue, please see \
         https://go.microsoft.com/fwlink/?linkid=2125182"
    );
    error(404, "SecretNotFound", None, &message)
}
