//! What the fuzzers call: one function for each kind of bytes that somebody else wrote.
//!
//! Here only in tests and under `cargo fuzz`. No function does I/O, and each asserts what must hold besides not panicking.
//! The tests run them over the committed files of `fuzz/corpus`.

mod settings;
mod stored;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::{Debug, Display};

/// A secret that stands in the corpus where only secrets may stand.
const CANARY: &str = "s3cret-c4nary";

/// The Functions host's envelope, and a queue message in it.
pub fn envelope(bytes: &[u8]) {
    crate::trigger::fuzz::envelope(bytes);
}

/// Events, in an envelope or bare.
pub fn event(bytes: &[u8]) {
    crate::trigger::fuzz::event(bytes);
}

/// A request for a sync: its query on the first line, then its body.
pub fn request(bytes: &[u8]) {
    crate::trigger::fuzz::request(bytes);
}

/// An answer of Qualys's: its status and limit headers on the first line, then its body.
pub fn qualys(bytes: &[u8]) {
    crate::qualys::fuzz::answer(bytes);
}

/// An answer of Azure Resource Manager's, or a refusal of Key Vault's.
pub fn arm(bytes: &[u8]) {
    crate::azure::arm::fuzz::answer(bytes);
}

/// A blob of ours as somebody may have changed it, or a blob's name.
pub fn stored(bytes: &[u8]) {
    stored::blob(bytes);
    stored::names(bytes);
    crate::cycle::fuzz::blob(bytes);
}

/// Settings, as lines of `NAME=value`; `\n` in a value is a line break.
pub fn settings(bytes: &[u8]) {
    settings::settings(bytes);
}

/// The first line, as text, and all that follows it.
pub(crate) fn head(bytes: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let head = parts.next().unwrap_or_default();
    (String::from_utf8_lossy(head), parts.next().unwrap_or_default())
}

/// The text of an error about bytes of somebody's: short, on one line, and without what it is about.
pub(crate) fn assert_discreet(error: &impl Display) {
    /// Every message is a sentence or two; a line of a log shows it whole.
    const LONGEST: usize = 400;
    let text = error.to_string();
    assert!(text.len() <= LONGEST && !text.chars().any(char::is_control), "{text:?}");
    assert!(!text.contains(CANARY), "{text}");
}

/// What was read survives being written and read again.
pub(crate) fn assert_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_vec(value).map_err(|error| error.to_string());
    let again = written.and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()));
    assert_eq!(again.as_ref(), Ok(value));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn every_file_of_the_corpus_keeps_what_is_promised_of_it() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let targets: [Target; 7] = [
            ("envelope", super::envelope),
            ("event", super::event),
            ("request", super::request),
            ("qualys", super::qualys),
            ("arm", super::arm),
            ("stored", super::stored),
            ("settings", super::settings),
        ];
        for (target, work) in targets {
            let files = fs::read_dir(corpus.join(target)).into_iter().flatten();
            let files = files.map(|entry| entry.unwrap().path());
            // What a fuzzer found and nobody committed has no extension.
            let files: Vec<_> = files.filter(|file| file.extension().is_some()).collect();
            assert!(files.len() >= 5, "fuzz/corpus/{target} is missing or empty");
            for file in files {
                let bytes = fs::read(&file).unwrap();
                let held = std::panic::catch_unwind(|| work(&bytes));
                assert!(held.is_ok(), "what {target} promises does not hold for {}", file.display());
            }
        }
    }
}
