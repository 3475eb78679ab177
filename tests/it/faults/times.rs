//! Every lie about times: the same estate, with Qualys's clock or its times of syncs wrong.

use super::estate::Estate;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{CallKind, DateHeader, LastSyncForm, World};

/// A lie, how it begins and ends, and what the report must say of it; nothing if it need not be noticed.
struct Lie {
    name: &'static str,
    tell: fn(&World),
    said: &'static str,
}

const LIES: [Lie; 8] = [
    Lie { name: "clock behind", tell: |w| w.qualys_clock_off_by(-HOUR * 8), said: "behind ours" },
    Lie { name: "clock ahead", tell: |w| w.qualys_clock_off_by(HOUR * 8), said: "ahead of ours" },
    Lie { name: "ten minutes", tell: |w| w.qualys_clock_off_by(HOUR / 6), said: "clock is 10 minutes" },
    Lie { name: "last sync behind", tell: |w| w.last_sync_form(LastSyncForm::OffBy(-HOUR * 8)), said: "" },
    Lie {
        name: "without zone",
        tell: |w| w.last_sync_form(LastSyncForm::WithoutZone),
        said: "without a zone",
    },
    Lie { name: "missing", tell: |w| w.last_sync_form(LastSyncForm::Missing), said: "not stated" },
    Lie { name: "no date", tell: |w| w.date_header(DateHeader::Missing), said: "without a usable Date" },
    Lie { name: "stuck date", tell: |w| w.date_header(STUCK), said: "later than the answer" },
];

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const STUCK: DateHeader = DateHeader::Stuck(Timestamp::UNIX_EPOCH);

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_about_times_is_named_and_doubles_disables_and_loses_nothing() {
    for Lie { name, tell, said } in LIES {
        let estate = Estate::new().await;
        let world = &estate.stage.world;
        tell(world);
        for _ in 0..4 {
            let report = estate.cycle().await.report;
            assert_eq!(estate.harm(), None, "{name}");
            let lines = report.needs_a_person().join("\n");
            assert!(lines.contains(said), "{name}: {lines}");
            estate.stage.pass(Duration::from_mins(16));
        }
        world.qualys_clock_off_by(SignedDuration::ZERO);
        world.last_sync_form(LastSyncForm::Zoned);
        world.date_header(DateHeader::Own);
        // A time of a clock that was ahead is not believed, so a sync may be due only `SYNC_MAX_AGE` after the lie.
        for _ in 0..24 {
            estate.stage.pass(Duration::from_mins(16));
            estate.cycle().await;
            if estate.lack().is_none() {
                break;
            }
        }
        assert_eq!(estate.harm().or_else(|| estate.lack()), None, "after {name}");
        let mut runs = BTreeMap::<_, usize>::new();
        for run in world.calls().iter().filter(|call| call.call == CallKind::ConnectorRun) {
            *runs.entry(run.connector_id).or_default() += 1;
        }
        assert!(runs.values().all(|count| *count <= 4), "{name}: {runs:?}");
    }
}
