//! What an application asks for (RFC 6749, section 4.1.1), checked.

use std::collections::HashMap;

use super::clients::Client;
use super::parameters::{self, Parameters};

/// A checked request for somebody's consent.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRequest {
    /// The client's id.
    pub(super) client: String,
    /// The scopes it asks for.
    pub(super) scopes: Vec<String>,
    /// The ids of the organisations it requires (`orgIds`).
    pub(super) orgs: Vec<String>,
    /// The page that asks this: where to go on after signing in.
    pub(super) resume: String,
    /// Where the answer goes.
    pub(super) answer: ResponseTarget,
}

/// Where the answer to an [`AuthorizationRequest`] goes.
#[derive(Debug, Clone)]
pub(super) enum ResponseTarget {
    /// Back to the application, through the browser.
    Redirect(Callback),
    /// To a device that polls with this device code (RFC 8628).
    Device(String),
}

/// The way back to the application.
#[derive(Debug, Clone)]
pub(super) struct Callback {
    /// The address, as it was asked for.
    pub(super) redirect_uri: String,
    /// The state as it stood in the query: it goes back byte for byte.
    pub(super) state: Option<String>,
    /// For the ID token.
    pub(super) nonce: Option<String>,
    /// PKCE, S256.
    pub(super) challenge: Option<String>,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum RequestError {
    /// On a page: nobody knows whether the address to go back to is honest
    /// (RFC 6749, section 4.1.2.1).
    Page(String),
    /// At the application.
    Redirect {
        /// The way back.
        callback: Box<Callback>,
        /// The code.
        error: &'static str,
        /// What is wrong.
        description: String,
    },
}

impl AuthorizationRequest {
    /// Checks an authorization request.
    pub(super) fn parse(query: &str, clients: &HashMap<String, Client>) -> Result<Self, RequestError> {
        let page = |reason: String| Err(RequestError::Page(reason));
        if query.len() > 8192 {
            return page("The request is longer than 8 KiB.".to_owned());
        }
        let parameters = Parameters::from_form(query.as_bytes());
        if let Some(name) = parameters.repeated() {
            return page(format!("The parameter \"{name}\" came twice."));
        }
        let Some(client) = parameters.find("client_id").and_then(|id| clients.get(id)) else {
            return page("invalid client_id: no application of this id is registered here.".to_owned());
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

/// The scopes, if everything else about the request is right.
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
            return Err(("invalid_request", "code_challenge must have 43 letters".to_owned()));
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

/// The ids in `orgIds`; several, separated by commas, are taken too.
fn org_ids(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned)
}
