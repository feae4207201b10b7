//! Lists and ends sessions, for operators and for people who look at their own.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use tokio::task::{JoinError, JoinSet};

use super::account_names::AccountName;
use super::backend::Backend;
use super::listing::{ListedSession, SessionFilter};
use super::not_before::Whose;
use super::settings::SessionSettings;
use super::store::{Cursor, OwnerKey, SessionKey, StoreAccess, StoreError, StoreOpenError};
use crate::clock::{Clock, UnixTime, rfc3339};
use crate::keys::Keyring;

/// How many sessions end at once.
const AT_ONCE: usize = 512;

/// Lists and ends the sessions of a store.
///
/// [`Gate::session_admin`](crate::Gate::session_admin) gives that of a gate. One that is made
/// of settings reaches the same store without one: the gates that use it hear of what it ends.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use huggate::{Gate, keys::Secret, session::SessionFilter};
/// # let gate = Gate::builder().public_url("http://127.0.0.1:3000").client("id", "secret")
/// #     .secret(Secret::generate()).allow_anyone()
/// #     .session(|session| session.store = huggate::session::StoreSettings::Memory)
/// #     .issuer("http://127.0.0.1:1").build().await?;
/// let ada = SessionFilter::Person("ada".to_owned());
/// let ended = gate.session_admin().revoke(&ada).await?;
/// assert_eq!(ended.sessions, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionAdmin {
    pub(super) backend: Arc<Backend>,
}

/// What a revocation did. As JSON: `{"revoked": 2}`, and `not_before` in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Revoked {
    /// How many sessions ended. With the cookie store: of those that this process has in use.
    #[serde(rename = "revoked")]
    pub sessions: u64,
    /// With the cookie store: sessions that began then or earlier have ended, in seconds
    /// since 1970.
    #[serde(serialize_with = "as_rfc3339", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UnixTime>,
}

fn as_rfc3339<S: Serializer>(time: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

/// Why sessions were not listed or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionAdminError {
    /// The cookie store: only browsers have the sessions.
    #[error(
        "session.store = \"cookie\" cannot list or count sessions, nor end a single one: only the browsers have them; \
         \"memory\", \"file:…\" and \"redis://…\" can"
    )]
    NotKept,
    /// The cookie store, and nothing that other processes read.
    #[error(
        "session.store = \"cookie\" ends sessions only if session.revocations names a file or a Redis that the gate \
         reads as well: \"file:…\" or \"redis://…\"; the stores \"memory\", \"file:…\" and \"redis://…\" need no such key"
    )]
    NothingShared,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionAdmin {
    pub(super) fn of(backend: Arc<Backend>) -> Self {
        Self { backend }
    }

    /// The sessions that `settings` name, without a gate.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub fn new(settings: &SessionSettings, clock: Clock) -> Result<Self, StoreOpenError> {
        let keyring = Arc::new(Keyring::new(&settings.secrets));
        Ok(Self::of(Arc::new(Backend::open(settings, keyring, clock, None)?)))
    }

    /// Calls `see` with each session.
    ///
    /// # Errors
    /// [`SessionAdminError::NotKept`] with the cookie store, and those of the store. `see` may
    /// have been called before.
    pub async fn list(
        &self,
        filter: &SessionFilter,
        mut see: impl FnMut(ListedSession),
    ) -> Result<(), SessionAdminError> {
        let mut pages = self.pages(filter).await?;
        while let Some(page) = pages.next().await? {
            page.into_iter().for_each(&mut see);
        }
        Ok(())
    }

    /// The sessions, a page at a time.
    ///
    /// # Errors
    /// Those of [`SessionAdmin::list`].
    pub async fn pages(&self, filter: &SessionFilter) -> Result<SessionPages, SessionAdminError> {
        let store = self.backend.store.as_ref().ok_or(SessionAdminError::NotKept)?;
        Ok(self.pages_of(store, filter).await?)
    }

    /// The number of sessions.
    ///
    /// # Errors
    /// Those of [`SessionAdmin::list`].
    pub async fn count(&self, filter: &SessionFilter) -> Result<u64, SessionAdminError> {
        let mut count = 0;
        self.list(filter, |_| count += 1).await?;
        Ok(count)
    }

    /// Ends sessions. What is open under them closes, at every gate that uses the store.
    ///
    /// # Errors
    /// [`SessionAdminError::NotKept`] with the cookie store for a single session, and those
    /// of the store. Some sessions may have ended then.
    pub async fn revoke(&self, filter: &SessionFilter) -> Result<Revoked, SessionAdminError> {
        let Some(store) = &self.backend.store else { return self.set_not_before(filter).await };
        let (mut ending, mut sessions) = (JoinSet::new(), 0);
        let mut pages = self.pages_of(store, filter).await?;
        while let Some(page) = pages.next().await? {
            for session in page {
                if ending.len() >= AT_ONCE
                    && let Some(ended) = ending.join_next().await
                {
                    sessions += u64::from(joined(ended)?);
                }
                self.begin_to_end(store, session.id, &mut ending);
            }
        }
        while let Some(ended) = ending.join_next().await {
            sessions += u64::from(joined(ended)?);
        }
        Ok(Revoked { sessions, not_before: None })
    }

    /// Ends a session here, and begins to end it in the store.
    fn begin_to_end(
        &self,
        store: &Arc<StoreAccess>,
        key: SessionKey,
        ending: &mut JoinSet<Result<bool, StoreError>>,
    ) {
        let (store, now) = (Arc::clone(store), self.backend.clock.now());
        self.backend.revocations.end(key, now.saturating_add(self.backend.max_age), now);
        ending.spawn(async move { store.remove(key).await });
    }

    /// Whether a revocation reaches more than this process.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.backend.store.is_some() || self.backend.shared.is_some()
    }

    /// Ends these sessions, some at once, and returns how many there were.
    pub(super) async fn end(
        &self,
        store: &Arc<StoreAccess>,
        keys: Vec<SessionKey>,
    ) -> Result<u64, StoreError> {
        let (mut ended, mut ending) = (0, JoinSet::new());
        for key in keys {
            self.begin_to_end(store, key, &mut ending);
        }
        while let Some(done) = ending.join_next().await {
            ended += u64::from(joined(done)?);
        }
        Ok(ended)
    }

    pub(super) async fn pages_of(
        &self,
        store: &Arc<StoreAccess>,
        filter: &SessionFilter,
    ) -> Result<SessionPages, StoreError> {
        let accounts = self.accounts(store, filter).await?;
        // All sessions, or those of each account that is meant.
        let owners = match &accounts {
            None => vec![None],
            Some(accounts) => {
                accounts.iter().flat_map(|sub| self.backend.vault.owners(sub)).map(Some).collect()
            }
        };
        let (backend, store) = (Arc::clone(&self.backend), Arc::clone(store));
        Ok(SessionPages { backend, store, filter: filter.clone(), accounts, owners, after: None })
    }

    /// The accounts that are meant, each once; `None` where a filter names none.
    async fn accounts(
        &self,
        store: &StoreAccess,
        filter: &SessionFilter,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let person = match filter {
            SessionFilter::All | SessionFilter::Id(_) => return Ok(None),
            SessionFilter::Account(sub) => return Ok(Some(vec![sub.clone()])),
            SessionFilter::Person(person) => person,
        };
        let mut accounts = vec![person.clone()];
        for sub in self.backend.names.of(store, AccountName::User(person), self.backend.clock.now()).await? {
            // It may have another name by now, and somebody else this one.
            if !accounts.contains(&sub) && self.is_called(store, &sub, filter).await? {
                accounts.push(sub);
            }
        }
        Ok(Some(accounts))
    }

    /// Whether a session of the account has the name of the filter. The others may not have
    /// heard of it: a session learns the name when it is revalidated.
    async fn is_called(
        &self,
        store: &StoreAccess,
        sub: &str,
        filter: &SessionFilter,
    ) -> Result<bool, StoreError> {
        let Backend { vault, clock, .. } = &*self.backend;
        for owner in vault.owners(sub) {
            let mut after = None;
            loop {
                let page = store.list(Some(owner), after, clock.now()).await?;
                let mut sessions =
                    page.sessions.iter().filter_map(|(key, stored)| vault.summary(*key, stored));
                if sessions.any(|session| session.sub == sub && session.is_of(filter)) {
                    return Ok(true);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(false)
    }

    /// Ends sessions that only browsers have: those that began until now.
    async fn set_not_before(&self, filter: &SessionFilter) -> Result<Revoked, SessionAdminError> {
        let Backend { not_before, shared, revocations, max_age, clock, .. } = &*self.backend;
        let whose = match filter {
            SessionFilter::All => Whose::Everybody,
            SessionFilter::Person(person) => Whose::Person(person),
            SessionFilter::Account(sub) => Whose::Account(sub),
            SessionFilter::Id(_) => return Err(SessionAdminError::NotKept),
        };
        let now = clock.now();
        let mut apart = 0;
        if let Some(shared) = shared {
            // A session begins after the times that are known; so must this one.
            shared.refresh(not_before, now).await?;
            apart = shared.clocks_apart();
        }
        let entries = not_before.entries(whose, (now, apart), *max_age);
        if let Some(shared) = shared {
            shared.add(entries.clone(), now).await?;
        }
        not_before.merge(&entries, now);
        let sessions = revocations.end_before(not_before, now.saturating_add(*max_age), now);
        Ok(Revoked { sessions, not_before: Some(now) })
    }

    /// The same where nothing else would hear of it.
    ///
    /// # Errors
    /// [`SessionAdminError::NothingShared`], and those of [`SessionAdmin::revoke`].
    pub async fn revoke_elsewhere(&self, filter: &SessionFilter) -> Result<Revoked, SessionAdminError> {
        if self.is_shared() { self.revoke(filter).await } else { Err(SessionAdminError::NothingShared) }
    }
}

/// The sessions that a filter names, a page at a time.
pub struct SessionPages {
    backend: Arc<Backend>,
    store: Arc<StoreAccess>,
    filter: SessionFilter,
    /// The accounts that the filter names; `None` means all accounts.
    accounts: Option<Vec<String>>,
    /// The lists that are left, the next one at the end.
    owners: Vec<Option<OwnerKey>>,
    after: Option<Cursor>,
}

impl SessionPages {
    /// The next page, which may be empty; `None` after the last one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&mut self) -> Result<Option<Vec<ListedSession>>, SessionAdminError> {
        let Some(owner) = self.owners.last().copied() else { return Ok(None) };
        let Backend { vault, clock, .. } = &*self.backend;
        if let SessionFilter::Id(id) = &self.filter {
            self.owners.pop();
            let stored = self.store.look_up(*id, clock.now()).await?;
            return Ok(Some(stored.and_then(|stored| vault.summary(*id, &stored)).into_iter().collect()));
        }
        let page = self.store.list(owner, self.after.take(), clock.now()).await?;
        self.after = page.next;
        if self.after.is_none() {
            self.owners.pop();
        }
        let listed = page.sessions.iter().filter_map(|(key, stored)| vault.summary(*key, stored));
        // A store may be wrong about whose a session is.
        let is_meant = |session: &ListedSession| {
            self.accounts.as_ref().is_none_or(|accounts| accounts.contains(&session.sub))
        };
        Ok(Some(listed.filter(is_meant).collect()))
    }
}

fn joined(done: Result<Result<bool, StoreError>, JoinError>) -> Result<bool, StoreError> {
    done.unwrap_or_else(|error| Err(StoreError::unavailable(error)))
}

impl fmt::Debug for SessionPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionPages").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAdmin").field("store", &self.backend.store).finish_non_exhaustive()
    }
}
