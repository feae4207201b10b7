//! The person, their organisations and their roles.
//!
//! All of this is read once from the provider's answer, and is validated and limited in
//! size ([`Person`] cannot contain a line break or a forged group).

mod access_token;
mod app_claims;
pub(crate) mod assertion;
mod auth_method;
mod completeness;
pub(crate) mod headers;
mod org;
mod person;
mod provider_session;
mod rendered;
mod role;
mod tokens;
mod user;

pub use access_token::AccessToken;
pub(crate) use app_claims::ClaimsDraft;
pub use app_claims::{AppClaims, MAX_CLAIM_NAME, MAX_CLAIMS, MAX_CLAIMS_BYTES};
pub use assertion::AssertionSettings;
pub use auth_method::AuthMethod;
pub(crate) use auth_method::TokenKind;
pub use completeness::Shown;
pub(crate) use completeness::{Dropped, FilterId, Missing, Needs};
pub use headers::{Claim, HeaderSettings};
pub use org::{Org, ResourceGroup, Standing};
pub use person::{Email, Person};
pub(crate) use provider_session::ProviderSession;
pub(crate) use rendered::{IdentityRenderer, NamedOrgs, RenderedIdentity, SignedAssertion};
pub use role::Role;
pub(crate) use tokens::Tokens;
pub use user::User;
