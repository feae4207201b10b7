//! The sign-in of a browser, step by step: start, consent, callback.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, COOKIE, HOST, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use url::{Position, Url};

use super::cookie_jar::CookieJar;
use super::page_text::page_text;
use super::provider::TestProvider;
use super::refused::Refused;
use crate::gate::Gate;
use crate::session::SessionLookup;

/// How long a browser waits for the provider: as long as the gate does.
const PATIENCE: Duration = Duration::from_secs(10);
const AT_THE_GATE: &str = "the gate's start endpoint";
const AT_THE_PROVIDER: &str = "the provider";
const AT_THE_CALLBACK: &str = "the gate's callback";

/// A browser without a page on the screen: what it follows are redirects.
pub(super) struct SignIn<'a> {
    pub(super) gate: &'a Gate,
    pub(super) provider: &'a TestProvider,
    pub(super) username: &'a str,
}

impl SignIn<'_> {
    /// The cookies of the browser that has signed in. `send` leads to the gate's endpoints.
    pub(super) async fn run<ReqB, ResB, E, Fut>(
        &self,
        mut send: impl FnMut(Request<ReqB>) -> Fut,
    ) -> Result<CookieJar, Refused>
    where
        ReqB: Default,
        ResB: http_body::Body<Data = Bytes>,
        E: fmt::Display,
        Fut: Future<Output = Result<Response<ResB>, E>>,
    {
        let oauth2 = &self.gate.inner.oauth2;
        let mut jar = CookieJar::default();
        let start = navigation(&oauth2.urls.start("/", None), "none");
        let response = ask(&mut send, start, self.gate).await;
        jar.store(response.headers());
        let consent = location(&response).ok_or_else(|| self.refused(AT_THE_GATE, &response))?;
        let callback = self.consent(&consent).await?;
        let mut request = navigation(&callback, "cross-site");
        if let Some(cookies) = jar.field(&HeaderMap::new()) {
            request.headers_mut().insert(COOKIE, cookies);
        }
        let response = ask(&mut send, request, self.gate).await;
        jar.store(response.headers());
        // Browsers forget it after a minute.
        jar.remove(oauth2.sessions.cookies().attempts_name());
        let cookies: HeaderMap =
            jar.field(&HeaderMap::new()).map(|line| (COOKIE, line)).into_iter().collect();
        match oauth2.sessions.open(&cookies).await {
            SessionLookup::Session(_) => Ok(jar),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => {
                Err(self.refused(AT_THE_CALLBACK, &response))
            }
        }
    }

    /// The authorization request of a person who consented, and so sees no page: path and query
    /// of the callback it returns to.
    async fn consent(&self, url: &str) -> Result<String, Refused> {
        let failed =
            |status, text: &str| Refused { status, text: text.to_owned(), ..self.at(AT_THE_PROVIDER) };
        let request = Request::get(url)
            .header(ACCEPT, "text/html")
            .header(COOKIE, format!("hub_user={}", self.username))
            .body(Body::empty())
            .map_err(|_| failed(StatusCode::BAD_GATEWAY, "the gate redirects to what is no URL"))?;
        let answer = tokio::time::timeout(PATIENCE, self.provider.hub.answer(request)).await;
        let response = match answer {
            Ok(Ok(response)) => read(response).await,
            Ok(Err(error)) => return Err(failed(StatusCode::BAD_GATEWAY, &error.to_string())),
            Err(_) => return Err(failed(StatusCode::GATEWAY_TIMEOUT, "the provider does not answer")),
        };
        let own = Url::parse(self.gate.inner.oauth2.urls.public_url.as_str()).map(|url| url.origin());
        let back = location(&response).and_then(|url| Url::parse(&url).ok());
        match back.filter(|back| own.as_ref().is_ok_and(|own| *own == back.origin())) {
            Some(back) => Ok(back[Position::BeforePath..Position::AfterQuery].to_owned()),
            None => Err(self.refused(AT_THE_PROVIDER, &response)),
        }
    }

    fn refused(&self, place: &'static str, response: &Response<Bytes>) -> Refused {
        Refused { status: response.status(), text: text_of(response), ..self.at(place) }
    }

    fn at(&self, place: &'static str) -> Refused {
        let (action, username) = ("sign-in", self.username.to_owned());
        Refused { action, username, place, status: StatusCode::OK, text: String::new() }
    }
}

/// The answer to a request without a body, at the public URL of `gate`.
pub(super) async fn ask<ReqB, ResB, E, Fut>(
    send: &mut impl FnMut(Request<ReqB>) -> Fut,
    request: Request<()>,
    gate: &Gate,
) -> Response<Bytes>
where
    ReqB: Default,
    ResB: http_body::Body<Data = Bytes>,
    E: fmt::Display,
    Fut: Future<Output = Result<Response<ResB>, E>>,
{
    let mut request = request.map(|()| ReqB::default());
    if let Ok(host) = gate.inner.oauth2.urls.public_url.authority().parse() {
        request.headers_mut().insert(HOST, host);
    }
    match send(request).await {
        Ok(response) => read(response).await,
        Err(error) => {
            let mut response = Response::new(Bytes::from(error.to_string()));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// What a person reads of an answer; of a redirect its address.
pub(super) fn text_of(response: &Response<Bytes>) -> String {
    let text = page_text(&String::from_utf8_lossy(response.body()));
    location(response).map_or(text, |url| format!("a redirect to {url}"))
}

/// A page that a person opens, on a site of their own or by a redirect from another one.
fn navigation(target: &str, site: &str) -> Request<()> {
    let request = Request::builder().method(Method::GET).uri(target).header(ACCEPT, "text/html");
    let request = request.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
    request.header("sec-fetch-site", site).body(()).unwrap_or_default()
}

fn location<B>(response: &Response<B>) -> Option<String> {
    let to = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    Some(to.to_str().ok()?.to_owned())
}

/// Reads a body to its end, or as far as it goes.
async fn read<B: http_body::Body<Data = Bytes>>(response: Response<B>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Response::from_parts(parts, bytes)
}
