//! Weeks of an estate, with random lies, kills and clock jumps from a printed seed: at no moment is a subscription covered twice, a
//! connector wrongly disabled or a limit passed, and after the last lie the world becomes the one that would be without them.
//!
//! `cargo xtask weeks` runs it with other numbers of seeds, subscriptions and days.

mod chance;
mod estate;
mod lies;

use crate::stage::{hurried, started_by};
use chance::Chance;
use estate::Estate;
use jiff::{SignedDuration, Timestamp};
use lies::Lie;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::model::{Asked, RequestId};
use qualys_azure_inventory::outcome::Outcome;
use qualys_azure_inventory::plan::Action;
use qualys_azure_inventory::queue::REDELIVERY;
use qualys_azure_inventory::store::ItemName;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
/// Minutes of a day.
const DAY: u64 = 24 * 60;
/// Days without a lie at the end: every wait of ours is over by then (6 hours at most), and a daily snapshot is due.
const QUIET_DAYS: u64 = 2;
/// Estates at the same time: a run is mostly work of the processor.
const AT_ONCE: usize = 2;

/// A number from the environment, or the one that CI takes.
fn number(name: &str, in_ci: u64) -> u64 {
    std::env::var(name).map_or(in_ci, |text| text.parse().unwrap())
}

#[test]
fn weeks_of_lies_kills_and_clock_jumps_end_in_the_world_that_would_be_without_them() {
    let (first, seeds) = (number("WEEKS_FIRST_SEED", 1), number("WEEKS_SEEDS", 10));
    let size = usize::try_from(number("WEEKS_SUBSCRIPTIONS", 50)).unwrap();
    let days = number("WEEKS_DAYS", 7);
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let run = hurried(async { Weeks::new(seed, size).run(days).await });
                    if let Err(wrong) = runtime.block_on(run) {
                        let _ = writeln!(std::io::stdout(), "{wrong}");
                        failed.lock().unwrap().push(wrong);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {seeds} seeds:\n{}", failed.len(), failed.join("\n"));
}

struct Weeks {
    seed: u64,
    chance: Chance,
    estate: Estate,
    /// The lies that go on, each with the minute in which it ends.
    lies: Vec<(u64, Lie)>,
    /// What happened, for whoever looks for the cause of a failure.
    story: Vec<String>,
    cycles: u64,
    kills: u64,
}

impl Weeks {
    fn new(seed: u64, size: usize) -> Self {
        let mut chance = Chance::new(seed);
        let estate = Estate::new(size, &mut chance);
        Self { seed, chance, estate, lies: Vec::new(), story: Vec::new(), cycles: 0, kills: 0 }
    }

    async fn run(mut self, days: u64) -> Result<(), String> {
        let app = self.estate.stage.app().await;
        let last_lie = days.saturating_sub(QUIET_DAYS) * DAY;
        for minute in 0..days * DAY {
            self.estate.stage.pass(MINUTE);
            if minute < last_lie {
                self.happen(&app, minute).await;
            } else if !self.lies.is_empty() {
                self.lies.clear();
                Lie::end_all(&self.estate);
                self.tell("the last lie ends".to_owned());
            }
            if minute % 15 == 0 {
                let now = self.product_now();
                let item = ItemContent::new(now, "schedule");
                let _ = app.leave(app.tenant.id(), ItemName::Timer, &item, now).await;
            }
            self.serve(&app, minute < last_lie).await;
            if let Err(wrong) = self.estate.harm() {
                return Err(self.failed(&wrong));
            }
        }
        if let Err(wrong) = self.estate.lack() {
            return Err(self.failed(&wrong));
        }
        let Self { seed, cycles, kills, .. } = self;
        // Past the test harness, which does not show what a test that passes prints.
        let _ = writeln!(std::io::stdout(), "seed {seed}: {cycles} cycles, {kills} of them killed");
        Ok(())
    }

    fn failed(&self, wrong: &str) -> String {
        let last = self.story.len().saturating_sub(60);
        format!(
            "seed {}: {} at {}\n  {}",
            self.seed,
            wrong,
            self.estate.now(),
            self.story[last..].join("\n  ")
        )
    }

    fn tell(&mut self, what: String) {
        self.story.push(format!("{} {what}", self.estate.now()));
    }

    /// Runs are counted, since they are many; of the others some are told.
    fn tell_outcomes(&mut self, outcomes: &[Outcome]) {
        let is_run = |outcome: &&Outcome| matches!(outcome.action, Action::Run { .. });
        let runs = outcomes.iter().filter(is_run).count();
        if runs > 0 {
            self.tell(format!("{runs} runs"));
        }
        let others: Vec<_> = outcomes.iter().filter(|outcome| !is_run(outcome)).collect();
        for outcome in others.iter().take(5) {
            self.tell(format!("{} -> {:?}", outcome.action, outcome.result));
        }
        if others.len() > 5 {
            self.tell(format!("and {} more like these", others.len() - 5));
        }
    }

    /// The time on the clock of the machine that the program runs on.
    fn product_now(&self) -> Timestamp {
        let ahead = |(_, lie): &(u64, Lie)| match lie {
            Lie::OurClock { ahead } => Some(*ahead),
            _ => None,
        };
        let ahead = self.lies.iter().find_map(ahead).unwrap_or(SignedDuration::ZERO);
        self.estate.now().checked_add(ahead).unwrap()
    }

    /// What may happen in this minute.
    async fn happen(&mut self, app: &App, minute: u64) {
        if self.lies.iter().any(|(until, _)| *until <= minute) {
            self.lies.retain(|(until, _)| *until > minute);
            Lie::end_all(&self.estate);
            self.lies.iter().for_each(|(_, lie)| lie.begin(&self.estate));
            self.tell(format!("a lie ends; {} go on", self.lies.len()));
        }
        if self.lies.len() < 3 && self.chance.once_in(180) {
            let lie = Lie::any(&self.estate, &mut self.chance);
            lie.begin(&self.estate);
            let lasts = self.chance.between(1, 600);
            self.tell(format!("{lie:?} for {lasts} minutes"));
            if let Lie::OurClock { ahead } = lie {
                let lasts = SignedDuration::from_mins(i64::try_from(lasts).unwrap());
                self.estate.clock_is_ahead(ahead, lasts);
            }
            self.lies.push((minute + lasts, lie));
        }
        let (tenant, now) = (app.tenant.id(), self.product_now());
        if self.chance.once_in(2 * 60) {
            let known: Vec<String> = self.estate.subscriptions.keys().cloned().collect();
            let id = if self.chance.once_in(3) {
                let number = self.estate.subscriptions.len();
                self.estate.appear(number, &mut self.chance)
            } else {
                self.chance.pick(&known).clone()
            };
            let item = ItemContent::new(now, "subscription-event");
            let _ = app.leave(tenant, ItemName::Subscription(id.parse().unwrap()), &item, now).await;
        }
        if self.chance.once_in(2 * 24 * 60) {
            let lost = *self.chance.pick(&["state.json", "wake-up.json", "status.json"]);
            // Before the first snapshot nothing else tells what was covered: lists that lie for an hour are believed then.
            let lost = if self.estate.has_snapshot() { lost } else { "status.json" };
            let was_there = std::fs::remove_file(self.estate.stage.control(lost)).is_ok();
            self.tell(format!("{lost} is lost ({was_there})"));
        }
        if self.chance.once_in(8 * 60) {
            let asked = Asked { all: true, snapshot: self.chance.once_in(2), ..Asked::default() };
            let id = RequestId::new(now, u32::try_from(self.chance.below(1 << 30)).unwrap());
            let _ = app.leave_request(tenant, &id, &asked, "manual-sync", now).await;
            self.estate.requested();
        }
    }

    /// Serves the messages that are due. While there may be lies, some cycles are killed, and some messages are lost or come twice.
    async fn serve(&mut self, app: &App, may_lie: bool) {
        let queue = app.tenant.wake_ups.queue();
        while let Some(taken) = queue.take(REDELIVERY, self.estate.now()).await.unwrap() {
            if may_lie && self.chance.once_in(100) {
                self.tell("a message is lost".to_owned());
                queue.finish(taken).await.unwrap();
                continue;
            }
            let kill_after = (may_lie && self.chance.once_in(25)).then(|| self.chance.between(1, 40));
            let done = self.cycle(app, started_by(&taken), kill_after).await;
            let comes_twice = may_lie && self.chance.once_in(50);
            if done && !comes_twice {
                queue.finish(taken).await.unwrap();
            }
        }
    }

    /// Runs a cycle, or kills it after so many requests. True if it ended.
    async fn cycle(&mut self, app: &App, started_by: StartedBy, kill_after: Option<u64>) -> bool {
        let (kill, killed) = tokio::sync::oneshot::channel::<()>();
        if let Some(n) = kill_after {
            self.estate.stage.world.on_answer(n, move |_| _ = kill.send(()));
        }
        let cycle = cycle::run(&app.tenant, started_by, self.product_now());
        let result = tokio::select! {
            result = cycle => Some(result),
            Ok(()) = killed => None,
        };
        self.estate.stage.world.clear_hooks();
        match result {
            Some(Ok(CycleResult::Ran(ran))) => {
                self.cycles += 1;
                self.estate.cycle_began();
                self.tell_outcomes(&ran.report.outcomes);
                if let Some(snapshot) = &ran.report.snapshot {
                    self.tell(format!(
                        "a snapshot of {} rows, complete: {}",
                        snapshot.rows, snapshot.complete
                    ));
                }
            }
            Some(Ok(CycleResult::Dropped(_))) => {}
            // The queue delivers the message again.
            Some(Err(error)) => {
                self.tell(format!("a cycle failed: {error:?}"));
                return false;
            }
            None => {
                (self.cycles, self.kills) = (self.cycles + 1, self.kills + 1);
                self.estate.cycle_began();
                self.tell("a cycle is killed".to_owned());
                return false;
            }
        }
        true
    }
}
