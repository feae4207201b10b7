//! CSRF protection of the hub's forms: each form carries a ticket, which also identifies the
//! authorization request it belongs to.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::authorization_request::AuthorizationRequest;
use super::parameters::Parameters;
use super::state::HubContext;
use super::{pages, random};

/// A form expires after an hour.
const TICKET_LIFETIME: u64 = 3600;

/// Issues the ticket for a form.
pub(super) fn issue(hub: &HubContext, request: Option<AuthorizationRequest>) -> String {
    let ticket = random::alphanumeric(32);
    hub.state().tickets.put(ticket.clone(), hub.now() + TICKET_LIFETIME, request);
    ticket
}

/// Verifies a submitted form and returns the request it belongs to. Other sites cannot know the
/// ticket, and `Origin` names the site a form comes from.
pub(super) fn verify(
    hub: &HubContext,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<AuthorizationRequest>, Box<Response>> {
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key(ORIGIN) && text(ORIGIN) != format!("http://{}", text(HOST)) {
        let why = "This form was submitted by another site.";
        return Err(Box::new(pages::notice(StatusCode::FORBIDDEN, "Request blocked", why)));
    }
    let now = hub.now();
    // The ticket stays valid: double clicks and the back button submit a form again.
    parameters
        .find("ticket")
        .and_then(|ticket| hub.state().tickets.find(ticket, now).cloned())
        .ok_or_else(|| Box::new(expired_form()))
}

/// The response to a form with an unknown or expired ticket.
pub(super) fn expired_form() -> Response {
    let why = "Go back to the application and sign in again.";
    pages::notice(StatusCode::BAD_REQUEST, "This form has expired", why)
}
