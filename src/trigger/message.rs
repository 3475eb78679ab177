//! One message of the queue: delivered by the Functions host, or taken from the queue by [`drain`](fn@super::drain).

use super::body::BodyDigest;
use super::now;
use super::rejected::Rejected;
use crate::app::App;
use crate::cycle::{self, CycleResult, StartedBy};
use crate::host::Answer;
use crate::queue::WakeUp;
use crate::report::chain;
use jiff::Timestamp;
use tracing::error;

/// Runs a cycle for a wake-up of our tenant, and records any other message; `body` is measured for that record: what
/// the host delivered, or the text of the message.
/// [`Answer::Failed`]: it must be delivered again.
pub(super) async fn serve(app: &App, text: &str, body: &[u8]) -> Answer {
    let ours = app.tenant.id();
    let why = match WakeUp::parse(text) {
        Ok(WakeUp { tenant, due }) if tenant == ours => return run(app, due).await,
        Ok(WakeUp { tenant, .. }) => {
            format!("a wake-up for tenant {tenant}, which this deployment does not watch")
        }
        Err(error) => error.to_string(),
    };
    Rejected { why, body: Some(BodyDigest::of(body)) }.record(app, "cycle").await
}

async fn run(app: &App, due: Option<Timestamp>) -> Answer {
    match cycle::run(&app.tenant, StartedBy::WakeUp { due }, now()).await {
        Ok(CycleResult::Ran(ran)) => Answer::Ok(ran.report.to_string()),
        Ok(CycleResult::Dropped(closed)) => Answer::Ok(format!("dropped: {closed}")),
        Err(error) => {
            let text = chain(&error);
            error!("The cycle failed: {text}");
            Answer::Failed(text)
        }
    }
}
