//! A blob that is written block by block and appears when it is published.

use super::call::{Failure, call};
use super::{AzureStore, WRITE_ID, content};
use crate::store::{BlobKey, StoreError};
use azure_core::http::Etag;
use azure_storage_blob::models::{BlockBlobClientCommitBlockListOptions, BlockLookupList};
use bytes::Bytes;
use std::collections::HashMap;
use uuid::Uuid;

/// Blocks that no reader sees until the list of them is committed. Azure discards uncommitted blocks
/// [after a week](https://learn.microsoft.com/rest/api/storageservices/put-block).
#[derive(Debug)]
pub struct NewAzureBlob {
    store: AzureStore,
    key: BlobKey,
    id: String,
    blocks: Vec<Vec<u8>>,
}

impl NewAzureBlob {
    pub(super) fn new(store: AzureStore, key: BlobKey) -> Self {
        Self { store, key, id: Uuid::new_v4().simple().to_string(), blocks: Vec::new() }
    }

    pub(in crate::store) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let client = self.store.blob(&self.key).block_blob_client();
        // All block ids of a blob must have one length. The prefix keeps apart two attempts at the same blob.
        let id = format!("{}-{:08}", self.id, self.blocks.len()).into_bytes();
        let stage = || async {
            client.stage_block(&id, bytes.len() as u64, content(bytes.clone()), None).await.map(|_| ())
        };
        call("write", &self.key, stage).await?;
        self.blocks.push(id);
        Ok(())
    }

    pub(in crate::store) async fn publish(self) -> Result<(), StoreError> {
        let client = self.store.blob(&self.key).block_blob_client();
        let commit = || async {
            let list = BlockLookupList { latest: Some(self.blocks.clone()), ..Default::default() };
            let options = BlockBlobClientCommitBlockListOptions {
                blob_content_type: Some(self.key.content_type().to_owned()),
                metadata: Some(HashMap::from([(WRITE_ID.to_owned(), self.id.clone())])),
                if_none_match: Some(Etag::from("*")),
                ..Default::default()
            };
            client.commit_block_list(list.try_into()?, Some(options)).await.map(|_| ())
        };
        match call("publish", &self.key, commit).await {
            // The id stands for the content, which was committed with it.
            Err(Failure::ConditionFailed(_) | Failure::WriteOnce(_))
                if self.store.etag_if_written_by(&self.key, &self.id).await?.is_some() =>
            {
                Ok(())
            }
            committed => Ok(committed?),
        }
    }
}
