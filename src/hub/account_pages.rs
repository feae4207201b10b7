//! Sign-in and sign-out at the hub, its home page, and the connected applications.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::parameters::Parameters;
use super::redirect::see_other;
use super::state::Shared;
use super::{browser_session, csrf, pages};

/// `GET /login`.
pub(super) async fn login(State(hub): State<Shared>) -> Response {
    let ticket = csrf::issue(&hub, None);
    pages::account_picker(&hub.state().users, &ticket, "/login", None)
}

/// `POST /login`.
pub(super) async fn sign_in(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let parameters = Parameters::from_form(&body);
    if let Err(refused) = csrf::verify(&hub, &headers, &parameters) {
        return *refused;
    }
    let user = parameters.find("username").and_then(|name| hub.state().user_named(name).cloned());
    user.map_or_else(csrf::expired_form, |user| {
        see_other(pages::CONNECTED_APPS_PATH, Some(browser_session::signed_in(&user)))
    })
}

/// `GET /logout`.
pub(super) async fn logout() -> Response {
    see_other("/", Some(browser_session::signed_out()))
}

/// `GET /`.
pub(super) async fn home(State(hub): State<Shared>, headers: HeaderMap) -> Response {
    let user = browser_session::user(&hub, &headers);
    pages::home(&hub.issuer, &hub.state().users, user.as_ref())
}

/// `GET /settings/connected-applications`.
pub(super) async fn connected(State(hub): State<Shared>, headers: HeaderMap) -> Response {
    let Some(user) = browser_session::user(&hub, &headers) else { return see_other("/login", None) };
    let ticket = csrf::issue(&hub, None);
    let state = hub.state();
    let mine = state.consents.iter().filter(|((owner, _), _)| *owner == user.id);
    let mut apps: Vec<(&str, &str, usize)> = mine
        .filter_map(|((_, id), consent)| {
            let client = state.clients.get(id)?;
            Some((client.name.as_str(), id.as_str(), consent.orgs.len()))
        })
        .collect();
    apps.sort_unstable();
    pages::connected(&user, &apps, &ticket)
}

/// `POST /settings/connected-applications`: the "Disconnect" button.
pub(super) async fn disconnect(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let parameters = Parameters::from_form(&body);
    if let Err(refused) = csrf::verify(&hub, &headers, &parameters) {
        return *refused;
    }
    let Some(user) = browser_session::user(&hub, &headers) else { return see_other("/login", None) };
    if let Some(client) = parameters.find("client_id") {
        hub.state().disconnect(&user.id, client);
    }
    see_other(pages::CONNECTED_APPS_PATH, None)
}
