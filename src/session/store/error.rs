//! Why a store gave no answer.

use std::error::Error;
use std::fmt;

/// The store does not answer. [`StoreError`] has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session store does not answer")]
pub(crate) struct StoreDown;

/// Why a [`SessionStore`](super::SessionStore) did not do what it was asked.
#[derive(Debug)]
pub struct StoreError {
    cause: Box<dyn Error + Send + Sync>,
    unavailable: bool,
}

impl StoreError {
    /// The store cannot be reached, or cannot answer anything now. The gate asks nothing
    /// else until the store answers again; see [`SessionStore`](super::SessionStore).
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), unavailable: true }
    }

    /// The store works, and refuses this call alone: it is full, or a key exists already.
    pub fn refused(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), unavailable: false }
    }

    /// Whether the store cannot answer anything now.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.unavailable
    }
}

/// Why a store could not be opened: the file that another process holds, or a setting.
#[derive(Debug)]
pub struct StoreOpenError(Box<dyn Error + Send + Sync>);

impl StoreOpenError {
    /// An error of this cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// Why a [`FileStore`](super::FileStore) could not be opened, if it is one.
    #[cfg(feature = "file-store")]
    #[must_use]
    pub fn file_error(&self) -> Option<&super::file::FileStoreError> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for StoreOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StoreOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl From<StoreError> for StoreOpenError {
    fn from(StoreError { cause, .. }: StoreError) -> Self {
        Self(cause)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.unavailable {
            "the session store does not answer"
        } else {
            "the session store refused a call"
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
