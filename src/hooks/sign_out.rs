//! The argument of the hook for sign-outs.

use std::net::IpAddr;
use std::sync::Arc;

use crate::identity::User;

/// A session that its person has just ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOut {
    pub(crate) user: User,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) host: Arc<str>,
}

impl SignedOut {
    /// The person, with the claims of the session.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The client's address, as far as trusted proxies tell; `None` if it is unknown.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// The host that the person signed out at.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}
