//! The callback: RFC 6749, section 4.1.2; RFC 9207; OpenID Connect Core 1.0,
//! section 3.1.2.5.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Response, StatusCode};

use super::admission::NotFinished;
use super::endpoints::OAuth2;
use super::not_admitted::NotAdmitted;
use super::pending_sign_in::{PendingSignIn, Taken, Unfinished};
use super::return_to::ReturnTo;
use super::start::ATTEMPTS_LIFETIME;
use crate::client::IncomingRequest;
use crate::events;
use crate::identity::{AuthMethod, User};
use crate::pages;
use crate::policy::Policy;
use crate::provider::{CodeGrant, SignedIn, truncated};
use crate::respond::{SignInFailure, answer, sign_in_failed};
use crate::session::{NewSession, NotBegun, SessionLookup};

/// The parameters of a callback. Each may occur at most once (RFC 6749, section 3.1).
#[derive(Default)]
struct Parameters<'a> {
    state: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    error_description: Option<Cow<'a, str>>,
    iss: Option<Cow<'a, str>>,
}

/// A parameter occurred more than once.
struct Repeated;

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, Repeated> {
        let mut read = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let parameter = match &*name {
                "state" => &mut read.state,
                "code" => &mut read.code,
                "error" => &mut read.error,
                "error_description" => &mut read.error_description,
                "iss" => &mut read.iss,
                _ => continue,
            };
            if parameter.replace(value).is_some() {
                return Err(Repeated);
            }
        }
        Ok(read)
    }
}

impl OAuth2 {
    /// Completes a sign-in. `state` is checked first: a callback that this browser did
    /// not cause never leads to a request to the provider.
    ///
    /// # Errors
    /// [`NotAdmitted`] by `policy`, where a hook is asked whom it admits.
    pub(super) async fn callback(
        &self,
        request: IncomingRequest<'_>,
        policy: &Policy,
    ) -> Result<Response<Bytes>, NotAdmitted> {
        let Ok(parameters) = Parameters::read(request.parts.uri.query().unwrap_or_default()) else {
            return Ok(self.failed(request, &SignInFailure::RepeatedParameter, &ReturnTo::root()));
        };
        if self.sessions.store_is_up() == Some(false) {
            // Before the state and the code are used: the same address works later.
            return Ok(self.failed(request, &SignInFailure::StoreUnavailable, &ReturnTo::root()));
        }
        let state = parameters.state.as_deref().unwrap_or_default();
        Ok(match self.pendings.take(state, &request.parts.headers, self.clock.now()) {
            Taken::Yes { pending, removal } => {
                self.take_up(request, &parameters, pending, removal, policy).await?
            }
            Taken::UsedBefore(attempt) => self.stale(request, SignInFailure::UsedBefore, Some(attempt)).await,
            Taken::Expired(attempt) => self.stale(request, SignInFailure::Expired, Some(attempt)).await,
            Taken::Elsewhere(attempt) => {
                self.stale(request, SignInFailure::NotBegunHere, Some(attempt)).await
            }
            Taken::NoCookies => self.stale(request, SignInFailure::CookiesBlocked, None).await,
            Taken::Unknown => self.stale(request, SignInFailure::NotBegunHere, None).await,
        })
    }

    /// Finishes a sign-in of this browser, unless another tab has signed it in meanwhile:
    /// a second session would end the first, and the streams that its tab has open.
    async fn take_up(
        &self,
        request: IncomingRequest<'_>,
        parameters: &Parameters<'_>,
        pending: PendingSignIn,
        removal: Option<HeaderValue>,
        policy: &Policy,
    ) -> Result<Response<Bytes>, NotAdmitted> {
        if let SessionLookup::Session(session) = self.sessions.open(&request.parts.headers).await
            && pending.origin.is_overtaken_by(session.id())
        {
            return Ok(self.arrive(pending.return_to.as_deref(), removal));
        }
        let return_to = pending.return_to.as_deref();
        match self.finish(request, parameters, &pending, policy).await {
            Ok(lines) => Ok(self.arrive(return_to, lines.into_iter().chain(removal))),
            Err(NotFinished::NotAdmitted(not_admitted)) => Err(not_admitted),
            Err(NotFinished::Failed(failure)) => {
                let return_to = return_to.map_or_else(ReturnTo::root, |url| self.parse_return(url));
                Ok(self.failed(request, &failure, &return_to))
            }
        }
    }

    /// The end of a sign-in: on to the page that it began at, if that is still known.
    fn arrive(
        &self,
        return_to: Option<&str>,
        lines: impl IntoIterator<Item = HeaderValue>,
    ) -> Response<Bytes> {
        match return_to.map(|url| self.parse_return(url)).filter(|url| !url.is_lost()) {
            Some(return_to) => answer::onward(return_to.as_str(), lines),
            None => {
                answer::with_cookies(answer::page(StatusCode::OK, pages::signed_in_elsewhere("/")), lines)
            }
        }
    }

    /// A callback that cannot be finished. A signed-in person is redirected to the app
    /// (after the back button or in a second tab); for anybody else the sign-in fails
    /// with a message. The sign-in's own address is for the browser that began it.
    async fn stale(
        &self,
        request: IncomingRequest<'_>,
        failure: SignInFailure,
        attempt: Option<Unfinished>,
    ) -> Response<Bytes> {
        let session = match self.sessions.open(&request.parts.headers).await {
            SessionLookup::Session(session) => Some(session.id()),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => None,
        };
        let own = attempt
            .filter(|attempt| attempt.bound || session.is_some_and(|session| session.is_of(attempt.browser)));
        if session.is_none() {
            let return_to = own.and_then(|attempt| attempt.return_to);
            let return_to = return_to.map_or_else(ReturnTo::root, |url| self.parse_return(&url));
            return self.failed(request, &failure, &return_to);
        }
        match own {
            Some(attempt) => self.arrive(attempt.return_to.as_deref(), None),
            None => answer::redirect(ReturnTo::root().as_str()),
        }
    }

    /// From here on, the browser is known to be the one that started the sign-in. Returns
    /// the session's cookie lines.
    async fn finish(
        &self,
        request: IncomingRequest<'_>,
        parameters: &Parameters<'_>,
        pending: &PendingSignIn,
        policy: &Policy,
    ) -> Result<Vec<HeaderValue>, NotFinished> {
        self.check_issuer(parameters).await?;
        if let Some(error) = &parameters.error {
            if error == "access_denied" {
                return Err(SignInFailure::Cancelled.into());
            }
            let description = parameters.error_description.as_deref().unwrap_or_default();
            let (error, description) = (truncated(error, 64), truncated(description, 300));
            return Err(SignInFailure::Provider { error, description }.into());
        }
        let code = parameters.code.as_deref().filter(|code| !code.is_empty()).ok_or(SignInFailure::NoCode)?;
        let grant = CodeGrant {
            code,
            redirect_uri: &pending.redirect_uri,
            code_verifier: &pending.code_verifier,
            nonce: &pending.nonce,
        };
        let SignedIn { mut person, tokens, provider_session } =
            self.provider.sign_in(&grant).await.map_err(SignInFailure::Exchange)?;
        self.retain.apply(&mut person);
        let return_to =
            pending.return_to.as_deref().map_or_else(ReturnTo::root, |url| self.parse_return(url));
        let claims = self.admit(request, &person, &tokens, &return_to, policy).await?;
        let user = User::new(person.clone(), AuthMethod::Session);
        let new = NewSession { person, tokens, claims, provider_session };
        let mut lines = self
            .sessions
            .begin(new, &pending.origin, (&request.parts.headers, request.client.ip))
            .await
            .map_err(|problem| match problem {
                NotBegun::StoreDown => SignInFailure::StoreUnavailable,
                NotBegun::TooLarge => SignInFailure::SessionTooLarge,
            })?;
        events::signed_in(request, &user);
        let cookies = self.sessions.cookies();
        let attempts = self.attempts(request).saturating_add(1).to_string();
        lines.extend(cookies.set(cookies.attempts_name(), Some(&attempts), ATTEMPTS_LIFETIME));
        Ok(lines)
    }

    /// RFC 9207, section 2.4: `iss` must be the provider's, and must be present if the
    /// provider announced it.
    async fn check_issuer(&self, parameters: &Parameters<'_>) -> Result<(), SignInFailure> {
        let expected = self.provider.issuer().as_str();
        match &parameters.iss {
            Some(iss) if iss == expected => Ok(()),
            Some(_) => Err(SignInFailure::WrongIssuer),
            None => {
                let metadata =
                    self.provider.metadata().await.map_err(|error| SignInFailure::Exchange(error.into()))?;
                if metadata.iss_parameter { Err(SignInFailure::WrongIssuer) } else { Ok(()) }
            }
        }
    }

    fn failed(
        &self,
        request: IncomingRequest<'_>,
        failure: &SignInFailure,
        return_to: &ReturnTo,
    ) -> Response<Bytes> {
        let start_url = self.urls.start(return_to.as_str(), None);
        sign_in_failed(request, failure, &self.urls, self.provider.issuer(), &start_url)
    }
}
