//! Where a layer stands: around a whole app, below a prefix, or a second time.
//!
//! axum strips the prefix of a nested router from the URI of a request. What the client
//! wrote is in `OriginalUri`, and that address is judged and returned to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::COOKIE;
use http::{Extensions, HeaderMap, HeaderValue, Request, Uri};

use super::ruleset::Ruleset;
use crate::client::Peer;
use crate::identity::User;

/// Marks a request that a gate let through, so that the same gate does not decide again
/// further in: it has replaced the session cookie, and would see nobody.
#[derive(Clone)]
pub(super) struct Decided<Gate> {
    by: Gate,
    ruleset: Arc<Ruleset>,
    /// The `Cookie` lines of somebody who is not signed in, with the gate's own: a sign-in
    /// that starts further in needs those of other tabs.
    cookies: Vec<HeaderValue>,
}

impl<Gate> Decided<Gate> {
    pub(super) fn new(by: Gate, ruleset: &Arc<Ruleset>, cookies: Vec<HeaderValue>) -> Self {
        Self { by, ruleset: Arc::clone(ruleset), cookies }
    }

    /// Whether the gate with this ruleset decided, before a reload or after it.
    pub(super) fn was_by(&self, ruleset: &Arc<Ruleset>) -> bool {
        Arc::ptr_eq(&self.ruleset, ruleset) || Arc::ptr_eq(&self.ruleset.latest(), &ruleset.latest())
    }

    /// The gate that decided.
    pub(super) fn gate(&self) -> &Gate {
        &self.by
    }

    /// Puts the `Cookie` lines as the client sent them into `headers`.
    pub(super) fn restore_cookies(&self, headers: &mut HeaderMap) {
        if self.cookies.is_empty() {
            return;
        }
        headers.remove(COOKIE);
        for line in &self.cookies {
            headers.append(COOKIE, line.clone());
        }
    }
}

/// Tells who was let in. A `User` that a layer outside of this one left is not ours.
pub(super) fn set_user(extensions: &mut Extensions, user: Option<&User>) {
    extensions.remove::<User>();
    if let Some(user) = user {
        extensions.insert(user.clone());
    }
}

/// The `Cookie` lines of a request, if something further in may need them.
pub(super) fn cookies(headers: &HeaderMap, needed: bool) -> Vec<HeaderValue> {
    if needed { headers.get_all(COOKIE).iter().cloned().collect() } else { Vec::new() }
}

/// Marks a response that is the gate's own, made below its layer: the cookies in it stay.
#[derive(Clone, Copy)]
pub(super) struct OwnAnswer;

impl<Gate> fmt::Debug for Decided<Gate> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decided")
    }
}

/// Puts the URI as the client wrote it into `request`, and returns the one that was there
/// if a router had shortened it.
pub(super) fn restore_original_uri<B>(request: &mut Request<B>) -> Option<Uri> {
    let original = original_uri(request.extensions())?;
    if original == request.uri() {
        return None;
    }
    let original = original.clone();
    Some(std::mem::replace(request.uri_mut(), original))
}

#[cfg(feature = "axum")]
fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    extensions.get::<axum::extract::OriginalUri>().map(|original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn original_uri(_: &Extensions) -> Option<&Uri> {
    None
}

/// The other end of the connection: what the embedder's server says in a [`Peer`], or what
/// axum knows (`into_make_service_with_connect_info`).
pub(super) fn peer(extensions: &Extensions) -> Option<Peer> {
    extensions.get::<Peer>().copied().or_else(|| connected(extensions))
}

#[cfg(feature = "axum")]
fn connected(extensions: &Extensions) -> Option<Peer> {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::extract::connect_info::MockConnectInfo;

    let info = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    // What axum's extractor reads in an embedder's tests.
    let addr = info.or_else(|| extensions.get::<MockConnectInfo<SocketAddr>>().map(|info| info.0))?;
    Some(Peer { addr: Some(addr), tls: false })
}

#[cfg(not(feature = "axum"))]
fn connected(_: &Extensions) -> Option<Peer> {
    None
}

/// Warnings about a layer's position, each logged once.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    peer_unknown: AtomicBool,
}

impl Warnings {
    /// `trusted_proxies` has no effect.
    pub(super) fn peer_unknown(&self) {
        if !self.peer_unknown.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "trusted_proxies has no effect: the request's extensions do not say who the peer is. Serve \
                 axum with into_make_service_with_connect_info::<SocketAddr>(), or insert a huggate::Peer"
            );
        }
    }
}
