//! The authorization request: RFC 6749, section 4.1.1, with PKCE (RFC 7636, section 4.3).

use url::Url;

use super::discovery::Metadata;
use super::settings::ProviderSettings;

/// Parameters of one authorization request.
pub(crate) struct AuthorizationRequest<'a> {
    pub(crate) redirect_uri: &'a str,
    pub(crate) state: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) code_challenge: &'a str,
    /// An organisation to request in addition to the configured ones.
    pub(crate) org: Option<&'a str>,
}

/// The URL of the authorization request.
pub(super) fn url(
    settings: &ProviderSettings,
    metadata: &Metadata,
    scope: &str,
    request: &AuthorizationRequest<'_>,
) -> Url {
    let mut url = metadata.authorization_endpoint.clone();
    let mut orgs: Vec<&str> = settings.orgs.iter().map(String::as_str).collect();
    if let Some(org) = request.org
        && !orgs.contains(&org)
    {
        orgs.push(org);
    }
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", scope)
            .append_pair("state", request.state)
            .append_pair("nonce", request.nonce)
            .append_pair("code_challenge", request.code_challenge)
            .append_pair("code_challenge_method", "S256");
        if !orgs.is_empty() {
            query.append_pair("orgIds", &orgs.join(","));
        }
    }
    url
}
