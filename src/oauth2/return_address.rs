//! Where a sign-in or sign-out ends: `rd`, `X-Auth-Request-Redirect`, or the request
//! itself.

use std::borrow::Cow;

use http::header::{HeaderName, REFERER};

use super::endpoints::OAuth2;
use super::return_to::{ReturnHosts, ReturnTo};
use crate::client::{IncomingRequest, normalized};

/// Where to return after a sign-in, as a trusted proxy in front says.
pub(crate) const AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

impl OAuth2 {
    /// Where `rd` says to end, or else the proxy in front.
    pub(super) fn return_after_sign_in(&self, request: IncomingRequest<'_>) -> ReturnTo {
        let told = self.told_by_proxy(request).filter(|_| request.parameter("rd").is_none());
        told.unwrap_or_else(|| self.return_to(request))
    }

    /// Where `rd` says to end.
    pub(super) fn return_to(&self, request: IncomingRequest<'_>) -> ReturnTo {
        request.parameter("rd").map_or_else(ReturnTo::root, |rd| self.parse_return(&rd))
    }

    /// The address of the request itself, to return to.
    pub(crate) fn here(&self, request: IncomingRequest<'_>) -> ReturnTo {
        self.told_by_proxy(request).unwrap_or_else(|| self.parse_local(request.target()))
    }

    /// Where a person can sign in, for a program that a person runs.
    pub(crate) fn sign_in_url(&self, request: IncomingRequest<'_>) -> String {
        // A fetch belongs to the page it was made from; that is where to return.
        let referer = request.parts.headers.get(REFERER).and_then(|referer| referer.to_str().ok());
        let return_to = referer.map_or_else(ReturnTo::root, |url| self.parse_local(url));
        self.urls.sign_in(return_to.as_str())
    }

    /// An address from a sealed cookie. It was parsed before it was sealed; parsing it
    /// again costs little and holds if the configuration changed.
    pub(super) fn parse_return(&self, text: &str) -> ReturnTo {
        ReturnTo::parse(text, &self.urls.public_url, self.urls.prefix.as_str(), &self.return_hosts)
    }

    /// An address at our own host alone.
    fn parse_local(&self, text: &str) -> ReturnTo {
        ReturnTo::parse(text, &self.urls.public_url, self.urls.prefix.as_str(), &ReturnHosts::default())
    }

    /// The address that a trusted proxy names, if one does. Its own host, if
    /// sign-ins end there, needs no entry in `return_hosts`; the scheme may be what
    /// the proxy itself was asked by, behind another one that ended TLS.
    fn told_by_proxy(&self, request: IncomingRequest<'_>) -> Option<ReturnTo> {
        if !request.client.trusted {
            return None;
        }
        let told = match request.return_address {
            Some(address) => Cow::Borrowed(address),
            // Elsewhere it is a client's header, and identity headers are dropped.
            None if self.urls.own(request.parts.uri.path()) => header(request)?,
            None => return None,
        };
        let host = &request.client.host;
        let local = ["https://", "http://"].iter().find_map(|scheme| {
            let rest = told.strip_prefix(scheme)?;
            let (authority, path) = rest.split_at(rest.find('/')?);
            (self.is_sign_in_host(host) && normalized(authority) == *host).then_some(path)
        });
        Some(self.parse_return(local.unwrap_or(&told)))
    }
}

/// The header's value; `/` for one that came twice or is not text.
fn header(request: IncomingRequest<'_>) -> Option<Cow<'_, str>> {
    let mut lines = request.parts.headers.get_all(AUTH_REQUEST_REDIRECT).iter();
    let first = lines.next()?;
    let alone = lines.next().is_none();
    Some(Cow::Borrowed(first.to_str().ok().filter(|_| alone).unwrap_or("/")))
}
