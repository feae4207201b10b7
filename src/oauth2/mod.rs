//! Our own endpoints, under the prefix: sign-in, sign-out, who am I, keys.
//!
//! The names are oauth2-proxy's, so that its recipes for other proxies keep
//! working.

mod auth_request_redirect;
mod callback;
mod endpoint;
mod pending;
mod return_to;
mod sign_out;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use crate::client::{Client, Kind, PublicUrl, speaks_openai};
use crate::clock::Clock;
use crate::identity::{Person, User};
use crate::keys::Keyring;
use crate::pages;
use crate::provider::{AuthorizationRequest, DiscoveryError, Provider, Reachability};
use crate::respond::answer;
use crate::session::{Sessions, find_cookie};

pub(crate) use auth_request_redirect::{REDIRECT, Redirect};
pub(crate) use endpoint::{Ask, Endpoint};
use pending::PendingSignIns;
pub(crate) use return_to::ReturnTo;
pub use return_to::{ReturnHostError, ReturnHosts};

/// How long it is remembered that a sign-in succeeded, in seconds, to notice
/// that the browser came back without the session.
const ATTEMPTS_LIFETIME: u64 = 60;
/// How many sign-ins in a row may come to nothing.
const MAX_ATTEMPTS: u32 = 2;

/// What the endpoints stand on.
pub(crate) struct OAuth2 {
    pub(crate) public_url: PublicUrl,
    /// `/oauth2`
    pub(crate) prefix: String,
    pub(crate) scope: String,
    pub(crate) return_hosts: ReturnHosts,
    /// Hosts besides the public URL's that lead here; a sign-in that begins at
    /// one comes back to it, since its cookies go nowhere else.
    pub(crate) hosts: Vec<String>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) sessions: Sessions,
    pub(crate) pendings: PendingSignIns,
    pub(crate) jwks: Bytes,
    /// Drops from a person what neither rules nor headers need.
    pub(crate) retain: Arc<dyn Fn(&mut Person) + Send + Sync>,
    pub(crate) draining: AtomicBool,
    pub(crate) clock: Clock,
}

impl OAuth2 {
    pub(crate) fn pendings(keyring: Arc<Keyring>, sessions: &Sessions) -> PendingSignIns {
        PendingSignIns::new(keyring, sessions.cookies().clone())
    }

    /// The endpoint of a path, if it is below the prefix: `Some(None)` is a path
    /// of ours that leads nowhere.
    pub(crate) fn endpoint(&self, path: &str) -> Option<Option<Endpoint>> {
        let rest = path.strip_prefix(&*self.prefix)?;
        match rest.strip_prefix('/') {
            Some(name) => Some(Endpoint::named(name)),
            None => rest.is_empty().then_some(None),
        }
    }

    /// Whether a path as some server reads it, in whatever encoding, is below the
    /// prefix.
    pub(crate) fn would_take(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.prefix.as_bytes());
        rest.is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }

    /// Answers one of our endpoints. `user` is who asks, if the gate found out.
    pub(crate) async fn answer(
        &self,
        endpoint: Option<Endpoint>,
        ask: Ask<'_>,
        user: Option<&User>,
    ) -> Response<Bytes> {
        let response = self.endpoint_answer(endpoint, ask, user).await;
        answer::in_words_of(speaks_openai(&ask.parts.headers), response)
    }

    async fn endpoint_answer(
        &self,
        endpoint: Option<Endpoint>,
        ask: Ask<'_>,
        user: Option<&User>,
    ) -> Response<Bytes> {
        let Some(endpoint) = endpoint else { return self.not_found(ask) };
        if !endpoint.takes(&ask.parts.method) {
            let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, "this address takes GET\n");
            let allow = if endpoint == Endpoint::SignOut { "GET, HEAD, POST" } else { "GET, HEAD" };
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
            return response;
        }
        match endpoint {
            Endpoint::Start => self.start(ask).await,
            Endpoint::Callback => self.callback(ask).await,
            Endpoint::SignIn => {
                let start = self.start_url(&self.return_after_sign_in(ask), None);
                answer::page(StatusCode::OK, pages::sign_in(&ask.client.host, &start, &self.scope))
            }
            Endpoint::SignOut => self.sign_out(ask).await,
            Endpoint::Userinfo => self.userinfo(ask, user),
            Endpoint::Jwks => self.keys(),
            Endpoint::Healthz => answer::text(StatusCode::OK, "ok\n"),
            Endpoint::Readyz => self.readyz(),
        }
    }

    /// `start`: begins a sign-in, unless the request could not use one.
    async fn start(&self, ask: Ask<'_>) -> Response<Bytes> {
        let return_to = self.return_after_sign_in(ask);
        let mentions_fetch = ask.parts.headers.contains_key("sec-fetch-mode");
        match ask.kind {
            Kind::Framed => self.framed(ask, &return_to),
            // Without Fetch Metadata a plain client that follows links is served.
            Kind::Program if mentions_fetch || crate::client::is_prefetch(&ask.parts.headers) => {
                self.sign_in_needed(ask)
            }
            Kind::Navigation | Kind::Form | Kind::Program => {
                let org = ask.parameter("org");
                match self.begin(ask, &return_to, org.as_deref()).await {
                    Ok(response) => response,
                    Err(error) => self.provider_unavailable(ask, &error),
                }
            }
        }
    }

    /// Sends the browser to the provider, with a new attempt's cookie. `org` is
    /// one more organisation to ask for.
    pub(crate) async fn begin(
        &self,
        ask: Ask<'_>,
        return_to: &ReturnTo,
        org: Option<&str>,
    ) -> Result<Response<Bytes>, DiscoveryError> {
        let metadata = self.provider.metadata().await?;
        let redirect_uri = self.redirect_uri(ask.client);
        let (pending, cookies) =
            self.pendings.begin(return_to, &redirect_uri, &ask.parts.headers, self.clock.now());
        let url = self.provider.authorize_url(
            &metadata,
            &AuthorizationRequest {
                redirect_uri: &pending.redirect_uri,
                state: &pending.state,
                nonce: &pending.nonce,
                code_challenge: &pending.code_challenge(),
                // An organisation's id is hex; nothing else goes along.
                org: org
                    .filter(|org| org.len() <= 64 && org.bytes().all(|byte| byte.is_ascii_alphanumeric())),
            },
        );
        tracing::debug!(host = %ask.client.host, "sign-in begins");
        Ok(answer::with_cookies(answer::redirect(url.as_str()), cookies))
    }

    /// For nobody at a page of the app: to the provider and back, unless that was
    /// tried and did not help.
    pub(crate) async fn begin_here(&self, ask: Ask<'_>) -> Result<Response<Bytes>, DiscoveryError> {
        let cookies = self.sessions.cookies();
        if self.attempts(ask) >= MAX_ATTEMPTS {
            tracing::warn!(host = %ask.client.host, "a browser signed in twice and does not send the session cookie");
            let start = self.start_url(&self.here(ask), None);
            let page = pages::sign_in_loop(self.public_url.as_str(), &start);
            let forget = cookies.set(cookies.attempts_name(), None, 0);
            return Ok(answer::with_cookies(answer::page(StatusCode::BAD_REQUEST, page), forget));
        }
        self.begin(ask, &self.here(ask), None).await
    }

    /// How many sign-ins in a row succeeded just now, as far as this browser says.
    fn attempts(&self, ask: Ask<'_>) -> u32 {
        let name = self.sessions.cookies().attempts_name();
        find_cookie(&ask.parts.headers, name).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// `userinfo`: who am I, without a token in it.
    fn userinfo(&self, ask: Ask<'_>, user: Option<&User>) -> Response<Bytes> {
        let Some(user) = user else { return self.sign_in_needed(ask) };
        answer::json(
            StatusCode::OK,
            &json!({
                "sub": user.id(),
                "preferred_username": user.username(),
                "name": user.name(),
                "email": user.email(),
                "picture": user.picture(),
                "groups": user.groups(),
                "groups_truncated": user.person().orgs_cut,
                "auth_method": user.auth_method().as_str(),
            }),
        )
    }

    /// 401 for a program: what is wrong, and where a person can sign in.
    pub(crate) fn sign_in_needed(&self, ask: Ask<'_>) -> Response<Bytes> {
        let sign_in_url = self.sign_in_url(ask);
        let mut response = answer::json(
            StatusCode::UNAUTHORIZED,
            &json!({
                "error": "login_required",
                "error_description": "Nobody is signed in. Open sign_in_url in a browser to sign in with Hugging Face.",
                "sign_in_url": sign_in_url,
            }),
        );
        // RFC 9110, section 15.5.2, asks for a challenge; this one opens no dialog.
        let challenge = HeaderValue::from_static("Bearer realm=\"huggate\"");
        response.headers_mut().insert(http::header::WWW_AUTHENTICATE, challenge);
        response
    }

    /// Where a person can sign in, for a program that a person runs.
    pub(crate) fn sign_in_url(&self, ask: Ask<'_>) -> String {
        // A fetch belongs to the page it was made from; that is where to return.
        let referer = ask.parts.headers.get(http::header::REFERER).and_then(|referer| referer.to_str().ok());
        let return_to = referer.map_or_else(ReturnTo::root, |url| {
            ReturnTo::parse(url, &self.public_url, &self.prefix, &ReturnHosts::default())
        });
        format!(
            "{}{}/sign_in?{}",
            self.public_url.as_str(),
            self.prefix,
            url::form_urlencoded::Serializer::new(String::new())
                .append_pair("rd", return_to.as_str())
                .finish()
        )
    }

    /// 401 in a frame: a page whose button opens a tab.
    pub(crate) fn framed(&self, ask: Ask<'_>, return_to: &ReturnTo) -> Response<Bytes> {
        let page = pages::sign_in_framed(&ask.client.host, &self.start_url(return_to, None));
        challenged(answer::page(StatusCode::UNAUTHORIZED, page))
    }

    /// 401 for a form: nothing was sent, and can be sent again after signing in.
    pub(crate) fn form_not_sent(&self, ask: Ask<'_>) -> Response<Bytes> {
        let page = pages::form_not_sent(&ask.client.host, &self.start_url(&ReturnTo::root(), None));
        challenged(answer::page(StatusCode::UNAUTHORIZED, page))
    }

    fn not_found(&self, ask: Ask<'_>) -> Response<Bytes> {
        if ask.wants_page() {
            return answer::page(StatusCode::NOT_FOUND, pages::not_found());
        }
        let description = format!("There is no endpoint of this name below {}.", self.prefix);
        answer::json(StatusCode::NOT_FOUND, &json!({"error": "not_found", "error_description": description}))
    }

    /// The keys that verify the assertion: the one answer that may be cached.
    fn keys(&self) -> Response<Bytes> {
        let mut response = answer::text(StatusCode::OK, "");
        *response.body_mut() = self.jwks.clone();
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    }

    /// Ready until the drain begins. The provider's state is told and does not
    /// count: those who are signed in are served without it.
    fn readyz(&self) -> Response<Bytes> {
        let ready = !self.draining.load(Ordering::Relaxed);
        let provider = match self.provider.reachability() {
            Reachability::Reachable => "reachable",
            Reachability::Unreachable => "unreachable",
            Reachability::Unknown => "not asked yet",
        };
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer::json(status, &json!({"ready": ready, "provider": provider}))
    }

    /// Where `rd` says to end.
    fn return_to(&self, ask: Ask<'_>) -> ReturnTo {
        ask.parameter("rd").map_or_else(ReturnTo::root, |rd| {
            ReturnTo::parse(&rd, &self.public_url, &self.prefix, &self.return_hosts)
        })
    }

    /// The address of the request itself, to return to.
    pub(crate) fn here(&self, ask: Ask<'_>) -> ReturnTo {
        self.told_by_proxy(ask).unwrap_or_else(|| {
            ReturnTo::parse(ask.target(), &self.public_url, &self.prefix, &ReturnHosts::default())
        })
    }

    /// A path of ours that begins a sign-in.
    pub(crate) fn start_url(&self, return_to: &ReturnTo, org: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("rd", return_to.as_str());
        if let Some(org) = org {
            query.append_pair("org", org);
        }
        format!("{}/start?{}", self.prefix, query.finish())
    }

    /// A path of ours that ends the session.
    pub(crate) fn sign_out_url(&self, return_to: &ReturnTo) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("rd", return_to.as_str())
            .finish();
        format!("{}/sign_out?{query}", self.prefix)
    }

    /// The callback at the host that the sign-in began at, if that is one of ours.
    fn redirect_uri(&self, client: &Client) -> String {
        let host = self.hosts.iter().find(|host| **host == client.host);
        let origin = host.map(|host| self.public_url.sibling(host));
        format!("{}{}/callback", origin.as_deref().unwrap_or(self.public_url.as_str()), self.prefix)
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2")
            .field("public_url", &self.public_url)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn challenged(mut response: Response<Bytes>) -> Response<Bytes> {
    let challenge = HeaderValue::from_static("Bearer realm=\"huggate\"");
    response.headers_mut().insert(http::header::WWW_AUTHENTICATE, challenge);
    response
}
