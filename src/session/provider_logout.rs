//! Ends the sessions of whom the provider has signed out.

use super::account_names::AccountName;
use super::admin::{SessionAdmin, SessionAdminError};
use super::listing::{ListedSession, SessionFilter};

/// What a logout at the provider ended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoggedOut {
    /// This many sessions, wherever they are. With the cookie store: those in use here, and all
    /// that began until now.
    Everywhere(u64),
    /// Sessions of this process alone: no other would hear of it.
    HereOnly(u64),
    /// Nothing: the cookie store does not know the sessions of a session at the provider.
    UnknownSession,
}

impl SessionAdmin {
    /// Ends the sessions of the account `sub`, or those of the provider's session `sid`, or
    /// with both those of the account in that session. A session of the account whose `sid` is
    /// not known ends as well.
    ///
    /// # Errors
    /// Those of [`SessionAdmin::revoke`]. Some sessions may have ended then.
    pub(crate) async fn log_out(
        &self,
        sub: Option<&str>,
        sid: Option<&str>,
    ) -> Result<LoggedOut, SessionAdminError> {
        let Some(store) = &self.backend.store else {
            let Some(sub) = sub else { return Ok(LoggedOut::UnknownSession) };
            let revoked = self.revoke(&SessionFilter::Account(sub.to_owned())).await?.sessions;
            let reaches_all = self.is_shared();
            return Ok(if reaches_all {
                LoggedOut::Everywhere(revoked)
            } else {
                LoggedOut::HereOnly(revoked)
            });
        };
        let accounts = match (sub, sid) {
            (Some(sub), _) => vec![sub.to_owned()],
            (None, Some(sid)) => {
                let name = AccountName::ProviderSession(sid);
                self.backend.names.of(store, name, self.backend.clock.now()).await?
            }
            (None, None) => Vec::new(),
        };
        let is_meant = |session: &&ListedSession| match (sid, &session.provider_sid) {
            (Some(sid), Some(known)) => sid == known,
            // Without `sub`, the account may have other sessions at the provider.
            (Some(_), None) => sub.is_some(),
            (None, _) => true,
        };
        let mut ended = 0;
        for account in accounts {
            let mut pages = self.pages_of(store, &SessionFilter::Account(account)).await?;
            while let Some(page) = pages.next().await? {
                let keys = page.iter().filter(is_meant).map(|session| session.id).collect();
                ended += self.end(store, keys).await?;
            }
        }
        Ok(LoggedOut::Everywhere(ended))
    }
}
