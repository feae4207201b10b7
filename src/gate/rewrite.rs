//! The changes to an allowed request: one list, computed from the grant.
//!
//! The list names the fields to drop, the fields to set, and the changes to `Cookie` and
//! `Authorization`. It is independent of the form of the request; [`Rewrite::apply`]
//! applies it to a `HeaderMap`.
//!
//! Fields are dropped before others are set, so that a client's `Connection` cannot drop
//! a field that is set here.

use std::sync::Arc;

use http::Version;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, Entry, HOST, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE,
};

use super::app_assertion::AppAssertions;
use super::connection_options::ConnectionOptions;
use super::grant::Grant;
use crate::authn::is_hub_credential;
use crate::client::{
    Client, FieldSet, ForwardedHeaders, OverrideHeaders, PeerRef, RequestHead, accepts_trailers,
    is_dropped_claim, is_hop_by_hop_in_request, is_websocket_handshake,
};
use crate::identity::headers::IdentityHeaderNames;
use crate::identity::{RenderedIdentity, SignedAssertion};
use crate::policy::{AssertionUse, BearerUse, RouteTable};
use crate::session::{Cookies, Replacement, RewrittenLine};

/// Makes the list for each allowed request.
#[derive(Debug)]
pub(crate) struct Rewriter {
    /// Dropped from everybody, in every spelling that app servers fold together.
    pub(crate) identity_names: IdentityHeaderNames,
    pub(crate) overrides: OverrideHeaders,
    pub(crate) assertions: AppAssertions,
    pub(crate) cookies: Cookies,
    /// Whether the public URL is https.
    pub(crate) https: bool,
    /// Whether tokens of API clients are accepted.
    pub(crate) accepts_tokens: bool,
}

/// Which `Authorization` values the app gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AuthorizationRewrite {
    Keep,
    /// All of it is dropped: the gate takes tokens.
    Drop,
    /// Credentials of Hugging Face are dropped: nobody gave them to the app. Others are
    /// for a login of the app's own.
    DropHubCredentials,
}

/// Whether hop-by-hop fields are forwarded (RFC 9110, section 7.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionFields {
    /// They are kept, but for what the client's `Connection` names: an embedder's service
    /// is on the same connection.
    Keep,
    /// They are dropped: a proxy sends the request on another connection.
    Drop,
}

/// The request that is rewritten.
#[derive(Clone, Copy)]
pub(crate) struct RewriteSubject<'a> {
    pub(crate) client: &'a Client,
    pub(crate) peer: Option<PeerRef<'a>>,
    pub(crate) head: RequestHead<'a>,
}

/// The changes to one request.
#[derive(Debug)]
pub(crate) struct Rewrite<'a> {
    rewriter: &'a Rewriter,
    /// The fields that the request came with.
    fields: FieldSet,
    /// Whether hop-by-hop fields are dropped.
    drops_hop_by_hop: bool,
    /// The request stays a WebSocket handshake.
    upgrade: bool,
    /// `TE: trailers` stays, which gRPC servers require.
    te_trailers: bool,
    /// Whether the peer is a trusted proxy; `None` where no peer is known, as around an
    /// embedder's service, whose `X-Forwarded-*` are not touched.
    trusted: Option<bool>,
    connection: Option<ConnectionOptions>,
    authorization: AuthorizationRewrite,
    host: Option<HeaderValue>,
    forwarded: Option<ForwardedHeaders>,
    identity: &'a [(HeaderName, HeaderValue)],
    /// The assertion, and where the route wants it.
    assertion: Option<(Arc<SignedAssertion>, AssertionUse)>,
}

impl Rewriter {
    /// The changes for a request that `grant` was given for.
    pub(crate) fn rewrite<'a>(
        &'a self,
        grant: &'a Grant,
        routes: &RouteTable,
        subject: RewriteSubject<'_>,
        connection: ConnectionFields,
    ) -> Rewrite<'a> {
        let RewriteSubject { client, peer, head } = subject;
        let identity = grant.identity();
        let assertion_use = routes.assertion_use(grant.route());
        let drops_hop_by_hop = connection == ConnectionFields::Drop;
        // An absolute target names the host that was judged; without this the app
        // could be asked at another one (RFC 9112, section 3.2.2).
        let fields = head.fields;
        let sent = fields.has(FieldSet::HOST).then(|| head.headers.get(HOST)).flatten();
        let authority = head.uri.authority().filter(|_| sent.is_none());
        let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        Rewrite {
            rewriter: self,
            fields,
            drops_hop_by_hop,
            upgrade: drops_hop_by_hop
                && fields.has(FieldSet::UPGRADE)
                && head.version >= Version::HTTP_11
                && is_websocket_handshake(head.headers),
            te_trailers: drops_hop_by_hop && fields.has(FieldSet::TE) && accepts_trailers(head.headers),
            trusted: peer.map(|_| client.trusted),
            connection: fields
                .has(FieldSet::CONNECTION)
                .then(|| ConnectionOptions::of(head.headers))
                .flatten(),
            authorization: self.authorization(grant, routes),
            forwarded: peer
                .map(|peer| client.forwarded_headers(peer, self.https, sent.or(host.as_ref()), head.headers)),
            host,
            identity: identity.map_or(&[], RenderedIdentity::headers),
            assertion: identity
                .filter(|_| assertion_use != AssertionUse::None)
                .and_then(|identity| self.assertions.assertion(identity, client))
                .map(|assertion| (assertion, assertion_use)),
        }
    }

    /// The changes to the fields that forward auth answers for, `Cookie` and
    /// `Authorization`.
    pub(crate) fn rewrite_credentials<'a>(
        &'a self,
        grant: &'a Grant,
        routes: &RouteTable,
        assertion: Option<Arc<SignedAssertion>>,
    ) -> Rewrite<'a> {
        Rewrite {
            rewriter: self,
            fields: FieldSet::COOKIE.or(FieldSet::AUTHORIZATION),
            drops_hop_by_hop: false,
            upgrade: false,
            te_trailers: false,
            trusted: None,
            connection: None,
            authorization: self.authorization(grant, routes),
            host: None,
            forwarded: None,
            identity: &[],
            assertion: assertion.map(|assertion| (assertion, routes.assertion_use(grant.route()))),
        }
    }

    fn authorization(&self, grant: &Grant, routes: &RouteTable) -> AuthorizationRewrite {
        let route = grant.route().and_then(|index| routes.get(index));
        if route.is_some_and(|route| route.forward_authorization) {
            return AuthorizationRewrite::Keep;
        }
        let off = route.is_some_and(|route| route.bearer == BearerUse::Off);
        if self.accepts_tokens && !off {
            AuthorizationRewrite::Drop
        } else {
            AuthorizationRewrite::DropHubCredentials
        }
    }
}

impl Rewrite<'_> {
    /// Whether a field of this name is dropped: it claims an identity, changes the method or
    /// the path, claims to know the client, or is hop-by-hop by the client's `Connection`.
    fn drops(&self, field: &HeaderName) -> bool {
        let name = field.as_str();
        self.rewriter.identity_names.covers(name)
            || self.rewriter.overrides.covers(name, self.trusted.unwrap_or_default())
            || self.trusted.is_some_and(|trusted| is_dropped_claim(name, trusted))
            || self.connection.as_ref().is_some_and(|connection| connection.drops(name))
            || (self.drops_hop_by_hop
                && self.fields.has(FieldSet::HOP_BY_HOP_IN_REQUEST)
                && is_hop_by_hop_in_request(field))
    }

    /// Whether this `Authorization` value is kept.
    pub(crate) fn keeps_authorization(&self, value: &HeaderValue) -> bool {
        match self.authorization {
            AuthorizationRewrite::Keep => true,
            AuthorizationRewrite::Drop => false,
            AuthorizationRewrite::DropHubCredentials => !is_hub_credential(value),
        }
    }

    /// Rewrites a `Cookie` line: removes our cookies, and puts the assertion in place of
    /// the session.
    pub(crate) fn cookie_line(&self, line: &[u8]) -> RewrittenLine {
        let replacement = self
            .assertion
            .as_ref()
            .filter(|(_, used)| used.in_cookie())
            .map(|(assertion, _)| Replacement { value: &assertion.token, line: &assertion.cookie });
        self.rewriter.cookies.rewritten(line, replacement)
    }

    /// The fields that the request has after [`Rewrite::apply`]. One of them may be absent,
    /// if the client's `Connection` named it; none is missing.
    pub(crate) fn fields_left(&self) -> FieldSet {
        let mut left = self.fields;
        if self.drops_hop_by_hop {
            left = left.without(FieldSet::HOP_BY_HOP_IN_REQUEST);
        }
        for (is_set, field) in [
            (self.upgrade, FieldSet::CONNECTION.or(FieldSet::UPGRADE)),
            (self.te_trailers, FieldSet::TE),
            (self.host.is_some(), FieldSet::HOST),
        ] {
            if is_set {
                left = left.or(field);
            }
        }
        left
    }

    /// How many fields are set at most.
    fn most_fields(&self) -> usize {
        const STANDARD_AND_FORWARDED: usize = 7;
        STANDARD_AND_FORWARDED + self.identity.len() + self.rewriter.assertions.headers().len()
    }

    /// Applies the list.
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        self.drop_fields(headers);
        if self.fields.has(FieldSet::AUTHORIZATION) {
            self.apply_to_authorization(headers);
        }
        if self.fields.has(FieldSet::COOKIE) {
            self.apply_to_cookies(headers);
        }
        headers.reserve(self.most_fields());
        self.set_fields(headers);
    }

    fn drop_fields(&self, headers: &mut HeaderMap) {
        // Almost always empty, and an empty Vec does not allocate.
        let dropped: Vec<HeaderName> = headers.keys().filter(|name| self.drops(name)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
        if self.connection.is_some() && !self.drops_hop_by_hop {
            headers.remove(CONNECTION);
        }
    }

    /// Sets the fields that are written, in place of any of the same name.
    fn set_fields(self, headers: &mut HeaderMap) {
        if self.upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        } else if !self.drops_hop_by_hop
            && let Some(options) = self.connection.and_then(ConnectionOptions::into_value)
        {
            headers.insert(CONNECTION, options);
        }
        if self.te_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(host) = self.host {
            headers.insert(HOST, host);
        }
        if let Some(forwarded) = self.forwarded {
            forwarded.set(headers);
        }
        for (name, value) in self.identity {
            headers.insert(name, value.clone());
        }
        if let Some((assertion, _)) = self.assertion.filter(|(_, used)| used.in_header()) {
            for name in self.rewriter.assertions.headers() {
                headers.insert(name, assertion.value.clone());
            }
        }
    }

    /// Applies the list to `Authorization` alone.
    pub(crate) fn apply_to_authorization(&self, headers: &mut HeaderMap) {
        if headers.get_all(AUTHORIZATION).iter().all(|value| self.keeps_authorization(value)) {
            return;
        }
        let lines = headers.get_all(AUTHORIZATION).iter();
        let kept: Vec<HeaderValue> = lines.filter(|value| self.keeps_authorization(value)).cloned().collect();
        headers.remove(AUTHORIZATION);
        for line in kept {
            headers.append(AUTHORIZATION, line);
        }
    }

    /// Applies the list to `Cookie` alone.
    pub(crate) fn apply_to_cookies(&self, headers: &mut HeaderMap) {
        let Entry::Occupied(mut cookie) = headers.entry(COOKIE) else { return };
        if cookie.iter().nth(1).is_none() {
            match self.cookie_line(cookie.get().as_bytes()) {
                RewrittenLine::Unchanged => {}
                RewrittenLine::Removed => drop(cookie.remove()),
                RewrittenLine::Line(line) => *cookie.get_mut() = line,
            }
            return;
        }
        let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
        headers.remove(COOKIE);
        for line in lines {
            match self.cookie_line(line.as_bytes()) {
                RewrittenLine::Unchanged => drop(headers.append(COOKIE, line)),
                RewrittenLine::Removed => {}
                RewrittenLine::Line(line) => drop(headers.append(COOKIE, line)),
            }
        }
    }
}
