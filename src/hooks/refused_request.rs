//! The argument of the hook for refusals.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, StatusCode};

use crate::client::RequestKind;
use crate::identity::User;

/// A request that the gate answers itself with an error, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct RefusedRequest {
    pub(crate) code: String,
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
    pub(crate) user: Option<User>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) host: Arc<str>,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) client_kind: ClientKind,
    pub(crate) sign_in_url: String,
}

/// The kind of answer that a client can use, by the fields of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientKind {
    /// A browser that opens a page.
    Page,
    /// A browser that opens a page in a frame, where the provider's pages are blocked.
    Frame,
    /// A browser that sends a form.
    Form,
    /// Everything else: `fetch`, API clients, WebSockets, prefetches.
    Program,
}

impl From<RequestKind> for ClientKind {
    fn from(kind: RequestKind) -> Self {
        match kind {
            RequestKind::Navigation => Self::Page,
            RequestKind::Framed => Self::Frame,
            RequestKind::Form => Self::Form,
            RequestKind::Program => Self::Program,
        }
    }
}

impl RefusedRequest {
    /// The kind of refusal: `access_denied`, `login_required` and so on, as in the field `error`
    /// of JSON answers and in the log. The list is in `docs/reference/refusals.md`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The status of the gate's own answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Why, in sentences for the person. Text, not HTML: it can hold what a client or the
    /// provider sent.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The person who may not enter, or whose session ended; `None` if nobody is known.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// The method. With forward auth, that of the request that the proxy asks about.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query, which may hold secrets. With forward auth, that of the
    /// request that the proxy asks about.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host; empty if the request does not name exactly one.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The client's address, as far as trusted proxies tell; `None` if it is unknown.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// The kind of answer that the client can use.
    #[must_use]
    pub fn client_kind(&self) -> ClientKind {
        self.client_kind
    }

    /// The address of a page where a person can sign in.
    #[must_use]
    pub fn sign_in_url(&self) -> &str {
        &self.sign_in_url
    }
}
