//! How to serve and to log, and where the file is.

use super::{Bounded, Computed, Group, Read, Setting, Text, TextDefault};
use crate::telemetry;

pub(super) static GROUP: Group = Group {
    title: "Serving and logging",
    intro: "They come from the environment alone.",
    read: Read::Environment,
    settings: &[&CONFIG, &FUNCTIONS_CUSTOMHANDLER_PORT, &LISTEN, &LOG, &LOG_FORMAT],
};

pub(in crate::config) static CONFIG: Setting<Text> = Setting {
    name: "CONFIG",
    meaning: "The file with further settings.",
    details: "See [A file](#a-file).",
    values: Text { default: TextDefault::Words("none"), allowed: "a path" },
};

pub(in crate::config) static FUNCTIONS_CUSTOMHANDLER_PORT: Setting<Bounded<u16, Computed>> = Setting {
    name: "FUNCTIONS_CUSTOMHANDLER_PORT",
    meaning: "The port on 127.0.0.1 at which the Functions host expects the program.",
    details: "The host sets it. If it is set, the host calls the functions and delivers the queue's messages.",
    values: Bounded { default: Computed("set by the host"), range: 1..=u16::MAX, unit: "" },
};

pub(in crate::config) static LISTEN: Setting<Text> = Setting {
    name: "LISTEN",
    meaning: "Where to serve without a host. An address beyond this machine requires `API_TOKEN`.",
    details: "",
    // 7071 is where `func start` serves, so examples work unchanged.
    values: Text { default: TextDefault::Value("127.0.0.1:7071"), allowed: "an address and a port" },
};

pub(in crate::config) static LOG: Setting<Text> = Setting {
    name: "LOG",
    meaning: "What to log: a level, and levels for single modules.",
    details: "`info,qualys_azure_inventory=debug` shows each request to Qualys and ARM. It is written as a \
              [filter](https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html).",
    values: Text { default: TextDefault::Value(telemetry::DEFAULT), allowed: "a filter" },
};

pub(in crate::config) static LOG_FORMAT: Setting<Text> = Setting {
    name: "LOG_FORMAT",
    meaning: "The form of log lines: `json` is for machines, `text` for people.",
    details: "In a terminal `serve` logs `text` too. It logs to standard output, a command to standard error.",
    values: Text {
        default: TextDefault::Words("`json` for `serve`, else `text`"),
        allowed: "`json`, `text`",
    },
};
