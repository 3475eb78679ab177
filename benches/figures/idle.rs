//! A cycle with nothing new, over 1,000 subscriptions.

use crate::desk::{Desk, runtime};
use crate::{Figure, median};
use std::time::{Duration, Instant};
use world::Service;

const SUBSCRIPTIONS: usize = 1000;
const CYCLES: usize = 7;

pub(crate) fn figures() -> Vec<Figure> {
    runtime().block_on(async {
        let desk = Desk::new();
        for subscription in desk.world.subscriptions("shop", SUBSCRIPTIONS) {
            desk.world.machines(&subscription, 1);
        }
        let app = desk.app().await;
        let begun = Instant::now();
        loop {
            let ran = desk.cycle(&app).await;
            let covered = ran.report.coverage.as_ref().map_or(0, |coverage| coverage.covered);
            if covered == SUBSCRIPTIONS && ran.report.outcomes.is_empty() && ran.report.snapshot.is_none() {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(180),
                "there is always another cycle: {}",
                ran.report
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let (mut seconds, mut calls) = (Vec::new(), Vec::new());
        for _ in 0..CYCLES {
            desk.world.clear_calls();
            let begun = Instant::now();
            desk.cycle(&app).await;
            seconds.push(begun.elapsed().as_secs_f64());
            let made = desk.world.calls().iter().filter(|call| call.service == Service::Qualys).count();
            calls.push(made as f64);
        }
        vec![
            Figure {
                name: "idle_1000_calls",
                value: calls.into_iter().fold(0.0, f64::max),
                unit: "calls",
                target: Some(5.0),
                n: CYCLES,
            },
            Figure {
                name: "idle_1000_seconds",
                value: median(seconds),
                unit: "s",
                target: Some(2.0),
                n: CYCLES,
            },
        ]
    })
}
