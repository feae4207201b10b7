//! The identity that the app receives: rendered once for each session or token, then only
//! copied into requests.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use http::header::{HeaderName, HeaderValue};

use super::assertion::{AssertionSigner, REUSE};
use super::headers::{HeaderSettings, auth_request};
use super::org::Org;
use super::user::User;
use crate::clock::UnixTime;

/// A person's identity as headers and assertion. Nothing here is computed, signed or
/// encoded for a single request.
pub(crate) struct RenderedIdentity {
    user: User,
    /// A fingerprint of the session's id, or of the token.
    sid: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// `X-Auth-Request-*`; rendered on first use by forward auth.
    auth_request: OnceLock<Vec<(HeaderName, HeaderValue)>>,
    /// One slot for each audience.
    assertions: Box<[ArcSwapOption<SignedAssertion>]>,
}

/// A signed assertion, also as a field value.
pub(crate) struct SignedAssertion {
    pub(crate) token: String,
    pub(crate) value: HeaderValue,
    /// The assertion as a complete `Cookie` line; created on first use.
    pub(crate) cookie: OnceLock<HeaderValue>,
    at: UnixTime,
}

/// Whether rules name an organisation.
pub(crate) type NamedOrgs = Arc<dyn Fn(&Org) -> bool + Send + Sync>;

/// How an identity is rendered for the app.
#[derive(Clone)]
pub(crate) struct IdentityRenderer {
    headers: HeaderSettings,
    /// The organisations whose groups come first: those that rules name.
    named: NamedOrgs,
    /// The number of apps, each with its own audience.
    audiences: usize,
}

impl IdentityRenderer {
    pub(crate) fn new(headers: HeaderSettings, named: NamedOrgs, audiences: usize) -> Self {
        Self { headers, named, audiences }
    }

    /// The same without `X-Forwarded-Access-Token`.
    pub(crate) fn without_access_token(&self) -> Self {
        let headers = HeaderSettings { access_token: false, ..self.headers.clone() };
        Self { headers, named: Arc::clone(&self.named), audiences: self.audiences }
    }

    /// Renders `user`'s identity. `sid` is a fingerprint of the session id or of the
    /// token; `access_token` is the person's token, which is used only if that header is
    /// configured.
    pub(crate) fn render(&self, user: User, sid: String, access_token: &str) -> RenderedIdentity {
        let user = user.with_groups_within(self.headers.groups_bytes, &*self.named);
        RenderedIdentity {
            headers: self.headers.render(&user, access_token),
            user,
            sid,
            auth_request: OnceLock::new(),
            assertions: (0..self.audiences).map(|_| ArcSwapOption::empty()).collect(),
        }
    }
}

impl RenderedIdentity {
    /// The person.
    pub(crate) fn user(&self) -> &User {
        &self.user
    }

    /// The identity headers.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// `X-Auth-Request-*`, the headers of a forward-auth answer.
    pub(crate) fn auth_request(&self) -> &[(HeaderName, HeaderValue)] {
        self.auth_request.get_or_init(|| auth_request(&self.user))
    }

    /// The assertion for the audience at `index`, signed again after four minutes. Two
    /// concurrent requests may both sign; both results are valid.
    pub(crate) fn assertion(
        &self,
        assertions: &AssertionSigner,
        audiences: &[String],
        index: usize,
        now: UnixTime,
    ) -> Option<Arc<SignedAssertion>> {
        let slot = self.assertions.get(index)?;
        if let Some(minted) = &*slot.load()
            && now < minted.at + REUSE
            && now >= minted.at
        {
            return Some(Arc::clone(minted));
        }
        let token = assertions.mint(&self.user, &self.sid, audiences.get(index)?, now)?;
        let mut value = HeaderValue::from_str(&token).ok()?;
        value.set_sensitive(true);
        let minted = Arc::new(SignedAssertion { token, value, cookie: OnceLock::new(), at: now });
        slot.store(Some(Arc::clone(&minted)));
        Some(minted)
    }
}

impl fmt::Debug for IdentityRenderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityRenderer").field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl fmt::Debug for RenderedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedIdentity").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedAssertion(..)")
    }
}
