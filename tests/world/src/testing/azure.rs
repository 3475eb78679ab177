//! Resource Manager and Resource Graph.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::azure::{Access, SubscriptionState};
use crate::testing::{Client, world};

const LIST: &str = "/subscriptions?api-version=2022-12-01";

fn names(page: &Value) -> Vec<&str> {
    page["value"].as_array().unwrap().iter().map(|row| row["displayName"].as_str().unwrap()).collect()
}

fn tree(group: &str) -> String {
    format!("/providers/Microsoft.Management/managementGroups/{group}/descendants?api-version=2020-05-01")
}

fn ids(page: &Value) -> Vec<&str> {
    page["value"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_request_needs_a_live_token_for_the_right_audience() {
    let world = world();
    let client = Client::new(&world);
    let bare = client.send(client.http().get(format!("{}{LIST}", world.arm_url()))).await.unwrap();
    assert_eq!(bare.0, 401);
    assert!(bare.1.contains("AuthenticationFailed"));
    let (status, body) = client.arm("made-up", LIST).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("InvalidAuthenticationToken")));
    let token = client.identity_token().await;
    assert_eq!(client.arm(&token, LIST).await.0, 200);
    world.set_time(world.now() + SignedDuration::from_hours(2));
    let (status, body) = client.arm(&token, LIST).await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("ExpiredAuthenticationToken")));
}

#[tokio::test]
async fn lists_show_only_what_is_readable_and_direct_reads_say_why() {
    let world = world();
    let other = world.add_tenant();
    world.subscription("open").tag("env", "prod").state(SubscriptionState::Warned);
    world.subscription("elsewhere").in_tenant(&other);
    let forbidden = world.subscription("forbidden").access(Access::Forbidden);
    let hidden = world.subscription("hidden").access(Access::NotFound);
    let client = Client::new(&world);
    let token = client.identity_token().await;
    let (_, page) = client.arm(&token, LIST).await;
    assert_eq!(names(&page), ["open", "elsewhere"]);
    assert_eq!(
        (&page["value"][0]["state"], &page["value"][0]["tags"]["env"]),
        (&json!("Warned"), &json!("prod"))
    );
    assert_eq!(page["value"][1]["tenantId"], other);
    for (sub, status, code) in
        [(&forbidden, 403, "AuthorizationFailed"), (&hidden, 404, "SubscriptionNotFound")]
    {
        let (got, body) = client.arm(&token, &format!("/subscriptions/{sub}?api-version=2022-12-01")).await;
        assert_eq!((got, &body["error"]["code"]), (status, &json!(code)));
    }
}

#[tokio::test]
async fn pages_follow_next_links_which_a_switch_sends_elsewhere() {
    let world = world();
    world.subscriptions("s", 5);
    world.arm_manners(|manners| manners.page_size = 2);
    let client = Client::new(&world);
    let token = client.identity_token().await;
    let (mut path, mut seen) = (LIST.to_owned(), 0);
    loop {
        let (_, page) = client.arm(&token, &path).await;
        seen += names(&page).len();
        let Some(next) = page["nextLink"].as_str() else { break };
        next.strip_prefix(&world.arm_url()).unwrap().clone_into(&mut path);
    }
    assert_eq!(seen, 5);
    world.arm_manners(|manners| manners.foreign_next_link = Some("https://evil.example".to_owned()));
    let (_, page) = client.arm(&token, LIST).await;
    assert!(page["nextLink"].as_str().unwrap().starts_with("https://evil.example/subscriptions?"));
}

#[tokio::test]
async fn the_tree_lags_behind_creations_moves_and_removals_and_direct_reads_do_not() {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse().unwrap());
    let (a, b) = (world.group("a", None), world.group("b", None));
    let old = world.subscription("old").in_group(&a);
    world.arm_manners(|manners| {
        manners.tree_lag = SignedDuration::from_mins(30);
        manners.list_lag = SignedDuration::from_mins(10);
    });
    world.advance(SignedDuration::from_hours(1));
    world.token_lifetime(SignedDuration::from_hours(24));
    let client = Client::new(&world);
    let token = client.identity_token().await;
    let new = world.subscription("new").in_group(&a);
    world.move_subscription(&old, &b);
    assert_eq!(ids(&client.arm(&token, &tree("a")).await.1), [old.id()]);
    assert_eq!(ids(&client.arm(&token, &tree("b")).await.1), Vec::<&str>::new());
    assert_eq!(names(&client.arm(&token, LIST).await.1), ["old"]);
    assert_eq!(client.arm(&token, &format!("/subscriptions/{new}?api-version=1")).await.0, 200);
    world.advance(SignedDuration::from_mins(10));
    assert_eq!(names(&client.arm(&token, LIST).await.1), ["old", "new"]);
    world.advance(SignedDuration::from_mins(20));
    assert_eq!(ids(&client.arm(&token, &tree("a")).await.1), [new.id()]);
    assert_eq!(ids(&client.arm(&token, &tree("b")).await.1), [old.id()]);
    old.remove();
    assert_eq!(client.arm(&token, &format!("/subscriptions/{old}?api-version=1")).await.0, 404);
    assert_eq!(ids(&client.arm(&token, &tree("b")).await.1), [old.id()]);
    world.advance(SignedDuration::from_mins(30));
    assert_eq!(ids(&client.arm(&token, &tree("b")).await.1), Vec::<&str>::new());
}

#[tokio::test]
async fn descendants_list_groups_and_subscriptions_at_any_depth() {
    let world = world();
    let outer = world.group("outer", None);
    let inner = world.group("inner", Some(&outer));
    let sub = world.subscription("deep").in_group(&inner);
    world.subscription("aside");
    let client = Client::new(&world);
    let token = client.identity_token().await;
    let (_, page) = client.arm(&token, &tree("outer")).await;
    assert_eq!(ids(&page), ["inner", sub.id()]);
    assert_eq!(page["value"][0]["type"], "Microsoft.Management/managementGroups");
    assert_eq!(page["value"][1]["type"], "/subscriptions");
    assert_eq!(client.arm(&token, &tree(&world.tenant())).await.1["value"].as_array().unwrap().len(), 4);
    world.group_access("outer", Access::Forbidden);
    assert_eq!(client.arm(&token, &tree("outer")).await.0, 403);
    assert_eq!(client.arm(&token, &tree("nowhere")).await.0, 404);
}

#[tokio::test]
async fn resource_graph_counts_machines_of_readable_subscriptions() {
    let world = world();
    let two = world.subscription("two").with_machines(2);
    world.subscription("none");
    world.subscription("secret").with_machines(5).access(Access::Forbidden);
    let gone = world.subscription("gone").with_machines(1);
    gone.remove();
    let client = Client::new(&world);
    let token = client.identity_token().await;
    let query =
        "resources | where type =~ 'microsoft.compute/virtualmachines' | summarize count() by subscriptionId";
    let url =
        format!("{}/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01", world.arm_url());
    let ask = async |body: Value| {
        let (status, text) =
            client.send(client.http().post(&url).bearer_auth(&token).json(&body)).await.unwrap();
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (_, answer) = ask(json!({ "query": query })).await;
    assert_eq!(answer["data"], json!([{ "subscriptionId": two.id(), "count_": 2 }]));
    assert_eq!(ask(json!({ "query": "resources | take 1" })).await.0, 400);
    world.subscription("more").with_machines(1).tag("a", "b");
    let (_, first) = ask(json!({ "query": query, "options": { "$top": 1 } })).await;
    let rest = json!({ "query": query, "options": { "$top": 1, "$skipToken": first["$skipToken"] } });
    let (_, second) = ask(rest).await;
    assert_eq!((&first["totalRecords"], &second["data"][0]["count_"]), (&json!(2), &json!(1)));
    assert!(second.get("$skipToken").is_none());
}
