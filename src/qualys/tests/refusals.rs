//! Refusals and failures: which error each one is, and what is repeated.

use super::{bench, bench_with, fixture, new_connector, ok};
use crate::manifest::IdRange;
use crate::model::ConnectorId;
use crate::qualys::QualysError;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, ResponseTemplate};

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
        assert_eq!(bench.calls().await, 1, "a call that ends in {code} is not repeated");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_text_whatever_its_status() {
    let envelope = |code: &str| {
        let details = json!({ "errorMessage": "no" });
        json!({ "ServiceResponse": { "responseCode": code, "responseErrorDetails": details } })
    };
    let classic = json!({ "SIMPLE_RETURN": { "RESPONSE": { "CODE": 1901, "TEXT": "no" } } });
    for (status, body, wanted) in [
        (400, envelope("INVALID_REQUEST"), "Qualys refused the connector get: INVALID_REQUEST (no)"),
        (
            404,
            envelope("OBJECT_NOT_FOUND"),
            "the connector get failed: Qualys does not find the object, or this user may not see it",
        ),
        (422, classic, "Qualys refused the connector get: HTTP 422 (1901: no)"),
        (404, json!("a page"), "Qualys answered the connector get with HTTP 404"),
    ] {
        let bench = bench().await;
        bench.answer(ResponseTemplate::new(status).set_body_json(body)).await;
        let error = bench.qualys.connector(ConnectorId(1)).await.unwrap_err();
        assert_eq!(error.to_string(), wanted);
        assert!(!error.is_unclear() || status == 422, "{error}");
    }
}

#[tokio::test]
async fn a_documented_refusal_keeps_its_text_unless_it_shows_a_secret() {
    // `user:s3cret-password` in Base64. Neither part of it begins where a Base64 group begins.
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
async fn a_failed_sign_in_is_recognised_in_xml_and_by_401() {
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
async fn a_failed_read_is_repeated_and_a_failed_write_never() {
    let failures = [
        ResponseTemplate::new(502).set_body_raw("<html>Bad Gateway</html>", "text/html"),
        ok("{\"ServiceResponse\": {\"responseCode\": \"SUCC"),
        ok(""),
    ];
    for failure in failures {
        let bench = bench().await;
        Mock::given(any()).respond_with(failure).up_to_n_times(1).with_priority(1).mount(&bench.server).await;
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
async fn a_write_that_qualys_refused_before_any_work_is_repeated() {
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
async fn credentials_never_show_in_debug() {
    let bench = bench().await;
    let text = format!("{:?} {:?}", bench.qualys, new_connector());
    assert!(!text.contains("s3cret"), "{text}");
}
