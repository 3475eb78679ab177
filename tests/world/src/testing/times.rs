//! Qualys's own clock and the forms of its times.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::qualys::{DateHeader, LastSyncForm};
use crate::testing::{Client, world};
use crate::world::World;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A world whose clock stands still, with one connector that was synced then.
fn still_world() -> (World, i64) {
    let world = world();
    world.set_time("2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap());
    let subscription = world.subscription("shop");
    let id = world.connector(&subscription);
    (world, id)
}

async fn last_sync(client: &Client, id: i64) -> Value {
    client.connector(id).await["lastSync"].clone()
}

/// The `Date` header of an answer.
async fn date(client: &Client, id: i64) -> Option<String> {
    let request = client.get(&format!("3.0/get/am/azureassetdataconnector/{id}"));
    let answer = request.send().await.unwrap();
    answer.headers().get("date").map(|date| date.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_last_sync_takes_every_form() {
    let (world, id) = still_world();
    let client = Client::new(&world);
    for (form, stated) in [
        (LastSyncForm::Zoned, json!("2026-11-23T10:00:00Z")),
        (LastSyncForm::OffBy(-HOUR * 8), json!("2026-11-23T02:00:00Z")),
        (LastSyncForm::WithoutZone, json!("2026-11-23T10:00:00")),
        (LastSyncForm::NoTime, json!("a while ago")),
        (LastSyncForm::Missing, Value::Null),
    ] {
        world.last_sync_form(form);
        assert_eq!(last_sync(&client, id).await, stated);
    }
}

#[tokio::test]
async fn qualys_has_a_clock_of_its_own_that_stamps_its_syncs_and_dates_its_answers() {
    let (world, id) = still_world();
    world.manners(|manners| (manners.own_schedule, manners.sync_duration) = (true, HOUR / 60));
    world.qualys_clock_off_by(-HOUR * 8);
    let client = Client::new(&world);
    assert_eq!(date(&client, id).await.unwrap(), "Mon, 23 Nov 2026 02:00:00 GMT");
    assert_eq!(last_sync(&client, id).await, "2026-11-23T10:00:00Z", "it was stamped before");
    client.run(id).await;
    world.advance(HOUR);
    assert_eq!(last_sync(&client, id).await, "2026-11-23T02:01:00Z");
    world.advance(HOUR * 4);
    assert_eq!(world.connectors()[0].state, "QUEUED", "its schedule goes by its own clock");
}

#[tokio::test]
async fn the_date_of_an_answer_may_be_missing_or_nonsense() {
    let (world, id) = still_world();
    let client = Client::new(&world);
    world.date_header(DateHeader::Missing);
    assert_eq!(date(&client, id).await, None);
    world.date_header(DateHeader::NoDate);
    assert_eq!(date(&client, id).await.unwrap(), "just now");
    world.date_header(DateHeader::Stuck(Timestamp::UNIX_EPOCH));
    assert_eq!(date(&client, id).await.unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
}
