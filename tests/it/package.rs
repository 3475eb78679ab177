//! What is deployed beside the binary agrees with it: `function-app/` and `host.json` with its routes and its times.

use crate::stage::{Stage, names_in};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use qualys_azure_inventory::config::Config;
use qualys_azure_inventory::queue::{LONGEST_POLL, REDELIVERY};
use qualys_azure_inventory::trigger::{Caller, ENVELOPE, HTTP, router};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bindings(function: &str) -> Vec<Value> {
    read(&format!("function-app/{function}/function.json"))["bindings"].as_array().unwrap().clone()
}

#[test]
fn there_is_a_folder_for_each_function_and_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("function-app");
    let folders: BTreeSet<String> = names_in(&folder).into_iter().collect();
    let functions = ENVELOPE.into_iter().chain(HTTP.map(|(function, ..)| function));
    assert_eq!(folders, functions.map(str::to_owned).collect());
    for function in folders {
        assert_eq!(names_in(&folder.join(&function)), ["function.json"], "{function}");
    }
}

#[test]
fn each_function_of_the_envelope_has_its_one_trigger() {
    let mut seen = BTreeSet::new();
    for (function, kind, setting, value) in [
        ("schedule", "timerTrigger", "schedule", "%SYNC_SCHEDULE%"),
        ("subscription-event", "eventGridTrigger", "name", "event"),
        ("secret-event", "eventGridTrigger", "name", "event"),
        ("cycle", "queueTrigger", "queueName", "cycles"),
        // The queue's name with this suffix is where the host puts a message that failed too often.
        ("cycle-poison", "queueTrigger", "queueName", "cycles-poison"),
    ] {
        let [trigger] = &bindings(function)[..] else { panic!("{function} has one binding") };
        assert_eq!(trigger["type"], kind, "{function}");
        assert_eq!(trigger["direction"], "in", "{function}");
        assert_eq!(trigger[setting], value, "{function}");
        if kind == "queueTrigger" {
            assert_eq!(trigger["connection"], "AzureWebJobsStorage", "{function}");
        }
        seen.insert(function);
    }
    assert_eq!(seen, BTreeSet::from(ENVELOPE));
}

#[test]
fn each_http_function_has_the_method_and_the_route_of_the_binary() {
    for (function, method, route) in HTTP {
        let [trigger, answer] = &bindings(function)[..] else { panic!("{function} has two bindings") };
        assert_eq!(trigger["type"], "httpTrigger", "{function}");
        assert_eq!(trigger["direction"], "in", "{function}");
        assert_eq!(trigger["methods"], json!([method]), "{function}");
        assert_eq!(trigger["route"], route, "{function}");
        // Refused without a key.
        assert_eq!(trigger["authLevel"], "function", "{function}");
        // With any other output the host would wrap the request instead of forwarding it.
        assert_eq!((&answer["type"], &answer["direction"]), (&json!("http"), &json!("out")), "{function}");
    }
}

#[test]
fn the_host_starts_this_binary_and_forwards_http() {
    let host = read("host.json");
    let handler = &host["customHandler"];
    let binary = Path::new(env!("CARGO_BIN_EXE_qualys-azure-inventory")).file_stem().unwrap();
    assert_eq!(handler["description"]["defaultExecutablePath"], binary.to_str().unwrap());
    assert_eq!(handler["description"]["arguments"], json!(["serve"]));
    assert_eq!(handler["enableForwardingHttpRequest"], true);
    assert_eq!(host["extensions"]["http"]["routePrefix"], "api");
}

/// A time as `host.json` writes it: `hh:mm:ss`.
fn time(value: &Value) -> Duration {
    let parts = value.as_str().unwrap().split(':').map(|part| part.parse::<u64>().unwrap());
    Duration::from_secs(parts.fold(0, |seconds, part| seconds * 60 + part))
}

#[test]
fn the_hosts_queue_times_are_those_that_the_binary_counts_with() {
    let queues = &read("host.json")["extensions"]["queues"];
    assert_eq!(time(&queues["visibilityTimeout"]), REDELIVERY);
    assert_eq!(time(&queues["maxPollingInterval"]), LONGEST_POLL);
}

#[test]
fn the_longest_lease_ends_before_a_killed_cycles_message_comes_back() {
    let mut settings = Stage::new().settings;
    let mut is_allowed = |seconds: &u64| {
        settings.insert("LEASE".to_owned(), format!("{seconds}s"));
        Config::from_lookup(|name| settings.get(name).cloned()).is_ok()
    };
    let longest = (1..=300).filter(|seconds| is_allowed(seconds)).max().unwrap();
    assert!(Duration::from_secs(longest) < REDELIVERY, "LEASE may be {longest} s");
}

/// Asked with a method that no route has, an existing route says which it has, and nothing is started.
#[tokio::test]
async fn the_binary_has_a_route_for_each_function_with_its_method_alone() {
    let router = router(Arc::new(Stage::new().app().await), &Caller::Host);
    let methods = async |path: &str| {
        let request = Request::delete(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let allowed = answer.headers().get(header::ALLOW).map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), allowed)
    };
    for function in ENVELOPE {
        let answer = methods(&format!("/{function}")).await;
        assert_eq!(answer, (StatusCode::METHOD_NOT_ALLOWED, Some("POST".to_owned())), "{function}");
    }
    for (function, method, route) in HTTP {
        let answer = methods(&format!("/api/{}", route.replace("{id}", "1"))).await;
        // GET answers HEAD too.
        let allowed = if method == "get" { "GET,HEAD" } else { "POST" };
        assert_eq!(answer, (StatusCode::METHOD_NOT_ALLOWED, Some(allowed.to_owned())), "{function}");
        // A forwarded request keeps its path, so an HTTP function is not served under its folder's name.
        assert_eq!(methods(&format!("/{function}")).await.0, StatusCode::NOT_FOUND, "{function}");
    }
}
