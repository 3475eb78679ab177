//! The store's JSON blobs: values of ours with a schema version, read and written as typed values.

use super::{BlobKey, Condition, ETag, Store, StoreError};
use crate::model::{Correction, Dated, in_words};
use crate::state::SCHEMA_VERSION;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// A blob that may be replaced, as it was read.
#[derive(Debug)]
pub struct Replaceable<T> {
    /// None when there is no blob, or none that can be understood.
    pub value: Option<T>,
    /// The condition for replacing it: nothing was written since it was read.
    pub unchanged: Condition,
}

/// A summary, as it was read.
#[derive(Debug)]
pub enum Summary<T> {
    /// It may be replaced. None when there is no blob, or none that can be understood.
    Replaceable(Option<T>),
    /// A newer version of this program wrote it: it must stay as it is.
    Newer,
}

impl<T: Dated> Replaceable<T> {
    /// The same, with times after `now` corrected.
    #[must_use]
    pub fn corrected(mut self, key: &BlobKey, now: Timestamp) -> Self {
        if let Some(value) = &mut self.value {
            correct(value, key, now);
        }
        self
    }
}

impl<T> Summary<T> {
    /// The value, if this program can understand it.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Replaceable(value) => value,
            Self::Newer => None,
        }
    }
}

impl Store {
    /// Reads a value with its version.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer version of this program wrote it, [`StoreError::Unreadable`] for anything else
    /// that cannot be understood.
    pub async fn read<T: DeserializeOwned>(&self, key: &BlobKey) -> Result<Option<(T, ETag)>, StoreError> {
        let Some(blob) = self.get(key).await? else { return Ok(None) };
        let value = decode(&blob.bytes, &key.path())?;
        Ok(Some((value, blob.etag)))
    }

    /// Reads a value that can be worked out again: a blob that cannot be understood is logged and may be replaced.
    ///
    /// # Errors
    /// As [`Store::read`], except that [`StoreError::Unreadable`] is not an error here.
    pub async fn read_replaceable<T: DeserializeOwned>(
        &self,
        key: &BlobKey,
    ) -> Result<Replaceable<T>, StoreError> {
        let Some(blob) = self.get(key).await? else {
            return Ok(Replaceable { value: None, unchanged: Condition::New });
        };
        let value = match decode(&blob.bytes, &key.path()) {
            Ok(value) => Some(value),
            Err(StoreError::Unreadable { path, why }) => {
                warn!(path, why, "`{path}` is malformed: {why}. It is ignored and will be written again");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Replaceable { value, unchanged: Condition::Match(blob.etag) })
    }

    /// Reads a summary: as [`Store::read_replaceable`], but a blob of a newer program is not an error. It is logged,
    /// and must stay.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn read_summary<T: DeserializeOwned>(&self, key: &BlobKey) -> Result<Summary<T>, StoreError> {
        match self.read_replaceable(key).await {
            Ok(read) => Ok(Summary::Replaceable(read.value)),
            Err(error @ StoreError::Newer { .. }) => {
                warn!("{error}");
                Ok(Summary::Newer)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a value.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn write(
        &self,
        key: &BlobKey,
        value: &(impl Serialize + Sync),
        condition: Condition,
    ) -> Result<ETag, StoreError> {
        self.put(key, encode(value, &key.path())?, condition).await
    }

    /// As [`Store::update`], with times after `now` corrected before the change.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn update_dated<T, R>(
        &self,
        key: &BlobKey,
        now: Timestamp,
        mut change: impl FnMut(&mut T) -> R + Send,
    ) -> Result<R, StoreError>
    where
        T: Dated + DeserializeOwned + Serialize + Default + Send + Sync,
        R: Send,
    {
        self.update(key, |value: &mut T| {
            correct(value, key, now);
            change(value)
        })
        .await
    }

    /// Changes a shared value: reads it, applies `change`, and writes it if no other writer was faster; otherwise tries
    /// again.
    ///
    /// # Errors
    /// As [`Store::read`] and [`Store::put`]; [`StoreError::Conflict`] after many lost races.
    pub async fn update<T, R>(
        &self,
        key: &BlobKey,
        mut change: impl FnMut(&mut T) -> R + Send,
    ) -> Result<R, StoreError>
    where
        T: DeserializeOwned + Serialize + Default + Send + Sync,
        R: Send,
    {
        /// In each lost race another writer got through; with a handful of writers, twenty in a row do not happen.
        const RACES: usize = 20;
        for _ in 0..RACES {
            let (mut value, unchanged) = match self.read::<T>(key).await? {
                Some((value, etag)) => (value, Condition::Match(etag)),
                None => (T::default(), Condition::New),
            };
            let result = change(&mut value);
            match self.write(key, &value, unchanged).await {
                Ok(_) => return Ok(result),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict { path: key.path() })
    }
}

/// Corrects the times of a value, as it was read from this blob, that lie after `now`. Says so if there are any, and returns
/// whether there were.
pub fn correct(value: &mut impl Dated, key: &BlobKey, now: Timestamp) -> bool {
    let Some(ahead) = Correction::of(value, now) else { return false };
    let (path, ahead) = (key.path(), in_words(ahead));
    warn!(
        path,
        ahead,
        "`{path}` has times up to {ahead} after now: a clock was wrong. They are not believed. Check the clock of this \
         machine, and of the one that wrote them"
    );
    true
}

/// A value of ours from JSON. Its schema version is checked first.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Unreadable`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8], path: &str) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u64,
    }
    let unreadable = |error: serde_json::Error| StoreError::Unreadable {
        path: path.to_owned(),
        // The position, never the content: the blob may hold anything.
        why: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
    };
    // Checked for the whole blob: the JSON parser does not check the text of fields that it skips.
    let text = std::str::from_utf8(bytes).map_err(|error| StoreError::Unreadable {
        path: path.to_owned(),
        why: format!("no UTF-8 at byte {}", error.valid_up_to()),
    })?;
    let Version { schema_version } = serde_json::from_str(text).map_err(unreadable)?;
    if schema_version > u64::from(SCHEMA_VERSION) {
        let path = path.to_owned();
        return Err(StoreError::Newer { path, found: schema_version, known: SCHEMA_VERSION });
    }
    serde_json::from_str(text).map_err(unreadable)
}

fn encode(value: &(impl Serialize + Sync), path: &str) -> Result<Bytes, StoreError> {
    serde_json::to_vec_pretty(value)
        .map(Bytes::from)
        .map_err(|error| StoreError::Unreadable { path: path.to_owned(), why: error.to_string() })
}
