//! One test for each answer that the client tells apart.

use super::*;
use crate::manifest::IdRange;
use crate::model::{ConnectorId, ConnectorState, SubscriptionId, TenantId};
use crate::store::{BlobKey, FolderStore, Store};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{any, body_partial_json, header, method, path, query_param_contains};
use wiremock::{Mock, MockServer, ResponseTemplate};

struct Bench {
    server: MockServer,
    qualys: Qualys,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    bench_with(300, 30).await
}

async fn bench_with(calls_per_hour: u32, reserve_percent: u32) -> Bench {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Folder(FolderStore::new(folder.path()));
    let now: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
    let budget =
        CallBudget::new(store.clone(), "default".parse().unwrap(), (calls_per_hour, reserve_percent, 2), now);
    let qualys = Qualys::new(Setup {
        http: reqwest::Client::new(),
        base: server.uri().parse().unwrap(),
        username: "user".to_owned().into(),
        password: "s3cret-password".to_owned().into(),
        write_timeout: Duration::from_secs(2),
        deadline: Instant::now() + Duration::from_secs(20),
        calls: budget,
        may_send: std::sync::Arc::new(|_| true),
    });
    Bench { server, qualys, store, _folder: folder }
}

impl Bench {
    async fn answer(&self, template: ResponseTemplate) {
        Mock::given(any()).respond_with(template).mount(&self.server).await;
    }

    async fn calls(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/qualys/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn ok(body: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "application/json")
}

fn success(count: usize, data: &Value) -> Value {
    json!({ "ServiceResponse": { "responseCode": "SUCCESS", "count": count, "data": data } })
}

fn new_connector() -> NewConnector {
    NewConnector {
        name: "n".into(),
        description: "d".into(),
        application: crate::model::AppId::new(Uuid::from_u128(1)),
        directory: TenantId::new(Uuid::from_u128(2)),
        subscription: SubscriptionId::new(Uuid::from_u128(3)),
        secret: "cl1ent/s3cret".to_owned().into(),
        apps: vec!["AI".into(), "CI".into()],
        modules: vec![],
        tags: vec![7],
        run_frequency_minutes: 240,
    }
}

#[tokio::test]
async fn the_documented_page_is_read_and_the_next_one_asked_for() {
    let bench = bench().await;
    let second =
        json!({ "ServiceRequest": { "preferences": { "limitResults": 1000, "startFromId": 1002 } } });
    // Inclusive: the row that the first page ended with comes again.
    let again = success(
        1,
        &json!([{ "AzureAssetDataConnector": { "id": "1002", "isAttachedToOrgConnector": "true" } }]),
    );
    Mock::given(body_partial_json(second)).respond_with(ok(again.to_string())).mount(&bench.server).await;
    bench.answer(ok(fixture("azure-connector-search-response.json"))).await;
    let found = bench.qualys.connectors().await.unwrap();
    assert_eq!(found.keys().map(|id| id.0).collect::<Vec<_>>(), [1001, 1002]);
    let first = &found[&ConnectorId(1001)];
    assert_eq!(
        (first.state.clone(), first.disabled, first.member),
        (ConnectorState::FinishedSuccess, false, false)
    );
    assert_eq!(first.subscription, Some(SubscriptionId::new(Uuid::from_u128(1))));
    assert_eq!(first.last_sync, Some("2026-01-31T10:00:00Z".parse().unwrap()));
    assert!(found[&ConnectorId(1002)].member);
    assert_eq!(bench.calls().await, 2);
}

#[tokio::test]
async fn an_empty_search_has_no_data_and_is_no_error() {
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
    assert!(connector.get("activation").is_none(), "modules cost licences, so none are sent unasked");
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
async fn errors_under_http_200_are_errors_by_their_code() {
    for (code, wanted) in [
        ("INVALID_CREDENTIALS", "BadCredentials"),
        ("UNAUTHORIZED", "Forbidden"),
        ("OBJECT_NOT_FOUND", "NotFound"),
        ("INVALID_API_VERSION", "Refused"),
        ("SOMETHING_NEW", "Refused"),
    ] {
        let bench = bench().await;
        bench.answer(ok(json!({ "ServiceResponse": { "responseCode": code } }).to_string())).await;
        let error = bench.qualys.connector(ConnectorId(1)).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(wanted), "{code}: {error:?}");
        assert_eq!(bench.calls().await, 1, "{code} is never repeated");
    }
}

#[tokio::test]
async fn a_documented_refusal_keeps_its_text_and_loses_secrets() {
    // The header of `user:s3cret-password`; neither of the two begins on a boundary of its encoding.
    const BASIC: &str = "dXNlcjpzM2NyZXQtcGFzc3dvcmQ=";
    let bench = bench().await;
    bench.answer(ok(fixture("qps-error-response.json"))).await;
    let error = bench.qualys.count_hosts(IdRange { after: 0, before: None }).await.unwrap_err();
    insta::assert_snapshot!(error, @"Qualys refused the host asset count: INVALID_REQUEST (Criteria: Invalid value format for criteria 'qwebHostId' (abc123).)");
    for echoed in ["cl1ent/s3cret", "cl1ent%2Fs3cret", "Y2wxZW50L3MzY3JldA==", "s3cret-password", BASIC] {
        let bench = bench_with(300, 30).await;
        let details = json!({ "errorMessage": format!("bad key {echoed}") });
        let body = json!({ "ServiceResponse": { "responseCode": "INVALID_REQUEST", "responseErrorDetails": details } });
        bench.answer(ok(body.to_string())).await;
        let error = bench.qualys.create(&new_connector()).await.unwrap_err();
        assert_eq!(error.to_string(), "Qualys refused the connector create: INVALID_REQUEST");
        assert!(!format!("{error:?}").contains(echoed));
    }
}

#[tokio::test]
async fn sign_in_fails_in_xml_and_with_401_too() {
    let xml = "<?xml version=\"1.0\"?><ServiceResponse><responseCode>INVALID_CREDENTIALS</responseCode></ServiceResponse>";
    for template in
        [ResponseTemplate::new(200).set_body_raw(xml, "application/xml"), ResponseTemplate::new(401)]
    {
        let bench = bench().await;
        bench.answer(template).await;
        assert!(matches!(bench.qualys.connectors().await, Err(QualysError::BadCredentials { .. })));
        assert_eq!(bench.calls().await, 1);
    }
}

#[tokio::test]
async fn a_reading_is_repeated_after_a_stumble_and_a_write_never() {
    let stumbles = [
        ResponseTemplate::new(502).set_body_raw("<html>Bad Gateway</html>", "text/html"),
        ok("{\"ServiceResponse\": {\"responseCode\": \"SUCC"),
        ok(""),
    ];
    for stumble in stumbles {
        let bench = bench().await;
        Mock::given(any()).respond_with(stumble).up_to_n_times(1).with_priority(1).mount(&bench.server).await;
        bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
        assert!(bench.qualys.connectors().await.unwrap().is_empty());
        assert_eq!(bench.calls().await, 2);
        bench.server.reset().await;
        bench.answer(ResponseTemplate::new(500)).await;
        let error = bench.qualys.create(&new_connector()).await.unwrap_err();
        assert!(error.is_unclear(), "{error:?}");
        assert_eq!(bench.calls().await, 1);
    }
}

#[tokio::test]
async fn a_write_that_was_refused_before_any_work_is_repeated() {
    for status in [409, 429] {
        let bench = bench().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(status))
            .up_to_n_times(1)
            .with_priority(1)
            .mount(&bench.server)
            .await;
        bench.answer(ok(fixture("azure-connector-create-response.json"))).await;
        assert_eq!(bench.qualys.create(&new_connector()).await.unwrap(), ConnectorId(1003));
    }
}

#[tokio::test]
async fn a_long_wait_is_not_slept_but_told_wherever_it_stands() {
    let xml = "<SIMPLE_RETURN><RESPONSE><CODE>1965</CODE><ITEM_LIST><ITEM><KEY>SECONDS_TO_WAIT</KEY><VALUE>68928</VALUE></ITEM></ITEM_LIST></RESPONSE></SIMPLE_RETURN>";
    let told = [
        ResponseTemplate::new(409).insert_header("X-RateLimit-ToWait-Sec", "68928"),
        ResponseTemplate::new(429).insert_header("retry-after", "68928"),
        ResponseTemplate::new(409).set_body_raw(xml, "application/xml"),
    ];
    for template in told {
        let bench = bench().await;
        bench.answer(template).await;
        let begun = Instant::now();
        let error = bench.qualys.connectors().await.unwrap_err();
        assert!(
            matches!(error, QualysError::RateLimited { wait: Some(wait), .. } if wait.as_secs() == 68928),
            "{error:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(bench.calls().await, 1);
        let next = bench.qualys.connectors().await.unwrap_err();
        assert!(matches!(next, QualysError::NoCallsLeft { .. }), "nothing more is sent: {next:?}");
        assert_eq!(bench.calls().await, 1);
    }
}

#[tokio::test]
async fn empty_and_zero_limit_headers_say_nothing() {
    let bench = bench().await;
    let template = ResponseTemplate::new(409)
        .insert_header("X-RateLimit-ToWait-Sec", "0")
        .insert_header("Retry-After", "");
    Mock::given(any()).respond_with(template).up_to_n_times(1).with_priority(1).mount(&bench.server).await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    bench.qualys.connectors().await.unwrap();
}

#[tokio::test]
async fn the_reserve_is_left_to_others_and_a_refused_call_is_not_sent() {
    let bench = bench_with(10, 30).await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    for _ in 0..7 {
        bench.qualys.connectors().await.unwrap();
    }
    let error = bench.qualys.connectors().await.unwrap_err();
    let QualysError::NoCallsLeft { until, .. } = error else { panic!("{error:?}") };
    assert!(
        until >= "2026-11-23T05:00:00Z".parse().unwrap(),
        "when the first call leaves the window: {until}"
    );
    assert_eq!(bench.calls().await, 7);
}

#[tokio::test]
async fn what_was_booked_and_not_used_is_given_back() {
    let bench = bench().await;
    bench.answer(ok(fixture("azure-connector-search-empty.json"))).await;
    bench.qualys.connectors().await.unwrap();
    let key = BlobKey::Account("default".parse().unwrap());
    let booked = async || {
        let (account, _) = bench.store.read::<crate::state::AccountState>(&key).await.unwrap().unwrap();
        account.booked.values().flatten().map(|booking| booking.calls).sum::<u32>()
    };
    assert_eq!(booked().await, 20, "a kill here under-uses the hour");
    let used = bench.qualys.calls().close().await.unwrap();
    assert_eq!((used.total, used.left, booked().await), (1, Some(209), 1));
}

#[tokio::test]
async fn limit_headers_win_over_our_own_count() {
    let bench = bench_with(10, 30).await;
    let template = ok(fixture("azure-connector-search-empty.json"));
    let template =
        template.insert_header("X-RateLimit-Limit", "2000").insert_header("X-RateLimit-Remaining", "1500");
    bench.answer(template).await;
    for _ in 0..9 {
        bench.qualys.connectors().await.unwrap();
    }
    bench.server.reset().await;
    let template = ok(fixture("azure-connector-search-empty.json"));
    let template =
        template.insert_header("X-RateLimit-Limit", "2000").insert_header("X-RateLimit-Remaining", "600");
    bench.answer(template).await;
    bench.qualys.connectors().await.unwrap();
    assert!(
        matches!(bench.qualys.connectors().await, Err(QualysError::NoCallsLeft { .. })),
        "only the reserve is left"
    );
}

#[tokio::test]
async fn a_page_that_holds_less_than_it_says_is_an_error() {
    let bench = bench().await;
    let short = success(2, &json!([{ "AzureAssetDataConnector": { "id": 1 } }]));
    bench.answer(ok(short.to_string())).await;
    let error = bench.qualys.connectors().await.unwrap_err();
    insta::assert_snapshot!(error, @"Qualys's answer to the connector search cannot be used: it says 2 records and has 1");
}

#[tokio::test]
async fn a_list_that_does_not_go_on_is_an_error_and_no_endless_walk() {
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
    assert_eq!(found[&ConnectorId(1)].state, ConnectorState::Other(String::new()));
    let odd = &found[&ConnectorId(3)];
    assert!(
        odd.last_sync.is_some() && odd.disabled && odd.subscription.is_none() && odd.last_error.is_some()
    );
}

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
async fn hosts_outside_the_window_are_an_error() {
    let bench = bench().await;
    bench.answer(ok(success(1, &json!([{ "HostAsset": { "id": 5 } }])).to_string())).await;
    assert!(bench.qualys.hosts(IdRange { after: 4, before: None }).await.is_ok());
    assert!(bench.qualys.hosts(IdRange { after: 5, before: None }).await.is_err());
    assert!(bench.qualys.hosts(IdRange { after: 1, before: Some(5) }).await.is_err());
}

#[tokio::test]
async fn credentials_never_show_in_debug() {
    let bench = bench().await;
    let text = format!("{:?} {:?}", bench.qualys, new_connector());
    assert!(!text.contains("s3cret"), "{text}");
}
