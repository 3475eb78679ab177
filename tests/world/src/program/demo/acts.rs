//! The acts. Each says what it does, waits for what must follow, and fails if it does not.

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

/// What Qualys asks to wait in act 4. Up to 5 seconds a cycle waits itself; a longer wait must become a later wake-up.
const ASKED_WAIT: Duration = Duration::from_secs(8);

/// Who is there.
pub(super) fn prologue(stage: &Stage) {
    heading("Before: an Azure estate, a Qualys account, and the program");
    let world = &stage.world;
    for (name, machines) in [("webshop-prod", 3), ("webshop-test", 2), ("data-lake", 4)] {
        world.subscription(name).with_machines(machines);
        stage.tell(&format!("Subscription {name}, {}, no connector.", count(machines, "machine")));
    }
    let legacy = world.subscription("legacy-erp");
    world.machines_with_hosts(&legacy, 2);
    let connector = world.connector(&legacy);
    stage.tell(&format!(
        "Subscription legacy-erp, 2 machines, covered by connector {connector}, which somebody else made."
    ));
    world.subscription("old-project").with_machines(1).state(SubscriptionState::Disabled);
    stage.tell("Subscription old-project, disabled.");
    stage.tell(&format!(
        "The Functions host runs {} and has started the program, which answered after {} ms.",
        count(stage.host.functions().len(), "function"),
        stage.host.ready_after().as_millis()
    ));
}

pub(super) async fn a_timer_ticks(stage: &mut Stage) -> Result<()> {
    heading("Act 1: a timer ticks");
    let tick = tick(stage).await?;
    stage.tell(&format!(
        "The timer ticked; its function left an inbox item, booked a wake-up and ended after {} ms.",
        tick.took.as_millis()
    ));
    let plan = stage
        .wait("a plan", LIMIT, async |stage| {
            let (status, text) = stage.get("/api/plan?format=text").await?;
            ensure!(status == 200, "GET /api/plan answered {status}");
            Ok(text.starts_with("Plan").then_some(text))
        })
        .await?;
    stage.tell("GET /api/plan?format=text answers:");
    quote(&plan);
    let made = plan.lines().filter(|line| line.starts_with("+ create")).count();
    ensure!(made == 3, "the plan must create 3 connectors, and creates {made}");
    let covered = stage.world.with(|state| {
        let all = state.azure.subscriptions.values().filter(|one| one.state.works());
        all.map(|one| (one.id.clone(), one.live_machines().count())).collect::<Vec<_>>()
    });
    see_machines(stage, &covered).await?;
    let connectors = stage.world.connectors();
    ensure!(connectors.len() == 4, "there must be 4 connectors, and there are {}", connectors.len());
    for connector in connectors {
        stage.tell(&format!(
            "Qualys has connector {} `{}`: {}.",
            connector.id, connector.name, connector.state
        ));
    }
    stage.quiet().await
}

pub(super) async fn a_subscription_appears(stage: &mut Stage) -> Result<()> {
    heading("Act 2: a subscription appears, and Event Grid says so");
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
        stage.tell(&format!("Event Grid delivered {what}: answered {status}."));
    }
    see_machines(stage, &[(new.to_string(), 3)]).await?;
    let connectors = stage.world.connectors_of(&new);
    ensure!(connectors.len() == 1, "mobile-app must have one connector, and has {}", connectors.len());
    let one = &connectors[0];
    stage.tell(&format!(
        "mobile-app has one connector, {}: {}; its 3 machines are in the snapshot.",
        one.id, one.state
    ));
    stage.quiet().await
}

pub(super) async fn somebody_asks(stage: &mut Stage) -> Result<()> {
    heading("Act 3: somebody asks for everything, now");
    let (status, location) = stage.post("/api/sync").await?;
    ensure!(
        status == 202 && location.starts_with("/api/requests/"),
        "POST /api/sync answered {status}, `{location}`"
    );
    stage.tell(&format!("POST /api/sync: 202, Location: {location}"));
    let mut last = String::new();
    let done = stage
        .wait("the request is done", LIMIT, async |stage| {
            let (status, text) = stage.get(&location).await?;
            ensure!(status == 200, "GET {location} answered {status}");
            let wake: Value = serde_json::from_str(&text)?;
            let state = wake["state"].as_str().unwrap_or_default().to_owned();
            if state != last {
                stage.tell(&format!("GET {location}: {state}"));
                last.clone_from(&state);
            }
            Ok((state == "done").then_some(wake))
        })
        .await?;
    stage.tell(&format!(
        "Settled after {}: {}.",
        count(done["cycles"].as_array().map_or(0, Vec::len), "cycle"),
        done["settled"].as_str().unwrap_or_default()
    ));
    stage.quiet().await
}

pub(super) async fn qualys_says_wait(stage: &mut Stage) -> Result<()> {
    heading("Act 4: another tool uses up the account's calls");
    let (first, second) = (
        stage.world.subscription("lab-1").with_machines(1),
        stage.world.subscription("lab-2").with_machines(1),
    );
    let window = SignedDuration::try_from(ASKED_WAIT)?;
    stage.world.manners(|manners| manners.rate = Some(Rate::new(1, window)));
    stage.world.clear_calls();
    stage.tell(
        "Subscriptions lab-1 and lab-2 appear. Qualys lets one call of each kind through, then answers 409.",
    );
    tick(stage).await?;
    let wake_up = stage
        .wait("a cycle that was told to wait, and a wake-up for later", LIMIT, async |stage| {
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
    ensure!(left > SignedDuration::from_secs(6), "the wake-up is due in {left:#}, sooner than Qualys asked");
    // From here on Qualys would answer again, so only the program's own patience keeps it away.
    stage.world.manners(|manners| manners.rate = None);
    for error in stage.errors_of_latest_cycle()? {
        quote(&error);
    }
    let before = stage.qualys_calls().len();
    stage.tell(&format!(
        "The cycle has ended; nothing sleeps. The next wake-up is booked for {due}, {:.0} s from now.",
        left.as_secs_f64()
    ));
    stage.tell("A timer ticks meanwhile, as it may.");
    tick(stage).await?;
    let limit = ASKED_WAIT + LIMIT;
    stage
        .wait("the wake-up arrives and Qualys is called again", limit, async |stage| {
            Ok((stage.qualys_calls().len() > before).then_some(()))
        })
        .await?;
    let early = due.duration_since(stage.world.now());
    ensure!(early < SignedDuration::from_millis(500), "Qualys was called {early:#} before the wait was over");
    stage.tell("The wait is over: not one call was made in it. The work goes on.");
    see_machines(stage, &[(first.to_string(), 1), (second.to_string(), 1)]).await?;
    for (name, id) in [("lab-1", &first), ("lab-2", &second)] {
        let connectors = stage.world.connectors_of(id);
        ensure!(connectors.len() == 1, "{name} must have one connector, and has {}", connectors.len());
    }
    stage.tell("lab-1 and lab-2 have one connector each.");
    stage.quiet().await
}

pub(super) async fn nothing_is_new(stage: &mut Stage) -> Result<()> {
    heading("Act 5: nothing is new");
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
        "The cycle made {} to Qualys ({searches} of them the list of connectors), and changed nothing.",
        count(calls.len(), "call")
    ));
    Ok(())
}

/// What holds for the whole story.
pub(super) fn epilogue(stage: &Stage) -> Result<()> {
    heading("After: what held all the while");
    let findings = stage.host.findings();
    ensure!(findings.is_empty(), "the host found:\n{}", findings.join("\n"));
    stage.tell(&format!(
        "{} were served, and the host found nothing wrong.",
        count(stage.host.invocations().len(), "invocation")
    ));
    stage.host.assert_no_secret(&stage.world.secrets());
    stage.tell("No secret is in any log line or answer.");
    let most = stage.world.max_concurrency_seen();
    ensure!(most <= 2, "{most} calls to Qualys ran at the same time");
    stage.tell(&format!("At most {} to Qualys ran at the same time.", count(most, "call")));
    let (status, text) = stage_status(stage)?;
    stage.tell(&format!("Coverage: {status}. {text}"));
    Ok(())
}

fn stage_status(stage: &Stage) -> Result<(String, String)> {
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

/// One tick of the timer.
async fn tick(stage: &Stage) -> Result<Invocation> {
    let tick = stage.host.fire_timer("schedule", TimerKind::OnTime).await;
    ensure!(tick.succeeded(), "the timer's function failed: {:?}", tick.outcome);
    Ok(tick)
}

/// Waits for a complete snapshot with these machines, and tells it.
async fn see_machines(stage: &mut Stage, wanted: &[(String, usize)]) -> Result<()> {
    let text = stage
        .wait("a complete snapshot with all the machines", LIMIT, async |stage| stage.snapshot_has(wanted))
        .await?;
    stage.tell(&text);
    Ok(())
}
