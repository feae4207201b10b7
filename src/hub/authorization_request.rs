//! Parsing and validation of authorization requests (RFC 6749, section 4.1.1).

use std::collections::HashMap;

use super::clients::Client;
use super::parameters::{self, Parameters};

/// A valid request for the user's consent.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRequest {
    /// The client's id.
    pub(super) client: String,
    /// The requested scopes.
    pub(super) scopes: Vec<String>,
    /// The ids of the required organisations (`orgIds`).
    pub(super) orgs: Vec<String>,
    /// The URL to return to after the user has signed in at the hub.
    pub(super) resume: String,
    /// Where the response goes.
    pub(super) answer: ResponseTarget,
}

/// Where the response to an [`AuthorizationRequest`] goes.
#[derive(Debug, Clone)]
pub(super) enum ResponseTarget {
    /// To the client's redirect URI, through the browser.
    Redirect(Callback),
    /// To a device that polls with this device code (RFC 8628).
    Device(String),
}

/// How to return to the client.
#[derive(Debug, Clone)]
pub(super) struct Callback {
    /// The redirect URI, exactly as requested.
    pub(super) redirect_uri: String,
    /// The raw, still percent-encoded `state`; it is returned byte for byte.
    pub(super) state: Option<String>,
    /// The `nonce` for the ID token.
    pub(super) nonce: Option<String>,
    /// The PKCE S256 code challenge.
    pub(super) challenge: Option<String>,
}

/// Why an authorization request is rejected.
#[derive(Debug)]
pub(super) enum RequestError {
    /// Shown on a page, because the redirect URI cannot be trusted (RFC 6749, section 4.1.2.1).
    Page(String),
    /// Reported to the client at its redirect URI.
    Redirect {
        /// How to return to the client.
        callback: Box<Callback>,
        /// The `error` code.
        error: &'static str,
        /// The `error_description`.
        description: String,
    },
}

impl AuthorizationRequest {
    /// Parses the query of an authorization request and validates it.
    pub(super) fn parse(query: &str, clients: &HashMap<String, Client>) -> Result<Self, RequestError> {
        let page = |reason: String| Err(RequestError::Page(reason));
        if query.len() > 8192 {
            return page("The request is longer than 8 KiB.".to_owned());
        }
        let parameters = Parameters::from_form(query.as_bytes());
        if let Some(name) = parameters.repeated() {
            return page(format!("The parameter \"{name}\" occurs more than once."));
        }
        let Some(client) = parameters.find("client_id").and_then(|id| clients.get(id)) else {
            return page("invalid client_id: no application with this id is registered.".to_owned());
        };
        let redirect_uri = parameters.find("redirect_uri").unwrap_or_default();
        if !client.redirects_to(redirect_uri) {
            return page(format!(
                "invalid redirect_uri: \"{redirect_uri}\" is not registered for {}.",
                client.name
            ));
        }
        let callback = Callback {
            redirect_uri: redirect_uri.to_owned(),
            state: parameters::raw(query, "state").map(str::to_owned),
            nonce: parameters.find("nonce").map(str::to_owned),
            challenge: parameters.find("code_challenge").map(str::to_owned),
        };
        match asked_scopes(&parameters, client) {
            Ok(scopes) => Ok(Self {
                client: client.id.clone(),
                scopes,
                orgs: parameters.all("orgIds").flat_map(org_ids).collect(),
                resume: format!("/oauth/authorize?{query}"),
                answer: ResponseTarget::Redirect(callback),
            }),
            Err((error, description)) => {
                Err(RequestError::Redirect { callback: Box::new(callback), error, description })
            }
        }
    }
}

/// The requested scopes, if the rest of the request is valid.
fn asked_scopes(parameters: &Parameters, client: &Client) -> Result<Vec<String>, (&'static str, String)> {
    if parameters.find("response_type") != Some("code") {
        return Err(("unsupported_response_type", "response_type must be code".to_owned()));
    }
    if parameters.find("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "response_mode must be query".to_owned()));
    }
    match (parameters.find("code_challenge"), parameters.find("code_challenge_method")) {
        (Some(challenge), Some("S256")) if challenge.len() == 43 => {}
        (Some(_), Some("S256")) => {
            return Err(("invalid_request", "code_challenge must have 43 characters".to_owned()));
        }
        // RFC 7636, section 4.3: a missing method means "plain".
        (Some(_), _) | (None, Some(_)) => {
            return Err(("invalid_request", "code_challenge_method must be S256".to_owned()));
        }
        (None, None) if client.secret.is_none() => {
            return Err(("invalid_request", "a public client must send a code_challenge".to_owned()));
        }
        (None, None) => {}
    }
    let scopes = parameters.find("scope").map_or_else(|| client.scopes.clone(), parameters::scopes);
    if let Some(scope) = client.forbidden(&scopes) {
        return Err(("invalid_scope", format!("the scope {scope} is not enabled for this application")));
    }
    Ok(scopes)
}

/// The ids in an `orgIds` parameter, which may hold several, separated by commas.
fn org_ids(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned)
}
