//! The most memory that the real program holds while it takes a snapshot of 100,000 machines.
//!
//! The program holds one page at a time, and a page of the simulated Qualys is under 1 MB: 1,000 rows with few tags.
//! Larger rows cost a few times what one page grows by, whatever the number of pages.

use crate::desk::{Desk, runtime};
use crate::program::Program;
use crate::{Figure, median};
use serde_json::{Value, json};

const SUBSCRIPTIONS: usize = 100;
const MACHINES: usize = 1000;
const TIMES: usize = 3;

pub(crate) fn figures() -> Vec<Figure> {
    let mib = (0..TIMES).map(|_| peak_mib()).collect();
    vec![Figure {
        name: "snapshot_100000_peak_mib",
        value: median(mib),
        unit: "MiB",
        target: Some(64.0),
        n: TIMES,
    }]
}

/// Sends one wake-up to a new process. Its cycle creates the connectors and takes the first snapshot.
fn peak_mib() -> f64 {
    let desk = Desk::new();
    for id in desk.world.subscriptions("shop", SUBSCRIPTIONS) {
        desk.world.machines_with_hosts(&id, MACHINES);
    }
    let program = Program::start(&desk);
    let tenant = desk.world.tenant();
    // The queue's message as the host passes it on: JSON in a string in a string.
    let message = Value::from(json!({ "tenant": tenant }).to_string()).to_string();
    let envelope = json!({ "Data": { "wakeUp": message }, "Metadata": { "DequeueCount": "1" } });
    runtime().block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let post = http.post(format!("http://127.0.0.1:{}/cycle", program.port));
        let answer = post.header("content-type", "application/json").body(envelope.to_string()).send().await;
        assert!(answer.unwrap().status().is_success());
    });
    let latest = desk.folder.path().join(format!("store/control/tenant={tenant}/latest.json"));
    let latest: Value = serde_json::from_slice(&std::fs::read(latest).unwrap()).unwrap();
    assert_eq!(latest["rows"], SUBSCRIPTIONS * MACHINES, "the snapshot is complete");
    program.mib("VmHWM:")
}
