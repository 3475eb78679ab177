//! A part: one file of a snapshot while it is written. JSON lines, compressed, hashed, and sent to the store in pieces.

use crate::manifest::FileEntry;
use crate::model::hex;
use crate::store::{BlobKey, NewBlob, Store, StoreError};
use bytes::Bytes;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::io::Write;

/// Compressed bytes held in memory before they are sent. Also the size of a block where the store takes blocks.
const PIECE: usize = 1024 * 1024;

/// No reader sees it before [`Part::publish`], which consumes it, so that an unpublished part cannot be mistaken for a
/// published one. Dropping it leaves nothing behind.
#[derive(Debug)]
#[must_use = "a part that is not published is thrown away"]
pub(super) struct Part {
    path: String,
    blob: NewBlob,
    encoder: GzEncoder<Vec<u8>>,
    hash: Sha256,
    rows: u64,
    bytes: u64,
}

impl Part {
    pub(super) async fn begin(store: &Store, key: BlobKey) -> Result<Self, StoreError> {
        let path = key.path();
        // No name and no time in the header: the same rows give the same bytes.
        let encoder = GzBuilder::new().write(Vec::new(), Compression::default());
        Ok(Self { path, blob: store.new_blob(key).await?, encoder, hash: Sha256::new(), rows: 0, bytes: 0 })
    }

    /// Adds one record, on one line.
    pub(super) async fn line(&mut self, json: &[u8]) -> Result<(), StoreError> {
        let encoded = self.encoder.write_all(json).and_then(|()| self.encoder.write_all(b"\n"));
        encoded.map_err(|source| self.failed(source))?;
        self.rows += 1;
        if self.encoder.get_ref().len() >= PIECE {
            let piece = std::mem::take(self.encoder.get_mut());
            self.send(piece).await?;
        }
        Ok(())
    }

    pub(super) async fn publish(mut self) -> Result<FileEntry, StoreError> {
        let finished = self.encoder.try_finish();
        finished.map_err(|source| self.failed(source))?;
        let piece = std::mem::take(self.encoder.get_mut());
        self.send(piece).await?;
        let Self { path, blob, hash, rows, bytes, .. } = self;
        blob.publish().await?;
        let sha256 = hex(&hash.finalize());
        Ok(FileEntry { path, rows, bytes, sha256 })
    }

    async fn send(&mut self, piece: Vec<u8>) -> Result<(), StoreError> {
        self.hash.update(&piece);
        self.bytes += piece.len() as u64;
        self.blob.write(Bytes::from(piece)).await
    }

    fn failed(&self, source: std::io::Error) -> StoreError {
        StoreError::Unavailable { doing: "compress", path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SnapshotId, TenantId};
    use crate::store::FolderStore;
    use proptest::prelude::*;
    use std::io::Read;
    use uuid::Uuid;

    /// A line that compresses badly, so that a part has several pieces.
    fn line(length: usize, mut seed: u64) -> Vec<u8> {
        let digit = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b' ' + u8::try_from(seed >> 58).unwrap()
        };
        std::iter::repeat_with(digit).take(length).collect()
    }

    async fn written(lines: &[Vec<u8>]) -> (FileEntry, Bytes) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Folder(FolderStore::new(folder.path()));
        let key = BlobKey::Raw {
            tenant: TenantId::new(Uuid::nil()),
            snapshot: SnapshotId::new(jiff::Timestamp::UNIX_EPOCH, 1),
            resource_type: "VIRTUAL_MACHINE".into(),
            part: 0,
        };
        let mut part = Part::begin(&store, key.clone()).await.unwrap();
        for line in lines {
            part.line(line).await.unwrap();
        }
        let entry = part.publish().await.unwrap();
        (entry, store.get(&key).await.unwrap().unwrap().bytes)
    }

    proptest! {
        // Each case compresses up to six megabytes.
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn a_part_holds_its_lines_in_order_however_many_pieces_it_has(
            lengths in prop::collection::vec((0usize..400_000, any::<u64>()), 0..15),
        ) {
            let lines: Vec<Vec<u8>> = lengths.into_iter().map(|(length, seed)| line(length, seed)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (entry, bytes) = runtime.block_on(written(&lines));
            let mut text = Vec::new();
            // There is one gzip member: this reader stops after the first.
            flate2::read::GzDecoder::new(bytes.as_ref()).read_to_end(&mut text).unwrap();
            let mut expected = lines.join(&b'\n');
            if !lines.is_empty() {
                expected.push(b'\n');
            }
            prop_assert!(text == expected, "{} bytes instead of {}", text.len(), expected.len());
            prop_assert_eq!((entry.rows, entry.bytes), (lines.len() as u64, bytes.len() as u64));
            prop_assert_eq!(entry.sha256, hex(&Sha256::digest(&bytes)));
        }
    }
}
