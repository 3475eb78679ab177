//! What a function cannot use, and the record of it. All functions record such input here.

use super::body::{BodyDigest, BodyError};
use super::leave::in_time;
use super::now;
use crate::app::App;
use crate::host::Answer;
use crate::model::RequestId;
use crate::report::{Poison, chain};
use crate::retry::chance;
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition};
use tracing::{error, warn};

/// A body or a message that a function cannot use.
pub(super) struct Rejected {
    pub(super) why: String,
    /// None where the body is not there as a whole: its sender sends it again.
    pub(super) body: Option<BodyDigest>,
}

impl Rejected {
    fn again(why: &str) -> Self {
        Self { why: why.to_owned(), body: None }
    }

    /// Records it below `poison/`, without its content, and answers so that it is not delivered again. Where it is not whole
    /// or cannot be recorded, the answer asks for another delivery.
    pub(super) async fn record(self, app: &App, function: &str) -> Answer {
        let Self { why, body } = self;
        let Some(BodyDigest { size_bytes, sha256 }) = body else {
            warn!(function, why, "Function `{function}` cannot use its input: {why}");
            return Answer::Failed(why);
        };
        warn!(function, why, size_bytes, "Function `{function}` cannot use its input: {why}");
        let now = now();
        let poison = Poison {
            schema_version: SCHEMA_VERSION,
            at: now,
            function: function.to_owned(),
            why: why.clone(),
            size_bytes,
            sha256,
        };
        let key = BlobKey::Poison(app.tenant.id(), RequestId::new(now, chance()));
        let written = in_time(async { Ok(app.tenant.store.write(&key, &poison, Condition::New).await?) });
        match written.await {
            Ok(_) => Answer::Ok(format!("recorded: {why}")),
            Err(error) => {
                let text = chain(&error);
                error!(
                    function,
                    error = text,
                    "Could not record what function `{function}` cannot use: {text}"
                );
                Answer::Failed(text)
            }
        }
    }
}

impl From<BodyError> for Rejected {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { body, limit } => {
                let why =
                    format!("a body of {} bytes, which is more than the {limit} allowed", body.size_bytes);
                Self { why, body: Some(body) }
            }
            BodyError::CutShort => Self::again("a body that was cut short"),
            BodyError::TooSlow => Self::again("a body that arrived too slowly"),
            BodyError::TooMany => Self::again("too many large bodies at the same time"),
        }
    }
}
