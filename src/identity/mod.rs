//! Who somebody is: the person, their organisations, their roles.
//!
//! Everything here is read from the provider's answer once, bounded and
//! checked ([`Person`] cannot hold a line break or a forged group), and then
//! only looked at.

pub(crate) mod assertion;
pub(crate) mod headers;
mod introduction;
mod org;
mod user;

pub use assertion::AssertionSettings;
pub use headers::{Claim, HeaderSettings};
pub(crate) use introduction::Introduction;
pub use org::{Org, ResourceGroup, Role, Standing};
#[cfg(feature = "axum")]
pub use user::NobodySignedIn;
pub use user::{AuthMethod, Email, Person, User};
