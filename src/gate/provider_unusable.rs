//! Why the provider cannot be used.

use crate::provider::{DiscoveryError, KeyCheckError};

/// Why the provider cannot be used. Its source is the cause, such as a refused connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ProviderUnusable(Failure);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Discovery(DiscoveryError),
    #[error(transparent)]
    Keys(KeyCheckError),
}

impl ProviderUnusable {
    /// Whether it may be over in a moment: the provider is down or overloaded, rather
    /// than wrong.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.0 {
            Failure::Discovery(error) => error.is_transient(),
            Failure::Keys(error) => error.is_transient(),
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn advice(&self) -> &str {
        match &self.0 {
            Failure::Discovery(error) => error.advice(),
            Failure::Keys(error) => error.advice(),
        }
    }
}

impl From<DiscoveryError> for ProviderUnusable {
    fn from(error: DiscoveryError) -> Self {
        Self(Failure::Discovery(error))
    }
}

impl From<KeyCheckError> for ProviderUnusable {
    fn from(error: KeyCheckError) -> Self {
        Self(Failure::Keys(error))
    }
}
