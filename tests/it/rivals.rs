//! Days on which other tools would double a third of the connectors, or switch a third of them off.

use crate::stage::Stage;
use std::collections::BTreeSet;
use std::time::Duration;
use world::{Access, Call, CallKind, Fault, Kind};

const MINUTE: Duration = Duration::from_mins(1);
const SUBSCRIPTIONS: usize = 1000;

fn subscriptions_of(stage: &Stage, kind: CallKind) -> Vec<String> {
    let of_kind = |call: &Call| (call.call == kind).then(|| call.subscription.clone()).flatten();
    stage.world.calls().iter().filter_map(of_kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_on_every_third_search_doubles_none_of_a_thousand_connectors() {
    let stage = Stage::still().set("MAX_CREATES", "1000");
    let all = stage.world.subscriptions("s", SUBSCRIPTIONS);
    // A connector that does not say what it covers makes each create search first: a thousand searches, a third of them refused.
    let foreign = stage.world.connector(&all[0]);
    stage.world.edit_connector(foreign, |connector| connector.subscription_id.clear());
    // And the answers of some creates are lost: then only a search can show that they were made.
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetAfter).every(50));
    stage
        .world
        .fault(Fault::new(CallKind::ConnectorSearch, Kind::Conflict409 { code: 1960, wait: None }).every(3));
    let app = stage.app().await;
    for _ in 0..12 {
        stage.cycle(&app).await;
        let made: BTreeSet<_> =
            stage.world.connectors().into_iter().map(|connector| connector.subscription_id).collect();
        assert_eq!(made.len(), stage.world.connectors().len(), "no two for one subscription");
        if made.len() == SUBSCRIPTIONS + 1 {
            break;
        }
        stage.pass(11 * MINUTE);
    }
    let connectors = stage.world.connectors();
    assert_eq!(connectors.len(), SUBSCRIPTIONS + 1);
    assert!(connectors.iter().all(|connector| !connector.disabled));
    let refused = stage
        .world
        .calls()
        .iter()
        .filter(|c| c.call == CallKind::ConnectorSearch && c.status == Some(409))
        .count();
    assert!(refused > SUBSCRIPTIONS / 4, "{refused} searches met a conflict");
}

#[tokio::test]
async fn of_three_management_groups_one_that_is_forbidden_loses_nothing_and_the_others_go_on() {
    const EACH: usize = 4;
    let stage = Stage::still().set("SCOPE", "a,b,c");
    let add = |group: &str, n: usize| -> Vec<String> {
        let added = stage.world.subscriptions(group, n);
        added.iter().for_each(|subscription| stage.world.move_subscription(subscription, group));
        added.iter().map(|subscription| subscription.id().to_owned()).collect()
    };
    for group in ["a", "b", "c"] {
        stage.world.group(group, None);
        add(group, EACH);
    }
    let app = stage.app().await;
    for _ in 0..6 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    assert_eq!(stage.world.connectors().len(), 3 * EACH);

    stage.world.group_access("c", Access::Forbidden);
    let others: Vec<_> = [add("a", 2), add("b", 1)].concat();
    let hidden = add("c", 2);
    stage.world.clear_calls();
    for _ in 0..6 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    assert_eq!(
        subscriptions_of(&stage, CallKind::ConnectorUpdate),
        Vec::<String>::new(),
        "nothing is removed"
    );
    assert!(stage.world.connectors().iter().all(|connector| !connector.disabled));
    assert_eq!(
        BTreeSet::from_iter(subscriptions_of(&stage, CallKind::ConnectorCreate)),
        BTreeSet::from_iter(others.clone())
    );
    for id in &others {
        assert_eq!(stage.world.connectors_of(id)[0].state, "FINISHED_SUCCESS", "made and synced");
    }
    let needs = stage.needs_a_person();
    assert!(needs.contains("scope c could not be read"), "{needs}");

    stage.world.group_access("c", Access::Readable);
    stage.world.clear_calls();
    for _ in 0..4 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    let made = subscriptions_of(&stage, CallKind::ConnectorCreate);
    assert_eq!(made.len(), 2);
    assert_eq!(BTreeSet::from_iter(made), BTreeSet::from_iter(hidden), "exactly those that it hid");
    assert_eq!(stage.world.connectors().len(), 3 * EACH + 5);
}
