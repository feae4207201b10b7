//! Permission as a value: only the gate makes one.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::drain::StreamKind;
use super::ruleset::Ruleset;
use crate::authn::Caller;
use crate::identity::{AccessToken, RenderedIdentity, User};
use crate::policy::Rule;
use crate::session::ActiveSession;

/// A request that takes longer is watched for the end of its permission; another ends
/// after this time. So a timer is all that a quick request needs.
pub(crate) const QUICK: Duration = Duration::from_millis(100);

/// Permission for one request to go on to the app.
///
/// Only the gate makes one, after it decided. [`Upstream::send`] takes it as an argument,
/// so a request that was not decided cannot be sent; a service behind the layer finds it
/// in the request's extensions.
///
/// There is no other way to get one:
///
/// ```compile_fail,E0451
/// let grant = huggate::Grant { caller: todo!(), route: None, required: None, ruleset: None };
/// ```
///
/// ```compile_fail,E0624
/// let grant = huggate::Grant::new(todo!(), None, None, None);
/// ```
///
/// [`Upstream::send`]: ../upstream/struct.Upstream.html#method.send
#[derive(Clone)]
pub struct Grant {
    caller: Caller,
    route: Option<usize>,
    /// What [`Gate::require`](crate::Gate::require) demands besides.
    required: Option<Arc<[Rule]>>,
    /// The ruleset that decides whether the grant still holds; `None` for a CORS preflight.
    ruleset: Option<Arc<Ruleset>>,
}

impl Grant {
    pub(super) fn new(
        caller: Caller,
        route: Option<usize>,
        required: Option<Arc<[Rule]>>,
        ruleset: Option<Arc<Ruleset>>,
    ) -> Self {
        Self { caller, route, required, ruleset }
    }

    /// The person who is signed in; `None` on a public route without a session.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.identity().map(RenderedIdentity::user)
    }

    /// The access token for Hugging Face: the session's, or the one that an API client sent.
    /// `None` on a public route without a session.
    #[must_use]
    pub fn access_token(&self) -> Option<AccessToken> {
        match &self.caller {
            Caller::Nobody => None,
            Caller::Session(session) => {
                let tokens = session.tokens();
                Some(AccessToken::new(tokens.access.clone(), tokens.expires))
            }
            Caller::Token(caller) => Some(AccessToken::new(caller.token().clone(), None)),
        }
    }

    /// Which route the request is for, as its place in the list; `None` is none
    /// of them.
    #[must_use]
    pub fn route(&self) -> Option<usize> {
        self.route
    }

    /// Waits until what is open under this permission has to be closed. The permission no
    /// longer holds: the session was ended here, was not used for its `idle_timeout`, or has
    /// reached its `max_age`; the provider, asked again when that was due, reports what the
    /// rules refuse; or rules came into force that do. Or the gate drains
    /// ([`Gate::drain`](crate::Gate::drain)).
    pub async fn ended(&self) {
        let Some(ruleset) = &self.ruleset else { return std::future::pending().await };
        tokio::select! {
            biased;
            () = self.permission_ended() => {}
            () = ruleset.drain.ended(StreamKind::Endless) => {}
        }
    }

    /// Waits until this permission no longer holds, for one of the reasons of [`Grant::ended`]
    /// but the last.
    pub(crate) async fn permission_ended(&self) {
        let place = (self.route, self.required());
        match (&self.caller, &self.ruleset) {
            (Caller::Session(session), Some(ruleset)) => ruleset.until_refused(session, place).await,
            (Caller::Token(caller), Some(ruleset)) => ruleset.until_token_refused(caller, place).await,
            (Caller::Nobody, Some(ruleset)) => ruleset.until_not_public(place).await,
            (Caller::Session(_) | Caller::Token(_) | Caller::Nobody, None) => std::future::pending().await,
        }
    }

    /// Records that the session is in use. A request is use by itself; a service that
    /// upgraded a request to a WebSocket calls this for every frame, of either direction,
    /// so that the session does not run into its `idle_timeout` meanwhile. It costs a look
    /// at the clock.
    pub fn record_use(&self) {
        if let (Caller::Session(session), Some(ruleset)) = (&self.caller, &self.ruleset) {
            session.record_use(&ruleset.clock);
        }
    }

    /// The output of `pending`, unless the permission ends first.
    pub(crate) async fn unless_ended<T>(&self, pending: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        tokio::select! {
            biased;
            output = pending => Some(output),
            () = self.permission_ended() => None,
        }
    }

    /// Whether the session was ended here since.
    pub(crate) fn has_ended(&self) -> bool {
        self.session().is_some_and(ActiveSession::has_ended)
    }

    /// Who it was given to.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What is demanded besides the rules of the route.
    pub(super) fn required(&self) -> &[Rule] {
        self.required.as_deref().unwrap_or_default()
    }

    /// The ruleset that it was decided by; `None` for a CORS preflight.
    pub(super) fn ruleset(&self) -> Option<&Arc<Ruleset>> {
        self.ruleset.as_ref()
    }

    /// The identity that the app is told.
    pub(super) fn identity(&self) -> Option<&RenderedIdentity> {
        self.caller.identity()
    }

    /// The session it is based on.
    pub(super) fn session(&self) -> Option<&ActiveSession> {
        self.caller.session()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("caller", &self.caller)
            .field("route", &self.route)
            .field("required", &self.required())
            .finish_non_exhaustive()
    }
}
