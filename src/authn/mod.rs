//! Authentication: by a session cookie or a bearer token, or anonymous.
//!
//! Returns errors of its own; `gate` decides which answers they become.

mod authenticator;
mod authorization;
mod caller;
mod error;
mod introspection_limit;
mod person_filter;
mod revalidation;
mod settings;
mod token_authenticator;
mod token_caller;
mod token_introspection;
mod token_policy;

pub(crate) use authenticator::{Authentication, Authenticator, PendingAuthentication};
pub(crate) use authorization::is_hub_credential;
pub(crate) use caller::Caller;
pub(crate) use error::{AuthnError, SessionError, TokenError};
pub(crate) use person_filter::PersonFilter;
pub(crate) use revalidation::SessionRevalidator;
pub use settings::BearerSettings;
pub(crate) use token_authenticator::TokenAuthenticator;
pub(crate) use token_caller::TokenCaller;
