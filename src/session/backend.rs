//! Where sessions are kept, and what this process knows of those that ended.

use std::sync::Arc;

use super::account_names::AccountNames;
use super::lease::ProcessId;
use super::not_before::NotBefore;
use super::revocation::RevocationTable;
use super::settings::{RevocationSettings, SessionSettings};
use super::shared_revocations::SharedRevocations;
use super::store::{CustomStore, MemoryStore, StoreAccess, StoreLocation, StoreOpenError, StoreSettings};
use super::vault::Vault;
use crate::clock::Clock;
use crate::keys::{Keyring, random};

/// A store and what belongs to it; without a store the cookie contains the session.
pub(super) struct Backend {
    pub(super) store: Option<Arc<StoreAccess>>,
    pub(super) vault: Vault,
    pub(super) names: AccountNames,
    /// The sessions in use in this process, and those that ended.
    pub(super) revocations: Arc<RevocationTable>,
    pub(super) not_before: NotBefore,
    /// Where `not_before` is kept for other processes.
    pub(super) shared: Option<Arc<SharedRevocations>>,
    /// The longest lifetime of a session, in seconds.
    pub(super) max_age: u64,
    pub(super) clock: Clock,
    /// Names this process in leases.
    pub(super) process: ProcessId,
    opened: Opened,
}

/// The settings that the stores were opened with.
#[derive(PartialEq, Eq)]
struct Opened {
    /// `None` is a custom one.
    store: Option<(StoreSettings, Option<StoreLocation>)>,
    revocations: RevocationSettings,
}

impl Backend {
    /// Opens what `settings` name. What `before` has open stays open if it is the same.
    ///
    /// # Errors
    /// A file cannot be opened.
    pub(super) fn open(
        settings: &SessionSettings,
        keyring: Arc<Keyring>,
        clock: Clock,
        before: Option<&Self>,
    ) -> Result<Self, StoreOpenError> {
        let opened = Opened {
            store: settings.custom_store.is_none().then(|| (settings.store, settings.store_location.clone())),
            revocations: settings.revocations.clone(),
        };
        let store = match before {
            Some(before) if before.opened.store == opened.store => before.store.clone(),
            _ => open_store(settings, &clock)?,
        };
        let not_before = NotBefore::new(Arc::clone(&keyring));
        let not_before = match before {
            Some(before) => not_before.with_table_of(&before.not_before),
            None => not_before,
        };
        let shared = match before {
            Some(before) if before.opened.revocations == opened.revocations => before.shared.clone(),
            _ => SharedRevocations::open(settings, &not_before, &clock)?.map(Arc::new),
        };
        Ok(Self {
            store,
            vault: Vault::new(Arc::clone(&keyring)),
            names: AccountNames::new(keyring),
            revocations: before.map_or_else(Arc::default, |before| Arc::clone(&before.revocations)),
            not_before,
            shared,
            max_age: settings.max_age.as_secs(),
            clock,
            process: before.map_or_else(random, |before| before.process),
            opened,
        })
    }
}

/// The configured store; `None` if the cookie contains the session.
fn open_store(settings: &SessionSettings, clock: &Clock) -> Result<Option<Arc<StoreAccess>>, StoreOpenError> {
    let store = match (&settings.custom_store, &settings.store_location, settings.store) {
        (Some(custom), ..) => custom.clone(),
        (None, Some(location), _) => location.open(clock)?,
        (None, None, StoreSettings::Memory) => CustomStore::new(MemoryStore::new()),
        (None, None, StoreSettings::Cookie) => return Ok(None),
    };
    Ok(Some(StoreAccess::new(store, settings.store_timeout)))
}
