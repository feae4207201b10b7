//! Dynamic client registration (RFC 7591). It is open to everyone, as at huggingface.co.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::clients::{self, Client};
use super::json::{object, set};
use super::oauth_error::OAuthError;
use super::parameters;
use super::random;
use super::state::{HubContext, Shared};

/// Client metadata; other members are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Registration {
    /// The redirect URIs.
    redirect_uris: Vec<String>,
    /// The client's name.
    client_name: Option<String>,
    /// The requested scopes, separated by spaces.
    scope: Option<String>,
    /// `client_secret_basic` by default.
    token_endpoint_auth_method: Option<String>,
}

/// `POST /oauth/register`.
pub(super) async fn register(State(hub): State<Shared>, body: Bytes) -> Response {
    match answer(&hub, &body) {
        Ok(answer) => answer,
        Err(error) => error.into_response(),
    }
}

/// Validates the metadata and registers the client.
fn answer(hub: &HubContext, body: &[u8]) -> Result<Response, OAuthError> {
    let wrong = |why: &str| OAuthError::new("invalid_client_metadata", why);
    let asked: Registration =
        serde_json::from_slice(body).map_err(|_| wrong("the body must be a JSON object as in RFC 7591"))?;
    let bad = |uri: &String| uri.len() > 2048 || Url::parse(uri).is_err() || uri.contains('#');
    if asked.redirect_uris.len() > 20 || asked.redirect_uris.iter().any(bad) {
        return Err(OAuthError::new("invalid_redirect_uri", "expected at most 20 absolute URLs"));
    }
    let name = asked.client_name.unwrap_or_else(|| "Unnamed application".to_owned());
    if name.len() > 200 {
        return Err(wrong("client_name is longer than 200 bytes"));
    }
    let method = asked.token_endpoint_auth_method.unwrap_or_else(|| "client_secret_basic".to_owned());
    let secret = match method.as_str() {
        "none" => None,
        "client_secret_basic" | "client_secret_post" => Some(clients::fresh_secret()),
        _ => {
            return Err(wrong(
                "token_endpoint_auth_method must be client_secret_basic, client_secret_post or none",
            ));
        }
    };
    let mut client = Client::public(&random::uuid(), &name, &[]);
    client.secret.clone_from(&secret);
    client.redirect_uris.clone_from(&asked.redirect_uris);
    if let Some(scope) = asked.scope {
        let scopes = parameters::scopes(&scope);
        if client.forbidden(&scopes).is_some() {
            return Err(wrong("scope contains an unknown scope"));
        }
        client.scopes = scopes;
    }
    let mut answer = object(json!({
        "client_id": client.id, "client_id_issued_at": hub.now(), "client_name": name,
        "redirect_uris": asked.redirect_uris, "scope": client.scopes.join(" "),
        "token_endpoint_auth_method": method, "response_types": ["code"],
        // huggingface.co adds these, whatever was requested.
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    }));
    if let Some(secret) = secret {
        set(&mut answer, "client_secret", secret);
        set(&mut answer, "client_secret_expires_at", 0);
    }
    hub.state().register(client);
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
