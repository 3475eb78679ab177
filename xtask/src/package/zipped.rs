//! The zip, written and read back.

use super::app::App;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

pub(super) const EXECUTABLE_MODE: u32 = 0o755;
pub(super) const FILE_MODE: u32 = 0o644;

/// A file in the zip.
pub(super) struct Entry {
    pub(super) name: String,
    /// The permission bits; none if the zip does not say that it was made on Unix, because then they have no effect.
    pub(super) mode: Option<u32>,
    pub(super) content: Vec<u8>,
}

/// The zip of an app and its program. Order and times are fixed, so that the same files make the same zip.
pub(super) fn write(app: &App, program: &[u8]) -> Result<Vec<u8>> {
    let mut files: BTreeMap<&str, (&[u8], u32)> =
        app.files.iter().map(|(name, content)| (name.as_str(), (content.as_slice(), FILE_MODE))).collect();
    files.insert(&app.executable, (program, EXECUTABLE_MODE));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (content, mode)) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::default())
            .system(System::Unix)
            .unix_permissions(mode);
        zip.start_file(name, options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

pub(super) fn read(zip: &[u8]) -> Result<Vec<Entry>> {
    let mut zip = ZipArchive::new(Cursor::new(zip)).context("the file is not a zip")?;
    let mut entries = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        entries.push(Entry {
            name: file.name()?.into_owned(),
            // The upper half of the external attributes.
            mode: (file.system() == System::Unix).then(|| (file.external_attributes() >> 16) & 0o7777),
            content,
        });
    }
    Ok(entries)
}

/// Unzips into a folder, with the modes in the zip.
pub(super) fn unzip(zip: &[u8], folder: &Path) -> Result<()> {
    Ok(ZipArchive::new(Cursor::new(zip))?.extract(folder)?)
}
