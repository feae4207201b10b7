//! Asking the provider for its metadata at the start.

use super::Gate;
use super::settings::BuildError;

/// Why the provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ProviderUnusable {
    reason: String,
    transient: bool,
}

impl ProviderUnusable {
    /// Whether it may be over in a moment: the provider is down or overloaded, rather
    /// than wrong.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl Gate {
    /// Asks the provider for its metadata.
    ///
    /// # Errors
    /// [`ProviderUnusable`] says why it cannot be used, and whether that may pass.
    pub async fn discover(&self) -> Result<(), ProviderUnusable> {
        let asked = self.inner.oauth2.provider.metadata().await;
        asked
            .map(drop)
            .map_err(|error| ProviderUnusable { reason: error.to_string(), transient: error.is_transient() })
    }

    /// The same; a provider that is down only gets a warning.
    pub(crate) async fn discover_at_start(&self) -> Result<(), BuildError> {
        match self.discover().await {
            Ok(()) => Ok(()),
            Err(unusable) if unusable.is_transient() => {
                tracing::warn!(reason = %unusable, "the provider does not answer yet");
                Ok(())
            }
            Err(unusable) => Err(BuildError::Provider(unusable.to_string())),
        }
    }
}
