//! Starts a sign-in: the redirect to the provider (RFC 6749, section 4.1.1).

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use url::Url;

use super::endpoints::OAuth2;
use super::pending_sign_in::Beginning;
use super::return_to::ReturnTo;
use crate::client::{Client, IncomingRequest, RequestKind, is_prefetch};
use crate::events;
use crate::pages;
use crate::provider::{AuthorizationRequest, DiscoveryError};
use crate::respond::{Said, answer, unauthenticated, unavailable};
use crate::session::{SessionLookup, find_cookie};

/// How long a successful sign-in is remembered, in seconds, to detect a browser that does
/// not send the session cookie afterwards.
pub(super) const ATTEMPTS_LIFETIME: u64 = 60;
/// The maximum number of consecutive sign-ins without a session.
const MAX_ATTEMPTS: u32 = 2;
/// What the head of the redirect has besides an authorization request without `state`,
/// `nonce` and `code_challenge`: the latter two, cookies, and the fields of every answer.
const OTHER_FIELDS: usize = 800;

const SIGN_IN_LOOP: &str = "The browser signed in repeatedly but does not send the session cookie.";

impl OAuth2 {
    /// `start`: starts a sign-in, unless the request could not follow the redirect.
    pub(super) async fn start(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        let return_to = self.return_after_sign_in(request);
        let mentions_fetch = request.parts.headers.contains_key("sec-fetch-mode");
        match request.kind {
            RequestKind::Framed => self.framed(request, &return_to),
            // Without Fetch Metadata, a plain client that follows redirects is served.
            RequestKind::Program if mentions_fetch || is_prefetch(&request.parts.headers) => {
                unauthenticated::login_required(&self.sign_in_url(request))
            }
            RequestKind::Navigation | RequestKind::Form | RequestKind::Program => {
                let org = request.parameter("org");
                let begun = self.begin(request, &return_to, org.as_deref()).await;
                let response = begun
                    .unwrap_or_else(|error| unavailable::provider_unavailable(request, &self.urls, &error));
                log_failure(request, &response);
                response
            }
        }
    }

    /// Answers an anonymous request to a route that is not public: browsers are
    /// redirected to the provider, and other clients get the sign-in URL.
    pub(crate) async fn require_sign_in(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        match request.kind {
            RequestKind::Navigation => match self.begin_here(request).await {
                Ok(response) => response,
                Err(error) => unavailable::provider_unavailable(request, &self.urls, &error),
            },
            RequestKind::Framed => self.framed(request, &self.here(request)),
            RequestKind::Form => {
                let start = self.urls.start(ReturnTo::root().as_str(), None);
                unauthenticated::form_not_sent(&request.client.host, &start)
            }
            RequestKind::Program => unauthenticated::login_required(&self.sign_in_url(request)),
        }
    }

    fn framed(&self, request: IncomingRequest<'_>, return_to: &ReturnTo) -> Response<Bytes> {
        unauthenticated::framed(&request.client.host, &self.urls.start(return_to.as_str(), None))
    }

    /// Redirects to the provider, with the cookie that binds the sign-in to the browser. `org` is an
    /// additional organisation to request.
    async fn begin(
        &self,
        request: IncomingRequest<'_>,
        return_to: &ReturnTo,
        org: Option<&str>,
    ) -> Result<Response<Bytes>, DiscoveryError> {
        if self.sessions.store_is_up() == Some(false) {
            // The session that would begin could not be stored.
            return Ok(unavailable::store_unavailable(request));
        }
        let metadata = self.provider.metadata().await?;
        let redirect_uri = self.redirect_uri(request.client);
        // An organisation id is hexadecimal; anything else is ignored.
        let org = org.filter(|org| org.len() <= 64 && org.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let url = |redirect_uri: &str, state: &str, nonce: &str, code_challenge: &str| {
            let request = AuthorizationRequest { redirect_uri, state, nonce, code_challenge, org };
            self.provider.authorize_url(&metadata, &request)
        };
        let session = match self.sessions.open(&request.parts.headers).await {
            SessionLookup::Session(session) => Some(session.id()),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => None,
        };
        let former = self.sessions.cookies().remove_former_chunks(&request.parts.headers);
        let removal: usize = former.iter().map(|line| answer::field_size(&SET_COOKIE, line)).sum();
        let rest = url(&redirect_uri, "", "", "").as_str().len() + OTHER_FIELDS + removal;
        let beginning = Beginning {
            return_to,
            redirect_uri: &redirect_uri,
            session,
            client: request.client.ip,
            room: answer::MAX_HEAD.saturating_sub(rest),
        };
        let (pending, cookies) = self.pendings.begin(&beginning, &request.parts.headers, self.clock.now());
        let url = url(&pending.redirect_uri, &pending.state, &pending.nonce, &pending.code_challenge());
        tracing::debug!(host = %request.client.host, "sign-in begins");
        Ok(answer::with_cookies(answer::redirect(url.as_str()), cookies.into_iter().chain(former)))
    }

    /// Redirects to the provider with this page as the return address, unless the browser
    /// has just signed in repeatedly without sending the session cookie.
    async fn begin_here(&self, request: IncomingRequest<'_>) -> Result<Response<Bytes>, DiscoveryError> {
        let cookies = self.sessions.cookies();
        if self.attempts(request) >= MAX_ATTEMPTS {
            let start = self.urls.start(self.here(request).as_str(), None);
            let page = pages::sign_in_loop(self.urls.public_url.as_str(), &start);
            let forget = cookies.set(cookies.attempts_name(), None, 0);
            return Ok(answer::with_cookies(
                answer::error_page(StatusCode::BAD_REQUEST, "sign_in_loop", SIGN_IN_LOOP, page),
                forget,
            ));
        }
        self.begin(request, &self.here(request), None).await
    }

    /// The number of recent consecutive sign-ins, according to the browser's cookie.
    pub(super) fn attempts(&self, request: IncomingRequest<'_>) -> u32 {
        let name = self.sessions.cookies().attempts_name();
        find_cookie(&request.parts.headers, name).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Redirects to the same address over https. The host is one that is configured: the
    /// request's may be anything.
    pub(crate) fn to_https(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        let target = Some(request.target()).filter(|target| target.starts_with('/')).unwrap_or("/");
        let named = |host: &str| Url::parse(&format!("https://{host}{target}")).ok();
        let asked = named(&request.client.host)
            .filter(|url| self.is_sign_in_host(&request.client.host) || self.return_hosts.contains(url));
        let url = asked.or_else(|| named(self.urls.public_url.authority()));
        answer::onward_over_https(url.as_ref().map_or(self.urls.public_url.as_str(), Url::as_str))
    }

    /// The callback on the host where the sign-in started, if people sign in there.
    fn redirect_uri(&self, client: &Client) -> String {
        self.own_address(client, "/callback")
    }

    /// An endpoint on the host of a request, if people sign in there.
    pub(super) fn own_address(&self, client: &Client, endpoint: &str) -> String {
        let host = self.hosts.iter().find(|host| ***host == *client.host);
        let origin = host.map(|host| self.urls.public_url.sibling(host));
        let origin = origin.as_deref().unwrap_or(self.urls.public_url.as_str());
        format!("{origin}{}{endpoint}", self.urls.prefix.as_str())
    }
}

/// Logs that a sign-in could not begin.
fn log_failure(request: IncomingRequest<'_>, response: &Response<Bytes>) {
    if let Some(Said { code, text }) = response.extensions().get::<Said>() {
        events::sign_in_failed(request, (code, response.status()), text, None, true);
    }
}
