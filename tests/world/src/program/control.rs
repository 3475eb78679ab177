//! The control API: ways to change the world with curl while a program runs against it.
//!
//! Guarantees: it answers JSON, except for its help; it is not recorded among the calls, and no fault strikes it.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::azure::SubscriptionState;
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::qualys::Rate;
use crate::state::Shared;
use crate::world::World;

const HELP: &str = "\
GET    /control/subscriptions                          what Azure has
POST   /control/subscriptions?name=N&machines=2        a new subscription, with machines
POST   /control/subscriptions/ID?state=Disabled        Enabled, Warned, PastDue, Disabled or Deleted
POST   /control/subscriptions/ID?reader=false          take the connector application's Reader away (true: give it back)
DELETE /control/subscriptions/ID                       remove it
POST   /control/machines?subscription=ID&name=N        a new machine
DELETE /control/machines?subscription=ID&name=N        remove it
POST   /control/throttle?seconds=60&calls=0            Qualys accepts this many calls of each endpoint in that time, then answers 409
DELETE /control/throttle                               no limit
POST   /control/secret                                 a new client secret; older ones stay valid
GET    /control/connectors                             what Qualys has
GET    /control/hosts                                  how many hosts Qualys has
GET    /control/calls                                  the latest 100 calls
GET    /control/env                                    the settings that a program needs
";

fn not_found() -> Reply {
    Reply::json(404, &json!({ "error": "not found; GET /control/ lists what there is" }))
}

fn bad(message: &str) -> Reply {
    Reply::json(400, &json!({ "error": message }))
}

fn number(ask: &Ask, name: &str, default: i64) -> Result<i64, Reply> {
    ask.query(name)
        .map_or(Ok(default), |text| text.parse().map_err(|_| bad(&format!("{name} is not a number"))))
}

pub(crate) fn answer(shared: &Arc<Shared>, ask: &Ask) -> Reply {
    let world = World::from_shared(shared);
    let segments = ask.segments();
    let done = match (ask.method.as_str(), segments.as_slice()) {
        ("GET", [] | ["control"]) => Ok(Reply::new(200, "text/plain", HELP.as_bytes().to_vec())),
        ("GET", ["control", "subscriptions"]) => Ok(subscriptions(&world)),
        ("POST", ["control", "subscriptions"]) => new_subscription(&world, ask),
        (method @ ("POST" | "DELETE"), ["control", "subscriptions", id]) => change(&world, ask, method, id),
        (method @ ("POST" | "DELETE"), ["control", "machines"]) => machine(&world, ask, method),
        ("POST", ["control", "throttle"]) => throttle(&world, ask),
        ("DELETE", ["control", "throttle"]) => {
            world.manners(|manners| manners.rate = None);
            Ok(Reply::json(200, &json!({ "throttle": null })))
        }
        ("POST", ["control", "secret"]) => {
            Ok(Reply::json(200, &json!({ "CONNECTOR_CLIENT_SECRET": world.rotate_secret() })))
        }
        ("GET", ["control", "connectors"]) => Ok(connectors(&world)),
        ("GET", ["control", "hosts"]) => Ok(Reply::json(200, &json!({ "count": world.host_count() }))),
        ("GET", ["control", "calls"]) => Ok(calls(&world)),
        ("GET", ["control", "env"]) => {
            let all = super::settings(&world)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::from(value)));
            Ok(Reply::json(200, &Value::Object(all.collect())))
        }
        _ => Ok(not_found()),
    };
    done.unwrap_or_else(|refusal| refusal)
}

fn subscriptions(world: &World) -> Reply {
    let rows = world.with(|state| {
        let live = state.azure.subscriptions.values().filter(|one| one.gone.is_none());
        let row = |one: &crate::azure::AzureSubscription| {
            json!({
                "subscriptionId": one.id,
                "name": one.name,
                "state": one.state.as_str(),
                "connectorAppHasReader": one.app_has_reader,
                "machines": one.live_machines().map(|machine| machine.name.as_str()).collect::<Vec<_>>(),
            })
        };
        live.map(row).collect::<Vec<_>>()
    });
    Reply::json(200, &Value::from(rows))
}

fn new_subscription(world: &World, ask: &Ask) -> Result<Reply, Reply> {
    let machines = usize::try_from(number(ask, "machines", 1)?).ok().filter(|machines| *machines <= 100_000);
    let machines = machines.ok_or_else(|| bad("machines is out of range"))?;
    let subscription = world.subscription(ask.query("name").unwrap_or("new")).with_machines(machines);
    Ok(Reply::json(201, &json!({ "subscriptionId": subscription.id() })))
}

fn change(world: &World, ask: &Ask, method: &str, id: &str) -> Result<Reply, Reply> {
    if world.subscription_now(id).is_none() {
        return Err(not_found());
    }
    if method == "DELETE" {
        world.remove_subscription(id);
        return Ok(Reply::json(200, &json!({ "removed": id })));
    }
    if let Some(reader) = ask.query("reader") {
        let has = reader.parse().map_err(|_| bad("reader is true or false"))?;
        world.edit_subscription(id, |one| one.app_has_reader = has);
    }
    if let Some(word) = ask.query("state") {
        use SubscriptionState::{Deleted, Disabled, Enabled, PastDue, Warned};
        let state =
            [Enabled, Warned, PastDue, Disabled, Deleted].into_iter().find(|state| state.as_str() == word);
        let state = state.ok_or_else(|| bad("state is Enabled, Warned, PastDue, Disabled or Deleted"))?;
        world.edit_subscription(id, |one| one.state = state);
    }
    Ok(Reply::json(200, &json!({ "changed": id })))
}

fn machine(world: &World, ask: &Ask, method: &str) -> Result<Reply, Reply> {
    let (Some(subscription), Some(name)) = (ask.query("subscription"), ask.query("name")) else {
        return Err(bad("subscription and name are needed"));
    };
    if world.subscription_now(subscription).is_none() {
        return Err(not_found());
    }
    if method == "DELETE" {
        world.remove_machine(subscription, name);
        return Ok(Reply::json(200, &json!({ "removed": name })));
    }
    Ok(Reply::json(201, &json!({ "vmId": world.machine(subscription, name) })))
}

fn throttle(world: &World, ask: &Ask) -> Result<Reply, Reply> {
    let seconds = number(ask, "seconds", 60)?.clamp(1, 86_400);
    let calls = usize::try_from(number(ask, "calls", 0)?).map_err(|_| bad("calls is negative"))?;
    world.manners(|manners| manners.rate = Some(Rate::new(calls, SignedDuration::from_secs(seconds))));
    Ok(Reply::json(200, &json!({ "throttle": { "calls": calls, "seconds": seconds } })))
}

fn connectors(world: &World) -> Reply {
    let rows = world.connectors().into_iter().map(|one| {
        json!({
            "id": one.id,
            "name": one.name,
            "subscriptionId": one.subscription_id,
            "state": one.state,
            "disabled": one.disabled,
            "lastSync": one.last_sync.map(crate::clock::seconds),
            "lastError": one.last_error,
            "description": one.description,
        })
    });
    Reply::json(200, &rows.collect())
}

fn calls(world: &World) -> Reply {
    let all = world.calls();
    let latest = all.iter().skip(all.len().saturating_sub(100)).map(|call| {
        json!({
            "number": call.number,
            "at": call.at.to_string(),
            "call": format!("{:?}", call.call),
            "method": call.method,
            "path": call.path,
            "status": call.status,
            "code": call.code,
            "connectorId": call.connector_id,
            "subscriptionId": call.subscription,
        })
    });
    Reply::json(200, &latest.collect())
}
