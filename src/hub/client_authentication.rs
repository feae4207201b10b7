//! Client authentication at the token and device endpoints (RFC 6749, section 2.3).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::clients::Client;
use super::oauth_error::OAuthError;
use super::parameters::Parameters;
use super::state::HubContext;

/// The parameters of a form or a JSON object.
pub(super) fn parse_parameters(headers: &HeaderMap, body: &[u8]) -> Result<Parameters, OAuthError> {
    let parameters = Parameters::from_body(headers, body).ok_or_else(|| {
        OAuthError::invalid_request("the body must be a form or a JSON object, with its Content-Type")
    })?;
    match parameters.repeated() {
        Some(name) => Err(OAuthError::invalid_request(format!("{name} occurs more than once"))),
        None => Ok(parameters),
    }
}

/// The authenticated client. `None` if the request does not name one, which public clients may
/// do; the code or token must then belong to a public client.
pub(super) fn authenticate(
    hub: &HubContext,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<Client>, OAuthError> {
    let state = hub.state();
    let refused = |why: &str| OAuthError::invalid_client(state.behaviour.invalid_client_status, why);
    let find = |id: &str| state.clients.get(id).cloned().ok_or_else(|| refused("unknown client"));
    if let Some(header) = headers.get(AUTHORIZATION) {
        let pairs =
            header.to_str().ok().and_then(basic).ok_or_else(|| refused("malformed Basic credentials"))?;
        if parameters.find("client_secret").is_some() {
            // RFC 6749, section 2.3: a client must not use more than one method per request.
            return Err(OAuthError::invalid_request("the client uses more than one authentication method"));
        }
        for (id, secret) in pairs {
            if let Some(client) = state.clients.get(&id)
                && client.secret.as_ref() == Some(&secret)
                && parameters.find("client_id").is_none_or(|named| named == id)
            {
                return Ok(Some(client.clone()));
            }
        }
        return Err(refused("unknown client or wrong secret"));
    }
    let Some(id) = parameters.find("client_id") else { return Ok(None) };
    let client = find(id)?;
    match (&client.secret, parameters.find("client_secret")) {
        (Some(known), Some(given)) if known == given => Ok(Some(client)),
        (None, None) => Ok(Some(client)),
        (Some(_), None) => Err(refused(
            "client_secret is missing; if you want to do without client secret authentication, delete the secret",
        )),
        (_, Some(_)) => Err(refused("wrong client secret")),
    }
}

/// Id and secret of a Basic header, both form-decoded (RFC 6749, section 2.3.1) and raw,
/// because not every client encodes them.
fn basic(header: &str) -> Option<[(String, String); 2]> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| -> String {
        let text = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
    };
    Some([(decoded(id), decoded(secret)), (id.to_owned(), secret.to_owned())])
}
