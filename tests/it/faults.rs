//! Every fault in every call: nothing is doubled, disabled or lost, the report names the fault with its place, and later cycles
//! mend it. The test prints what each fault came to as a table.

mod estate;
mod kinds;
mod sign_in;
mod times;

use estate::{COLUMNS, Column, Estate};
use futures::stream::{self, StreamExt};
use kinds::{Row, rows};
use qualys_azure_inventory::plan::{Kept, Why};
use qualys_azure_inventory::report::Counts;
use qualys_azure_inventory::report::CycleStage;
use qualys_azure_inventory::report::Report;
use std::io::Write;
use std::time::Duration;
use world::{Fault, Kind, Service};

/// Stages at the same time; most of each is waiting for its own repetitions.
const AT_ONCE: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_every_call_is_named_and_mended_and_doubles_disables_and_loses_nothing() {
    let rows = rows();
    let cells = rows.iter().flat_map(|row| COLUMNS.iter().map(move |column| (row, column)));
    let results: Vec<Result<String, String>> =
        stream::iter(cells.map(|(row, column)| cell(row, column))).buffered(AT_ONCE).collect().await;
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    print("what a fault came to, by call", &names, &rows, &results);
}

/// Writes past the test harness, which does not show what a test that passes prints.
fn print(title: &str, columns: &[&str], rows: &[Row], results: &[Result<String, String>]) {
    let mut table = format!("\n{title}:\n{:<18}", "");
    columns.iter().for_each(|name| table.push_str(&format!(" {name:<14}")));
    for (row, cells) in rows.iter().zip(results.chunks(columns.len())) {
        table.push_str(&format!("\n{:<18}", row.name));
        for cell in cells {
            table.push_str(&format!(" {:<14}", cell.as_deref().unwrap_or("FAILED")));
        }
    }
    let _ = writeln!(std::io::stdout(), "{table}");
    let failed: Vec<_> = results.iter().filter_map(|cell| cell.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} cells:\n{failed:#?}", failed.len());
}

/// One cycle with the fault, then cycles without it. Returns in a word what the fault came to.
async fn cell(row: &Row, column: &Column) -> Result<String, String> {
    let place = format!("{} in {}", row.name, column.name);
    let mut estate = Estate::new().await;
    estate
        .stage
        .world
        .fault(Fault::new(column.call, row.kind.clone()).containing(column.containing).always());
    let ran = match row.kind {
        Kind::TimeoutAfter => estate.cycle_in_little_time().await,
        _ => estate.cycle().await,
    };
    let met = estate.stage.world.calls().iter().any(|call| call.call == column.call && call.fault.is_some());
    estate.stage.world.clear_faults();
    let report = serde_json::to_string(&ran.report).unwrap();
    let fail = |what: &str| Err(format!("{place}: {what}: {report}"));
    if !met {
        return fail("the fault was never met");
    }
    if let Some(wrong) = estate.harm() {
        return fail(&wrong);
    }
    // Both in one entry: elsewhere in the report either may be there by chance.
    let is_named = entries(&ran.report).iter().any(|entry| {
        column.place(&estate).iter().any(|place| entry.contains(place.as_str()))
            && row.words.iter().any(|word| entry.contains(word))
    });
    if !row.is_harmless && !is_named {
        return fail("it is not named");
    }
    if row.refuses_credentials && column.service == Service::Qualys {
        estate.new_password();
    }
    for _ in 0..6 {
        estate.stage.pass(Duration::from_mins(16));
        estate.cycle().await;
        if estate.lack().is_none() {
            break;
        }
    }
    match estate.harm().or_else(|| estate.lack()) {
        Some(wrong) => fail(&format!("after it: {wrong}")),
        None => Ok(came_to(&ran.report)),
    }
}

/// The report's entries about single things.
fn entries(report: &Report) -> Vec<String> {
    let report = serde_json::to_value(report).unwrap();
    let lists = ["problems", "outcomes", "unreadable", "kept"];
    lists.iter().flat_map(|list| report[list].as_array().unwrap()).map(ToString::to_string).collect()
}

fn is_unread(kept: &Kept) -> bool {
    matches!(kept.why, Why::AccessLost | Why::ReadFailed { .. })
}

/// The gravest thing that the report says.
fn came_to(report: &Report) -> String {
    let Counts { failed, unclear, not_started, .. } = report.counts();
    let found = serde_json::to_string(&report.outcomes).unwrap().contains("\"found_after\"");
    let words = [
        (report.problems.iter().any(|problem| problem.stage == CycleStage::Plan), "refused"),
        (report.waits_until.is_some(), "waits"),
        (!report.problems.is_empty(), "problem"),
        (!report.unreadable.is_empty(), "unreadable"),
        (failed > 0, "failed"),
        (unclear > 0, "unclear"),
        (not_started > 0, "held back"),
        (found, "found"),
        (report.kept.iter().any(is_unread), "left alone"),
    ];
    words.iter().find(|(so, _)| *so).map_or("done", |(_, word)| word).to_owned()
}
