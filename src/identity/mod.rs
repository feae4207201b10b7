//! Who somebody is: the person, their organisations, their roles.
//!
//! Everything here is read from the provider's answer once, bounded and
//! checked ([`Person`] cannot hold a line break or a forged group), and then
//! only looked at.

pub(crate) mod assertion;
pub(crate) mod headers;
mod org;
mod rendered;
mod tokens;
mod user;

pub use assertion::AssertionSettings;
pub use headers::{Claim, HeaderSettings};
pub use org::{Org, ResourceGroup, Role, Standing};
pub(crate) use rendered::{RenderedIdentity, SignedAssertion};
pub(crate) use tokens::Tokens;
#[cfg(feature = "axum")]
pub use user::NobodySignedIn;
pub use user::{AuthMethod, Email, Person, User};
