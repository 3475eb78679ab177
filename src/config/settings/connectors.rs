//! What new connectors look like.

use super::{Group, List, Read, Setting, Text, TextDefault};

pub(super) static GROUP: Group = Group {
    title: "New connectors",
    intro: "They are used when a connector is created. Existing connectors are not updated.",
    read: Read::EnvironmentOrFile,
    settings: &[
        &CONNECTOR_NAME,
        &CONNECTOR_DESCRIPTION,
        &CONNECTOR_APPS,
        &CONNECTOR_MODULES,
        &CONNECTOR_TAGS,
        &RUN_FREQUENCY,
    ],
};

pub(in crate::config) static CONNECTOR_NAME: Setting<Text> = Setting {
    name: "CONNECTOR_NAME",
    meaning: "The template of a connector's name.",
    details: "It must contain `{subscription_id}` and may contain `{subscription_name}`; at most 150 characters. The \
              subscription's name is cut so that the whole has at most 255 characters.",
    values: Text {
        default: TextDefault::Value("{subscription_name} ({subscription_id})"),
        allowed: "a template",
    },
};

pub(in crate::config) static CONNECTOR_DESCRIPTION: Setting<Text> = Setting {
    name: "CONNECTOR_DESCRIPTION",
    meaning: "The template of a connector's description. The mark is added as a line.",
    details: "With the same two fields; one line of at most 1,000 characters.",
    values: Text { default: TextDefault::Words("empty"), allowed: "a template" },
};

pub(in crate::config) static CONNECTOR_APPS: Setting<List> = Setting {
    name: "CONNECTOR_APPS",
    meaning: "The Qualys apps that use the connector. They may cost licences.",
    details: "`AI`: asset inventory. `CI`: cloud inventory. `CSA`: cloud security assessment.",
    values: List { default: TextDefault::Value("AI"), allowed: "`AI`, `CI`, `CSA`" },
};

pub(in crate::config) static CONNECTOR_MODULES: Setting<List> = Setting {
    name: "CONNECTOR_MODULES",
    meaning: "The modules to activate on the machines found. They may cost licences.",
    details: "`VM`, `PC`, `SCA`, `CERTVIEW`, `CLOUDVIEW`, `CSA`; not `PC` together with `SCA`.",
    values: List { default: TextDefault::Words("none"), allowed: "modules" },
};

pub(in crate::config) static CONNECTOR_TAGS: Setting<List> = Setting {
    name: "CONNECTOR_TAGS",
    meaning: "The tags to put on the assets found.",
    details: "By the ids that Qualys gave them.",
    values: List { default: TextDefault::Words("none"), allowed: "tag ids" },
};

pub(in crate::config) static RUN_FREQUENCY: Setting<Text> = Setting {
    name: "RUN_FREQUENCY",
    meaning: "How often Qualys itself starts a sync.",
    details: "",
    values: Text {
        default: TextDefault::Value("4h"),
        allowed: "`1h`, `2h`, `3h`, `4h`, `6h`, `8h`, `12h`, `24h`",
    },
};
