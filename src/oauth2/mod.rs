//! The gate's own endpoints below its prefix: sign-in, sign-out, userinfo, keys.
//!
//! The names are those of oauth2-proxy, so that its recipes for other proxies work
//! unchanged.

mod admission;
mod backchannel_logout;
mod callback;
mod end_session;
mod endpoint;
mod endpoints;
mod held_addresses;
mod logout_body;
mod not_admitted;
mod own_sessions;
mod pending_sign_in;
mod readiness;
mod return_source;
mod return_to;
mod sign_out;
mod start;
mod used_tokens;
mod user_agent;

pub(crate) use endpoint::Endpoint;
pub(crate) use endpoints::OAuth2;
pub(crate) use logout_body::{LogoutBody, MAX_BODY};
pub(crate) use not_admitted::NotAdmitted;
pub(crate) use pending_sign_in::PendingSignIns;
pub use readiness::{PartState, Readiness};
pub(crate) use return_source::AUTH_REQUEST_REDIRECT;
pub use return_to::{ReturnHostError, ReturnHosts};
