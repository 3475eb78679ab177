//! Hosts: pages of a range.

use super::{bench, fixture, ok, success};
use crate::manifest::IdRange;
use crate::model::SubscriptionId;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::Mock;
use wiremock::matchers::{method, query_param_contains};

#[tokio::test]
async fn the_documented_host_is_kept_as_it_came_on_one_line() {
    let bench = bench().await;
    Mock::given(method("POST"))
        .and(query_param_contains("fields", "sourceInfo.list.AzureAssetSourceSimple"))
        .respond_with(ok(fixture("hostasset-azure-response.json")))
        .mount(&bench.server)
        .await;
    let page = bench.qualys.hosts(IdRange { after: 0, before: None }).await.unwrap();
    assert_eq!((page.rows.len(), page.next_after), (1, None));
    let row = &page.rows[0];
    assert_eq!((row.id, row.subscription), (2_584_223, Some(SubscriptionId::new(Uuid::from_u128(1)))));
    assert!(!row.json.contains(&b'\n'));
    let kept: Value = serde_json::from_slice(&row.json).unwrap();
    let whole: Value = serde_json::from_slice(&fixture("hostasset-azure-response.json")).unwrap();
    assert_eq!(kept, whole["ServiceResponse"]["data"][0]["HostAsset"]);
}

#[tokio::test]
async fn hosts_outside_the_range_are_an_error() {
    let bench = bench().await;
    bench.answer(ok(success(1, &json!([{ "HostAsset": { "id": 5 } }])).to_string())).await;
    assert!(bench.qualys.hosts(IdRange { after: 4, before: None }).await.is_ok());
    assert!(bench.qualys.hosts(IdRange { after: 5, before: None }).await.is_err());
    assert!(bench.qualys.hosts(IdRange { after: 1, before: Some(5) }).await.is_err());
}

/// The page with these rows, which says that there are more, and where.
fn page_with(rows: &[i64], last_id: Option<i64>) -> Result<Option<i64>, String> {
    let data: Vec<_> = rows.iter().map(|id| json!({ "HostAsset": { "id": id } })).collect();
    let mut answer = success(rows.len(), &json!(data));
    answer["ServiceResponse"]["hasMoreRecords"] = json!("true");
    answer["ServiceResponse"]["lastId"] = json!(last_id);
    let range = IdRange { after: 2, before: None };
    crate::qualys::hosts::page(&answer.to_string().into(), range).map(|page| page.next_after)
}

#[test]
fn the_next_page_begins_after_the_last_row_whatever_last_id_names() {
    assert_eq!(page_with(&[3, 9], Some(9)), Ok(Some(9)));
    assert_eq!(page_with(&[3, 9], Some(12)), Ok(Some(9)), "the first row of the next page");
    assert_eq!(page_with(&[3, 9], None), Ok(Some(9)));
    assert!(page_with(&[3, 9], Some(8)).unwrap_err().contains("lastId"), "it contradicts its own rows");
    assert!(page_with(&[], Some(12)).is_err(), "more records, and none shown");
}

#[test]
fn a_host_with_an_oddly_typed_source_is_a_host_without_one() {
    let odd =
        [json!("azure"), json!({ "list": "none" }), json!({ "list": [7, { "AzureAssetSourceSimple": [] }] })];
    for source in odd {
        let answer = success(1, &json!([{ "HostAsset": { "id": 5, "sourceInfo": source } }]));
        let range = IdRange { after: 2, before: None };
        let page = crate::qualys::hosts::page(&answer.to_string().into(), range).unwrap();
        assert_eq!(page.rows[0].subscription, None, "{source}");
    }
}
