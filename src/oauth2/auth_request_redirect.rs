//! `X-Auth-Request-Redirect`: where to return after a sign-in, as the proxy in
//! front says.

use http::header::HeaderName;
use http::request::Parts;

use super::{Ask, OAuth2, ReturnTo};
use crate::client::normalized;

/// Its name.
pub(crate) const REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

/// The header, put aside. It has the name of one that carries identity, and those
/// are stripped; it counts only from trusted proxies.
#[derive(Debug, Clone)]
pub(crate) struct Redirect {
    /// `None` if it came twice, or is not text.
    address: Option<String>,
}

impl Redirect {
    /// Puts the header aside, in the request's extensions.
    pub(crate) fn put_aside(parts: &mut Parts) {
        let mut lines = parts.headers.get_all(REDIRECT).iter();
        let Some(first) = lines.next() else { return };
        let alone = lines.next().is_none();
        let address = first.to_str().ok().filter(|_| alone).map(str::to_owned);
        parts.extensions.insert(Self { address });
    }

    pub(crate) fn to(address: String) -> Self {
        Self { address: Some(address) }
    }

    /// Whether it does not say one thing.
    pub(crate) fn is_unclear(&self) -> bool {
        self.address.is_none()
    }
}

impl OAuth2 {
    /// Where `rd` says to end, or else the proxy in front.
    pub(super) fn return_after_sign_in(&self, ask: Ask<'_>) -> ReturnTo {
        let told = self.told_by_proxy(ask).filter(|_| ask.parameter("rd").is_none());
        told.unwrap_or_else(|| self.return_to(ask))
    }

    /// The address that a trusted proxy names, if one does. Its own host, if
    /// sign-ins end there, needs no entry in `return_hosts`; the scheme may be what
    /// the proxy itself was asked by, behind another one that ended TLS.
    pub(super) fn told_by_proxy(&self, ask: Ask<'_>) -> Option<ReturnTo> {
        let told = ask.parts.extensions.get::<Redirect>().filter(|_| ask.client.trusted)?;
        let address = told.address.as_deref().unwrap_or("/");
        let host = &ask.client.host;
        let known = host == self.public_url.authority() || self.hosts.contains(host);
        let local = ["https://", "http://"].iter().find_map(|scheme| {
            let rest = address.strip_prefix(scheme)?;
            let (authority, path) = rest.split_at(rest.find('/')?);
            (known && normalized(authority) == *host).then_some(path)
        });
        let address = local.unwrap_or(address);
        Some(ReturnTo::parse(address, &self.public_url, &self.prefix, &self.return_hosts))
    }
}
