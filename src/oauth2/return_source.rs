//! The return address of a sign-in or sign-out: `rd`, `X-Auth-Request-Redirect`, or the
//! request itself.

use std::borrow::Cow;

use http::header::{HeaderName, REFERER};

use super::endpoints::OAuth2;
use super::return_to::{ReturnHosts, ReturnTo};
use crate::client::{IncomingRequest, normalized};

/// The return address that a trusted proxy specifies.
pub(crate) const AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

impl OAuth2 {
    /// The return address by `rd`, otherwise by the trusted proxy.
    pub(super) fn return_after_sign_in(&self, request: IncomingRequest<'_>) -> ReturnTo {
        let address = self.address_of_proxy(request).filter(|_| request.parameter("rd").is_none());
        address.unwrap_or_else(|| self.return_to(request))
    }

    /// The return address by `rd`.
    pub(super) fn return_to(&self, request: IncomingRequest<'_>) -> ReturnTo {
        request.parameter("rd").map_or_else(ReturnTo::root, |rd| self.parse_return(&rd))
    }

    /// The address of the request itself.
    pub(crate) fn here(&self, request: IncomingRequest<'_>) -> ReturnTo {
        self.address_of_proxy(request).unwrap_or_else(|| self.parse_local(request.target()))
    }

    /// A sign-in URL for a program to show to a person.
    pub(crate) fn sign_in_url(&self, request: IncomingRequest<'_>) -> String {
        // A fetch belongs to the page that made it; return to that page.
        let referer = request.parts.headers.get(REFERER).and_then(|referer| referer.to_str().ok());
        let return_to = referer.map_or_else(ReturnTo::root, |url| self.parse_local(url));
        self.urls.sign_in(return_to.as_str())
    }

    /// An address from an encrypted cookie. It was parsed before it was encrypted; it is
    /// parsed again because the configuration may have changed since.
    pub(super) fn parse_return(&self, text: &str) -> ReturnTo {
        ReturnTo::parse(text, &self.urls.public_url, self.urls.prefix.as_str(), &self.return_hosts)
    }

    /// An address on our own host.
    fn parse_local(&self, text: &str) -> ReturnTo {
        ReturnTo::parse(text, &self.urls.public_url, self.urls.prefix.as_str(), &ReturnHosts::default())
    }

    /// The address that a trusted proxy specifies, if any. Its own host needs no entry in
    /// `return_hosts` if people sign in there. The scheme may be http, if another proxy
    /// in front terminates TLS.
    fn address_of_proxy(&self, request: IncomingRequest<'_>) -> Option<ReturnTo> {
        if !request.client.trusted {
            return None;
        }
        let address = match request.return_address {
            Some(address) => Cow::Borrowed(address),
            // Without a trusted proxy it is a client's header; it is removed with the
            // identity headers.
            None if self.urls.own(request.parts.uri.path()) => header(request)?,
            None => return None,
        };
        let host = &request.client.host;
        let local = ["https://", "http://"].iter().find_map(|scheme| {
            let rest = address.strip_prefix(scheme)?;
            let (authority, path) = rest.split_at(rest.find('/')?);
            (self.is_sign_in_host(host) && normalized(authority) == **host).then_some(path)
        });
        Some(self.parse_return(local.unwrap_or(&address)))
    }
}

/// The header's value; `/` if it is repeated or not text.
fn header(request: IncomingRequest<'_>) -> Option<Cow<'_, str>> {
    let mut lines = request.parts.headers.get_all(AUTH_REQUEST_REDIRECT).iter();
    let first = lines.next()?;
    let alone = lines.next().is_none();
    Some(Cow::Borrowed(first.to_str().ok().filter(|_| alone).unwrap_or("/")))
}
