//! One file of a snapshot in the making: JSON lines, compressed, hashed, sent on in pieces.

use crate::manifest::FileEntry;
use crate::model::hex;
use crate::store::{BlobKey, Draft, Store, StoreError};
use bytes::Bytes;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::io::Write;

/// Compressed bytes held before they are sent on; also the size of a block where storage takes blocks.
const PIECE: usize = 1024 * 1024;

/// A file in the making. Dropping it leaves nothing; [`Part::publish`] consumes it, so an unpublished part cannot be
/// taken for one.
#[derive(Debug)]
#[must_use = "a part that is not published is thrown away"]
pub(super) struct Part {
    path: String,
    draft: Draft,
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
        Ok(Self { path, draft: store.draft(key).await?, encoder, hash: Sha256::new(), rows: 0, bytes: 0 })
    }

    /// Adds one record, which is one line.
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
        let Self { path, draft, hash, rows, bytes, .. } = self;
        draft.publish().await?;
        let sha256 = hex(&hash.finalize());
        Ok(FileEntry { path, rows, bytes, sha256 })
    }

    async fn send(&mut self, piece: Vec<u8>) -> Result<(), StoreError> {
        self.hash.update(&piece);
        self.bytes += piece.len() as u64;
        self.draft.write(Bytes::from(piece)).await
    }

    fn failed(&self, source: std::io::Error) -> StoreError {
        StoreError::Unavailable { doing: "compress", path: self.path.clone(), source }
    }
}
