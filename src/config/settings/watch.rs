//! What is watched.

use super::{Group, List, Read, Setting, Text, TextDefault};

pub(super) static GROUP: Group = Group {
    title: "What to watch",
    intro: "",
    read: Read::EnvironmentOrFile,
    settings: &[&TENANT_ID, &CONNECTOR_APP_ID, &MODE, &SCOPE, &EXCLUDE, &DEPLOYMENT, &EVENT_SOURCES],
};

pub(in crate::config) static TENANT_ID: Setting<Text> = Setting {
    name: "TENANT_ID",
    meaning: "The Microsoft Entra directory to watch.",
    details: "",
    values: Text { default: TextDefault::Required, allowed: "a GUID" },
};

pub(in crate::config) static CONNECTOR_APP_ID: Setting<Text> = Setting {
    name: "CONNECTOR_APP_ID",
    meaning: "The application (client) id of the service principal that new connectors use.",
    details: "",
    values: Text { default: TextDefault::Required, allowed: "a GUID" },
};

pub(in crate::config) static MODE: Setting<Text> = Setting {
    name: "MODE",
    meaning: "What a cycle may do.",
    details: "`observe` plans, reports and takes snapshots, and writes nothing to Qualys. `enforce` carries the plan \
              out as well. `paused` calls neither Qualys nor Azure; inbox items stay.",
    values: Text { default: TextDefault::Value("observe"), allowed: "`observe`, `enforce`, `paused`" },
};

pub(in crate::config) static SCOPE: Setting<List> = Setting {
    name: "SCOPE",
    meaning: "The management groups and subscriptions to watch.",
    details: "A group is `mg:NAME` or `NAME`, a subscription `sub:GUID` or `GUID`. The name of the root group is a \
              GUID, so it needs `mg:`. Without `SCOPE`, all subscriptions of `TENANT_ID` that the identity sees are \
              watched.",
    values: List {
        default: TextDefault::Words("all that the identity sees"),
        allowed: "groups and subscriptions",
    },
};

pub(in crate::config) static EXCLUDE: Setting<List> = Setting {
    name: "EXCLUDE",
    meaning: "The management groups and subscriptions inside `SCOPE` to leave out.",
    details: "In the same forms as `SCOPE`, over which it wins. It is an error to name the same one in both. With a group here, a new \
              subscription waits 30 minutes for its connector, since it may yet be moved into that group.",
    values: List { default: TextDefault::Words("none"), allowed: "groups and subscriptions" },
};

pub(in crate::config) static DEPLOYMENT: Setting<Text> = Setting {
    name: "DEPLOYMENT",
    meaning: "The name of this deployment in the ownership mark of its connectors.",
    details: "A name has 1 to 64 letters, digits, `.`, `_` or `-`, and begins with a letter or a digit. [Do not change \
              it later](#pause-stop-change).",
    values: Text { default: TextDefault::Value("default"), allowed: "a name" },
};

pub(in crate::config) static EVENT_SOURCES: Setting<List> = Setting {
    name: "EVENT_SOURCES",
    meaning: "The topics and sources of accepted events. Without it every event is ignored.",
    details: "See [Events](#events).",
    values: List { default: TextDefault::Words("none"), allowed: "topics and sources" },
};
