//! The QPS envelope: errors under 200, paths, pages, formats, sign-in.

use serde_json::{Value, json};

use crate::testing::{Client, search, world};

const CONNECTORS: &str = "3.0/search/am/azureassetdataconnector";

#[tokio::test]
async fn errors_come_under_http_200_with_details() {
    let client = Client::new(&world());
    let answer = client.qps(CONNECTORS, &search(&[("id", "EQUALS", "abc")], 10)).await;
    assert_eq!(
        answer,
        json!({
            "responseCode": "INVALID_REQUEST",
            "responseErrorDetails": {
                "errorMessage": "Criteria: Invalid value format for criteria 'id' (abc).",
                "errorResolution": "Specify criteria value(s) as Long.",
            },
        })
    );
}

#[tokio::test]
async fn a_wrong_path_is_an_html_404() {
    let client = Client::new(&world());
    for request in [
        client.post("3.0/search/am/nosuchnoun", &json!({})),
        client.get("3.0/search/am/azureassetdataconnector"),
        client
            .http()
            .put(format!("{}/qps/rest/3.0/update/am/azureassetdataconnector/1", client.world.qualys_url())),
    ] {
        let (status, text) = client.send(request).await.unwrap();
        assert_eq!(status, 404);
        assert!(text.contains("<html>"));
    }
}

#[tokio::test]
async fn a_noun_of_the_other_version_is_an_invalid_version() {
    let client = Client::new(&world());
    for path in ["2.0/search/am/azureassetdataconnector", "3.0/search/am/hostasset"] {
        assert_eq!(client.qps(path, &json!({})).await["responseCode"], "INVALID_API_VERSION");
    }
}

#[tokio::test]
async fn an_empty_search_has_a_count_and_nothing_else() {
    let client = Client::new(&world());
    for path in [CONNECTORS, "2.0/search/am/hostasset", "2.0/search/am/tag"] {
        assert_eq!(
            client.qps(path, &json!({"ServiceRequest": {}})).await,
            json!({"responseCode": "SUCCESS", "count": 0})
        );
    }
}

#[tokio::test]
async fn only_a_page_that_is_not_the_last_has_a_last_id() {
    let world = world();
    let ids = (0..3).map(|_| world.connector("00000000-0000-4000-8000-000000000001")).collect::<Vec<_>>();
    let client = Client::new(&world);
    let first = client.qps(CONNECTORS, &search(&[], 2)).await;
    assert_eq!((&first["count"], &first["hasMoreRecords"]), (&json!(2), &json!("true")));
    assert_eq!(first["lastId"], ids[1]);
    let last = client.qps(CONNECTORS, &search(&[("id", "GREATER", &ids[1].to_string())], 2)).await;
    assert_eq!((&last["count"], &last["hasMoreRecords"]), (&json!(1), &json!("false")));
    assert!(last.get("lastId").is_none());
    world.manners(|manners| manners.last_page_has_last_id = true);
    let last = client.qps(CONNECTORS, &search(&[("id", "GREATER", &ids[1].to_string())], 2)).await;
    assert_eq!(last["lastId"], ids[2]);
}

fn ids_of(answer: &Value) -> Vec<i64> {
    let rows = answer["data"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["AzureAssetDataConnector"]["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_three_ways_of_paging_see_the_same_rows() {
    let world = world();
    let all = (0..7).map(|_| world.connector("00000000-0000-4000-8000-000000000001")).collect::<Vec<_>>();
    let client = Client::new(&world);
    for way in ["filter", "id", "offset"] {
        let mut seen = Vec::new();
        loop {
            let mut body = search(&[], 3);
            if let Some(last) = seen.last() {
                match way {
                    "filter" => body = search(&[("id", "GREATER", &format!("{last}"))], 3),
                    "id" => body["ServiceRequest"]["preferences"]["startFromId"] = json!(last),
                    _ => body["ServiceRequest"]["preferences"]["startFromOffset"] = json!(seen.len() + 1),
                }
            }
            let answer = client.qps(CONNECTORS, &body).await;
            seen.extend(ids_of(&answer));
            if answer["hasMoreRecords"] != "true" {
                break;
            }
        }
        assert_eq!(seen, all, "{way}");
    }
    let below = client.qps(CONNECTORS, &search(&[("id", "LESSER", &all[2].to_string())], 10)).await;
    assert_eq!(ids_of(&below), all[..2]);
    world.manners(|manners| manners.start_from_id_inclusive = true);
    let mut body = search(&[], 3);
    body["ServiceRequest"]["preferences"]["startFromId"] = json!(all[1]);
    assert_eq!(ids_of(&client.qps(CONNECTORS, &body).await), all[1..4]);
}

#[tokio::test]
async fn a_page_has_1_to_1000_rows_and_100_by_default() {
    let world = world();
    world.hosts("s", 101);
    let client = Client::new(&world);
    let answer = client.qps("2.0/search/am/hostasset", &json!({"ServiceRequest": {}})).await;
    assert_eq!(answer["count"], 100);
    for limit in [0, 1_001] {
        assert_eq!(client.qps(CONNECTORS, &search(&[], limit)).await["responseCode"], "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn an_unknown_field_or_operator_is_an_invalid_request() {
    let client = Client::new(&world());
    for (path, criterion) in [
        (CONNECTORS, ("connectorState", "EQUALS", "QUEUED")),
        (CONNECTORS, ("name", "CONTAINS", "x")),
        (CONNECTORS, ("id", "IN", "1,2")),
        ("2.0/search/am/hostasset", ("subscriptionId", "EQUALS", "x")),
        ("2.0/count/am/hostasset", ("cloudProviderType", "GREATER", "AZURE")),
    ] {
        assert_eq!(
            client.qps(path, &search(&[criterion], 10)).await["responseCode"],
            "INVALID_REQUEST",
            "{criterion:?}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_an_error_under_200_or_a_401() {
    let world = world();
    let client = Client::new(&world);
    let request = || {
        client
            .http()
            .get(format!("{}/qps/rest/portal/version", world.qualys_url()))
            .basic_auth(world.qualys_user(), Some("wrong"))
            .header("accept", "application/json")
    };
    let (status, text) = client.send(request()).await.unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("INVALID_CREDENTIALS"));
    assert_eq!(world.calls()[0].code.as_deref(), Some("INVALID_CREDENTIALS"));
    world.manners(|manners| manners.wrong_password_is_401 = true);
    assert_eq!(client.send(request()).await.unwrap().0, 401);
    world.set_qualys_password("wrong");
    assert_eq!(client.send(request()).await.unwrap().0, 200);
}

#[tokio::test]
async fn xml_is_answered_in_xml_and_version_in_both() {
    let world = world();
    let client = Client::new(&world);
    let url = |path: &str| format!("{}/qps/rest/{path}", world.qualys_url());
    let signed = |request: reqwest::RequestBuilder| {
        request.basic_auth(world.qualys_user(), Some(world.qualys_password()))
    };
    let (_, text) = client.send(signed(client.http().get(url("portal/version")))).await.unwrap();
    assert!(text.contains("<responseCode>SUCCESS</responseCode>"));
    assert_eq!(client.qps_get("portal/version").await["responseCode"], "SUCCESS");
    let request =
        client.http().post(url(CONNECTORS)).header("content-type", "text/xml").body("<ServiceRequest/>");
    let (status, text) = client.send(signed(request)).await.unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("<responseCode>INVALID_REQUEST</responseCode>"));
}

#[tokio::test]
async fn numbers_and_booleans_take_the_shape_of_the_switches() {
    let world = world();
    let id = world.connector("00000000-0000-4000-8000-000000000001");
    world.connector("00000000-0000-4000-8000-000000000002");
    let client = Client::new(&world);
    world.manners(|manners| {
        manners.ids_as_strings = true;
        manners.count_as_string = true;
        manners.has_more_as_bool = true;
    });
    let answer = client.qps(CONNECTORS, &search(&[], 1)).await;
    assert_eq!(answer["count"], "1");
    assert_eq!(answer["hasMoreRecords"], true);
    assert_eq!(answer["lastId"], id.to_string());
    assert_eq!(answer["data"][0]["AzureAssetDataConnector"]["id"], id.to_string());
}
