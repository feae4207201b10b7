//! `/oauth/authorize`: identifies the user, asks for consent, redirects to the client.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::authorization_request::{AuthorizationRequest, Callback, RequestError, ResponseTarget};
use super::behaviour::Iss;
use super::grant::{AuthorizationCode, Grant};
use super::parameters::{Parameters, encode};
use super::redirect::{see_other, with_cookie};
use super::state::{HubContext, HubState, Shared};
use super::users::User;
use super::{browser_session, csrf, device_flow, pages, random};

/// An authorization code expires after ten minutes (RFC 6749, section 4.1.2).
const CODE_LIFETIME: u64 = 600;
/// `GET /oauth/authorize`.
pub(super) async fn show(
    State(hub): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let checked = AuthorizationRequest::parse(&query.unwrap_or_default(), &hub.state().clients);
    match checked {
        Ok(request) => show_page(&hub, request, browser_session::user(&hub, &headers).as_ref()),
        Err(RequestError::Page(why)) => {
            pages::notice(StatusCode::BAD_REQUEST, "Invalid authorization request", &why)
        }
        Err(RequestError::Redirect { callback, error, description }) => {
            refuse(&hub, &callback, error, &description)
        }
    }
}

/// `POST /oauth/authorize`: submission of the account picker or the consent form.
pub(super) async fn submit(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let parameters = Parameters::from_form(&body);
    let request = match csrf::verify(&hub, &headers, &parameters) {
        Ok(Some(request)) => request,
        Ok(None) => return csrf::expired_form(),
        Err(refused) => return *refused,
    };
    if parameters.find("decision") == Some("switch") {
        return see_other(&request.resume, Some(browser_session::signed_out()));
    }
    let named = parameters.find("username").and_then(|name| hub.state().user_named(name).cloned());
    let Some(user) = named.or_else(|| browser_session::user(&hub, &headers)) else {
        return pages::notice(StatusCode::BAD_REQUEST, "Unknown user", "There is no user with this name.");
    };
    let cookie = Some(browser_session::signed_in(&user));
    match parameters.find("decision") {
        None => see_other(&request.resume, cookie),
        Some("authorize") => {
            let granted = granted(&hub, &request, &user, &parameters);
            hub.state().remember(&user.id, &request.client, &request.scopes, granted);
            with_cookie(allow(&hub, request, &user), cookie)
        }
        Some(_) => with_cookie(deny(&hub, &request), cookie),
    }
}

/// Shows the account picker, or the consent page to a user who is signed in. A user who
/// consented before is redirected without a page.
pub(super) fn show_page(hub: &HubContext, request: AuthorizationRequest, user: Option<&User>) -> Response {
    let Some(user) = user else {
        let ticket = csrf::issue(hub, Some(request.clone()));
        let state = hub.state();
        let client = state.clients.get(&request.client).map_or("", |client| client.name.as_str());
        return pages::account_picker(&state.users, &ticket, "/oauth/authorize", Some(client));
    };
    if matches!(request.answer, ResponseTarget::Redirect(_))
        && already_consented(&hub.state(), &request, user)
    {
        return allow(hub, request, user);
    }
    let ticket = csrf::issue(hub, Some(request.clone()));
    let state = hub.state();
    let before = state.consent(&user.id, &request.client).cloned().unwrap_or_default();
    let client = state.clients.get(&request.client).map_or("", |client| client.name.as_str());
    pages::consent(&pages::Consent { client, request: &request, user, ticket: &ticket, before: &before.orgs })
}

/// Whether the user consented to all requested scopes and organisations before. Organisations
/// they are not a member of cannot be granted and are ignored.
fn already_consented(state: &HubState, request: &AuthorizationRequest, user: &User) -> bool {
    let Some(consent) = state.consent(&user.id, &request.client) else { return false };
    let in_org = |id: &&String| user.orgs.iter().any(|org| org.id == **id);
    let open = |id: &String| state.behaviour.always_ask_orgs || !consent.orgs.contains(id);
    request.scopes.iter().all(|scope| consent.scopes.contains(scope))
        && !request.orgs.iter().filter(in_org).any(open)
}

/// The ids of the organisations to grant: those ticked (by id, or by slug for scripts) and
/// those the client requires.
fn granted(
    hub: &HubContext,
    request: &AuthorizationRequest,
    user: &User,
    parameters: &Parameters,
) -> BTreeSet<String> {
    let ticked: BTreeSet<&str> = parameters.all("org").collect();
    let state = hub.state();
    let user = state.user(&user.id).unwrap_or(user);
    let chosen = user.orgs.iter().filter(|org| {
        ticked.contains(org.id.as_str())
            || ticked.contains(org.slug.as_str())
            || request.orgs.contains(&org.id)
    });
    chosen.map(|org| org.id.clone()).collect()
}

/// The user consents: issues a code, or approves the device.
fn allow(hub: &HubContext, request: AuthorizationRequest, user: &User) -> Response {
    let now = hub.now();
    let grant = Grant {
        user: user.id.clone(),
        client: request.client,
        scopes: request.scopes,
        auth_time: now,
        expires: now + CODE_LIFETIME,
    };
    match request.answer {
        ResponseTarget::Redirect(callback) => {
            let name = random::alphanumeric(32);
            let code = AuthorizationCode {
                grant,
                redirect_uri: callback.redirect_uri.clone(),
                nonce: callback.nonce.clone(),
                challenge: callback.challenge.clone(),
            };
            hub.state().codes.put(name.clone(), now + CODE_LIFETIME, code);
            back(hub, &callback, vec![("code".to_owned(), name)])
        }
        ResponseTarget::Device(code) => device_flow::allowed(hub, &code, grant),
    }
}

/// The user declines.
fn deny(hub: &HubContext, request: &AuthorizationRequest) -> Response {
    match &request.answer {
        ResponseTarget::Redirect(callback) => {
            refuse(hub, callback, "access_denied", "The user denied the request")
        }
        ResponseTarget::Device(code) => device_flow::denied(hub, code),
    }
}

/// Redirects to the client with an error (RFC 6749, section 4.1.2.1).
fn refuse(hub: &HubContext, callback: &Callback, error: &str, description: &str) -> Response {
    let answer =
        vec![("error".to_owned(), encode(error)), ("error_description".to_owned(), encode(description))];
    back(hub, callback, answer)
}

/// Redirects to the client with a 303, as huggingface.co does.
fn back(hub: &HubContext, callback: &Callback, mut query: Vec<(String, String)>) -> Response {
    if let Some(state) = &callback.state {
        query.push(("state".to_owned(), state.clone()));
    }
    let behaviour = hub.state().behaviour.clone();
    match behaviour.iss {
        Some(Iss::Right) => query.push(("iss".to_owned(), encode(&hub.issuer))),
        Some(Iss::Other(issuer)) => query.push(("iss".to_owned(), encode(&issuer))),
        None => {}
    }
    if let Some(edit) = &behaviour.edit_callback {
        edit.apply(&mut query);
    }
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let joint = if callback.redirect_uri.contains('?') { '&' } else { '?' };
    see_other(&format!("{}{joint}{}", callback.redirect_uri, query.join("&")), None)
}
