//! The browser at the hub: who is signed in there, and whose form it sends.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::ask::Ask;
use super::authorize;
use super::fields::Fields;
use super::pages;
use super::people::Person;
use super::state::{Inner, Shared};

/// Who is signed in: the plain username. There is nothing here worth forging it.
const COOKIE_NAME: &str = "hub_user";
/// Where signed-in people see and end their connections.
pub(super) const CONNECTED: &str = "/settings/connected-applications";

/// `GET /login`.
pub(super) async fn login(State(hub): State<Shared>) -> Response {
    let ticket = authorize::ticket(&hub, None);
    pages::picker(&hub.state().people, &ticket, "/login", None)
}

/// `POST /login`.
pub(super) async fn sign_in(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = Fields::from_form(&body);
    if let Err(refused) = ticket(&hub, &headers, &fields) {
        return *refused;
    }
    let person = fields.find("username").and_then(|name| hub.state().person_named(name).cloned());
    person.map_or_else(stale, |person| authorize::see_other(CONNECTED, Some(signed_in(&person))))
}

/// `GET /logout`.
pub(super) async fn logout() -> Response {
    authorize::see_other("/", Some(signed_out()))
}

/// `GET /`.
pub(super) async fn home(State(hub): State<Shared>, headers: HeaderMap) -> Response {
    let person = person(&hub, &headers);
    pages::home(&hub.issuer, &hub.state().people, person.as_ref())
}

/// `GET /settings/connected-applications`.
pub(super) async fn connected(State(hub): State<Shared>, headers: HeaderMap) -> Response {
    let Some(person) = person(&hub, &headers) else { return authorize::see_other("/login", None) };
    let ticket = authorize::ticket(&hub, None);
    let state = hub.state();
    let mine = state.consents.iter().filter(|((owner, _), _)| *owner == person.id);
    let mut apps: Vec<(&str, &str, usize)> = mine
        .filter_map(|((_, id), consent)| {
            let client = state.clients.get(id)?;
            Some((client.name.as_str(), id.as_str(), consent.orgs.len()))
        })
        .collect();
    apps.sort_unstable();
    pages::connected(&person, &apps, &ticket)
}

/// `POST /settings/connected-applications`: the button "Disconnect".
pub(super) async fn disconnect(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = Fields::from_form(&body);
    if let Err(refused) = ticket(&hub, &headers, &fields) {
        return *refused;
    }
    let Some(person) = person(&hub, &headers) else { return authorize::see_other("/login", None) };
    if let Some(client) = fields.find("client_id") {
        hub.state().disconnect(&person.id, client);
    }
    authorize::see_other(CONNECTED, None)
}

/// `GET /oauth/device`: where a person types the code a device shows.
pub(super) async fn device(
    State(hub): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let fields = Fields::from_form(query.unwrap_or_default().as_bytes());
    let Some(typed) = fields.find("user_code") else { return pages::device(None) };
    let Some(ask) = super::device::ask(&hub, typed) else { return pages::device(Some(typed)) };
    authorize::present(&hub, ask, person(&hub, &headers).as_ref())
}

/// Who is signed in.
pub(super) fn person(hub: &Inner, headers: &HeaderMap) -> Option<Person> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, username) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
    hub.state().person_named(username).cloned()
}

/// What the form that is sent was shown for. No other site can know the
/// ticket, and a browser says which site a form comes from.
pub(super) fn ticket(
    hub: &Inner,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Option<Ask>, Box<Response>> {
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key(ORIGIN) && text(ORIGIN) != format!("http://{}", text(HOST)) {
        let why = "This form was sent by another site.";
        return Err(Box::new(pages::notice(StatusCode::FORBIDDEN, "No", why)));
    }
    let now = hub.now();
    // Not taken away: a second click, or the way back, sends it once more.
    fields
        .find("ticket")
        .and_then(|ticket| hub.state().tickets.find(ticket, now).cloned())
        .ok_or_else(|| Box::new(stale()))
}

/// The answer to a form that is not, or no longer, known.
pub(super) fn stale() -> Response {
    let why = "This form has expired. Go back to the application and sign in once more.";
    pages::notice(StatusCode::BAD_REQUEST, "Too late", why)
}

/// The cookie of a person who signs in. The file's reader lets only letters
/// that may stand in a cookie be part of a username.
pub(super) fn signed_in(person: &Person) -> HeaderValue {
    let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Lax", person.username);
    HeaderValue::try_from(cookie).unwrap_or_else(|_| signed_out())
}

/// The cookie of a person who signs out.
pub(super) fn signed_out() -> HeaderValue {
    HeaderValue::from_static("hub_user=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}
