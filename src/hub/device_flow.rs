//! The device authorization grant (RFC 8628).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::authorization_request::{AuthorizationRequest, ResponseTarget};
use super::client_authentication::{authenticate, parse_parameters};
use super::clients::Client;
use super::device_authorization::{Decision, DeviceAuthorization};
use super::grant::Grant;
use super::oauth_error::OAuthError;
use super::pages;
use super::parameters::{self, Parameters};
use super::random;
use super::state::{HubContext, Shared};

/// A device code expires after five minutes.
const LIFETIME: u64 = 300;
/// Minimum seconds between two polls (RFC 8628, section 3.5: the default is 5).
const INTERVAL: u64 = 5;

/// `POST /oauth/device`. Like huggingface.co, it returns four fields, without `interval` and
/// `verification_uri_complete`.
pub(super) async fn begin(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&hub, &headers, &body) {
        Ok(answer) => ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Validates the request and stores the device authorization.
fn answer(hub: &HubContext, headers: &HeaderMap, body: &[u8]) -> Result<Value, OAuthError> {
    let parameters = parse_parameters(headers, body)?;
    let client = authenticate(hub, headers, &parameters)?;
    let client = client.ok_or_else(|| OAuthError::invalid_request("client_id is missing"))?;
    let scopes = parameters.find("scope").map_or_else(|| client.scopes.clone(), parameters::scopes);
    if let Some(scope) = client.forbidden(&scopes) {
        return Err(OAuthError::new(
            "invalid_scope",
            format!("the scope {scope} is not enabled for this application"),
        ));
    }
    let (device_code, user_code) = (random::alphanumeric(40), random::user_code());
    let answer = json!({
        "device_code": device_code, "user_code": user_code,
        "verification_uri": format!("{}/oauth/device", hub.issuer), "expires_in": LIFETIME,
    });
    let device = DeviceAuthorization {
        client: client.id,
        scopes,
        user_code,
        decision: Decision::Waiting,
        polled: None,
    };
    hub.state().devices.put(device_code, hub.now() + LIFETIME, device);
    Ok(answer)
}

/// Handles a poll at the token endpoint (RFC 8628, section 3.5).
pub(super) fn poll(hub: &HubContext, client: &Client, parameters: &Parameters) -> Result<Grant, OAuthError> {
    let now = hub.now();
    let code = parameters.find("device_code").unwrap_or_default();
    let mut state = hub.state();
    let unknown = || OAuthError::invalid_grant("the device code is unknown or used");
    let (expires, device) = state.devices.find_mut(code).ok_or_else(unknown)?;
    if device.client != client.id {
        return Err(OAuthError::invalid_grant("it was issued to another client"));
    }
    if now >= expires {
        return Err(OAuthError::new("expired_token", "the device code has expired"));
    }
    let hasty = device.polled.is_some_and(|polled| now < polled + INTERVAL);
    device.polled = Some(now);
    let grant = match &device.decision {
        Decision::Denied => return Err(OAuthError::new("access_denied", "The user denied the request")),
        Decision::Allowed(grant) => grant.clone(),
        Decision::Waiting if hasty => {
            return Err(OAuthError::new("slow_down", "wait at least five seconds between two polls"));
        }
        Decision::Waiting => {
            return Err(OAuthError::new("authorization_pending", "the user has not decided yet"));
        }
    };
    state.devices.take(code, now).ok_or_else(unknown)?;
    Ok(grant)
}

/// The authorization request of the device with the user code `typed`; case and dashes are
/// ignored.
pub(super) fn request(hub: &HubContext, typed: &str) -> Option<AuthorizationRequest> {
    let plain = |code: &str| {
        code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
    };
    let typed = plain(typed);
    let state = hub.state();
    let code = state
        .devices
        .key_of(|device| matches!(device.decision, Decision::Waiting) && plain(&device.user_code) == typed)?;
    let device = state.devices.find(&code, hub.now())?;
    Some(AuthorizationRequest {
        client: device.client.clone(),
        scopes: device.scopes.clone(),
        orgs: Vec::new(),
        resume: format!("/oauth/device?user_code={}", device.user_code),
        answer: ResponseTarget::Device(code),
    })
}

/// The user approves the device.
pub(super) fn allowed(hub: &HubContext, code: &str, grant: Grant) -> Response {
    conclude(hub, code, Decision::Allowed(grant), "Device connected", "You can return to your device.")
}

/// The user denies the device.
pub(super) fn denied(hub: &HubContext, code: &str) -> Response {
    conclude(hub, code, Decision::Denied, "Device not connected", "You denied access to the device.")
}

/// Stores the decision for the next poll; only the first decision counts.
fn conclude(hub: &HubContext, code: &str, decision: Decision, title: &str, text: &str) -> Response {
    if let Some((expires, device)) = hub.state().devices.find_mut(code)
        && hub.now() < expires
    {
        if matches!(device.decision, Decision::Waiting) {
            device.decision = decision;
        }
        return pages::notice(StatusCode::OK, title, text);
    }
    pages::notice(StatusCode::BAD_REQUEST, "Code expired", "Request a new code on your device.")
}
