//! Which store a configuration names.

#[cfg(feature = "file-store")]
use std::path::PathBuf;

use super::contract::CustomStore;
use super::error::StoreOpenError;
#[cfg(feature = "redis-store")]
use super::redis::{RedisSettings, RedisStore};
use crate::clock::Clock;

/// Where a store is that several requests, restarts or processes share. Opening it does not
/// change this value: equal locations are the same store across a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreLocation {
    /// One file, for one process.
    #[cfg(feature = "file-store")]
    File(PathBuf),
    /// Redis or Valkey.
    #[cfg(feature = "redis-store")]
    Redis(Box<RedisSettings>),
}

impl StoreLocation {
    /// Opens the store.
    ///
    /// # Errors
    /// A file cannot be opened, or settings contradict each other. A server that cannot be
    /// reached is no error.
    #[cfg_attr(not(feature = "file-store"), expect(unused_variables, reason = "only a file needs it"))]
    pub(crate) fn open(&self, clock: &Clock) -> Result<CustomStore, StoreOpenError> {
        // By value: without the features there is none.
        match *self {
            #[cfg(feature = "file-store")]
            Self::File(ref path) => {
                let store = super::file::FileStore::open_with_clock(path, clock.clone());
                Ok(CustomStore::new(store.map_err(StoreOpenError::new)?))
            }
            #[cfg(feature = "redis-store")]
            Self::Redis(ref settings) => {
                Ok(CustomStore::new(RedisStore::new(settings).map_err(StoreOpenError::new)?))
            }
            // There is no location then.
            #[cfg(not(any(feature = "file-store", feature = "redis-store")))]
            _ => Err(StoreOpenError::new("huggate was built without file-store and redis-store")),
        }
    }
}
