//! Sessions: begun at a sign-in, looked up with every request, renewed, ended.

mod account_names;
mod active;
mod admin;
mod backend;
mod cached;
mod cookie;
mod cookie_pairs;
mod cookie_rewrite;
mod fitting;
mod inspect;
mod kept_state;
mod listing;
mod lookup;
mod not_before;
mod record;
mod renewal;
mod revocation;
mod revocation_file;
#[cfg(feature = "redis-store")]
mod revocation_records;
mod revoked_elsewhere;
mod sealing;
mod server_side;
mod sessions;
mod settings;
mod shared_revocations;
mod shared_session;
mod sign_in;
mod snapshot;
pub mod store;
#[cfg(test)]
mod tests;
mod ticket;
mod usage;
mod vault;

pub(crate) use active::{ActiveSession, SessionLookup};
pub use admin::{Revoked, SessionAdmin, SessionAdminError, SessionPages};
pub use cookie::SameSitePolicy;
pub(crate) use cookie::{Cookies, default_cookie_name};
pub(crate) use cookie_pairs::find as find_cookie;
pub(crate) use cookie_rewrite::{Replacement, RewrittenLine};
pub(crate) use fitting::{KeptOrgs, KeptOrgsSource};
pub use inspect::{Inspected, SessionReport};
pub use listing::{ListedSession, SessionFilter, SessionKind};
pub(crate) use lookup::{ImmediateLookup, TicketedSession};
pub(crate) use record::{BrowserTag, SessionId, SignInOrigin};
pub(crate) use sessions::{NotBegun, Sessions};
pub(crate) use settings::Freshness;
pub use settings::{RevocationSettings, SessionSettings};
pub(crate) use shared_session::RevalidationPermit;
pub(crate) use store::StoreDown;
pub use store::StoreSettings;
