//! What the handlers of the admin listener share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use huggate::Gate;
use huggate::config::AdminSettings;
use huggate::proxy::Proxy;
use serde_json::json;

/// What the handlers use.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) proxy: Arc<ArcSwap<Proxy>>,
    /// Replaced by a reload.
    pub(super) settings: Arc<ArcSwap<AdminSettings>>,
}

pub(super) type AdminState = State<Admin>;

impl Admin {
    pub(super) fn gate(&self) -> Gate {
        self.proxy.load().gate().clone()
    }
}

/// An error of the listener's own.
pub(super) fn error(status: StatusCode, code: &str, description: &str) -> Response {
    let document = json!({"error": code, "error_description": description});
    (status, axum::Json(document)).into_response()
}
