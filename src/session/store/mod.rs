//! Stores of sessions.
//!
//! With the cookie store, the cookie contains the whole session, encrypted. With a
//! server-side store, a [`SessionStore`], the session is kept there and the cookie contains
//! a ticket: a random id and a random key, encrypted. The record in the store is sealed
//! under a key that is derived from the ticket's and the session secret, so neither the
//! store's content nor the secret alone is a session.
//!
//! [`MemoryStore`] is one, and so are `FileStore` (feature `file-store`) and `RedisStore`
//! (feature `redis-store`); [`GateBuilder::session_store`](crate::GateBuilder::session_store)
//! takes any other.

mod access;
mod contract;
mod error;
#[cfg(feature = "file-store")]
mod file;
mod identifier;
mod location;
mod memory;
mod notice;
#[cfg(feature = "redis-store")]
mod redis;
mod stored;

#[cfg(feature = "redis-store")]
pub use self::redis::{RedisMode, RedisSettings, RedisSettingsError, RedisStore};
pub(crate) use access::{StoreAccess, StoreEvent, StoreObserver};
pub use contract::{CustomStore, SessionStore};
pub(crate) use error::StoreDown;
pub use error::{StoreError, StoreOpenError};
#[cfg(feature = "file-store")]
pub use file::{FileStore, FileStoreError};
pub use identifier::{OwnerKey, Revision, SessionKey};
pub use location::StoreLocation;
pub use memory::MemoryStore;
pub use notice::{Notice, Notices};
pub use stored::{Cursor, Page, SessionRecord, StoredSession, Update};

/// Which of the built-in stores to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StoreSettings {
    /// The encrypted cookie contains the session; nothing is kept here.
    #[default]
    Cookie,
    /// In the memory of this process: a restart ends all sessions.
    Memory,
}
