//! Forward auth: another proxy holds the request and asks whether it may go on.
//!
//! The request becomes the one that it describes, is judged like any other, and is
//! refused like any other. What is different is how a yes is said, and that whoever
//! asks has to be believed first.

mod original;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, UPGRADE, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Response, StatusCode};

pub use original::{AmbiguousOriginal, OriginalRequest};

use self::original::Description;
use crate::client::{Client, Kind, name_and_port, wants_websocket};
use crate::gate::Grant;
use crate::gate::rewrite::{in_place_of_session, is_method_override, is_path_override};
use crate::gate::{Inner, Question};
use crate::identity::SignedAssertion;
use crate::identity::headers::ACCESS_TOKEN;
use crate::oauth2::{Ask, REDIRECT, Redirect};
use crate::policy::RouteAccess;
use crate::respond::{Refusal, answer};

/// A cookie line of several, where a proxy can pass on only one of each name. It
/// has one of these names, and the others have the further ones.
const SET_COOKIES: [HeaderName; 5] = [
    HeaderName::from_static("x-huggate-set-cookie-1"),
    HeaderName::from_static("x-huggate-set-cookie-2"),
    HeaderName::from_static("x-huggate-set-cookie-3"),
    HeaderName::from_static("x-huggate-set-cookie-4"),
    HeaderName::from_static("x-huggate-set-cookie-5"),
];
/// What stays of a WebSocket handshake whose `Upgrade` ended at the proxy
/// (RFC 6455, section 4.1; RFC 8441 has the version alone).
const HANDSHAKE: [&str; 2] = ["sec-websocket-key", "sec-websocket-version"];

/// A header that the proxy would let through to the app, whatever is answered.
#[derive(Clone)]
struct SpoofedHeader(HeaderName);

/// What an asking proxy can make of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// nginx `auth_request`: 202, 401 or 403; anything else is an error to it.
    Nginx,
    /// Traefik and Caddy: 2xx, or an answer to pass on.
    Forward,
    /// Envoy `ext_authz` over HTTP: 200, or an answer to pass on.
    Envoy,
}

impl Inner {
    /// The contract of a path of ours, if it is one to ask at.
    pub(crate) fn contract(&self, path: &str) -> Option<Contract> {
        let name = path.strip_prefix(&*self.oauth2.prefix)?.strip_prefix("/auth")?;
        match name {
            "" => Some(Contract::Nginx),
            "/forward" => Some(Contract::Forward),
            "/envoy" => Some(Contract::Envoy),
            _ => name.starts_with("/envoy/").then_some(Contract::Envoy),
        }
    }

    /// Keeps what is to be known of a request for one of our own endpoints, before
    /// the headers that carry identity are stripped.
    pub(crate) fn put_aside(&self, parts: &mut Parts) {
        if self.oauth2.endpoint(parts.uri.path()).is_none() {
            return;
        }
        let disguised = self.contract(parts.uri.path()).and_then(|_| {
            let strange = |name: &&HeaderName| {
                self.spellings.covers(name) && !self.identity_names.contains(name) && *name != REDIRECT
            };
            parts.headers.keys().find(strange).cloned()
        });
        Redirect::put_aside(parts);
        if let Some(name) = disguised {
            parts.extensions.insert(SpoofedHeader(name));
        }
    }

    /// Answers a proxy that asks.
    pub(crate) async fn forward_auth(
        self: &Arc<Self>,
        contract: Contract,
        mut parts: Parts,
        mut client: Client,
    ) -> Response<Bytes> {
        let judged = match self.describe(contract, &mut parts, &mut client) {
            Ok(()) => {
                let question = Question {
                    path: parts.uri.path(),
                    host: &client.host,
                    method: &parts.method,
                    headers: &parts.headers,
                    opens_socket: wants_websocket(&parts.headers),
                };
                self.judge(question).await
            }
            Err(unclear) => {
                // Of anybody else it is no news: everybody can ask.
                if client.trusted {
                    tracing::warn!(
                        header = unclear.header(), reason = %unclear, client = ?client.ip,
                        "a proxy asks about a request that it does not describe",
                    );
                } else {
                    tracing::info!(
                        reason = %unclear, client = ?client.ip,
                        "somebody who is no trusted proxy asks like one",
                    );
                }
                Err(Refusal::ForwardAuth(unclear))
            }
        };
        let original = parts.extensions.get::<OriginalRequest>().cloned();
        let mut response = match judged {
            Ok(grant) => self.allow(contract, &parts, client, &grant),
            Err(refusal) => self.disallow(contract, refusal, parts, &client).await,
        };
        if let Some(original) = original {
            response.extensions_mut().insert(original);
        }
        response
    }

    /// Makes `parts` and `client` those of the request that is asked about.
    fn describe(
        &self,
        contract: Contract,
        parts: &mut Parts,
        client: &mut Client,
    ) -> Result<(), AmbiguousOriginal> {
        let routes = !self.policy.routes.list().is_empty();
        if let Some(SpoofedHeader(name)) = parts.extensions.get() {
            return Err(AmbiguousOriginal::disguised(name));
        }
        let overrides = |name: &&HeaderName| is_method_override(name);
        if let Some(name) = self.methods_matter.then(|| parts.headers.keys().find(overrides)).flatten() {
            return Err(AmbiguousOriginal::method_override(name));
        }
        let overrides = |name: &&HeaderName| is_path_override(name);
        if let Some(name) = self.paths_matter.then(|| parts.headers.keys().find(overrides)).flatten() {
            return Err(AmbiguousOriginal::path_override(name));
        }
        if !client.trusted {
            // Without routes nothing depends on what was asked for.
            return if contract == Contract::Nginx && !routes {
                parts.uri = http::Uri::from_static("/");
                Ok(())
            } else {
                Err(AmbiguousOriginal::untrusted(contract, &parts.headers))
            };
        }
        let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let below = target.get(self.oauth2.prefix.len() + "/auth/envoy".len()..).unwrap_or_default();
        let said = Description::read(contract, parts, below, |host| self.is_known(host))?;
        let needed = contract != Contract::Nginx || routes;
        match &said.target {
            // The gate's own endpoints are answered at their own addresses. A yes
            // would lead past the rules, and a redirect to sign in would never end.
            Some(target) if self.oauth2.endpoint(target.path()).is_some() => {
                return Err(AmbiguousOriginal::own_endpoint(said.target_from));
            }
            None if needed => return Err(AmbiguousOriginal::missing_target(contract)),
            Some(_) | None => {}
        }
        if said.method.is_none() && needed {
            return Err(AmbiguousOriginal::missing_method(contract));
        }
        if parts.extensions.get::<Redirect>().is_some_and(Redirect::is_unclear) {
            return Err(AmbiguousOriginal::redirect());
        }
        let original = said.take_place_of(parts, client);
        if HANDSHAKE.iter().any(|name| parts.headers.contains_key(*name)) {
            parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        // A host where no sign-in ends: the return address has to name it.
        if !self.is_known(&client.host) && parts.extensions.get::<Redirect>().is_none() {
            let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            let address = format!("{}{target}", self.oauth2.public_url.sibling(&client.host));
            parts.extensions.insert(Redirect::to(address));
        }
        parts.extensions.insert(original);
        Ok(())
    }

    /// Whether people sign in at this host.
    fn is_known(&self, host: &str) -> bool {
        host == self.oauth2.public_url.authority() || self.oauth2.hosts.iter().any(|known| known == host)
    }

    /// Whether the cookies of a sign-in at the public URL reach this host: ports
    /// share them, names do not.
    fn shares_cookies(&self, host: &str) -> bool {
        self.is_known(host) || name_and_port(host).0 == name_and_port(self.oauth2.public_url.authority()).0
    }

    /// Yes. Every name that carries identity is there, empty where there is nothing
    /// to say, so that the proxy overwrites what the client sent.
    fn allow(&self, contract: Contract, parts: &Parts, client: Client, grant: &Grant) -> Response<Bytes> {
        let status = match contract {
            Contract::Nginx => StatusCode::ACCEPTED,
            Contract::Forward | Contract::Envoy => StatusCode::OK,
        };
        let mut response = answer::text(status, "");
        let headers = response.headers_mut();
        headers.reserve(self.identity_names.len() + 4);
        for name in &self.identity_names {
            headers.insert(name.clone(), HeaderValue::from_static(""));
        }
        let assertion = grant.introduction().and_then(|introduction| {
            for (name, value) in introduction.headers().iter().chain(introduction.auth_request()) {
                // A browser may ask too, where there are no routes, and its page
                // reads the answer.
                if client.trusted || *name != ACCESS_TOKEN {
                    headers.insert(name.clone(), value.clone());
                }
            }
            self.assertion(introduction, &client)
        });
        if let Some(assertion) = &assertion {
            for name in &self.assertion_headers {
                headers.insert(name.clone(), assertion.value.clone());
            }
        }
        if client.trusted {
            headers.insert(COOKIE, self.cookie(&parts.headers, assertion.as_deref()));
            let authorization = self.authorization(&parts.headers, grant);
            headers.insert(AUTHORIZATION, authorization);
        }
        if !self.may_be_shared(grant, &parts.headers)
            && let Some(lines) = self.renewal(grant, &parts.headers).filter(|_| !grant.has_ended())
            // Pieces have names that scripts can read, and a stranger may be one.
            && (client.trusted || contract != Contract::Nginx || lines.len() == 1)
        {
            renew(contract, headers, &lines);
        }
        let extensions = response.extensions_mut();
        extensions.insert(client);
        // For the audit line.
        if let Some(user) = grant.user() {
            extensions.insert(user.clone());
        }
        response
    }

    /// Whether the app's response, which nobody has seen yet, may be one that a cache
    /// shares with everybody: a session's new cookie must not be in it
    /// (RFC 9111, section 7.3). The next request will do.
    fn may_be_shared(&self, grant: &Grant, request: &HeaderMap) -> bool {
        let route = grant.route().and_then(|index| self.policy.routes.get(index));
        let public = route.is_some_and(|route| route.access == RouteAccess::Public);
        let part_of_a_page = request.get("sec-fetch-dest").is_some_and(|dest| {
            !["document", "empty", "iframe", "frame", "websocket"].iter().any(|alone| dest == alone)
        });
        public || part_of_a_page
    }

    /// The request's cookies as the app may see them: the session's sealed one is
    /// the assertion.
    fn cookie(&self, request: &HeaderMap, assertion: Option<&SignedAssertion>) -> HeaderValue {
        let mut cookies = HeaderMap::new();
        for line in request.get_all(COOKIE) {
            cookies.append(COOKIE, line.clone());
        }
        self.oauth2.sessions.cookies().rewrite(&mut cookies, assertion.map(in_place_of_session));
        let lines: Vec<&[u8]> = cookies.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let line = HeaderValue::from_maybe_shared(Bytes::from(lines.join(b"; ".as_slice())));
        let mut line = line.unwrap_or(HeaderValue::from_static(""));
        line.set_sensitive(true);
        line
    }

    /// The request's `Authorization` as far as the app may see it; one line, as a
    /// proxy overwrites with one.
    fn authorization(&self, request: &HeaderMap, grant: &Grant) -> HeaderValue {
        let mut kept = HeaderMap::new();
        for line in request.get_all(AUTHORIZATION) {
            kept.append(AUTHORIZATION, line.clone());
        }
        self.withhold_authorization(&mut kept, grant);
        kept.remove(AUTHORIZATION).unwrap_or(HeaderValue::from_static(""))
    }

    /// No, as whoever asks can use it.
    async fn disallow(
        &self,
        contract: Contract,
        refusal: Refusal,
        mut parts: Parts,
        client: &Client,
    ) -> Response<Bytes> {
        let mut kind = Kind::of(&parts);
        if contract == Contract::Nginx {
            // Nobody reads the body, and a redirect could not be passed on.
            kind = Kind::Program;
            parts.headers.remove(ACCEPT);
        }
        let refusal = match refusal {
            Refusal::SignIn if kind != Kind::Program && !self.shares_cookies(&client.host) => {
                tracing::warn!(
                    host = %client.host,
                    "nobody can sign in at this host: it is neither the public URL's nor that of a route",
                );
                Refusal::UnknownHost
            }
            refusal => refusal,
        };
        let response = self.refuse(refusal, Ask { parts: &parts, client, kind }).await;
        shaped(Some(contract), response)
    }
}

/// A refusal as `contract` has it.
pub(crate) fn shaped(contract: Option<Contract>, mut response: Response<Bytes>) -> Response<Bytes> {
    if contract == Some(Contract::Nginx) && response.status() != StatusCode::FORBIDDEN {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Bearer realm=\"huggate\"");
        response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(challenge);
    }
    response
}

/// Adds the session's new cookie. nginx passes on one line of a name: several of
/// them, a session in pieces, have a name each, so that the browser never gets
/// one piece of the new session beside another of the old.
fn renew(contract: Contract, headers: &mut HeaderMap, lines: &[HeaderValue]) {
    match (contract, lines) {
        (Contract::Nginx, [_, _, ..]) => {
            for (name, line) in SET_COOKIES.into_iter().zip(lines) {
                headers.insert(name, line.clone());
            }
        }
        _ => {
            for line in lines {
                headers.append(SET_COOKIE, line.clone());
            }
        }
    }
}
