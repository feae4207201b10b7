//! Misbehaviour on request: what a gate must survive, and what is unknown
//! about the real provider so that a gate must cope with either.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::json::Object;

/// What changes a token: a function of header and claims.
type TokenFn = dyn Fn(&mut Object, &mut Object) + Send + Sync;
/// What changes a query: a function of names and values.
type QueryFn = dyn Fn(&mut Vec<(String, String)>) + Send + Sync;

/// The hub's deviations from faithful behaviour; [`Behaviour::default`] has none.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named by what it does")]
pub struct Behaviour {
    /// ID tokens carry no `kid` (older samples of the real provider's tokens have none).
    pub no_kid: bool,
    /// No ID token, although `openid` was granted.
    pub no_id_token: bool,
    /// Changes an ID token's header and claims before it is signed.
    pub edit_id_token: Option<EditToken>,
    /// How ID tokens are signed.
    pub id_token_signature: Signature,
    /// No refresh token (whether the real provider gives one is not sure).
    pub no_refresh_token: bool,
    /// Another spelling of `token_type`.
    pub token_type: Option<String>,
    /// Changes the token endpoint's answer.
    pub edit_token: Option<Edit>,
    /// Changes the claims of an access token before it is signed.
    pub edit_access_token: Option<Edit>,
    /// The status of `invalid_client`: 401 unless set (the real one is unknown).
    pub invalid_client_status: u16,
    /// Userinfo names another person: this `sub`.
    pub userinfo_sub: Option<String>,
    /// Userinfo has no `orgs` at all.
    pub no_orgs: bool,
    /// `orgs` is empty unless `read-memberships` was granted (unknown of the real provider).
    pub orgs_need_scope: bool,
    /// With `read-memberships`, `roleInOrg` shows for organisations that were
    /// not ticked too (unknown of the real provider).
    pub role_by_scope: bool,
    /// Changes the userinfo answer.
    pub edit_userinfo: Option<Edit>,
    /// Userinfo answers with exactly this body.
    pub userinfo_body: Option<String>,
    /// Changes the whoami answer.
    pub edit_whoami: Option<Edit>,
    /// The discovery documents name this issuer.
    pub discovery_issuer: Option<String>,
    /// The discovery documents announce these `token_endpoint_auth_methods_supported`.
    pub token_auth_methods: Option<Vec<String>>,
    /// Changes the discovery documents.
    pub edit_discovery: Option<Edit>,
    /// `authorization_response_iss_parameter_supported` is announced (RFC 9207).
    pub announce_iss: bool,
    /// The callback carries this `iss` (RFC 9207); the right one is [`Iss::Right`].
    pub iss: Option<Iss>,
    /// Changes the parameters of the callback: names, and values as they stand
    /// in the query (percent-encoded). Repeat, drop or replace any.
    pub edit_callback: Option<EditQuery>,
    /// `orgIds` brings up the consent page even for an organisation that was
    /// granted before.
    pub always_ask_orgs: bool,
    /// Requests to `/api/*` that an address may make in five minutes.
    pub rate_limit: u64,
    /// What is broken: see [`Behaviour::fail`].
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
            // A free account's share (card, section 6).
            rate_limit: 1000,
            faults: Vec::new(),
        }
    }
}

impl Behaviour {
    /// Every request to `endpoint` meets `fault`, until [`Behaviour::clear_faults`].
    pub fn fail(&mut self, endpoint: Endpoint, fault: Fault) {
        self.clear_faults(endpoint);
        self.faults.push(Broken { endpoint, fault, times: None });
    }

    /// The next `times` requests to `endpoint` meet `fault`.
    pub fn fail_times(&mut self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.clear_faults(endpoint);
        self.faults.push(Broken { endpoint, fault, times: Some(times) });
    }

    /// No more faults at `endpoint`.
    pub fn clear_faults(&mut self, endpoint: Endpoint) {
        self.faults.retain(|broken| broken.endpoint != endpoint);
    }

    /// The fault that this request to `endpoint` meets.
    pub(super) fn next_fault(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let broken = self.faults.iter_mut().find(|broken| broken.endpoint == endpoint)?;
        if let Some(left) = &mut broken.times {
            *left = left.checked_sub(1)?;
        }
        Some(broken.fault.clone())
    }
}

/// An endpoint that is out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub endpoint: Endpoint,
    /// What happens there.
    pub fault: Fault,
    /// How many requests are still to meet it; `None`: all of them.
    pub times: Option<u32>,
}

/// What can go wrong between two machines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The right answer, this much later.
    Slow(Duration),
    /// No answer at all.
    Hang,
    /// This status with a short JSON body; 429 has the rate-limit headers.
    Status(u16),
    /// 429 with `Retry-After` in so many seconds, and without the headers of a
    /// limit: from something in front of the provider.
    RetryAfter(u64),
    /// The right answer, cut off in the middle.
    Truncated,
    /// 200 and a page of HTML.
    NotJson,
    /// 200 and a JSON object of about this many bytes, streamed.
    Huge(u64),
    /// A redirect to this address.
    Redirect(String),
    /// The connection is reset.
    Reset,
    /// Exactly this answer.
    Answer {
        /// The status.
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
    /// As it should be.
    #[default]
    Rs256,
    /// `alg: none` and no signature (RFC 7519, section 6).
    None,
    /// HS256 with the client's secret.
    ClientSecret,
    /// HS256 with the public key's PEM as the secret: the algorithm confusion
    /// of RFC 8725, section 2.1.
    PublicKey,
    /// RS256 and the right `kid`, but a key that is not in the key set.
    ForeignKey,
    /// RS256, one bit of the signature turned over.
    Corrupted,
}

/// The `iss` of a callback (RFC 9207).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Iss {
    /// The hub's issuer.
    Right,
    /// Another.
    Other(String),
}

/// A change to a JSON object. It must not call the hub.
#[derive(Clone)]
pub struct Edit(Arc<dyn Fn(&mut Object) + Send + Sync>);

impl Edit {
    /// From a function.
    pub fn new(edit: impl Fn(&mut Object) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Makes the change.
    pub(super) fn apply(&self, object: &mut Object) {
        (self.0)(object);
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Edit")
    }
}

/// A change to a token: its header and its claims. It must not call the hub.
#[derive(Clone)]
pub struct EditToken(Arc<TokenFn>);

impl EditToken {
    /// From a function of header and claims.
    pub fn new(edit: impl Fn(&mut Object, &mut Object) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Makes the change.
    pub(super) fn apply(&self, header: &mut Object, claims: &mut Object) {
        (self.0)(header, claims);
    }
}

impl fmt::Debug for EditToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EditToken")
    }
}

/// A change to a query. It must not call the hub.
#[derive(Clone)]
pub struct EditQuery(Arc<QueryFn>);

impl EditQuery {
    /// From a function.
    pub fn new(edit: impl Fn(&mut Vec<(String, String)>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Makes the change.
    pub(super) fn apply(&self, query: &mut Vec<(String, String)>) {
        (self.0)(query);
    }
}

impl fmt::Debug for EditQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EditQuery")
    }
}

/// The hub's endpoints, as they are counted and broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Both well-known documents.
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
    /// Everything else: pages, pictures, and what is not there.
    Other,
}

impl Endpoint {
    /// Which endpoint a path is.
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
    fn a_fault_strikes_as_often_as_asked() {
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
