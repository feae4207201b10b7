//! The events of the log that embedders rely on: one for each refusal, sign-in and sign-out.
//! `docs/reference/logging.md` lists their fields.
//!
//! Nothing is read from a request before a subscriber wants the event. What clients and the
//! provider wrote is [`masked`], and queries are left out.

use std::borrow::Cow;
use std::net::IpAddr;

use http::StatusCode;
use tracing::{Level, Span};

use crate::client::IncomingRequest;
use crate::identity::User;
use crate::masked::masked;

/// The target of these events.
const TARGET: &str = "huggate::audit";
/// The field of the current span for the account id: an attribute of OpenTelemetry's semantic
/// conventions.
pub(crate) const ENDUSER_ID: &str = "enduser.id";

/// An event at level warn or info.
macro_rules! event {
    ($warns:expr, $($fields:tt)+) => {
        if $warns { tracing::warn!(target: TARGET, $($fields)+) } else { tracing::info!(target: TARGET, $($fields)+) }
    };
}

/// Whether somebody wants the event.
fn is_enabled(warns: bool) -> bool {
    if warns {
        tracing::enabled!(target: TARGET, Level::WARN)
    } else {
        tracing::enabled!(target: TARGET, Level::INFO)
    }
}

/// What the events say of a request.
struct RequestFields<'a> {
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    host: Cow<'a, str>,
    client: Option<IpAddr>,
    request_id: Option<Cow<'a, str>>,
}

impl<'a> RequestFields<'a> {
    fn of(request: IncomingRequest<'a>) -> Self {
        Self {
            method: masked(request.parts.method.as_str()),
            path: masked(request.parts.uri.path()),
            host: masked(&request.client.host),
            client: request.client.ip,
            request_id: request.request_id().map(masked),
        }
    }
}

/// What the events say of a person. The username may be the account id, and nothing else is
/// named.
struct PersonFields<'a> {
    sub: Option<Cow<'a, str>>,
    username: Option<Cow<'a, str>>,
    auth_method: Option<&'static str>,
}

impl<'a> PersonFields<'a> {
    fn of(user: Option<&'a User>) -> Self {
        Self {
            sub: user.map(|user| masked(user.id())),
            username: user.map(|user| masked(user.username())),
            auth_method: user.map(|user| user.auth_method().as_str()),
        }
    }
}

/// A request that the gate refused.
pub(crate) struct Refused<'a> {
    /// One of the words for decisions.
    pub(crate) decision: &'static str,
    /// The error code.
    pub(crate) reason: &'a str,
    /// Of the answer.
    pub(crate) status: StatusCode,
    /// The person who may not enter.
    pub(crate) user: Option<&'a User>,
    /// The header that is wrong.
    pub(crate) header: Option<&'a str>,
    /// For operators rather than for watchers of clients.
    pub(crate) warns: bool,
}

/// Logs that a person ended sessions of their own.
pub(crate) fn session_revoked(request: IncomingRequest<'_>, user: &User, sessions: u64) {
    if !is_enabled(false) {
        return;
    }
    let (fields, person) = (RequestFields::of(request), PersonFields::of(Some(user)));
    tracing::info!(
        target: TARGET,
        event = "session_revoked",
        sub = person.sub.as_deref(),
        username = person.username.as_deref(),
        sessions,
        host = &*fields.host,
        client = fields.client.map(tracing::field::display),
        request_id = fields.request_id.as_deref(),
        "a person ended sessions of their own",
    );
}

/// Logs a refusal. `route` and `detail` are called if somebody wants the event.
pub(crate) fn refused(
    request: IncomingRequest<'_>,
    refused: &Refused<'_>,
    route: impl FnOnce() -> Option<String>,
    detail: impl FnOnce() -> Option<String>,
) {
    if !is_enabled(refused.warns) {
        return;
    }
    let (route, detail) = (route(), detail());
    let (fields, person) = (RequestFields::of(request), PersonFields::of(refused.user));
    event!(
        refused.warns,
        event = "refused",
        decision = refused.decision,
        reason = &*masked(refused.reason),
        status = refused.status.as_u16(),
        route = route.as_deref(),
        method = &*fields.method,
        path = &*fields.path,
        host = &*fields.host,
        client = fields.client.map(tracing::field::display),
        sub = person.sub.as_deref(),
        username = person.username.as_deref(),
        auth_method = person.auth_method,
        request_id = fields.request_id.as_deref(),
        header = refused.header.map(masked).as_deref(),
        detail = detail.as_deref().map(masked).as_deref(),
        "refused",
    );
}

/// Logs a request that was let through, and whose permission ended before the app's answer.
pub(crate) fn interrupted(
    (host, target): (&str, &str),
    client: Option<IpAddr>,
    reason: &str,
    status: StatusCode,
    user: Option<&User>,
) {
    if !is_enabled(false) {
        return;
    }
    let person = PersonFields::of(user);
    event!(
        false,
        event = "interrupted",
        reason,
        status = status.as_u16(),
        path = &*masked(target.split('?').next().unwrap_or_default()),
        host = &*masked(host),
        client = client.map(tracing::field::display),
        sub = person.sub.as_deref(),
        username = person.username.as_deref(),
        auth_method = person.auth_method,
        "ended a request with its permission",
    );
}

/// Logs a sign-in that began a session, and names the person in the current span.
pub(crate) fn signed_in(request: IncomingRequest<'_>, user: &User) {
    Span::current().record(ENDUSER_ID, user.id());
    if !is_enabled(false) {
        return;
    }
    let (fields, person) = (RequestFields::of(request), PersonFields::of(Some(user)));
    event!(
        false,
        event = "sign_in",
        sub = person.sub.as_deref(),
        username = person.username.as_deref(),
        host = &*fields.host,
        client = fields.client.map(tracing::field::display),
        request_id = fields.request_id.as_deref(),
        "signed in",
    );
}

/// Logs a sign-in that began no session. `detail` says why, for operators.
pub(crate) fn sign_in_failed(
    request: IncomingRequest<'_>,
    (reason, status): (&str, StatusCode),
    detail: &str,
    user: Option<&User>,
    warns: bool,
) {
    if !is_enabled(warns) {
        return;
    }
    let (fields, person) = (RequestFields::of(request), PersonFields::of(user));
    event!(
        warns,
        event = "sign_in_failed",
        reason,
        status = status.as_u16(),
        sub = person.sub.as_deref(),
        username = person.username.as_deref(),
        host = &*fields.host,
        client = fields.client.map(tracing::field::display),
        request_id = fields.request_id.as_deref(),
        detail = &*masked(detail),
        "sign-in failed",
    );
}

/// Logs the end of a session by its person.
pub(crate) fn signed_out(request: IncomingRequest<'_>, user: &User) {
    if !is_enabled(false) {
        return;
    }
    let (fields, person) = (RequestFields::of(request), PersonFields::of(Some(user)));
    event!(
        false,
        event = "sign_out",
        sub = person.sub.as_deref(),
        username = person.username.as_deref(),
        host = &*fields.host,
        client = fields.client.map(tracing::field::display),
        request_id = fields.request_id.as_deref(),
        "signed out",
    );
}
