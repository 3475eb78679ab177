//! Where the program keeps what it writes.

use super::{Group, Read, Setting, Text, TextDefault};

pub(super) static GROUP: Group = Group {
    title: "Where to keep things",
    intro: "",
    read: Read::EnvironmentOrFile,
    settings: &[&STORAGE, &QUEUE, &ACCOUNT],
};

pub(in crate::config) static STORAGE: Setting<Text> = Setting {
    name: "STORAGE",
    meaning: "Where blobs are kept.",
    details: "The address is that of a storage account's blob service, for example \
              `https://account.blob.core.windows.net`; its containers `inventory` and `control` must exist, and \
              `approvals` for the command `approve`. A folder must be on a local disk: file locks on network shares \
              cannot be relied on.",
    values: Text { default: TextDefault::Required, allowed: "an `https://` address or `folder:<path>`" },
};

pub(in crate::config) static QUEUE: Setting<Text> = Setting {
    name: "QUEUE",
    meaning: "Where wake-ups are kept. Each deployment needs its own.",
    details: "The address is that of a storage account's queue service, for example \
              `https://account.queue.core.windows.net`; its queue `cycles` must exist.",
    values: Text { default: TextDefault::Required, allowed: "an `https://` address or `folder:<path>`" },
};

pub(in crate::config) static ACCOUNT: Setting<Text> = Setting {
    name: "ACCOUNT",
    meaning: "The name under which the state of the Qualys account is kept.",
    details: "In the same form as `DEPLOYMENT`. Deployments that share a Qualys account must have the same `STORAGE` \
              and `ACCOUNT`; otherwise each uses the account's calls as if it were alone.",
    values: Text { default: TextDefault::Value("default"), allowed: "a name" },
};
