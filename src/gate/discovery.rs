//! Asking the provider for its metadata and keys, apart from sign-ins.

use super::Gate;
use super::provider_unusable::ProviderUnusable;
use super::settings::BuildError;
use crate::causes::Causes;

/// What a provider can do about logouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogoutSupport {
    /// It ends its own session after a sign-out here (OpenID Connect RP-Initiated Logout 1.0).
    pub end_session: bool,
    /// It tells of logouts (OpenID Connect Back-Channel Logout 1.0).
    pub backchannel: bool,
}

impl Gate {
    /// What the provider says about logouts in its metadata.
    ///
    /// # Errors
    /// Those of [`Gate::discover`].
    pub async fn logout_support(&self) -> Result<LogoutSupport, ProviderUnusable> {
        let metadata = self.inner.oauth2.provider.metadata().await?;
        Ok(LogoutSupport {
            end_session: metadata.end_session_endpoint.is_some(),
            backchannel: metadata.backchannel_logout,
        })
    }

    /// Asks the provider for its metadata.
    ///
    /// # Errors
    /// [`ProviderUnusable`] says why it cannot be used, and whether that may pass.
    pub async fn discover(&self) -> Result<(), ProviderUnusable> {
        self.inner.oauth2.provider.metadata().await?;
        Ok(())
    }

    /// Asks the provider for the keys of its ID tokens, without effect on sign-ins; returns how
    /// many can be used. Without one nobody can sign in.
    ///
    /// # Errors
    /// [`ProviderUnusable`] says why there is none, and whether that may pass.
    pub async fn count_provider_keys(&self) -> Result<usize, ProviderUnusable> {
        Ok(self.inner.oauth2.provider.count_keys().await?)
    }

    /// As [`Gate::discover`]; a provider that is down only gets a warning.
    pub(crate) async fn discover_at_start(&self) -> Result<(), BuildError> {
        match self.discover().await {
            Ok(()) => Ok(()),
            Err(unusable) if unusable.is_transient() => {
                tracing::warn!(reason = %Causes(&unusable), "the provider does not answer yet");
                Ok(())
            }
            Err(unusable) => Err(BuildError::Provider(unusable)),
        }
    }
}
