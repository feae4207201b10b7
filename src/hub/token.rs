//! The token endpoint (RFC 6749, section 3.2; RFC 7636; RFC 8628).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::behaviour::Behaviour;
use super::client_authentication::{authenticate, parse_parameters};
use super::clients::Client;
use super::device_flow;
use super::grant::Grant;
use super::id_token;
use super::json::{Object, object, set};
use super::jwt;
use super::oauth_error::OAuthError;
use super::parameters::{self, Parameters};
use super::random;
use super::state::{HubContext, Shared};

/// A refresh token expires after three months without use.
const REFRESH_LIFETIME: u64 = 90 * 24 * 3600;

/// `POST /oauth/token`.
pub(super) async fn token(State(hub): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&hub, &headers, &body) {
        Ok(object) => ([(CACHE_CONTROL, "no-store")], Json(object)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The token response.
fn answer(hub: &HubContext, headers: &HeaderMap, body: &[u8]) -> Result<Object, OAuthError> {
    let parameters = parse_parameters(headers, body)?;
    let (grant, nonce, refresh) = match parameters.find("grant_type") {
        Some("authorization_code") => redeem_code(hub, headers, &parameters)?,
        Some("refresh_token") => redeem_refresh_token(hub, headers, &parameters)?,
        Some("urn:ietf:params:oauth:grant-type:device_code") => {
            let client = authenticate(hub, headers, &parameters)?;
            let client = client.ok_or_else(|| OAuthError::invalid_request("client_id is missing"))?;
            (device_flow::poll(hub, &client, &parameters)?, None, true)
        }
        // Token exchange is announced, as at huggingface.co, but requires a client bound to an
        // enterprise organisation, which does not exist here.
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            return Err(OAuthError::invalid_client(400, "this application may not exchange tokens"));
        }
        Some(_) => return Err(OAuthError::new("unsupported_grant_type", "this grant_type is not supported")),
        None => return Err(OAuthError::invalid_request("grant_type is missing")),
    };
    Ok(issue(hub, grant, nonce, refresh))
}

/// Redeems an authorization code: its grant, its nonce, and whether to issue a refresh token.
fn redeem_code(
    hub: &HubContext,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<(Grant, Option<String>, bool), OAuthError> {
    let client = authenticate(hub, headers, parameters)?;
    let now = hub.now();
    // The code is consumed even if the request fails (RFC 6749, section 4.1.2).
    let code = parameters.find("code").and_then(|code| hub.state().codes.take(code, now));
    let code = code.ok_or_else(|| OAuthError::invalid_grant("the code is unknown, expired or used"))?;
    check_owner(hub, client.as_ref(), &code.grant)?;
    if parameters.find("redirect_uri") != Some(&code.redirect_uri) {
        return Err(OAuthError::invalid_grant("redirect_uri differs from that of the authorization request"));
    }
    match (&code.challenge, parameters.find("code_verifier")) {
        (None, None) => {}
        (Some(challenge), Some(verifier))
            if (43..=128).contains(&verifier.len()) && jwt::s256(verifier) == *challenge => {}
        (Some(_), None) => return Err(OAuthError::invalid_grant("code_verifier is missing")),
        (None, Some(_)) => {
            return Err(OAuthError::invalid_grant("the authorization request had no code_challenge"));
        }
        (Some(_), Some(_)) => {
            return Err(OAuthError::invalid_grant("code_verifier does not match the code_challenge"));
        }
    }
    Ok((code.grant, code.nonce, true))
}

/// Redeems a refresh token, which is consumed; the response holds a new one.
fn redeem_refresh_token(
    hub: &HubContext,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<(Grant, Option<String>, bool), OAuthError> {
    let client = authenticate(hub, headers, parameters)?;
    let now = hub.now();
    let unknown = || OAuthError::invalid_grant("the refresh token is unknown, expired or used");
    let token = parameters.find("refresh_token").ok_or_else(unknown)?;
    let mut grant = hub.state().refresh_tokens.find(token, now).cloned().ok_or_else(unknown)?;
    // Checked before the token is consumed: another client that has seen the token cannot
    // invalidate it.
    check_owner(hub, client.as_ref(), &grant)?;
    if let Some(scope) = parameters.find("scope") {
        let asked = parameters::scopes(scope);
        if asked.iter().any(|scope| !grant.has(scope)) {
            return Err(OAuthError::new("invalid_scope", "the scope exceeds what was granted"));
        }
        grant.scopes = asked;
    }
    hub.state().refresh_tokens.take(token, now).ok_or_else(unknown)?;
    Ok((grant, None, true))
}

/// The code or token must belong to the client; an unnamed client must be public.
fn check_owner(hub: &HubContext, client: Option<&Client>, grant: &Grant) -> Result<(), OAuthError> {
    match client {
        Some(client) if client.id == grant.client => Ok(()),
        Some(_) => Err(OAuthError::invalid_grant("it was issued to another client")),
        None => {
            let state = hub.state();
            match state.clients.get(&grant.client) {
                Some(owner) if owner.secret.is_none() => Ok(()),
                _ => Err(OAuthError::invalid_client(
                    state.behaviour.invalid_client_status,
                    "client_id is missing",
                )),
            }
        }
    }
}

/// Issues the tokens for a grant.
fn issue(hub: &HubContext, mut grant: Grant, nonce: Option<String>, refresh: bool) -> Object {
    let now = hub.now();
    let (behaviour, signing) = {
        let state = hub.state();
        (state.behaviour.clone(), state.keys.signing())
    };
    let lifetime = hub.state().clients.get(&grant.client).map_or(0, |client| client.token_lifetime);
    grant.expires = now + lifetime;
    let access = access_token(hub, &grant);
    let mut object = Object::new();
    set(&mut object, "access_token", access.as_str());
    set(&mut object, "token_type", behaviour.token_type.as_deref().unwrap_or("bearer"));
    set(&mut object, "expires_in", lifetime);
    set(&mut object, "scope", grant.scopes.join(" "));
    if grant.has("openid") && !behaviour.no_id_token {
        // Signed without holding the lock: RSA is slow.
        let token = id_token::sign(hub, &behaviour, &signing, &grant, nonce);
        set(&mut object, "id_token", token);
    }
    if let Some(token) = refresh_token(&behaviour, refresh) {
        set(&mut object, "refresh_token", token.as_str());
        hub.state().refresh_tokens.put(token, now + REFRESH_LIFETIME, grant.clone());
    }
    hub.state().access_tokens.put(access, grant.expires, grant);
    if let Some(edit) = &behaviour.edit_token {
        edit.apply(&mut object);
    }
    object
}

/// Issues an access token without a sign-in.
pub(super) fn issue_without_sign_in(hub: &HubContext, username: &str, client: &str) -> Option<String> {
    let now = hub.now();
    let grant = {
        let state = hub.state();
        let client = state.clients.get(client)?;
        Grant {
            user: state.user_named(username)?.id.clone(),
            client: client.id.clone(),
            scopes: client.scopes.clone(),
            auth_time: now,
            expires: now + client.token_lifetime,
        }
    };
    let token = access_token(hub, &grant);
    hub.state().access_tokens.put(token.clone(), grant.expires, grant);
    Some(token)
}

/// A new refresh token, unless it is disabled.
fn refresh_token(behaviour: &Behaviour, wanted: bool) -> Option<String> {
    (wanted && !behaviour.no_refresh_token).then(|| format!("hf_oauth__refresh_{}", random::alphanumeric(34)))
}

/// `hf_oauth_` and a JWT in huggingface.co's format: the audience is the hub, not the client.
fn access_token(hub: &HubContext, grant: &Grant) -> String {
    let mut claims = object(json!({
        "iss": hub.issuer, "aud": hub.issuer, "sub": grant.user, "client_id": grant.client,
        "scope": grant.scopes, "iat": hub.now(), "exp": grant.expires,
        "jti": random::uuid(), "sessionId": random::hex(&random::fill::<12>()),
    }));
    let state = hub.state();
    if let Some(edit) = &state.behaviour.edit_access_token {
        edit.apply(&mut claims);
    }
    format!("hf_oauth_{}", state.keys.access_token(&Value::Object(claims)))
}
