//! `/oauth/authorize`: who is it, do they agree, and back to the application.

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

/// A code must be redeemed within ten minutes (RFC 6749, section 4.1.2).
const CODE_LIFETIME: u64 = 600;
/// `GET /oauth/authorize`.
pub(super) async fn show(
    State(hub): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let checked = AuthorizationRequest::parse(&query.unwrap_or_default(), &hub.state().clients);
    match checked {
        Ok(ask) => show_page(&hub, ask, browser_session::person(&hub, &headers).as_ref()),
        Err(RequestError::Page(why)) => {
            pages::notice(StatusCode::BAD_REQUEST, "This request is not right", &why)
        }
        Err(RequestError::Redirect { callback, error, description }) => {
            refuse(&hub, &callback, error, &description)
        }
    }
}

/// `POST /oauth/authorize`: the forms of the pages below.
pub(super) async fn submit(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let parameters = Parameters::from_form(&body);
    let ask = match csrf::check(&hub, &headers, &parameters) {
        Ok(Some(ask)) => ask,
        Ok(None) => return csrf::expired_form(),
        Err(refused) => return *refused,
    };
    if parameters.find("decision") == Some("switch") {
        return see_other(&ask.resume, Some(browser_session::signed_out()));
    }
    let named = parameters.find("username").and_then(|name| hub.state().user_named(name).cloned());
    let Some(person) = named.or_else(|| browser_session::person(&hub, &headers)) else {
        return pages::notice(
            StatusCode::BAD_REQUEST,
            "Who are you?",
            "Nobody of this name has an account here.",
        );
    };
    let cookie = Some(browser_session::signed_in(&person));
    match parameters.find("decision") {
        None => see_other(&ask.resume, cookie),
        Some("authorize") => {
            let granted = granted(&hub, &ask, &person, &parameters);
            hub.state().remember(&person.id, &ask.client, &ask.scopes, granted);
            with_cookie(allow(&hub, ask, &person), cookie)
        }
        Some(_) => with_cookie(deny(&hub, &ask), cookie),
    }
}

/// The page that asks: first who it is, then whether they agree. Somebody who
/// agreed before is sent back without a page (card, section 3).
pub(super) fn show_page(hub: &HubContext, ask: AuthorizationRequest, person: Option<&User>) -> Response {
    let Some(person) = person else {
        let ticket = csrf::issue(hub, Some(ask.clone()));
        let state = hub.state();
        let client = state.clients.get(&ask.client).map_or("", |client| client.name.as_str());
        return pages::account_picker(&state.users, &ticket, "/oauth/authorize", Some(client));
    };
    if matches!(ask.answer, ResponseTarget::Redirect(_)) && already_consented(&hub.state(), &ask, person) {
        return allow(hub, ask, person);
    }
    let ticket = csrf::issue(hub, Some(ask.clone()));
    let state = hub.state();
    let before = state.consent(&person.id, &ask.client).cloned().unwrap_or_default();
    let client = state.clients.get(&ask.client).map_or("", |client| client.name.as_str());
    pages::consent(&pages::Consent { client, ask: &ask, person, ticket: &ticket, before: &before.orgs })
}

/// Whether the person agreed to all of this before. An organisation they are
/// not in cannot be granted, so it does not hold them up.
fn already_consented(state: &HubState, ask: &AuthorizationRequest, person: &User) -> bool {
    let Some(consent) = state.consent(&person.id, &ask.client) else { return false };
    let in_org = |id: &&String| person.orgs.iter().any(|org| org.id == **id);
    let open = |id: &String| state.behaviour.always_ask_orgs || !consent.orgs.contains(id);
    ask.scopes.iter().all(|scope| consent.scopes.contains(scope)) && !ask.orgs.iter().filter(in_org).any(open)
}

/// The ids of the organisations that are granted: those ticked (by id, or by
/// slug for scripts), and those the application requires.
fn granted(
    hub: &HubContext,
    ask: &AuthorizationRequest,
    person: &User,
    parameters: &Parameters,
) -> BTreeSet<String> {
    let ticked: BTreeSet<&str> = parameters.all("org").collect();
    let state = hub.state();
    let person = state.person(&person.id).unwrap_or(person);
    let chosen = person.orgs.iter().filter(|org| {
        ticked.contains(org.id.as_str()) || ticked.contains(org.slug.as_str()) || ask.orgs.contains(&org.id)
    });
    chosen.map(|org| org.id.clone()).collect()
}

/// The person agrees.
fn allow(hub: &HubContext, ask: AuthorizationRequest, person: &User) -> Response {
    let now = hub.now();
    let grant = Grant {
        person: person.id.clone(),
        client: ask.client,
        scopes: ask.scopes,
        auth_time: now,
        expires: now + CODE_LIFETIME,
    };
    match ask.answer {
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

/// The person does not agree.
fn deny(hub: &HubContext, ask: &AuthorizationRequest) -> Response {
    match &ask.answer {
        ResponseTarget::Redirect(callback) => {
            refuse(hub, callback, "access_denied", "The user denied the request")
        }
        ResponseTarget::Device(code) => device_flow::denied(hub, code),
    }
}

/// Back to the application with an error (RFC 6749, section 4.1.2.1).
fn refuse(hub: &HubContext, callback: &Callback, error: &str, description: &str) -> Response {
    let answer =
        vec![("error".to_owned(), encode(error)), ("error_description".to_owned(), encode(description))];
    back(hub, callback, answer)
}

/// Back to the application: a 303, as the real one sends.
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
