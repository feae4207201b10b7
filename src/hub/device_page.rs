//! The page on which a person types the code that a device shows.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::parameters::Parameters;
use super::state::Shared;
use super::{authorize, browser_session, device_flow, pages};

/// `GET /oauth/device`: where a person types the code a device shows.
pub(super) async fn show(
    State(hub): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::from_form(query.unwrap_or_default().as_bytes());
    let Some(typed) = parameters.find("user_code") else { return pages::device(None) };
    let Some(ask) = device_flow::ask(&hub, typed) else { return pages::device(Some(typed)) };
    authorize::show_page(&hub, ask, browser_session::person(&hub, &headers).as_ref())
}
