//! Keeps a handler running: restarts it at once after an error, and stops the host at the third error in a series.

use super::lines::Level;
use super::process::{End, live};
use super::shared::{Command, Phase, Shared};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// The third error stops the host (read in source).
const ERRORS_THAT_STOP: usize = 3;

pub(super) async fn supervise(shared: Arc<Shared>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut errors: Vec<Instant> = Vec::new();
    let reason = loop {
        let generation = shared.phase.borrow().generation().unwrap_or(1);
        match live(&shared, generation, &mut commands).await {
            End::Again => {}
            End::Error(text) => {
                shared.record.say(Level::Error, text.clone());
                if errors.last().is_some_and(|newest| newest.elapsed() > shared.options.error_window) {
                    errors.clear();
                }
                errors.push(Instant::now());
                if errors.len() >= ERRORS_THAT_STOP {
                    let gave_up = "Exceeded http worker restart retry count. Shutting down Functions Host";
                    shared.record.say(Level::Error, gave_up);
                    break format!("{gave_up} (last: {text})");
                }
            }
            End::Dead => {
                if let Some(text) = wait_for_restart(&shared, &mut commands).await {
                    break text;
                }
            }
            End::Stop(text) => break text,
        }
    };
    shared.phase.send_replace(Phase::Stopped { reason });
}

/// The handler is dead and the host does not know it, so only a restart from outside helps.
async fn wait_for_restart(
    shared: &Shared,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> Option<String> {
    let dead = shared.phase.borrow().generation().unwrap_or_default();
    loop {
        match commands.recv().await {
            Some(Command::Restart { generation, .. }) if generation == dead => {
                shared.phase.send_replace(Phase::Starting { generation: dead + 1 });
                return None;
            }
            Some(Command::Stop { reason }) => return Some(reason),
            None => return Some("the host was dropped".to_owned()),
            Some(_) => {}
        }
    }
}
