//! Create, update, delete and the form of a connector.

use serde_json::{Value, json};

use crate::testing::{Client, create_body, search, world};

const NOUN: &str = "am/azureassetdataconnector";

fn update(data: &Value) -> Value {
    json!({ "ServiceRequest": { "data": { "AzureAssetDataConnector": data } } })
}

#[tokio::test]
async fn create_answers_queued_with_an_empty_auth_record() {
    let world = world();
    let sub = world.subscription("shop");
    let client = Client::new(&world);
    let body = create_body(&world, &sub, &world.app_secret());
    let answer = client.qps(&format!("3.0/create/{NOUN}"), &body).await;
    let made = &answer["data"][0]["AzureAssetDataConnector"];
    assert_eq!(made["authRecord"], json!({}));
    assert_eq!((&made["connectorState"], &made["disabled"]), (&json!("QUEUED"), &json!("false")));
    assert!(answer.get("hasMoreRecords").is_none());
    let call = world.qualys_writes().remove(0);
    assert_eq!(call.connector_id, made["id"].as_i64());
    assert_eq!(call.subscription.as_deref(), Some(sub.id()));
}

#[tokio::test]
async fn a_set_goes_in_and_a_list_comes_out() {
    let world = world();
    let (sub, tag) = (world.subscription("shop"), world.tag("blue"));
    let client = Client::new(&world);
    let mut body = create_body(&world, &sub, "x");
    body["ServiceRequest"]["data"]["AzureAssetDataConnector"]["defaultTags"] =
        json!({ "set": { "TagSimple": [{ "id": tag }] } });
    let answer = client.qps(&format!("3.0/create/{NOUN}"), &body).await;
    let shown = client.connector(answer["data"][0]["AzureAssetDataConnector"]["id"].as_i64().unwrap()).await;
    assert_eq!(shown["defaultTags"], json!({ "list": [{ "TagSimple": { "id": tag, "name": "blue" } }] }));
    assert_eq!(shown["activation"], json!({ "list": ["VM", "PC"] }));
    assert_eq!(shown["isAttachedToOrgConnector"], "false");
    assert_eq!(shown["authRecord"]["subscriptionId"], sub.id());
    assert_eq!(
        shown["connectorAppInfos"]["list"][0]["ConnectorAppInfoQList"]["list"][0]["ConnectorAppInfo"]["name"],
        "AI"
    );
}

#[tokio::test]
async fn a_bare_list_in_a_set_is_refused() {
    let world = world();
    let client = Client::new(&world);
    let mut body = create_body(&world, "s", "x");
    body["ServiceRequest"]["data"]["AzureAssetDataConnector"]["activation"] = json!({ "set": ["VM"] });
    assert_eq!(client.qps(&format!("3.0/create/{NOUN}"), &body).await["responseCode"], "INVALID_REQUEST");
    assert!(world.connectors().is_empty());
}

#[tokio::test]
async fn the_key_is_in_no_answer() {
    let world = world();
    let client = Client::new(&world);
    let key = "a-key-that-nobody-shows";
    let id = client.create("00000000-0000-4000-8000-000000000001", key).await;
    let mut texts = Vec::new();
    for request in [
        client.get(&format!("3.0/get/{NOUN}/{id}")),
        client.post(&format!("3.0/search/{NOUN}"), &search(&[], 10)),
        client.post(
            &format!("3.0/update/{NOUN}/{id}"),
            &update(&json!({"authRecord": {"authenticationKey": key}})),
        ),
        client.post(&format!("3.0/run/{NOUN}/{id}"), &json!({})),
    ] {
        texts.push(client.send(request).await.unwrap().1);
    }
    assert!(texts.iter().all(|text| !text.contains(key)));
    assert!(world.secrets().iter().any(|secret| secret == key));
}

#[tokio::test]
async fn an_update_answers_the_id_only_and_leaves_what_it_omits() {
    let world = world();
    let id = world.connector("00000000-0000-4000-8000-000000000001");
    let client = Client::new(&world);
    let before = world.connectors().remove(0);
    let answer = client.qps(&format!("3.0/update/{NOUN}/{id}"), &update(&json!({"disabled": true}))).await;
    assert_eq!(answer["data"], json!([{ "AzureAssetDataConnector": { "id": id } }]));
    let after = world.connectors().remove(0);
    assert!(after.disabled);
    assert_eq!((after.name, after.authentication_key), (before.name, before.authentication_key));
}

#[tokio::test]
async fn a_deleted_connector_is_not_found_and_listed_only_by_the_switch() {
    let world = world();
    let id = world.connector("00000000-0000-4000-8000-000000000001");
    let client = Client::new(&world);
    let delete = format!("3.0/delete/{NOUN}/{id}");
    assert_eq!(client.qps(&delete, &Value::Null).await["data"][0]["AzureAssetDataConnector"]["id"], id);
    assert_eq!(client.qps(&delete, &Value::Null).await["responseCode"], "OBJECT_NOT_FOUND");
    assert_eq!(client.qps_get(&format!("3.0/get/{NOUN}/{id}")).await["responseCode"], "OBJECT_NOT_FOUND");
    assert_eq!(client.qps(&format!("3.0/search/{NOUN}"), &search(&[], 10)).await["count"], 0);
    world.manners(|manners| manners.search_lists_deleted = true);
    let listed = client.qps(&format!("3.0/search/{NOUN}"), &search(&[], 10)).await;
    assert_eq!(listed["data"][0]["AzureAssetDataConnector"]["isDeleted"], "true");
    assert!(world.connectors().is_empty());
}

#[tokio::test]
async fn a_subscription_filter_works_in_both_spellings() {
    let world = world();
    let (one, other) = (world.subscription("a"), world.subscription("b"));
    let id = world.connector(&one);
    world.connector(&other);
    let client = Client::new(&world);
    for field in ["authRecord.subscriptionId", "authrecord.subscriptionId"] {
        let found = client.qps(&format!("3.0/search/{NOUN}"), &search(&[(field, "EQUALS", &one)], 10)).await;
        assert_eq!(found["count"], 1);
        assert_eq!(found["data"][0]["AzureAssetDataConnector"]["id"], id);
    }
    let name = world.connectors()[0].name.clone();
    let both = [("name", "EQUALS", name.as_str()), ("authRecord.subscriptionId", "EQUALS", &*other)];
    assert_eq!(
        client.qps(&format!("3.0/search/{NOUN}"), &search(&both, 10)).await["count"],
        0,
        "criteria are ANDed"
    );
}

#[tokio::test]
async fn member_and_sparse_connectors_show_as_such() {
    let world = world();
    let (member, sparse) = (world.connector("s1"), world.connector("s2"));
    world.edit_connector(member, |one| one.member = true);
    world.edit_connector(sparse, |one| one.sparse = true);
    let client = Client::new(&world);
    assert_eq!(client.connector(member).await["isAttachedToOrgConnector"], "true");
    assert_eq!(
        client.connector(sparse).await,
        json!({ "id": sparse, "authRecord": { "subscriptionId": "s2" } })
    );
}

#[tokio::test]
async fn fields_limit_the_answer_to_their_paths() {
    let world = world();
    let id = world.connector("s1");
    let client = Client::new(&world);
    let answer = client.qps_get(&format!("3.0/get/{NOUN}/{id}?fields=id,authRecord.subscriptionId")).await;
    assert_eq!(
        answer["data"][0],
        json!({ "AzureAssetDataConnector": { "id": id, "authRecord": { "subscriptionId": "s1" } } })
    );
}
