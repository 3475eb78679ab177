//! Blobs that only a cycle reads.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use crate::account::Waiting;
use crate::outcome::Intent;
use crate::store::decode;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The lines of an intent, and the blob of a tenant that waits.
pub(crate) fn blob(bytes: &[u8]) {
    let (intents, _) = Intent::read_lines(bytes);
    assert!(intents.len() <= String::from_utf8_lossy(bytes).lines().count());
    intents.iter().for_each(survives);
    if let Ok(waiting) = decode::<Waiting>(bytes, "a/b.json") {
        survives(&waiting);
    }
}

/// A value that was read is written the same way again after it is read again.
fn survives<T: Serialize + DeserializeOwned>(value: &T) {
    let once = serde_json::to_string(value).unwrap();
    let again: T = serde_json::from_str(&once).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), once);
}
