//! The same for signing in: Entra, the identity endpoint, the vault. With the real binary, in which each has a client of its own.

use super::kinds::{Row, rows};
use super::print;
use crate::stage::Stage;
use futures::stream::{self, StreamExt};
use std::time::Duration;
use world::{CallKind, Fault, Kind};

const MINUTE: Duration = Duration::from_mins(1);
/// Whole processes at the same time.
const AT_ONCE: usize = 6;

/// A call, and what the report or the log may call it.
struct Column {
    name: &'static str,
    call: CallKind,
    places: &'static [&'static str],
}

const COLUMNS: [Column; 3] = [
    Column { name: "token", call: CallKind::Token, places: &["Entra"] },
    Column { name: "identity", call: CallKind::Identity, places: &["the endpoint of the managed identity"] },
    Column { name: "vault", call: CallKind::VaultGet, places: &["kv-test.vault.azure.net"] },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_signing_in_is_named_and_costs_nothing_that_is_there() {
    let rows = rows();
    let cells = rows.iter().flat_map(|row| COLUMNS.iter().map(move |column| (row, column)));
    let results: Vec<Result<String, String>> =
        stream::iter(cells.map(|(row, column)| cell(row, column))).buffered(AT_ONCE).collect().await;
    print("what a fault in signing in came to", &COLUMNS.map(|column| column.name), &rows, &results);
}

fn stage(column: &Column) -> Stage {
    let stage = Stage::new().behind_the_proxy();
    let (tenant, app, secret) = (stage.world.tenant(), stage.world.app_id(), stage.world.app_secret());
    match column.call {
        CallKind::VaultGet => stage.with_vault(),
        CallKind::Token => stage
            .set("AZURE_IDENTITY", "client-secret")
            .set("AZURE_TENANT_ID", &tenant)
            .set("AZURE_CLIENT_ID", &app)
            .set("AZURE_CLIENT_SECRET", &secret),
        _ => stage,
    }
}

/// What the binary's `cycle` prints, on both streams, with more settings.
async fn cycle(stage: &Stage, more: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
    command.args(["cycle", "--json"]).env_clear().envs(&stage.settings).kill_on_drop(true);
    command.envs(more.iter().copied());
    let output = command.output().await.unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    crate::stage::assert_shows_none("the output", &text, &stage.world.secrets());
    text
}

async fn cell(row: &Row, column: &Column) -> Result<String, String> {
    let stage = stage(column);
    let world = stage.world.clone();
    let healthy = world.subscription("healthy");
    let kept = stage.ours(&healthy, MINUTE);
    let new = world.subscription("new");
    world.fault(Fault::new(column.call, row.kind.clone()).always());
    // Only a fault that is waited out needs a cycle that must close soon.
    let little_time: &[_] = if row.kind == Kind::TimeoutAfter { &[("CYCLE_BUDGET", "20s")] } else { &[] };
    let text = cycle(&stage, little_time).await;
    let met = world.calls().iter().any(|call| call.call == column.call && call.fault.is_some());
    world.clear_faults();
    let fail = |what: &str| Err(format!("{} in {}: {what}: {text}", row.name, column.name));
    let unharmed = || {
        let connectors = world.connectors();
        connectors.iter().any(|one| one.id == kept && !one.disabled)
            && [&healthy, &new].iter().all(|id| world.connectors_of(id).len() <= 1)
    };
    if !met || !unharmed() {
        return fail(if met { "harm was done" } else { "the fault was never met" });
    }
    let is_named = column.places.iter().any(|place| text.contains(place));
    if !row.is_harmless && !is_named {
        return fail("it is not named");
    }
    let after = cycle(&stage, &[]).await;
    if !unharmed() || world.connectors_of(&new).len() != 1 {
        return Err(format!("{} in {}: not mended: {after}", row.name, column.name));
    }
    Ok(if is_named { "named" } else { "done" }.to_owned())
}
