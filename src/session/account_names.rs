//! Which accounts have had a user name or a session at the provider, so that a list by either
//! costs what that person's sessions cost.
//!
//! A store lists by account id. A record for each name has the account ids of the people
//! who signed in under it. It is written at each sign-in, lasts as long as the
//! session can, and says nothing in clear.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::store::{
    OwnerKey, SessionKey, SessionRecord, StoreAccess, StoreDown, StoreError, StoredSession, Update,
};
use crate::clock::UnixTime;
use crate::keys::{Keyring, StoreSeal, random};

/// The format of a record.
const FORMAT: u8 = 1;
/// The maximum number of accounts of one name. User names of Hugging Face are unique, those of
/// other providers need not be.
const ACCOUNTS: usize = 64;
/// How often a write is begun again because another process was faster.
const ATTEMPTS: usize = 8;

/// The accounts of one name, the one that signed in last at the end.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Accounts(Vec<String>);

/// A name that accounts are found by.
#[derive(Debug, Clone, Copy)]
pub(super) enum AccountName<'a> {
    /// A user name, in any spelling.
    User(&'a str),
    /// The provider's id of a session.
    ProviderSession(&'a str),
}

impl AccountName<'_> {
    fn text(self) -> String {
        match self {
            Self::User(name) => format!("user name {}", name.to_ascii_lowercase()),
            Self::ProviderSession(sid) => format!("provider session {sid}"),
        }
    }
}

/// Notes and finds the accounts of names.
pub(super) struct AccountNames {
    keyring: Arc<Keyring>,
}

impl AccountNames {
    pub(super) fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    /// Notes that the account `sub` has this name, until `expires`.
    ///
    /// # Errors
    /// [`StoreDown`] if that is not stored.
    pub(super) async fn note(
        &self,
        store: &Arc<StoreAccess>,
        (name, sub): (AccountName<'_>, &str),
        (now, expires): (UnixTime, UnixTime),
    ) -> Result<(), StoreDown> {
        let Some(key) = self.keys(name).into_iter().next() else { return Ok(()) };
        for _ in 0..ATTEMPTS {
            let Some(stored) = store.load(key, now).await? else {
                let record = self.record(key, &Accounts(vec![sub.to_owned()]), expires);
                match store.create(key, record, now).await {
                    Ok(()) => return Ok(()),
                    // Another sign-in was faster, or the store is away: the next load says.
                    Err(StoreDown) => continue,
                }
            };
            let mut accounts = self.open(key, &stored).unwrap_or_default();
            if accounts.0.last().is_some_and(|last| last == sub) {
                return store.touch(key, now, expires, now).await;
            }
            accounts.0.retain(|known| known != sub);
            accounts.0.push(sub.to_owned());
            let excess = accounts.0.len().saturating_sub(ACCOUNTS);
            accounts.0.drain(..excess);
            let record = self.record(key, &accounts, expires);
            match store.update(key, stored.revision, record, now).await? {
                Update::Done => return Ok(()),
                Update::Changed(_) | Update::Ended => {}
            }
        }
        tracing::error!("other processes write the record of an account's name all the time");
        Err(StoreDown)
    }

    /// The accounts that have signed in under a name.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn of(
        &self,
        store: &StoreAccess,
        name: AccountName<'_>,
        now: UnixTime,
    ) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for key in self.keys(name) {
            let Some(stored) = store.look_up(key, now).await? else { continue };
            found.extend(self.open(key, &stored).unwrap_or_default().0);
        }
        Ok(found)
    }

    /// Where the record of a name is: a key for each secret, the first secret's first.
    fn keys(&self, name: AccountName<'_>) -> Vec<SessionKey> {
        self.keyring.account_tags(&name.text()).into_iter().map(SessionKey::from_bytes).collect()
    }

    fn record(&self, key: SessionKey, accounts: &Accounts, expires: UnixTime) -> SessionRecord {
        let plain =
            postcard::to_extend(accounts, vec![FORMAT]).expect("writing plain data to memory does not fail");
        let sealed = self.keyring.seal_for_store(seal(key.as_bytes()), random(), &plain);
        let owner = self.keyring.account_tags("user names").first().copied().unwrap_or_default();
        SessionRecord::new(OwnerKey::from_bytes(owner), sealed.into(), Bytes::new(), 0, expires)
    }

    fn open(&self, key: SessionKey, stored: &StoredSession) -> Option<Accounts> {
        let plain = self.keyring.open_from_store(seal(key.as_bytes()), &stored.record.sealed)?;
        let (&FORMAT, plain) = plain.split_first()? else { return None };
        Some(postcard::take_from_bytes(plain).ok()?.0)
    }
}

fn seal(place: &[u8]) -> StoreSeal<'_> {
    StoreSeal { purpose: "account names v1", share: &[], place }
}
