//! The gate's endpoints: shared state and dispatch.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::endpoint::Endpoint;
use super::logout_body::LogoutBody;
use super::not_admitted::NotAdmitted;
use super::pending_sign_in::PendingSignIns;
use super::return_to::ReturnHosts;
use super::used_tokens::UsedTokens;
use crate::authn::PersonFilter;
use crate::client::{IncomingRequest, speaks_openai};
use crate::clock::Clock;
use crate::hooks::{Hooks, PageContent, SignInPage};
use crate::identity::User;
use crate::pages;
use crate::policy::Policy;
use crate::provider::Provider;
use crate::respond::{EndpointUrls, Said, answer, bad_request, openai, unauthenticated};
use crate::session::Sessions;

/// The shared state of the endpoints.
pub(crate) struct OAuth2 {
    pub(crate) urls: EndpointUrls,
    pub(crate) return_hosts: ReturnHosts,
    /// Hosts of routes, besides the public URL's. A sign-in that starts on one of them
    /// returns to it, since host cookies are sent to no other host.
    pub(crate) hosts: Vec<String>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) pendings: PendingSignIns,
    pub(crate) jwks: Bytes,
    pub(crate) retain: PersonFilter,
    /// Shared with the gates that replace this one: a drain may come while one does.
    pub(crate) draining: Arc<AtomicBool>,
    /// Shared in the same way: a token counts once.
    pub(crate) logout_tokens: Arc<UsedTokens>,
    pub(crate) hooks: Hooks,
    pub(crate) clock: Clock,
}

impl OAuth2 {
    /// Answers a request below the gate's prefix: by an endpoint, or with 404 if there is
    /// none. `user` is the signed-in person, if known.
    ///
    /// # Errors
    /// [`NotAdmitted`] if `policy` admits a person nowhere who signs in.
    pub(crate) async fn answer(
        &self,
        endpoint: Option<Endpoint>,
        request: IncomingRequest<'_>,
        user: Option<&User>,
        policy: &Policy,
    ) -> Result<Response<Bytes>, NotAdmitted> {
        let response = match endpoint {
            None => bad_request::no_such_endpoint(request, self.urls.prefix.as_str()),
            Some(endpoint) if !endpoint.takes(&request.parts.method) => method_not_allowed(endpoint),
            Some(endpoint) => self.answer_endpoint(endpoint, request, user, policy).await?,
        };
        Ok(openai::adapt(speaks_openai(&request.parts.headers), response))
    }

    async fn answer_endpoint(
        &self,
        endpoint: Endpoint,
        request: IncomingRequest<'_>,
        user: Option<&User>,
        policy: &Policy,
    ) -> Result<Response<Bytes>, NotAdmitted> {
        Ok(match endpoint {
            Endpoint::Start => self.start(request).await,
            Endpoint::Callback => return self.callback(request, policy).await,
            Endpoint::SignIn => {
                let start = self.urls.start(self.return_after_sign_in(request).as_str(), None);
                let scope = self.provider.scope();
                let page = pages::sign_in(&request.client.host, &start, &scope);
                let content = SignInPage {
                    host: request.client.host.to_string(),
                    start_url: start,
                    scope: scope.to_string(),
                };
                answer::about(answer::page(StatusCode::OK, page), PageContent::SignIn(content))
            }
            Endpoint::SignOut if request.parameter("everywhere").is_some_and(|all| all == "true") => {
                self.sign_out_everywhere(request).await
            }
            Endpoint::SignOut => self.sign_out(request).await,
            Endpoint::SignedOut => self.signed_out(request).await,
            // Its body was read before: this is a request without one.
            Endpoint::BackchannelLogout => self.backchannel_logout(request, LogoutBody::Missing).await,
            Endpoint::Sessions => self.own_sessions(request).await,
            Endpoint::Userinfo => self.userinfo(request, user),
            Endpoint::Jwks => self.keys(),
            Endpoint::Healthz => answer::text(StatusCode::OK, "ok\n"),
            Endpoint::Readyz => self.readyz(),
        })
    }

    /// Whether people can sign in on this host: the public URL's, or a route's.
    pub(crate) fn is_sign_in_host(&self, host: &str) -> bool {
        host == self.urls.public_url.authority() || self.hosts.iter().any(|known| known == host)
    }

    /// Makes `readyz` answer 503 from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// `userinfo`: the signed-in person, without a token.
    fn userinfo(&self, request: IncomingRequest<'_>, user: Option<&User>) -> Response<Bytes> {
        let Some(user) = user else {
            return unauthenticated::login_required(&self.sign_in_url(request));
        };
        answer::json(StatusCode::OK, &json!(user))
    }

    /// The public keys of the assertion. This is the only cacheable answer.
    fn keys(&self) -> Response<Bytes> {
        let mut response = answer::text(StatusCode::OK, "");
        *response.body_mut() = self.jwks.clone();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    }

    /// Ready until draining begins, and while the session store answers. The provider's
    /// state is reported and does not affect readiness: signed-in people are served without
    /// the provider.
    fn readyz(&self) -> Response<Bytes> {
        let readiness = self.readiness();
        let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut report = json!({"ready": readiness.is_ready(), "provider": readiness.provider.to_string()});
        if let (Some(store), Some(report)) = (readiness.store, report.as_object_mut()) {
            report.insert("store".to_owned(), store.to_string().into());
        }
        if let (false, Some(report)) = (readiness.is_ready(), report.as_object_mut()) {
            report.insert("problems".to_owned(), readiness.problems().into());
        }
        answer::json(status, &report)
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("urls", &self.urls).finish_non_exhaustive()
    }
}

fn method_not_allowed(endpoint: Endpoint) -> Response<Bytes> {
    let (allow, text) = match endpoint {
        Endpoint::BackchannelLogout => ("POST", "this method is not supported here; use POST\n"),
        _ if endpoint.takes_post() => ("GET, HEAD, POST", "this method is not supported here; use GET\n"),
        _ => ("GET, HEAD", "this method is not supported here; use GET\n"),
    };
    let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, text);
    let said = Said { code: "method_not_allowed".to_owned(), text: text.trim_end().to_owned() };
    response.extensions_mut().insert(said);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
