//! One delivery of a message, as the function sees it, from either kind of queue.

use super::folder_queue::Message;
use super::text::stamp_seconds;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};

/// Azure Storage keeps a message for seven days unless told otherwise (Microsoft docs).
const TIME_TO_LIVE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) receipt: String,
    pub(super) dequeue_count: u32,
    pub(super) content: Vec<u8>,
    /// Times as Metadata shows them.
    pub(super) inserted: String,
    pub(super) expires: String,
    pub(super) visible: String,
}

impl From<&Message> for Delivery {
    fn from(message: &Message) -> Self {
        let visible = Timestamp::from_millisecond(message.visible_at_ms).unwrap_or(message.inserted);
        Self {
            id: uuid::Uuid::parse_str(&message.id).map_or_else(|_| message.id.clone(), |id| id.to_string()),
            receipt: STANDARD.encode(format!("{}{}", message.visible_at_ms, message.dequeue_count)),
            dequeue_count: message.dequeue_count,
            content: message.text.clone().into_bytes(),
            inserted: stamp_seconds(message.inserted),
            expires: stamp_seconds(message.inserted + TIME_TO_LIVE),
            visible: stamp_seconds(visible),
        }
    }
}
