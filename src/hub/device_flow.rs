//! The device flow (RFC 8628).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::authorization_request::{AuthorizationRequest, ResponseTarget};
use super::client_authentication::{authenticate, read};
use super::clients::Client;
use super::device_authorization::{Decision, DeviceAuthorization};
use super::grant::Grant;
use super::oauth_error::OAuthError;
use super::pages;
use super::parameters::{self, Parameters};
use super::random;
use super::state::{HubContext, Shared};

/// A device code lives five minutes (card, section 3).
const LIFETIME: u64 = 300;
/// Seconds between two polls (RFC 8628, section 3.5: 5 where nothing is said).
const INTERVAL: u64 = 5;

/// `POST /oauth/device`: exactly four parameters, no `interval` and no
/// `verification_uri_complete`.
pub(super) async fn begin(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&hub, &headers, &body) {
        Ok(answer) => ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Checks, and remembers the device.
fn answer(hub: &HubContext, headers: &HeaderMap, body: &[u8]) -> Result<Value, OAuthError> {
    let parameters = read(headers, body)?;
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

/// A poll of the token endpoint (RFC 8628, section 3.5).
pub(super) fn poll(hub: &HubContext, client: &Client, parameters: &Parameters) -> Result<Grant, OAuthError> {
    let now = hub.now();
    let code = parameters.find("device_code").unwrap_or_default();
    let mut state = hub.state();
    let unknown = || OAuthError::invalid_grant("the device code is unknown or used");
    let (expires, device) = state.devices.find_mut(code).ok_or_else(unknown)?;
    if device.client != client.id {
        return Err(OAuthError::invalid_grant("it was given to another client"));
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
            return Err(OAuthError::new("slow_down", "wait five seconds between two polls"));
        }
        Decision::Waiting => return Err(OAuthError::new("authorization_pending", "nobody has agreed yet")),
    };
    state.devices.take(code, now).ok_or_else(unknown)?;
    Ok(grant)
}

/// What the device that shows `typed` asks for; case and dash do not matter.
pub(super) fn ask(hub: &HubContext, typed: &str) -> Option<AuthorizationRequest> {
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

/// The person agrees.
pub(super) fn allowed(hub: &HubContext, code: &str, grant: Grant) -> Response {
    conclude(hub, code, Decision::Allowed(grant), "Connected", "You can go back to your device.")
}

/// The person does not agree.
pub(super) fn denied(hub: &HubContext, code: &str) -> Response {
    conclude(hub, code, Decision::Denied, "Not connected", "The device has been told no.")
}

/// Leaves the decision for the next poll; the first one stands.
fn conclude(hub: &HubContext, code: &str, decision: Decision, title: &str, text: &str) -> Response {
    if let Some((expires, device)) = hub.state().devices.find_mut(code)
        && hub.now() < expires
    {
        if matches!(device.decision, Decision::Waiting) {
            device.decision = decision;
        }
        return pages::notice(StatusCode::OK, title, text);
    }
    pages::notice(StatusCode::BAD_REQUEST, "Too late", "The code on your device has expired.")
}
