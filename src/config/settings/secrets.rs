//! Where secrets come from, and the secrets.

use super::{Group, Read, Secret, Setting, Text, TextDefault};
use crate::secrets;

pub(super) static GROUP: Group = Group {
    title: "Secrets",
    intro: "In Key Vault, and in the file that `SECRETS` names, a secret has the name of its variable in lower case, with \
            dashes: `qualys-username`. With `SECRETS=env` the variables are read at start, so a new value needs a restart. \
            The file is read again in each cycle (`api-token`: at start).",
    read: Read::EnvironmentOrFile,
    settings: &[
        &KEY_VAULT_URL,
        &SECRETS,
        &QUALYS_USERNAME,
        &QUALYS_PASSWORD,
        &CONNECTOR_CLIENT_SECRET,
        &API_TOKEN,
    ],
};

/// The secrets by the names that they have in a vault.
pub(in crate::config) static BY_NAME: [(&str, &Setting<Secret>); 4] = [
    (secrets::QUALYS_USERNAME, &QUALYS_USERNAME),
    (secrets::QUALYS_PASSWORD, &QUALYS_PASSWORD),
    (secrets::CONNECTOR_CLIENT_SECRET, &CONNECTOR_CLIENT_SECRET),
    (secrets::API_TOKEN, &API_TOKEN),
];

pub(in crate::config) static KEY_VAULT_URL: Setting<Text> = Setting {
    name: "KEY_VAULT_URL",
    meaning: "The key vault that holds the secrets.",
    details: "For example `https://name.vault.azure.net`. Each cycle reads the newest version of each secret once, and \
              reports a secret that is disabled or has expired.",
    values: Text { default: TextDefault::Words("required, or `SECRETS`"), allowed: "an `https://` address" },
};

pub(in crate::config) static SECRETS: Setting<Text> = Setting {
    name: "SECRETS",
    meaning: "Where secrets come from without a key vault.",
    details: "`env`: the variables below. `file:<path>`: a JSON object of names and strings.",
    values: Text {
        default: TextDefault::Words("required, or `KEY_VAULT_URL`"),
        allowed: "`env` or `file:<path>`",
    },
};

pub(in crate::config) static QUALYS_USERNAME: Setting<Secret> = Setting {
    name: "QUALYS_USERNAME",
    meaning: "The name of the Qualys user.",
    details: "",
    values: Secret { needed: "required" },
};

pub(in crate::config) static QUALYS_PASSWORD: Setting<Secret> = Setting {
    name: "QUALYS_PASSWORD",
    meaning: "The password of the Qualys user.",
    details: "",
    values: Secret { needed: "required" },
};

pub(in crate::config) static CONNECTOR_CLIENT_SECRET: Setting<Secret> = Setting {
    name: "CONNECTOR_CLIENT_SECRET",
    meaning: "The client secret of `CONNECTOR_APP_ID`, sent when a connector is created.",
    details: "Only `MODE=enforce` reads it. Without it, or once it has expired, no connector is created, and everything else goes on.",
    values: Secret { needed: "required in `enforce`" },
};

pub(in crate::config) static API_TOKEN: Setting<Secret> = Setting {
    name: "API_TOKEN",
    meaning: "The token that callers of `/api/*` must send.",
    details: "Needed only where `serve` listens beyond this machine without a Functions host.",
    values: Secret { needed: "none" },
};
