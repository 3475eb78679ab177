//! Host assets: filters, ranges, forms, and the speed of large pages.

use std::time::Instant;

use serde_json::{Value, json};

use crate::qualys::Source;
use crate::testing::{Client, search, world};

const SEARCH: &str = "2.0/search/am/hostasset";
const COUNT: &str = "2.0/count/am/hostasset";
const AZURE: (&str, &str, &str) = ("cloudProviderType", "EQUALS", "AZURE");

fn ids_of(answer: &Value) -> Vec<i64> {
    let rows = answer["data"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["HostAsset"]["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_azure_filter_finds_azure_hosts_wherever_their_source_stands() {
    let world = world();
    let sub = world.subscription("shop");
    let last =
        world.host(&sub, |host| host.sources = vec![Source::Qualys, Source::Plain, Source::Azure].into());
    let agent = world.host(&sub, |host| host.tracking_method = "QAGENT".into());
    let homeless = world.host(&sub, |host| host.subscription = None);
    let tombstone = world.host(&sub, |host| host.state = "DELETED".to_owned());
    let ec2 = world.ec2_host();
    let client = Client::new(&world);
    let found = client.qps(SEARCH, &search(&[AZURE], 100)).await;
    assert_eq!(ids_of(&found), [last, agent, homeless, tombstone]);
    assert_eq!(client.qps(COUNT, &search(&[AZURE], 100)).await["count"], 4);
    assert_eq!(client.qps(COUNT, &json!({"ServiceRequest": {}})).await["count"], 5);
    let rows = found["data"].as_array().unwrap();
    let source = |index: usize, place: usize| &rows[index]["HostAsset"]["sourceInfo"]["list"][place];
    assert_eq!(source(0, 2)["AzureAssetSourceSimple"]["subscriptionId"], sub.id());
    assert_eq!(source(0, 1)["AssetSource"], json!({}));
    assert_eq!(rows[1]["HostAsset"]["trackingMethod"], "QAGENT");
    assert!(source(2, 0)["AzureAssetSourceSimple"].get("subscriptionId").is_none());
    assert_eq!(source(3, 0)["AzureAssetSourceSimple"]["state"], "DELETED");
    let aws = client.qps(SEARCH, &search(&[("cloudProviderType", "EQUALS", "AWS")], 100)).await;
    assert_eq!(ids_of(&aws), [ec2]);
    assert_eq!(aws["data"][0]["HostAsset"]["sourceInfo"]["list"][0]["Ec2AssetSourceSimple"]["type"], "EC_2");
}

#[tokio::test]
async fn optional_parts_are_missing_until_they_are_set() {
    let world = world();
    let id = world.host("s", |_| ());
    let client = Client::new(&world);
    let source = async || {
        let answer = client.qps_get(&format!("2.0/get/am/hostasset/{id}")).await;
        answer["data"][0]["HostAsset"]["sourceInfo"]["list"][0]["AzureAssetSourceSimple"].clone()
    };
    let bare = source().await;
    assert!(bare.get("azureVmTags").is_none() && bare.get("publicIpAddress").is_none());
    world.edit_host(id, |host| {
        host.azure_tags = Some(vec![("Owner".to_owned(), "J \"q\"".to_owned())]);
        host.public_ip = Some("203.0.113.9".to_owned());
    });
    let full = source().await;
    assert_eq!(
        full["azureVmTags"]["tags"]["list"][0]["AzureTags"],
        json!({"key": "Owner", "value": "J \"q\""})
    );
    assert_eq!(full["publicIpAddress"], "203.0.113.9");
}

#[tokio::test]
async fn windows_of_ids_are_counted_as_they_are_read() {
    let world = world();
    world.hosts("s", 50);
    let ids = world.all_hosts().iter().map(|host| host.id).collect::<Vec<_>>();
    let client = Client::new(&world);
    let (low, high) = (ids[9].to_string(), ids[30].to_string());
    let window = [AZURE, ("id", "GREATER", low.as_str()), ("id", "LESSER", high.as_str())];
    assert_eq!(client.qps(COUNT, &search(&window, 10)).await["count"], 20);
    assert_eq!(ids_of(&client.qps(SEARCH, &search(&window, 100)).await), ids[10..30]);
    let wrong = [("id", "GREATER", high.as_str()), ("id", "LESSER", low.as_str())];
    assert_eq!(client.qps(COUNT, &search(&wrong, 10)).await["count"], 0);
    let some = format!("{},{}", ids[3], ids[40]);
    assert_eq!(ids_of(&client.qps(SEARCH, &search(&[("id", "IN", &some)], 100)).await), [ids[3], ids[40]]);
}

#[tokio::test]
async fn tags_and_times_filter_hosts() {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    let tag = world.tag("blue");
    let tagged = world.host("s", |host| host.tags = vec![tag]);
    world.advance(jiff::SignedDuration::from_hours(1));
    let newer = world.host("s", |_| ());
    let client = Client::new(&world);
    let found = client.qps(SEARCH, &search(&[("tagId", "EQUALS", &tag.to_string())], 10)).await;
    assert_eq!(ids_of(&found), [tagged]);
    assert_eq!(found["data"][0]["HostAsset"]["tags"]["list"][0]["TagSimple"]["name"], "blue");
    let found = client.qps(SEARCH, &search(&[("updated", "GREATER", "2026-11-23T10:30:00Z")], 10)).await;
    assert_eq!(ids_of(&found), [newer]);
    let tags = client.qps("2.0/search/am/tag", &search(&[("name", "EQUALS", "blue")], 10)).await;
    assert_eq!(tags["data"][0]["Tag"]["id"], tag);
}

#[tokio::test]
async fn fields_go_through_lists() {
    let world = world();
    let id = world.host("s", |host| host.sources = vec![Source::Qualys, Source::Azure].into());
    let client = Client::new(&world);
    let path = format!("2.0/get/am/hostasset/{id}?fields=id,sourceInfo.list.AzureAssetSourceSimple.vmSize");
    let answer = client.qps_get(&path).await;
    assert_eq!(
        answer["data"][0]["HostAsset"],
        json!({ "id": id, "sourceInfo": { "list": [{ "AzureAssetSourceSimple": { "vmSize": "Standard_B2s" } }] } })
    );
}

#[tokio::test]
async fn two_hundred_thousand_hosts_are_made_and_paged_in_good_time() {
    let world = world();
    let began = Instant::now();
    world.hosts("s", 200_000);
    let made = began.elapsed();
    let client = Client::new(&world);
    let body = search(&[AZURE, ("id", "GREATER", "2100000")], 1_000);
    let began = Instant::now();
    let (status, text) = client.send(client.post(SEARCH, &body)).await.unwrap();
    let paged = began.elapsed();
    println!("200,000 hosts made in {made:?}; a page of {} bytes read in {paged:?}", text.len());
    assert_eq!(status, 200);
    // Far more than is needed, so that even on a slow machine only a wrong algorithm fails.
    assert!(made.as_secs() < 20 && paged.as_secs() < 3);
}
