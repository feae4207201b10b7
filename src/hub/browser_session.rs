//! The user who is signed in at the hub, kept in a cookie.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::state::HubContext;
use super::users::User;

/// The cookie holds the plain username: nothing here is worth forging it for.
const COOKIE_NAME: &str = "hub_user";
/// The signed-in user.
pub(super) fn user(hub: &HubContext, headers: &HeaderMap) -> Option<User> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, username) = pairs.find(|(name, _)| *name == COOKIE_NAME)?;
    hub.state().user_named(username).cloned()
}

/// The cookie for a user who signs in. The users file allows only usernames that are valid in a
/// cookie.
pub(super) fn signed_in(user: &User) -> HeaderValue {
    let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Lax", user.username);
    HeaderValue::try_from(cookie).unwrap_or_else(|_| signed_out())
}

/// The cookie that signs the user out.
pub(super) fn signed_out() -> HeaderValue {
    HeaderValue::from_static("hub_user=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}
