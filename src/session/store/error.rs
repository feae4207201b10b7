//! Why a store gave no answer.

/// The store could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session store does not answer")]
pub(crate) struct StoreDown;
