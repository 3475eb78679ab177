//! Without a Functions host: the ticks of the timer and the delivery of the queue, in this process.

use super::{message, now};
use crate::app::App;
use crate::host::Answer;
use crate::inbox::ItemContent;
use crate::queue::{QueueError, REDELIVERY};
use crate::report::chain;
use crate::store::ItemName;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

/// The usual schedule of the function app's timer.
const TICK: Duration = Duration::from_mins(15);
/// Looking into a folder is cheap, and a person is waiting.
const POLL: Duration = Duration::from_millis(250);

/// Ticks and delivers until it is dropped.
pub async fn drain(app: &App) -> std::convert::Infallible {
    let tenant = app.tenant.id();
    let (mut tick, mut poll) = (interval(TICK), interval(POLL));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let now = now();
                if let Err(error) = app.leave(tenant, ItemName::Timer, &ItemContent::new(now, "serve"), now).await {
                    error!(error = chain(&error), "Could not leave the timer's inbox item");
                }
            }
            _ = poll.tick() => {
                if let Err(error) = deliver(app).await {
                    error!(error = chain(&error), "Could not take a message from the queue; trying again");
                }
            }
        }
    }
}

/// Takes the next message that is due, if any, and serves it.
async fn deliver(app: &App) -> Result<(), QueueError> {
    let queue = app.tenant.wake_ups.queue();
    let Some(taken) = queue.take(REDELIVERY, now()).await? else { return Ok(()) };
    match message::serve(app, &taken.text, taken.text.as_bytes()).await {
        Answer::Ok(_) => queue.finish(taken).await,
        // It comes back.
        Answer::Failed(_) => Ok(()),
    }
}
