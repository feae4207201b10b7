//! Why a store gave no answer.

/// The store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session store does not answer")]
pub(crate) struct StoreDown;
