//! Tickets of forms: what a form was shown for, and the guard against forms of other sites (CSRF).

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::authorization_request::AuthorizationRequest;
use super::parameters::Parameters;
use super::state::HubContext;
use super::{pages, random};

/// A form must be sent within an hour.
const TICKET_LIFETIME: u64 = 3600;

/// A ticket for a form that is about to be shown.
pub(super) fn issue(hub: &HubContext, ask: Option<AuthorizationRequest>) -> String {
    let ticket = random::alphanumeric(32);
    hub.state().tickets.put(ticket.clone(), hub.now() + TICKET_LIFETIME, ask);
    ticket
}

/// What the form that is sent was shown for. No other site can know the
/// ticket, and a browser says which site a form comes from.
pub(super) fn check(
    hub: &HubContext,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<AuthorizationRequest>, Box<Response>> {
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key(ORIGIN) && text(ORIGIN) != format!("http://{}", text(HOST)) {
        let why = "This form was sent by another site.";
        return Err(Box::new(pages::notice(StatusCode::FORBIDDEN, "No", why)));
    }
    let now = hub.now();
    // Not taken away: a second click, or the way back, sends it once more.
    parameters
        .find("ticket")
        .and_then(|ticket| hub.state().tickets.find(ticket, now).cloned())
        .ok_or_else(|| Box::new(expired_form()))
}

/// The answer to a form that is not, or no longer, known.
pub(super) fn expired_form() -> Response {
    let why = "This form has expired. Go back to the application and sign in once more.";
    pages::notice(StatusCode::BAD_REQUEST, "Too late", why)
}
