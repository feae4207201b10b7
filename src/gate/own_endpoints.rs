//! Requests below our prefix: an endpoint of our own, or another proxy that asks.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use super::decide::Decision;
use super::grant::Grant;
use super::presentation::present;
use super::refusal::{Forbidden, Refusal};
use super::refuse::Refuser;
use super::request::{RequestView, the_origin};
use super::rewrite::Rewriter;
use super::ruleset::Ruleset;
use super::span::{record_grant, record_person};
use super::unadmitted::Unadmitted;
use crate::authn::Caller;
use crate::client::{Client, IncomingRequest, RequestKind, name_and_port};
use crate::forward_auth::{self, Allowed, Contract, DescriptionRules};
use crate::identity::{RenderedIdentity, SignedAssertion};
use crate::oauth2::{Endpoint, NotAdmitted, OAuth2};
use crate::policy::{AssertionUse, BearerUse, RouteAccess};
use crate::respond::{OrgNames, cors, grpc};

/// Answers requests below our prefix.
pub(super) struct OwnEndpoints<'a> {
    pub(super) ruleset: &'a Arc<Ruleset>,
    pub(super) oauth2: &'a OAuth2,
    pub(super) rewriter: &'a Rewriter,
    pub(super) org_names: &'a OrgNames,
    /// Every identity header that forward auth answers with.
    pub(super) identity_headers: &'a [HeaderName],
}

impl OwnEndpoints<'_> {
    /// Answers a request whose path is below our prefix, unless that needs its body.
    pub(super) async fn answer(&self, parts: Parts, client: Client) -> Box<Unadmitted> {
        let rest = self.oauth2.urls.prefix.rest_of(parts.uri.path()).unwrap_or_default();
        if let Some(contract) = Contract::of(rest) {
            return self.forward_auth(contract, parts, client).await.into();
        }
        let endpoint = Endpoint::named(rest);
        if endpoint.is_some_and(|endpoint| endpoint.reads_body(&parts.method)) {
            return Box::new(Unadmitted::Logout(Box::new((parts, client))));
        }
        self.answer_by(endpoint, &parts, &client).await.into()
    }

    async fn answer_by(&self, endpoint: Option<Endpoint>, parts: &Parts, client: &Client) -> Response<Bytes> {
        let request = IncomingRequest::new(parts, client);
        if client.is_insecure(self.oauth2.urls.public_url.is_https())
            && (request.kind.opens_a_page() || endpoint.is_some_and(Endpoint::belongs_to_a_sign_in))
        {
            return self.refuse(Refusal::NotSecure, request).await;
        }
        let caller = match endpoint {
            Some(Endpoint::Userinfo) => {
                let authn = &self.ruleset.authn;
                let asked = authn.authenticate_fully(&parts.headers, BearerUse::Also, client.ip).await;
                match asked {
                    Ok(caller) => caller,
                    Err(error) => {
                        let refusal = Refusal::of_authn(&error, BearerUse::Also);
                        let response = self.refuse(refusal, request).await;
                        return grpc::adapt(parts.headers.get(CONTENT_TYPE), response);
                    }
                }
            }
            _ => Caller::Nobody,
        };
        let user = caller.identity().map(RenderedIdentity::user);
        record_person(user);
        match self.oauth2.answer(endpoint, request, user, &self.ruleset.policy).await {
            Ok(response) => present(self.oauth2, response, request, user).await,
            Err(NotAdmitted { denial, user }) => {
                self.refuse(Refusal::Forbidden(Forbidden { denial, token: None, user }), request).await
            }
        }
    }

    async fn refuse(&self, refusal: Refusal, request: IncomingRequest<'_>) -> Response<Bytes> {
        let refuser = Refuser { ruleset: self.ruleset, oauth2: self.oauth2, org_names: self.org_names };
        refuser.refuse(refusal, request).await
    }

    /// Answers a proxy that asks.
    async fn forward_auth(
        &self,
        contract: Contract,
        mut parts: Parts,
        mut client: Client,
    ) -> Response<Bytes> {
        let rules = DescriptionRules {
            oauth2: self.oauth2,
            has_routes: !self.ruleset.policy.routes.list().is_empty(),
            overrides: self.rewriter.overrides,
            identity_names: &self.rewriter.identity_names,
            overwritten: self.identity_headers,
        };
        let described = forward_auth::describe(contract, rules, &mut parts, &mut client);
        let (decided, original, return_address) = match described {
            Ok(described) => {
                let https = self.oauth2.urls.public_url.is_https();
                let decided = if client.is_insecure(https) && RequestKind::of(&parts).opens_a_page() {
                    Err(Refusal::NotSecure)
                } else {
                    self.decide(RequestView::described(&parts, &client)).await
                };
                (decided, described.original, described.return_address)
            }
            Err(ambiguous) => (Err(Refusal::ForwardAuth(ambiguous)), None, None),
        };
        let mut response = match decided {
            Ok(grant) => self.allow(contract, &parts, &client, &grant),
            Err(refusal) => self.disallow(contract, refusal, parts, &client, return_address.as_deref()).await,
        };
        if let Some(original) = original {
            response.extensions_mut().insert(original);
        }
        response
    }

    async fn decide(&self, view: RequestView<'_>) -> Result<Grant, Refusal> {
        match self.ruleset.decide(view)? {
            Decision::Granted(grant) => Ok(grant),
            Decision::Pending(pending) => self.ruleset.finish(pending, view.headers).await,
        }
    }

    fn allow(&self, contract: Contract, parts: &Parts, client: &Client, grant: &Grant) -> Response<Bytes> {
        record_grant(self.ruleset, grant);
        let identity = grant.identity();
        let assertions = &self.rewriter.assertions;
        let assertion_use = self.ruleset.policy.routes.assertion_use(grant.route());
        let assertion = identity
            .filter(|_| assertion_use != AssertionUse::None)
            .and_then(|identity| assertions.assertion(identity, client));
        let renewal = grant
            .session()
            .filter(|_| !self.may_be_shared(grant, &parts.headers))
            .and_then(|session| self.oauth2.sessions.renewal(session, &parts.headers))
            .filter(|_| !grant.has_ended());
        let (cookie, authorization) = self.credentials(&parts.headers, grant, assertion.clone());
        let allowed = Allowed {
            names: self.identity_headers,
            identity,
            assertion: assertion
                .as_deref()
                .filter(|_| assertion_use.in_header())
                .map(|assertion| (assertions.headers(), assertion)),
            trusted: client.trusted,
            cookie,
            authorization,
            renewal: renewal.as_deref().map(Vec::as_slice),
        };
        let mut response = forward_auth::allowed(contract, allowed);
        let extensions = response.extensions_mut();
        extensions.insert(client.clone());
        // For the audit log.
        if let Some(user) = grant.user() {
            extensions.insert(user.clone());
        }
        response
    }

    /// The request's `Cookie` and `Authorization` as the app may see them; one line of
    /// each, since a proxy overwrites with one.
    fn credentials(
        &self,
        request: &HeaderMap,
        grant: &Grant,
        assertion: Option<Arc<SignedAssertion>>,
    ) -> (HeaderValue, HeaderValue) {
        let rewrite = self.rewriter.rewrite_credentials(grant, &self.ruleset.policy.routes, assertion);
        let mut headers = HeaderMap::new();
        for name in [COOKIE, AUTHORIZATION] {
            for line in request.get_all(&name) {
                headers.append(name.clone(), line.clone());
            }
        }
        rewrite.apply_to_cookies(&mut headers);
        rewrite.apply_to_authorization(&mut headers);
        let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let cookie = HeaderValue::from_maybe_shared(Bytes::from(lines.join(b"; ".as_slice())));
        let mut cookie = cookie.unwrap_or(HeaderValue::from_static(""));
        cookie.set_sensitive(true);
        (cookie, headers.remove(AUTHORIZATION).unwrap_or(HeaderValue::from_static("")))
    }

    /// Whether the app's response, which is not there yet, may be one that a cache
    /// shares with everybody: a session's new cookie must not be in it
    /// (RFC 9111, section 7.3). The next request gets it.
    fn may_be_shared(&self, grant: &Grant, request: &HeaderMap) -> bool {
        let route = grant.route().and_then(|index| self.ruleset.policy.routes.get(index));
        let public = route.is_some_and(|route| route.access == RouteAccess::Public);
        let part_of_a_page = request.get("sec-fetch-dest").is_some_and(|dest| {
            !["document", "empty", "iframe", "frame", "websocket"].iter().any(|alone| dest == alone)
        });
        public || part_of_a_page
    }

    /// A refusal, as the asking proxy can use it.
    async fn disallow(
        &self,
        contract: Contract,
        refusal: Refusal,
        mut parts: Parts,
        client: &Client,
        return_address: Option<&str>,
    ) -> Response<Bytes> {
        let mut kind = RequestKind::of(&parts);
        if contract == Contract::Nginx {
            // nginx drops the body, and cannot pass on a redirect.
            kind = RequestKind::Program;
            parts.headers.remove(ACCEPT);
        }
        let refusal = match refusal {
            // Nobody can sign in there.
            Refusal::SignIn if kind != RequestKind::Program && !self.shares_cookies(&client.host) => {
                Refusal::UnknownHost
            }
            refusal => refusal,
        };
        let request = IncomingRequest { parts: &parts, client, kind, return_address };
        let mut response = contract.shape(self.refuse(refusal, request).await);
        if contract != Contract::Nginx {
            // These proxies pass the answer on to the page that asked.
            let listed = self.ruleset.cors_of(RequestView::described(&parts, client));
            cors::expose(listed, the_origin(&parts.headers), &mut response);
        }
        response
    }

    /// Whether the cookies of a sign-in at the public URL reach this host: ports
    /// share them, names do not.
    fn shares_cookies(&self, host: &str) -> bool {
        let own = self.oauth2.urls.public_url.authority();
        self.oauth2.is_sign_in_host(host) || name_and_port(host).0 == name_and_port(own).0
    }
}
