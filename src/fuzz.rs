//! The fuzz targets: one function for each kind of untrusted bytes.
//!
//! Compiled in tests and under `cargo fuzz` only. No function does I/O; each asserts what must hold, besides not panicking.
//! The test runs them over the committed files of `fuzz/corpus`.

mod settings;
mod stored;

/// The Functions host's envelope, with a queue message in it.
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

/// An answer from Qualys: its status and limit headers on the first line, then its body.
pub fn qualys(bytes: &[u8]) {
    crate::qualys::fuzz::answer(bytes);
}

/// An answer from Azure Resource Manager, or a refusal from Key Vault.
pub fn arm(bytes: &[u8]) {
    crate::azure::arm::fuzz::answer(bytes);
}

/// A blob of ours that anyone may have changed, or a blob's name.
pub fn stored(bytes: &[u8]) {
    stored::blob(bytes);
    stored::names(bytes);
    crate::cycle::fuzz::blob(bytes);
}

/// Settings, as lines of `NAME=value`; `\n` in a value is a line break.
pub fn settings(bytes: &[u8]) {
    settings::settings(bytes);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn every_file_of_the_corpus_passes_the_assertions_of_its_target() {
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
            // Inputs that a fuzzer added have no extension; committed ones do.
            let files: Vec<_> = files.filter(|file| file.extension().is_some()).collect();
            assert!(files.len() >= 5, "fuzz/corpus/{target} is missing or empty");
            for file in files {
                let bytes = fs::read(&file).unwrap();
                let held = std::panic::catch_unwind(|| work(&bytes));
                assert!(held.is_ok(), "an assertion of {target} fails for {}", file.display());
            }
        }
    }
}
