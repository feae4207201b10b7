//! Who is signed in at the hub, by a cookie.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::state::HubContext;
use super::users::User;

/// Who is signed in: the plain username. There is nothing here worth forging it.
const COOKIE_NAME: &str = "hub_user";
/// Who is signed in.
pub(super) fn person(hub: &HubContext, headers: &HeaderMap) -> Option<User> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, username) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
    hub.state().user_named(username).cloned()
}

/// The cookie of a person who signs in. The file's reader lets only letters
/// that may stand in a cookie be part of a username.
pub(super) fn signed_in(person: &User) -> HeaderValue {
    let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Lax", person.username);
    HeaderValue::try_from(cookie).unwrap_or_else(|_| signed_out())
}

/// The cookie of a person who signs out.
pub(super) fn signed_out() -> HeaderValue {
    HeaderValue::from_static("hub_user=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}
