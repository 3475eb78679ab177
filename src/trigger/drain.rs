//! Without a Functions host: the timer's tick and the queue's delivery, in the same process.

use super::{functions, now};
use crate::app::App;
use crate::host::Answer;
use crate::inbox::ItemContent;
use crate::queue::{QueueError, REDELIVERY, Received, WakeUp};
use crate::report::chain;
use crate::store::ItemName;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, warn};

/// As the timer of the function app is set.
const TICK: Duration = Duration::from_mins(15);
/// A look into a folder is cheap, and people wait at a desk.
const POLL: Duration = Duration::from_millis(250);

/// Ticks and delivers until it is dropped.
pub async fn drain(app: &App) -> std::convert::Infallible {
    let tenant = app.config.policy.tenant;
    let (mut tick, mut poll) = (interval(TICK), interval(POLL));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let now = now();
                if let Err(error) = app.leave(tenant, ItemName::Timer, &ItemContent::new(now, "serve"), now).await {
                    error!(error = chain(&error), "Could not leave the timer's item");
                }
            }
            _ = poll.tick() => {
                if let Err(error) = deliver(app).await {
                    error!(error = chain(&error), "Could not take a wake-up; it is tried again");
                }
            }
        }
    }
}

/// Takes the next message that is due, if any, and serves it.
async fn deliver(app: &App) -> Result<(), QueueError> {
    let queue = app.wake_ups.queue();
    if let Some(taken) = queue.take(REDELIVERY, now()).await?
        && serve(app, &taken).await
    {
        queue.finish(taken).await?;
    }
    Ok(())
}

/// Serves one message. True when it is done with.
async fn serve(app: &App, taken: &Received) -> bool {
    match serde_json::from_str::<WakeUp>(&taken.text) {
        Ok(message) if message.tenant == app.config.policy.tenant => {
            matches!(functions::run(app).await, Answer::Ok(_))
        }
        _ => {
            warn!("Removed a message that is no wake-up of ours");
            true
        }
    }
}
