//! Connectors: what is read, and what is sent.

use super::{Bench, bench, fixture, new_connector, ok, success};
use crate::model::{ConnectorId, ConnectorState, OddTime, SubscriptionId};
use crate::qualys::QualysError;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::Mock;
use wiremock::matchers::{body_json, header, path};

const NOUN: &str = "AzureAssetDataConnector";

#[tokio::test]
async fn the_documented_page_is_read_and_the_next_one_requested() {
    let bench = bench().await;
    // `startFromId` may be inclusive: then the last row of the page before is returned again.
    bench.page(Some(1002), &[1002, 1003], false).await;
    bench.page(Some(1003), &[1003], false).await;
    bench.answer(ok(fixture("azure-connector-search-response.json"))).await;
    let found = bench.qualys.connectors().await.unwrap();
    assert_eq!(found.keys().map(|id| id.0).collect::<Vec<_>>(), [1001, 1002, 1003]);
    let first = &found[&ConnectorId(1001)];
    assert_eq!(
        (first.state.clone(), first.disabled, first.member),
        (ConnectorState::FinishedSuccess, Some(false), Some(false))
    );
    assert_eq!(first.subscription, Some(SubscriptionId::new(Uuid::from_u128(1))));
    assert_eq!(first.last_sync, Some("2026-01-31T10:00:00Z".parse().unwrap()));
    assert_eq!(found[&ConnectorId(1002)].member, Some(true));
    assert_eq!(bench.calls().await, 3);
}

impl Bench {
    /// Answers the search after this id with connectors of these ids.
    async fn page(&self, after: Option<i64>, ids: &[i64], more: bool) {
        let rows: Vec<_> =
            ids.iter().map(|id| json!({ NOUN: { "id": id, "isAttachedToOrgConnector": "true" } })).collect();
        let mut answer = success(rows.len(), &json!(rows));
        answer["ServiceResponse"]["hasMoreRecords"] = json!(more.to_string());
        if more {
            // Whatever it names, the last row counts.
            answer["ServiceResponse"]["lastId"] = json!(2);
        }
        let preferences = match after {
            Some(id) => json!({ "limitResults": 1000, "startFromId": id }),
            None => json!({ "limitResults": 1000 }),
        };
        let request = json!({ "ServiceRequest": { "preferences": preferences } });
        Mock::given(body_json(request)).respond_with(ok(answer.to_string())).mount(&self.server).await;
    }
}

#[tokio::test]
async fn a_list_of_several_pages_is_whole_or_an_error() {
    let read = async |pages: &[(Option<i64>, &[i64], bool)]| {
        let bench = bench().await;
        for (after, ids, more) in pages {
            bench.page(*after, ids, *more).await;
        }
        match bench.qualys.connectors().await {
            Ok(found) => format!("{} connectors", found.len()),
            Err(error) => error.to_string(),
        }
    };
    let first: (_, &[i64], _) = (None, &[1, 2], true);
    let last: (_, &[i64], _) = (Some(4), &[], false);
    assert_eq!(read(&[first, (Some(2), &[3, 4], false), last]).await, "4 connectors");
    assert_eq!(read(&[(None, &[2, 1], false)]).await, "2 connectors", "one page needs no order");
    for (pages, wrong) in [
        ([(None, &[2, 1][..], true), (Some(1), &[3], false), last], "do not rise"),
        ([first, (Some(2), &[4, 3], false), last], "do not rise"),
        ([first, (Some(2), &[1, 4], false), last], "has rows of the page before it"),
        ([first, (Some(2), &[3, 3], false), last], "has a record twice"),
        ([first, (Some(2), &[4], false), (Some(4), &[5], false)], "after the page that it calls the last"),
        ([first, (Some(2), &[2], false), last], "has no new one"),
    ] {
        let said = read(&pages).await;
        assert!(said.contains("connector search cannot be used") && said.contains(wrong), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn an_empty_search_has_no_data_and_is_not_an_error() {
    let bench = bench().await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    assert!(bench.qualys.connectors().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_documented_answers_to_writes_are_understood() {
    let bench = bench().await;
    Mock::given(path("/qps/rest/3.0/create/am/azureassetdataconnector"))
        .and(header("x-requested-with", "qualys-azure-inventory"))
        .and(header("accept", "application/json"))
        .respond_with(ok(fixture("azure-connector-create-response.json")))
        .mount(&bench.server)
        .await;
    bench.answer(ok(fixture("azure-connector-update-response.json"))).await;
    assert_eq!(bench.qualys.create(&new_connector()).await.unwrap(), ConnectorId(1003));
    bench.qualys.set_disabled(ConnectorId(1003), true).await.unwrap();
    bench.qualys.run(ConnectorId(1003)).await.unwrap();
    bench.qualys.delete(ConnectorId(1003)).await.unwrap();
    let sent = bench.server.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    let connector = &body["ServiceRequest"]["data"]["AzureAssetDataConnector"];
    assert_eq!(connector["connectorAppInfos"]["set"]["ConnectorAppInfoQList"].as_array().unwrap().len(), 2);
    assert_eq!(connector["defaultTags"]["set"]["TagSimple"][0]["id"], 7);
    assert!(
        connector.get("activation").is_none(),
        "modules cost licences, so none are sent unless configured"
    );
    assert_eq!(
        String::from_utf8_lossy(&sent[1].body),
        r#"{"ServiceRequest":{"data":{"AzureAssetDataConnector":{"disabled":true}}}}"#
    );
    let paths: Vec<_> = sent.iter().skip(1).map(|request| request.url.path().to_owned()).collect();
    assert_eq!(
        paths,
        ["update", "run", "delete"]
            .map(|verb| format!("/qps/rest/3.0/{verb}/am/azureassetdataconnector/1003"))
    );
}

#[tokio::test]
async fn a_page_that_holds_less_than_it_states_is_an_error() {
    let bench = bench().await;
    let short = success(2, &json!([{ "AzureAssetDataConnector": { "id": 1 } }]));
    bench.answer(ok(short.to_string())).await;
    let error = bench.qualys.connectors().await.unwrap_err();
    insta::assert_snapshot!(error, @"Qualys's answer to the connector search cannot be used: it states 2 records and has 1");
}

#[tokio::test]
async fn a_list_that_does_not_continue_is_an_error_and_not_an_endless_loop() {
    let more = |data: Value, last: Value| {
        let count = data.as_array().unwrap().len();
        json!({ "ServiceResponse": { "responseCode": "SUCCESS", "count": count, "hasMoreRecords": "true", "lastId": last, "data": data } })
    };
    let row = json!([{ "AzureAssetDataConnector": { "id": 5 } }]);
    for body in [more(row, json!(5)), more(json!([]), json!(9)), more(json!([]), Value::Null)] {
        let bench = bench().await;
        bench.answer(ok(body.to_string())).await;
        assert!(matches!(bench.qualys.connectors().await, Err(QualysError::Malformed { .. })), "{body}");
        assert!(bench.calls().await < 10);
    }
}

#[tokio::test]
async fn a_connector_without_optional_fields_and_a_deleted_one_are_read() {
    let bench = bench().await;
    let rows = json!([{ "AzureAssetDataConnector": { "id": 1 } }, { "AzureAssetDataConnector": { "id": 2, "isDeleted": "true" } },
        { "AzureAssetDataConnector": { "id": 3, "lastSyncedOn": "\n 2026-01-31T10:00:00Z", "error": "x", "connectorState": "NEW_WORD",
          "authRecord": { "subscriptionId": "XXXX" }, "disabled": true } }]);
    bench.answer(ok(success(3, &rows).to_string())).await;
    let found = bench.qualys.connectors().await.unwrap();
    assert_eq!(found.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 3]);
    let bare = &found[&ConnectorId(1)];
    assert_eq!(bare.state, ConnectorState::Other(String::new()));
    assert_eq!((bare.disabled, bare.member), (None, None), "what is not stated is unknown");
    let odd = &found[&ConnectorId(3)];
    assert!(
        odd.last_sync.is_some()
            && odd.disabled == Some(true)
            && odd.subscription.is_none()
            && odd.last_error.is_some()
    );
}

#[tokio::test]
async fn the_time_of_a_last_sync_is_read_in_every_form() {
    let bare = |text: &str| Some(OddTime::WithoutZone(text.parse().unwrap()));
    let nine = Some("2026-11-23T09:00:00Z".parse().unwrap());
    for (stated, last_sync, odd) in [
        (json!("2026-11-23T09:00:00Z"), nine, None),
        (json!("\n2026-11-23T10:00:00.000+01:00 "), nine, None),
        (json!("2026-11-23T09:00:00"), None, bare("2026-11-23T09:00:00")),
        (json!("a while ago"), None, Some(OddTime::NotATime)),
        (json!(1_795_424_400), None, Some(OddTime::NotATime)),
        (json!(""), None, None),
        (Value::Null, None, None),
    ] {
        let bench = bench().await;
        let record = json!([{ "AzureAssetDataConnector": { "id": 7, "lastSync": stated } }]);
        bench.answer(ok(success(1, &record).to_string())).await;
        let found = bench.qualys.connectors().await.unwrap().remove(&ConnectorId(7)).unwrap();
        assert_eq!((found.last_sync, found.odd_last_sync), (last_sync, odd), "{stated}");
    }
}

#[tokio::test]
async fn a_field_of_an_odd_type_counts_as_not_stated_and_spoils_no_list() {
    let whole = json!({
        "id": 7, "name": "a", "description": "d", "connectorState": "FINISHED_SUCCESS", "lastSync": "2026-01-31T10:00:00Z",
        "lastError": "e", "disabled": "false", "isDeleted": "false", "isAttachedToOrgConnector": "true", "runFrequency": 240,
        "authRecord": { "applicationId": "00000000-0000-0000-0000-000000000001", "subscriptionId": "00000000-0000-0000-0000-000000000002" }
    });
    let names: Vec<_> = whole.as_object().unwrap().keys().filter(|name| *name != "id").cloned().collect();
    for name in names {
        for odd in ["7", "\"odd\"", "[]", "{}", "null", "1e999", "[{\"a\":1}]"] {
            let mut record = whole.clone();
            record.as_object_mut().unwrap().remove(&name);
            let text = record.to_string().replacen('{', &format!("{{\"{name}\":{odd},"), 1);
            let second = "{\"AzureAssetDataConnector\":{\"id\":8,\"name\":\"b\"}}";
            let body = format!(
                "{{\"ServiceResponse\":{{\"responseCode\":\"SUCCESS\",\"count\":2,\"data\":[{{\"AzureAssetDataConnector\":{text}}},{second}]}}}}"
            );
            let bench = bench().await;
            bench.answer(ok(body)).await;
            let found = bench.qualys.connectors().await.unwrap();
            assert_eq!(found.keys().map(|id| id.0).collect::<Vec<_>>(), [7, 8], "{name}: {odd}");
            let is_stated = name != "authRecord" && found[&ConnectorId(7)].subscription.is_some();
            assert!(is_stated || name == "authRecord", "{name}: {odd}");
        }
    }
}

#[tokio::test]
async fn the_date_of_an_answer_is_qualyss_clock() {
    let empty = || ok(fixture("azure-connector-search-empty.json"));
    for (date, theirs) in [
        ("Mon, 23 Nov 2026 09:00:00 GMT", Some("2026-11-23T09:00:00Z".parse().unwrap())),
        ("Sun, 23 Nov 2026 09:00:00 GMT", Some("2026-11-23T09:00:00Z".parse().unwrap())),
        ("just now", None),
        ("", None),
    ] {
        let bench = bench().await;
        bench.answer(empty().insert_header("date", date)).await;
        bench.qualys.connectors().await.unwrap();
        assert_eq!(bench.qualys.clock().map(|clock| clock.theirs), theirs, "{date}");
    }
}

#[tokio::test]
async fn a_connector_without_a_readable_id_fails_the_list() {
    for id in ["null", "\"seven\"", "{}", "1.5"] {
        let bench = bench().await;
        let body = format!(
            "{{\"ServiceResponse\":{{\"responseCode\":\"SUCCESS\",\"count\":1,\"data\":[{{\"AzureAssetDataConnector\":{{\"id\":{id}}}}}]}}}}"
        );
        bench.answer(ok(body)).await;
        assert!(matches!(bench.qualys.connectors().await, Err(QualysError::Malformed { .. })), "{id}");
    }
}

#[tokio::test]
async fn the_record_of_another_connector_is_no_answer() {
    let bench = bench().await;
    bench.answer(ok(success(1, &json!([{ NOUN: { "id": 11 } }])).to_string())).await;
    let error = bench.qualys.connector(ConnectorId(10)).await.unwrap_err();
    assert!(error.to_string().ends_with("it is connector 11 instead of 10"), "{error}");
}
