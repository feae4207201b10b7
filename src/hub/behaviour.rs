//! Switches that make the stand-in deviate from a correct provider, and variants where the
//! behaviour of huggingface.co is unknown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::json::Object;

/// Edits a token's header and claims.
type TokenFn = dyn Fn(&mut Object, &mut Object) + Send + Sync;
/// Edits the parameters of a query.
type QueryFn = dyn Fn(&mut Vec<(String, String)>) + Send + Sync;

/// The hub's deviations from correct behaviour; [`Behaviour::default`] has none.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named by what it does")]
#[non_exhaustive]
pub struct Behaviour {
    /// Omit `kid` from ID tokens. Older samples of huggingface.co's tokens have none.
    pub no_kid: bool,
    /// Omit the ID token even if `openid` was granted.
    pub no_id_token: bool,
    /// Edits an ID token's header and claims before signing.
    pub edit_id_token: Option<EditToken>,
    /// How ID tokens are signed.
    pub id_token_signature: Signature,
    /// Omit the refresh token. It is unknown whether huggingface.co always issues one.
    pub no_refresh_token: bool,
    /// Another value for `token_type`.
    pub token_type: Option<String>,
    /// Edits the token response.
    pub edit_token: Option<Edit>,
    /// Edits an access token's claims before signing.
    pub edit_access_token: Option<Edit>,
    /// The status of `invalid_client`; 401 by default. That of huggingface.co is unknown.
    pub invalid_client_status: u16,
    /// Replaces `sub` in the userinfo response.
    pub userinfo_sub: Option<String>,
    /// Omit `orgs` from the userinfo response.
    pub no_orgs: bool,
    /// Return an empty `orgs` unless `read-memberships` was granted. Unknown for
    /// huggingface.co.
    pub orgs_need_scope: bool,
    /// With `read-memberships`, return `roleInOrg` for organisations that were not granted as
    /// well. Unknown for huggingface.co.
    pub role_by_scope: bool,
    /// Edits the userinfo response.
    pub edit_userinfo: Option<Edit>,
    /// Replaces the body of the userinfo response.
    pub userinfo_body: Option<String>,
    /// Edits the whoami response.
    pub edit_whoami: Option<Edit>,
    /// Replaces `issuer` in the discovery documents.
    pub discovery_issuer: Option<String>,
    /// Replaces `token_endpoint_auth_methods_supported` in the discovery documents.
    pub token_auth_methods: Option<Vec<String>>,
    /// Edits the discovery documents.
    pub edit_discovery: Option<Edit>,
    /// Announce `authorization_response_iss_parameter_supported` (RFC 9207).
    pub announce_iss: bool,
    /// Adds `iss` to the callback (RFC 9207).
    pub iss: Option<Iss>,
    /// Edits the parameters of the callback: names and percent-encoded values. Can repeat, drop
    /// or replace any of them.
    pub edit_callback: Option<EditQuery>,
    /// Show the consent page for `orgIds` even if the organisation was granted before.
    pub always_ask_orgs: bool,
    /// Requests to `/api/*` allowed per address in five minutes.
    pub rate_limit: u64,
    /// Injected faults; see [`Behaviour::fail`].
    pub faults: Vec<Broken>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            no_kid: false,
            no_id_token: false,
            edit_id_token: None,
            id_token_signature: Signature::Rs256,
            no_refresh_token: false,
            token_type: None,
            edit_token: None,
            edit_access_token: None,
            invalid_client_status: 401,
            userinfo_sub: None,
            no_orgs: false,
            orgs_need_scope: false,
            role_by_scope: false,
            edit_userinfo: None,
            userinfo_body: None,
            edit_whoami: None,
            discovery_issuer: None,
            token_auth_methods: None,
            edit_discovery: None,
            announce_iss: false,
            iss: None,
            edit_callback: None,
            always_ask_orgs: false,
            // The quota of a free account.
            rate_limit: 1000,
            faults: Vec::new(),
        }
    }
}

impl Behaviour {
    /// Injects `fault` into every request to `endpoint` until [`Behaviour::clear_faults`].
    pub fn fail(&mut self, endpoint: Endpoint, fault: Fault) {
        self.clear_faults(endpoint);
        self.faults.push(Broken { endpoint, fault, times: None });
    }

    /// Injects `fault` into the next `times` requests to `endpoint`.
    pub fn fail_times(&mut self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.clear_faults(endpoint);
        self.faults.push(Broken { endpoint, fault, times: Some(times) });
    }

    /// Removes the faults of `endpoint`.
    pub fn clear_faults(&mut self, endpoint: Endpoint) {
        self.faults.retain(|broken| broken.endpoint != endpoint);
    }

    /// The fault for the current request to `endpoint`; counts it.
    pub(super) fn next_fault(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let broken = self.faults.iter_mut().find(|broken| broken.endpoint == endpoint)?;
        if let Some(left) = &mut broken.times {
            *left = left.checked_sub(1)?;
        }
        Some(broken.fault.clone())
    }
}

/// A fault injected at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The fault.
    pub fault: Fault,
    /// How many more requests it applies to; `None`: all.
    pub times: Option<u32>,
}

/// A fault that can be injected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The normal response, delayed.
    Slow(Duration),
    /// No response.
    Hang,
    /// This status with a short JSON body; 429 carries the rate-limit headers.
    Status(u16),
    /// 429 with `Retry-After` in seconds and without rate-limit headers, as a load balancer in
    /// front of the provider would send.
    RetryAfter(u64),
    /// The normal response, cut off after half of its body.
    Truncated,
    /// 200 with an HTML page.
    NotJson,
    /// 200 with a JSON object of about this many bytes, streamed.
    Huge(u64),
    /// A redirect to this URL.
    Redirect(String),
    /// A TCP reset of the connection.
    Reset,
    /// This response.
    Answer {
        /// The status code.
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// How an ID token is signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signature {
    /// Correctly.
    #[default]
    Rs256,
    /// `alg: none` and no signature (RFC 7519, section 6).
    None,
    /// HS256 with the client's secret.
    ClientSecret,
    /// HS256 with the public key's PEM as the secret (algorithm confusion, RFC 8725, section
    /// 2.1).
    PublicKey,
    /// RS256 with the right `kid`, but by a key that is not in the JWKS.
    ForeignKey,
    /// RS256 with one bit of the signature flipped.
    Corrupted,
}

/// The `iss` parameter of a callback (RFC 9207).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Iss {
    /// The hub's issuer.
    Right,
    /// Another issuer.
    Other(String),
}

/// An edit of a JSON object. It must not call the hub.
#[derive(Clone)]
pub struct Edit(Arc<dyn Fn(&mut Object) + Send + Sync>);

impl Edit {
    /// Creates an edit from a function.
    pub fn new(edit: impl Fn(&mut Object) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Applies the edit.
    pub(super) fn apply(&self, object: &mut Object) {
        (self.0)(object);
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Edit")
    }
}

/// An edit of a token's header and claims. It must not call the hub.
#[derive(Clone)]
pub struct EditToken(Arc<TokenFn>);

impl EditToken {
    /// Creates an edit from a function of header and claims.
    pub fn new(edit: impl Fn(&mut Object, &mut Object) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Applies the edit.
    pub(super) fn apply(&self, header: &mut Object, claims: &mut Object) {
        (self.0)(header, claims);
    }
}

impl fmt::Debug for EditToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EditToken")
    }
}

/// An edit of a query. It must not call the hub.
#[derive(Clone)]
pub struct EditQuery(Arc<QueryFn>);

impl EditQuery {
    /// Creates an edit from a function.
    pub fn new(edit: impl Fn(&mut Vec<(String, String)>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Applies the edit.
    pub(super) fn apply(&self, query: &mut Vec<(String, String)>) {
        (self.0)(query);
    }
}

impl fmt::Debug for EditQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EditQuery")
    }
}

/// The hub's endpoints, for counting requests and injecting faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Both metadata documents.
    Discovery,
    /// `/oauth/authorize`.
    Authorize,
    /// `/oauth/token`.
    Token,
    /// `/oauth/userinfo`.
    Userinfo,
    /// `/oauth/jwks`.
    Jwks,
    /// `/oauth/device`.
    DeviceAuthorization,
    /// `/oauth/register`.
    Register,
    /// `/api/whoami-v2`.
    Whoami,
    /// Everything else: pages, images, unknown paths.
    Other,
}

impl Endpoint {
    /// The endpoint that serves `path`.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
                Self::Discovery
            }
            "/oauth/authorize" => Self::Authorize,
            "/oauth/token" => Self::Token,
            "/oauth/userinfo" => Self::Userinfo,
            "/oauth/jwks" => Self::Jwks,
            "/oauth/device" => Self::DeviceAuthorization,
            "/oauth/register" => Self::Register,
            "/api/whoami-v2" => Self::Whoami,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_applies_to_as_many_requests_as_configured() {
        let mut behaviour = Behaviour::default();
        behaviour.fail_times(Endpoint::Token, Fault::Reset, 2);
        assert_eq!(behaviour.next_fault(Endpoint::Userinfo), None);
        assert_eq!(behaviour.next_fault(Endpoint::Token), Some(Fault::Reset));
        assert_eq!(behaviour.next_fault(Endpoint::Token), Some(Fault::Reset));
        assert_eq!(behaviour.next_fault(Endpoint::Token), None);
        behaviour.fail(Endpoint::Token, Fault::Status(500));
        behaviour.clear_faults(Endpoint::Token);
        assert_eq!(behaviour.next_fault(Endpoint::Token), None);
    }
}
