//! A browser with a session.

use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::cookie_jar::CookieJar;
use super::refused::Refused;
use super::sign_in::{ask, text_of};
use crate::gate::Gate;

/// A person who is signed in: the cookies of one browser.
///
/// [`TestUser::sign_in`](super::TestUser::sign_in) makes it. Called again it makes another
/// session of the same person.
#[derive(Debug, Clone)]
pub struct SignedIn {
    username: String,
    jar: CookieJar,
}

impl SignedIn {
    pub(super) fn new(username: &str, jar: CookieJar) -> Self {
        Self { username: username.to_owned(), jar }
    }

    /// Whose session it is.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Adds the session's cookies to a request. Other cookies of the request stay.
    #[must_use]
    pub fn authenticate<B>(&self, mut request: Request<B>) -> Request<B> {
        if let Some(cookies) = self.jar.field(request.headers()) {
            request.headers_mut().insert(COOKIE, cookies);
        }
        request
    }

    /// The value of the `Cookie` field, for a client that does not send an [`http::Request`].
    #[must_use]
    pub fn cookies(&self) -> HeaderValue {
        self.jar.field(&HeaderMap::new()).unwrap_or(HeaderValue::from_static(""))
    }

    /// Stores the cookies that a response sets, as a browser does. The gate renews the session's
    /// cookie from time to time, and a former one counts for as long as it would have.
    pub fn store<B>(&mut self, response: &Response<B>) {
        self.jar.store(response.headers());
    }

    /// Ends the session at the gate. The cookies stay here, so that a test can send them once
    /// more and find that they no longer count.
    ///
    /// # Errors
    /// [`Refused`], if the session is still in force: its store could not be reached.
    pub async fn sign_out(&self, gate: &Gate) -> Result<(), Refused> {
        let target = gate.inner.oauth2.urls.sign_out("/");
        let request = Request::post(target).body(()).unwrap_or_default();
        let mut send = |request: Request<String>| gate.endpoints().call(request);
        let response = ask(&mut send, self.authenticate(request), gate).await;
        if response.status() == StatusCode::OK {
            return Ok(());
        }
        Err(Refused {
            action: "sign-out",
            username: self.username.clone(),
            place: "the gate's sign_out endpoint",
            status: response.status(),
            text: text_of(&response),
        })
    }
}
