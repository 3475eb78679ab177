//! Variables that others read: the Functions host, the Azure SDK and the HTTP client.

use super::{Group, Read, Setting, Text, TextDefault};

pub(super) static GROUP: Group = Group {
    title: "Read by others",
    intro: "The Functions host, the Azure SDK and the HTTP client read these; the program does not.",
    read: Read::ByOthers,
    settings: &[
        &SYNC_SCHEDULE,
        &AZURE_WEB_JOBS_STORAGE,
        &IDENTITY_ENDPOINT,
        &IDENTITY_HEADER,
        &SSL_CERT_FILE,
        &SSL_CERT_DIR,
        &HTTPS_PROXY,
        &HTTP_PROXY,
        &NO_PROXY,
    ],
};

static SYNC_SCHEDULE: Setting<Text> = Setting {
    name: "SYNC_SCHEDULE",
    meaning: "When the timer fires, for example `0 */15 * * * *`.",
    details: "Required by the Functions host. Without a host the timer fires at start and every 15 minutes.",
    values: Text { default: TextDefault::Words("required by the host"), allowed: "a schedule" },
};

static AZURE_WEB_JOBS_STORAGE: Setting<Text> = Setting {
    name: "AzureWebJobsStorage",
    meaning: "The storage account of the host's queues and timer.",
    details: "",
    values: Text { default: TextDefault::Words("required by the host"), allowed: "a connection" },
};

static IDENTITY_ENDPOINT: Setting<Text> = Setting {
    name: "IDENTITY_ENDPOINT",
    meaning: "Where the tokens of the managed identity come from.",
    details: "Azure sets it and `IDENTITY_HEADER`; do not set them yourself in Azure.",
    values: Text { default: TextDefault::Words("set by Azure"), allowed: "an address" },
};

static IDENTITY_HEADER: Setting<Text> = Setting {
    name: "IDENTITY_HEADER",
    meaning: "The secret that this endpoint asks for.",
    details: "",
    values: Text { default: TextDefault::Words("set by Azure"), allowed: "a text" },
};

static SSL_CERT_FILE: Setting<Text> = Setting {
    name: "SSL_CERT_FILE",
    meaning: "The certificates to trust in place of the system's.",
    details: "For example those of a TLS-inspecting proxy. With `SSL_CERT_DIR=/etc/ssl/certs` the system's are trusted \
              too.",
    values: Text { default: TextDefault::Words("those of the system"), allowed: "a path" },
};

static SSL_CERT_DIR: Setting<Text> = Setting {
    name: "SSL_CERT_DIR",
    meaning: "A folder of certificates to trust.",
    details: "",
    values: Text { default: TextDefault::Words("that of the system"), allowed: "a path" },
};

static HTTPS_PROXY: Setting<Text> = Setting {
    name: "HTTPS_PROXY",
    meaning: "The proxy for `https://` addresses.",
    details: "The endpoint of the managed identity is never asked through a proxy.",
    values: Text { default: TextDefault::Words("none"), allowed: "an address" },
};

static HTTP_PROXY: Setting<Text> = Setting {
    name: "HTTP_PROXY",
    meaning: "The proxy for `http://` addresses.",
    details: "",
    values: Text { default: TextDefault::Words("none"), allowed: "an address" },
};

static NO_PROXY: Setting<Text> = Setting {
    name: "NO_PROXY",
    meaning: "The hosts to reach without a proxy.",
    details: "",
    values: Text { default: TextDefault::Words("none"), allowed: "a list of hosts" },
};
