//! Bodies that are small to send and large to decode, and many events.

use super::{Door, MIB, VENDING, stage, still_works};
use crate::stage::kib;
use futures::future::join_all;
use reqwest::Client;
use serde_json::json;
use std::time::{Duration, Instant};
use world::events;

#[tokio::test(flavor = "multi_thread")]
async fn ten_bodies_of_8_mb_cost_a_line_each_and_little_memory_and_hold_nobody_up() {
    let stage = stage();
    let host = stage.host().await;
    let (pid, door) = (host.handler_pid(), Door::of(&host));
    let list = format!("[{}{{}}]", "{},".repeat((8 * MIB - 100) / 3));
    let bare = format!("{{\"Data\":{{\"events\":{list}}}}}");
    let in_text = json!({ "Data": { "events": list.to_string() } }).to_string();
    let in_metadata = format!("{{\"Data\":{{\"event\":{{}}}},\"Metadata\":{{\"sys\":{list}}}}}");
    let bodies = [bare, in_text, in_metadata];
    assert!(bodies.iter().all(|body| body.len() < 8 * MIB));
    let sending =
        join_all((0..10).map(|number| door.post("/subscription-event", bodies[number % 3].as_str())));
    let looking = async {
        // Each look is on a connection of its own, as a new caller's is.
        let (mut longest, url) = (Duration::ZERO, format!("{}/", door.url));
        loop {
            let begun = Instant::now();
            let http = Client::builder().pool_max_idle_per_host(0).build().unwrap();
            assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
            longest = longest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
            if longest > Duration::from_secs(15) {
                return longest;
            }
        }
    };
    let answers = tokio::select! {
        answers = sending => answers,
        longest = looking => panic!("`GET /` took {longest:?} beside the bodies"),
    };
    for (number, answer) in answers.iter().enumerate() {
        let said = answer.json()["Logs"][0].as_str().unwrap().to_owned();
        match (answer.status, number % 3) {
            (200, 2) => assert_eq!(said, "inbox items left: 0"),
            (200, _) => {
                let why = "recorded: a delivery of more than 10000 events: send it in smaller batches";
                assert_eq!(said, why);
            }
            // On a slow machine some of them have to come again.
            _ => assert_eq!((answer.status, said.as_str()), (500, "too many large bodies at the same time")),
        }
    }
    let peak = kib(pid.unwrap(), "VmHWM:") / 1024;
    assert!(peak < 160, "{peak} MiB");
    still_works(&stage, &host, pid).await;
    let warnings = host.lines().iter().filter(|line| line.text.contains("\"level\":\"WARN\"")).count();
    assert!(warnings <= 10, "{warnings} warnings");
}

#[tokio::test]
async fn a_full_batch_leaves_each_of_its_items_and_says_so_in_one_line() {
    let stage = stage();
    let host = stage.host_without_queue().await;
    let (pid, door) = (host.handler_pid(), Door::of(&host));
    let batch: Vec<_> = (0..2000)
        .map(|n| events::vending(VENDING, &format!("aaaaaaaa-0000-0000-0000-{n:012}"), stage.now()))
        .collect();
    let answer = door.post("/subscription-event", json!({ "Data": { "events": batch } }).to_string()).await;
    assert_eq!(answer.json()["Logs"][0], "inbox items left: 2000");
    assert_eq!(stage.inbox().len(), 2000);
    stage.wait_for_line(&host, "Left 2000 inbox items: `subscription=aaaaaaaa-").await;
    assert!(host.lines().iter().filter(|line| line.text.contains("Left ")).count() == 1);
    assert_eq!(host.handler_pid(), pid);
}
