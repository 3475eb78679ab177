//! What the fuzz targets share: the parts of an input, and assertions that hold for any input. It uses no other module.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::{Debug, Display};

/// A secret that occurs in the corpus only where secrets belong.
pub(crate) const CANARY: &str = "s3cret-c4nary";

/// The first line, as text, and everything after it.
pub(crate) fn head(bytes: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let head = parts.next().unwrap_or_default();
    (String::from_utf8_lossy(head), parts.next().unwrap_or_default())
}

/// The text of an error about untrusted bytes is short, on one line, and shows no secret.
pub(crate) fn assert_discreet(error: &impl Display) {
    /// Every message is a sentence or two, so that a log line shows all of it.
    const LONGEST: usize = 400;
    let text = error.to_string();
    assert!(text.len() <= LONGEST && !text.chars().any(char::is_control), "{text:?}");
    assert!(!text.contains(CANARY), "{text}");
}

/// A value that was read is the same after it is written and read again.
pub(crate) fn assert_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_vec(value).map_err(|error| error.to_string());
    let again = written.and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()));
    assert_eq!(again.as_ref(), Ok(value));
}
