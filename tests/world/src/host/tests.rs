//! The host with a real process as its handler: this test executable, started in its mode `handler`.

mod azure_queues;
mod envelopes;
mod events;
mod handler;
mod http;
mod kills;
mod queues;
mod start;
mod timers;

use super::testing::Dir;
use super::{Host, HostOptions};
use crate::testing::until;
use serde_json::{Value, json};
use std::time::Duration;

/// An app folder whose handler is this executable.
pub(super) struct App {
    pub(super) dir: Dir,
    pub(super) queues: Dir,
}

impl App {
    pub(super) fn new() -> Self {
        let app = Self { dir: Dir::new(), queues: Dir::new() };
        app.host_json(|_| {});
        app.function("tick", &[json!({"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 */15 * * * *"})]);
        app.function(
            "work",
            &[json!({"type": "queueTrigger", "direction": "in", "name": "item", "queueName": "work"})],
        );
        app.function("event", &[json!({"type": "eventGridTrigger", "direction": "in", "name": "event"})]);
        app
    }

    /// Writes host.json, changed by `change`.
    pub(super) fn host_json(&self, change: impl FnOnce(&mut Value)) {
        let mut json = json!({
            "version": "2.0",
            "functionTimeout": "00:00:20",
            "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
            "extensions": {"queues": {"batchSize": 1, "newBatchThreshold": 0, "maxDequeueCount": 2}},
            "customHandler": {
                "enableForwardingHttpRequest": true,
                "description": {"defaultExecutablePath": "handler", "arguments": handler::arguments()},
            },
        });
        change(&mut json);
        self.dir.write("host.json", &json.to_string());
    }

    pub(super) fn function(&self, name: &str, bindings: &[Value]) {
        self.dir.write(&format!("{name}/function.json"), &json!({"bindings": bindings}).to_string());
    }

    pub(super) fn options(&self) -> HostOptions {
        HostOptions {
            executable: Some(std::env::current_exe().unwrap()),
            queue_dir: Some(self.queues.path().to_owned()),
            hung_after: Duration::from_millis(50),
            poll: Duration::from_millis(10),
            ..HostOptions::new(self.dir.path())
        }
    }

    pub(super) async fn start(&self) -> Host {
        Host::start(self.options()).await.unwrap()
    }
}
