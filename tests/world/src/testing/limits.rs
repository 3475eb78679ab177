//! Rate and concurrency.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::qualys::{LimitBody, Rate, ToWait};
use crate::testing::{Client, search, world};

const SEARCH: &str = "3.0/search/am/azureassetdataconnector";

#[tokio::test]
async fn no_answer_has_limit_headers_by_default() {
    let world = world();
    let client = Client::new(&world);
    let plain = client.post(SEARCH, &search(&[], 1)).send().await.unwrap();
    assert!(!plain.headers().keys().any(|name| name.as_str().contains("limit")));
    world.manners(|manners| {
        manners.rate = Some(Rate { headers: true, ..Rate::new(300, SignedDuration::from_hours(1)) });
    });
    let told = client.post(SEARCH, &search(&[], 1)).send().await.unwrap();
    let header = |name: &str| told.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("x-ratelimit-limit"), "300");
    assert_eq!(header("x-ratelimit-remaining"), "299");
    assert_eq!(header("x-ratelimit-window-sec"), "3600");
    assert_eq!(header("x-concurrency-limit-limit"), "2");
}

#[tokio::test]
async fn the_window_slides_for_each_endpoint_on_its_own() {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap());
    world.manners(|manners| manners.rate = Some(Rate::new(2, SignedDuration::from_mins(1))));
    let client = Client::new(&world);
    let status = async || client.send(client.post(SEARCH, &search(&[], 1))).await.unwrap().0;
    assert_eq!(status().await, 200);
    world.advance(SignedDuration::from_secs(30));
    assert_eq!([status().await, status().await], [200, 409]);
    assert_eq!(client.qps("2.0/count/am/hostasset", &json!({})).await["count"], 0);
    world.advance(SignedDuration::from_secs(30));
    assert_eq!([status().await, status().await], [200, 409]);
}

#[tokio::test]
async fn the_wait_is_told_always_on_the_second_refusal_or_never() {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap());
    let client = Client::new(&world);
    for (rule, told) in [
        (ToWait::Always, [true, true]),
        (ToWait::SecondRefusal, [false, true]),
        (ToWait::Never, [false, false]),
    ] {
        world.manners(|manners| {
            manners.rate = Some(Rate { to_wait_on: rule, ..Rate::new(1, SignedDuration::from_hours(1)) });
        });
        world.advance(SignedDuration::from_hours(2));
        assert_eq!(client.post(SEARCH, &search(&[], 1)).send().await.unwrap().status(), 200);
        for told in told {
            let refused = client.post(SEARCH, &search(&[], 1)).send().await.unwrap();
            assert_eq!(refused.status(), 409);
            assert_eq!(refused.headers().contains_key("x-ratelimit-towait-sec"), told, "{rule:?}");
            let body = refused.text().await.unwrap();
            assert!(body.contains("<CODE>1965</CODE>"));
            assert_eq!(body.contains("SECONDS_TO_WAIT"), told);
        }
    }
}

#[tokio::test]
async fn too_many_at_once_are_refused_only_by_the_switch_and_never_told_a_wait() {
    let world = world();
    world.manners(|manners| manners.latency = Some(Duration::from_millis(200)));
    let client = Client::new(&world);
    let three = async || {
        let one = || client.post(SEARCH, &search(&[], 1)).send();
        let (a, b, c) = tokio::join!(one(), one(), one());
        [a.unwrap(), b.unwrap(), c.unwrap()]
    };
    assert!(three().await.iter().all(|answer| answer.status() == 200));
    assert_eq!(world.max_concurrency_seen(), 3);
    world.manners(|manners| {
        manners.concurrency_enforced = true;
        manners.limit_body = LimitBody::Json;
    });
    let refused = three().await.into_iter().filter(|answer| answer.status() == 409).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1);
    for answer in refused {
        assert!(!answer.headers().contains_key("x-ratelimit-towait-sec"));
        let body = answer.json::<serde_json::Value>().await.unwrap();
        assert_eq!(body["SIMPLE_RETURN"]["RESPONSE"]["CODE"], 1960);
    }
}
