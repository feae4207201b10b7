//! `POST /api/credentials/revoke`: revokes leaked tokens.
//!
//! Whoever holds a token may revoke it, so no authentication is needed. The response does not
//! tell whether a token existed.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::api_error::error;
use super::state::Shared;

/// The request body; other members are ignored.
#[derive(Deserialize)]
struct Leaked {
    /// Tokens of any kind.
    credentials: Vec<String>,
}

/// `POST /api/credentials/revoke`.
pub(super) async fn revoke(State(hub): State<Shared>, body: Bytes) -> Response {
    let Ok(leaked) = serde_json::from_slice::<Leaked>(&body) else {
        return error(
            StatusCode::BAD_REQUEST,
            "The body must be JSON with a list of tokens: {\"credentials\": [\"hf_...\"]}",
        );
    };
    let mut state = hub.state();
    for token in &leaked.credentials {
        state.revoke(token);
    }
    StatusCode::ACCEPTED.into_response()
}
