//! `POST /api/sync` with parameters and bodies that it refuses.

use super::{Door, MIB, deep, stage, still_works};
use crate::stage::names_in;
use serde_json::json;

#[tokio::test]
async fn a_bad_request_for_a_sync_says_what_to_do_and_asks_for_nothing() {
    let stage = stage();
    let host = stage.host().await;
    let (pid, door) = (host.handler_pid(), Door::of(&host));
    let tenant = stage.world.tenant();
    let other = "11111111-2222-3333-4444-555555555555";
    let two_tenants = format!("?tenant={other}&tenant={tenant}");
    let many: Vec<String> = (0..1001).map(|n| format!("aaaaaaaa-0000-0000-0000-{n:012}")).collect();
    let many = json!({ "subscription": many }).to_string();
    for (query, body, status, detail) in [
        (
            "",
            vec![b' '; MIB / 4 + 1],
            413,
            "the body is larger than 262144 bytes; name no subscription to sync all of them",
        ),
        ("", vec![b'{'; 30 * MIB], 413, "the body is larger than 262144 bytes"),
        ("", deep("{\"snapshot\":", "}"), 400, "the body is not JSON (line 1, column 1"),
        ("", b"{\"snapshot\": \"\xff\"}".to_vec(), 400, "the body is not JSON (line 1, column"),
        (
            "",
            b"snapshot=true&plan_only=1".to_vec(),
            400,
            "send an object, for example {\"snapshot\": true}, or nothing",
        ),
        ("", many.into_bytes(), 400, "at most 1000 subscriptions; name none to sync all of them"),
        ("?snapshot=true&snapshot=false", vec![], 400, "`snapshot` is given twice: give it once"),
        ("?snapshot=true&snapshot=true", vec![], 400, "`snapshot` is given twice: give it once"),
        ("?plan_only=0", b"{\"plan_only\": true}".to_vec(), 400, "`plan_only` is given twice: give it once"),
        (
            "",
            b"{\"snapshot\":true,\"snapshot\":true}".to_vec(),
            400,
            "`snapshot` is given twice: give it once",
        ),
        (
            "",
            b"{\"subscription\":[],\"subscription\":[]}".to_vec(),
            400,
            "`subscription` is given twice: give a list",
        ),
        (&two_tenants, vec![], 400, "`tenant` is given twice: give it once"),
        (
            "?snapshot=false",
            vec![],
            400,
            "this asks for nothing: name a `subscription`, or leave `snapshot` out",
        ),
        ("", b"{\"snapshot\":false}".to_vec(), 400, "this asks for nothing"),
        ("?snapshot=true,true", vec![], 400, "`snapshot` must be true or false"),
        ("?subscription=%ff", vec![], 400, "is not a subscription id"),
        ("?%73napshot=%74rue&&=&", vec![], 400, "unknown parameter; the parameters are tenant, subscription"),
    ] {
        let said = door.post(&format!("/api/sync{query}"), body).await.problem(status);
        assert!(said.contains(detail), "{query}: {said}");
    }
    assert!(names_in(&stage.control("requests")).is_empty() && stage.inbox().is_empty());
    // What an explicit false goes with is asked for, without a snapshot.
    let id = "aaaaaaaa-0000-0000-0000-000000000001";
    for (query, asked) in [
        (
            format!("?snapshot=false&subscription={id}"),
            json!({ "all": false, "subscriptions": [id], "plan_only": false }),
        ),
        (
            "?snapshot=false&plan_only".to_owned(),
            json!({ "all": true, "subscriptions": [], "plan_only": true }),
        ),
    ] {
        let answer = door.post(&format!("/api/sync{query}"), "").await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let mut wanted = asked;
        wanted["snapshot"] = json!(false);
        assert_eq!(answer.json()["asked"], wanted, "{query}");
    }
    stage
        .wait("the requests to be there", async || {
            (names_in(&stage.control("requests")).len() == 2).then_some(())
        })
        .await;
    for item in stage.inbox() {
        let _ = std::fs::remove_file(stage.control("inbox").join(item));
    }
    still_works(&stage, &host, pid).await;
}
