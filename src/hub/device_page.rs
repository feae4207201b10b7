//! The page for entering a device's user code.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::parameters::Parameters;
use super::state::Shared;
use super::{authorize, browser_session, device_flow, pages};

/// `GET /oauth/device`: asks for the user code, then for consent.
pub(super) async fn show(
    State(hub): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::from_form(query.unwrap_or_default().as_bytes());
    let Some(typed) = parameters.find("user_code") else { return pages::device(None) };
    let Some(request) = device_flow::request(&hub, typed) else { return pages::device(Some(typed)) };
    authorize::show_page(&hub, request, browser_session::user(&hub, &headers).as_ref())
}
