//! The routes.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use super::state::Shared;
use super::{
    account_pages, authorize, credentials, device_flow, device_page, discovery, pages, registration, token,
    userinfo, whoami,
};

/// Maximum size of a request body; a consent form with hundreds of organisations takes 10 KiB.
const MAX_BODY: usize = 256 * 1024;

/// Every endpoint. There is no OAuth revocation (RFC 7009) and no end-session endpoint, because
/// huggingface.co has none.
pub(super) fn router(hub: Shared) -> Router {
    Router::new()
        .route("/", get(account_pages::home))
        .route("/hub.css", get(pages::style))
        .route("/avatars/{name}", get(pages::avatar))
        .route("/.well-known/openid-configuration", get(discovery::document))
        .route("/.well-known/oauth-authorization-server", get(discovery::document))
        .route("/oauth/jwks", get(discovery::jwks))
        .route("/oauth/authorize", get(authorize::show).post(authorize::submit))
        .route("/oauth/token", post(token::token))
        .route("/oauth/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/oauth/device", get(device_page::show).post(device_flow::begin))
        .route("/oauth/register", post(registration::register))
        .route("/api/whoami-v2", get(whoami::whoami))
        .route("/api/credentials/revoke", post(credentials::revoke))
        .route("/login", get(account_pages::login).post(account_pages::sign_in))
        .route("/logout", get(account_pages::logout))
        .route(pages::CONNECTED_APPS_PATH, get(account_pages::connected).post(account_pages::disconnect))
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(hub)
}

/// 404 for unknown paths.
async fn not_found() -> Response {
    pages::notice(StatusCode::NOT_FOUND, "Not found", "There is no page at this address.")
}
