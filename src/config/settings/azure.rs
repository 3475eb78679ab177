//! Azure: who reads it, and where it is.

use super::{Group, Read, Secret, Setting, Text, TextDefault};

pub(super) static GROUP: Group = Group {
    title: "Azure",
    intro: "",
    read: Read::EnvironmentOrFile,
    settings: &[
        &AZURE_IDENTITY,
        &AZURE_CLIENT_ID,
        &AZURE_TENANT_ID,
        &AZURE_CLIENT_SECRET,
        &AZURE_CLOUD,
        &ARM_URL,
    ],
};

pub(in crate::config) static AZURE_IDENTITY: Setting<Text> = Setting {
    name: "AZURE_IDENTITY",
    meaning: "The identity that reads Azure.",
    details: "`managed`: the managed identity. `client-secret`: the application that the next three settings name. \
              `developer-tools`: whoever is signed in with the Azure CLI or the Azure Developer CLI; sign in to the \
              right directory.",
    values: Text {
        default: TextDefault::Value("managed"),
        allowed: "`managed`, `client-secret`, `developer-tools`",
    },
};

pub(in crate::config) static AZURE_CLIENT_ID: Setting<Text> = Setting {
    name: "AZURE_CLIENT_ID",
    meaning: "The client id of the user-assigned identity, or of the application.",
    details: "Required with `client-secret`. With `managed`, leave it out for the system-assigned identity.",
    values: Text { default: TextDefault::Words("none"), allowed: "a GUID" },
};

pub(in crate::config) static AZURE_TENANT_ID: Setting<Text> = Setting {
    name: "AZURE_TENANT_ID",
    meaning: "The directory that the application signs in to.",
    details: "Required with `client-secret`.",
    values: Text { default: TextDefault::Words("none"), allowed: "a GUID" },
};

pub(in crate::config) static AZURE_CLIENT_SECRET: Setting<Secret> = Setting {
    name: "AZURE_CLIENT_SECRET",
    meaning: "The application's client secret.",
    details: "Required with `client-secret`. Always from the environment, even if there is a key vault.",
    values: Secret { needed: "none" },
};

pub(in crate::config) static AZURE_CLOUD: Setting<Text> = Setting {
    name: "AZURE_CLOUD",
    meaning: "The Azure cloud: where to sign in, the address of ARM, and for what tokens are asked.",
    details: "One for the whole deployment: an address of another cloud is an error. With `developer-tools` the Azure CLI is \
              told it too; for the Azure Developer CLI, set it there (`azd config set cloud.name`).",
    values: Text { default: TextDefault::Value("public"), allowed: "`public`, `us-government`, `china`" },
};

pub(in crate::config) static ARM_URL: Setting<Text> = Setting {
    name: "ARM_URL",
    meaning: "Another address of Azure Resource Manager.",
    details: "",
    values: Text { default: TextDefault::Words("from `AZURE_CLOUD`"), allowed: "an address" },
};
