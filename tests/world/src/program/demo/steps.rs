//! The steps of the demo. Each prints what it does, waits for what must follow, and fails if that does not happen.

use super::stage::{LIMIT, Stage};
use super::tell::{count, heading, quote};
use crate::azure::SubscriptionState;
use crate::calls::CallKind;
use crate::events;
use crate::host::{Invocation, TimerKind};
use crate::qualys::Rate;
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// How long Qualys asks the program to wait in step 4. A cycle waits up to 5 s itself; a longer wait must become a later
/// wake-up.
const ASKED_WAIT: Duration = Duration::from_secs(8);

pub(super) fn before(stage: &Stage) {
    heading("Before: what is in Azure and in Qualys");
    let world = &stage.world;
    for (name, machines) in [("webshop-prod", 3), ("webshop-test", 2), ("data-lake", 4)] {
        world.subscription(name).with_machines(machines);
        stage.tell(&format!("Subscription {name}: {}, no connector.", count(machines, "machine")));
    }
    let legacy = world.subscription("legacy-erp");
    world.machines_with_hosts(&legacy, 2);
    let connector = world.connector(&legacy);
    stage.tell(&format!(
        "Subscription legacy-erp: 2 machines, covered by connector {connector}, which someone created by hand."
    ));
    world.subscription("old-project").with_machines(1).state(SubscriptionState::Disabled);
    stage.tell("Subscription old-project: disabled, so it needs no connector.");
    stage.tell(&format!(
        "The Functions host has started the program, which answered after {} ms and has {}.",
        stage.host.ready_after().as_millis(),
        count(stage.host.functions().len(), "function")
    ));
    stage.tell("Below, each line `[… ms] Cycle … ended` is the report of one cycle.");
}

pub(super) async fn the_timer_ticks(stage: &mut Stage) -> Result<()> {
    heading("Step 1: the timer ticks, and three connectors are created");
    let tick = tick(stage).await?;
    stage.tell(&format!(
        "The timer ticked. Its function left an inbox item, booked a wake-up and ended after {} ms.",
        tick.took.as_millis()
    ));
    let plan = stage
        .wait("a plan", LIMIT, async |stage| {
            let (status, text) = stage.get("/api/plan?format=text").await?;
            ensure!(status == 200, "GET /api/plan answered {status}");
            Ok(text.starts_with("Plan").then_some(text))
        })
        .await?;
    stage.tell("The wake-up started a cycle. GET /api/plan?format=text shows its plan:");
    quote(&plan);
    let made = plan.lines().filter(|line| line.starts_with("+ create")).count();
    ensure!(made == 3, "the plan must create 3 connectors, but creates {made}");
    let covered = stage.world.with(|state| {
        let all = state.azure.subscriptions.values().filter(|one| one.state.works());
        all.map(|one| (one.id.clone(), one.live_machines().count())).collect::<Vec<_>>()
    });
    see_machines(stage, &covered).await?;
    let connectors = stage.world.connectors();
    ensure!(connectors.len() == 4, "there must be 4 connectors, but there are {}", connectors.len());
    for connector in connectors {
        stage.tell(&format!(
            "In Qualys: connector {} `{}`, {}.",
            connector.id, connector.name, connector.state
        ));
    }
    stage.quiet().await
}

pub(super) async fn a_subscription_appears(stage: &mut Stage) -> Result<()> {
    heading("Step 2: a subscription appears, and Event Grid announces it");
    let new = stage.world.subscription("mobile-app").with_machines(3);
    let (tenant, now) = (stage.world.tenant(), stage.world.now());
    let topic = events::policy_topic(&tenant, &tenant);
    let created = events::policy_state(&tenant, &tenant, &new, "Created", now);
    let unknown = events::unknown(&topic, now);
    for (event, what) in [
        (&created, "the event"),
        (&created, "the same event again"),
        (&unknown, "an event of an unknown type"),
    ] {
        let status = stage.host.deliver("subscription-event", std::slice::from_ref(event)).await;
        ensure!(status == 202 || status == 200, "{what} was answered {status}");
        stage.tell(&format!("Event Grid delivered {what}. The answer was {status}."));
    }
    see_machines(stage, &[(new.to_string(), 3)]).await?;
    let connectors = stage.world.connectors_of(&new);
    ensure!(connectors.len() == 1, "mobile-app must have one connector, but has {}", connectors.len());
    let one = &connectors[0];
    stage.tell(&format!(
        "mobile-app has one connector ({}, {}), although the event came twice. Its 3 machines are in the snapshot.",
        one.id, one.state
    ));
    stage.quiet().await
}

pub(super) async fn a_person_asks(stage: &mut Stage) -> Result<()> {
    heading("Step 3: a person asks for all syncs and a snapshot, now");
    let (status, location) = stage.post("/api/sync").await?;
    ensure!(
        status == 202 && location.starts_with("/api/requests/"),
        "POST /api/sync answered {status}, `{location}`"
    );
    stage.tell(&format!("POST /api/sync was answered 202, with Location: {location}"));
    let mut last = String::new();
    let done = stage
        .wait("the request is done", LIMIT, async |stage| {
            let (status, text) = stage.get(&location).await?;
            ensure!(status == 200, "GET {location} answered {status}");
            let request: Value = serde_json::from_str(&text)?;
            let state = request["state"].as_str().unwrap_or_default().to_owned();
            if state != last {
                stage.tell(&format!("GET {location}: {state}"));
                last.clone_from(&state);
            }
            Ok((state == "done").then_some(request))
        })
        .await?;
    stage.tell(&format!(
        "Settled after {}: {}.",
        count(done["cycles"].as_array().map_or(0, Vec::len), "cycle"),
        done["settled"].as_str().unwrap_or_default()
    ));
    stage.quiet().await
}

pub(super) async fn qualys_asks_to_wait(stage: &mut Stage) -> Result<()> {
    heading("Step 4: another tool has used up almost all calls of the account, and Qualys asks to wait");
    let (first, second) = (
        stage.world.subscription("lab-1").with_machines(1),
        stage.world.subscription("lab-2").with_machines(1),
    );
    let window = SignedDuration::try_from(ASKED_WAIT)?;
    stage.world.manners(|manners| manners.rate = Some(Rate::new(1, window)));
    stage.world.clear_calls();
    stage.tell(
        "Subscriptions lab-1 and lab-2 appear. Qualys accepts one more call of each kind, then answers 409.",
    );
    tick(stage).await?;
    let wake_up = stage
        .wait("a cycle that Qualys asked to wait, and a wake-up for later", LIMIT, async |stage| {
            let refused = stage.qualys_calls().iter().any(|call| call.status == Some(409));
            let idle =
                stage.host.open_invocations().is_empty() && stage.host.queue("cycles").messages()?.len() == 1;
            let wake_up =
                stage.control("wake-up.json")?.and_then(|wake_up| wake_up["due"].as_str().map(str::to_owned));
            Ok(if refused && idle { wake_up } else { None })
        })
        .await?;
    let due: Timestamp = wake_up.parse().context("the wake-up's time")?;
    let left = due.duration_since(stage.world.now());
    // Some of the wait has passed since Qualys asked for it.
    ensure!(left > SignedDuration::from_secs(6), "the wake-up is due in {left:#}, sooner than Qualys allows");
    // From here on Qualys would answer again, so it is the program that must wait.
    stage.world.manners(|manners| manners.rate = None);
    for error in stage.errors_of_latest_cycle()? {
        quote(&error);
    }
    let before = stage.qualys_calls().len();
    stage.tell(&format!(
        "The cycle has ended; it does not sleep. The next wake-up is booked for {due}, {:.0} s from now.",
        left.as_secs_f64()
    ));
    stage.tell("The timer ticks during the wait. That cycle must not call Qualys either.");
    tick(stage).await?;
    let limit = ASKED_WAIT + LIMIT;
    stage
        .wait("the wake-up and a call to Qualys", limit, async |stage| {
            Ok((stage.qualys_calls().len() > before).then_some(()))
        })
        .await?;
    let early = due.duration_since(stage.world.now());
    ensure!(early < SignedDuration::from_millis(500), "Qualys was called {early:#} before the wait was over");
    stage.tell("The wait is over, and no call was made during it. The work goes on.");
    see_machines(stage, &[(first.to_string(), 1), (second.to_string(), 1)]).await?;
    for (name, id) in [("lab-1", &first), ("lab-2", &second)] {
        let connectors = stage.world.connectors_of(id);
        ensure!(connectors.len() == 1, "{name} must have one connector, but has {}", connectors.len());
    }
    stage.tell("lab-1 and lab-2 have one connector each.");
    stage.quiet().await
}

pub(super) async fn nothing_is_new(stage: &mut Stage) -> Result<()> {
    heading("Step 5: nothing is new, so nothing is done");
    stage.world.clear_calls();
    let ended = stage.host.invocations().len();
    tick(stage).await?;
    stage
        .wait("the cycle", LIMIT, async |stage| {
            let invocations = stage.host.invocations();
            Ok(invocations[ended..].iter().any(|one| one.function == "cycle").then_some(()))
        })
        .await?;
    stage.quiet().await?;
    let calls = stage.qualys_calls();
    let writes = calls.iter().filter(|call| call.call.is_qualys_write()).count();
    ensure!(writes == 0, "a cycle with nothing to do wrote to Qualys {writes} times");
    ensure!(calls.len() <= 5, "a cycle with nothing to do made {} calls", calls.len());
    let searches = calls.iter().filter(|call| call.call == CallKind::ConnectorSearch).count();
    stage.tell(&format!(
        "The cycle made {} to Qualys ({searches} for the list of connectors) and changed nothing.",
        count(calls.len(), "call")
    ));
    Ok(())
}

/// What must be true of the whole demo.
pub(super) fn after(stage: &Stage) -> Result<()> {
    heading("After: what was checked over the whole demo");
    let findings = stage.host.findings();
    ensure!(findings.is_empty(), "the host found faults:\n{}", findings.join("\n"));
    stage.tell(&format!(
        "The program served {}, and the host found no fault.",
        count(stage.host.invocations().len(), "invocation")
    ));
    stage.host.assert_no_secret(&stage.world.secrets());
    stage.tell("No log line and no answer contains a secret.");
    let most = stage.world.max_concurrency_seen();
    ensure!(most <= 2, "{most} calls to Qualys ran at the same time");
    stage.tell(&format!("The program never made more than {} to Qualys at a time.", count(most, "call")));
    let (covered, needs) = coverage(stage)?;
    stage.tell(&format!("At the end, {covered} are covered. {needs}"));
    Ok(())
}

fn coverage(stage: &Stage) -> Result<(String, String)> {
    let status = stage.control("status.json")?.context("there is no status")?;
    let coverage = &status["coverage"];
    let needs = status["needs_a_person"].as_array().map_or(0, Vec::len);
    ensure!(
        coverage["covered"] == coverage["in_use"],
        "not every subscription in use is covered: {coverage}"
    );
    let text = if needs == 0 {
        "Nothing needs a person.".to_owned()
    } else {
        format!("{needs} things need a person.")
    };
    Ok((format!("{} of {} subscriptions in use", coverage["covered"], coverage["in_use"]), text))
}

async fn tick(stage: &Stage) -> Result<Invocation> {
    let tick = stage.host.fire_timer("schedule", TimerKind::OnTime).await;
    ensure!(tick.succeeded(), "the timer's function failed: {:?}", tick.outcome);
    Ok(tick)
}

/// Waits for a complete snapshot with these machines, and prints a line about it.
async fn see_machines(stage: &mut Stage, wanted: &[(String, usize)]) -> Result<()> {
    let text = stage
        .wait("a complete snapshot with all the machines", LIMIT, async |stage| stage.snapshot_has(wanted))
        .await?;
    stage.tell(&text);
    Ok(())
}
