//! Who calls: a session cookie, a bearer token, or nobody.

mod authenticate;
mod authorization;
mod bearer;
mod introspection;
mod revalidation;
mod token_policy;

pub(crate) use authenticate::{Caller, authenticate};
pub(crate) use authorization::withhold;
pub use bearer::BearerSettings;
pub(crate) use bearer::{IntrospectionConfig, TokenAuthenticator, TokenCaller, TokenError};
pub(crate) use revalidation::Unconfirmed;
