//! The sessions that have ended in this process.
//!
//! An encrypted cookie can be decrypted until it expires. Signing out therefore also adds
//! the session's id to a table here, and ends the [`SharedSession`] that open tunnels and
//! every cached copy of the session hold.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::kept_state::KeptState;
use super::not_before::NotBefore;
use super::record::Session;
use super::shared_session::SharedSession;
use super::snapshot::SessionSnapshot;
use super::store::SessionKey;
use crate::clock::{UnixMillis, UnixTime};
use crate::identity::Tokens;
use crate::keys::sha256;

/// The maximum number of ended sessions. Each required a complete sign-in, so the limit
/// is hard to reach; beyond it, the entry that expires first is removed.
const CAPACITY: usize = 100_000;
/// The number of insertions between two sweeps.
const SWEEP: usize = 1_024;
/// The maximum number of sessions whose end a store has yet to be told.
const OWED: usize = 10_000;

/// The ended sessions, and the shared state of the sessions in use.
#[derive(Debug, Default)]
pub(crate) struct RevocationTable {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Ended sessions, and when the last cookie of each expires.
    ended: HashMap<SessionKey, UnixTime>,
    /// The same in the order in which they expire: many sessions end at once when an operator
    /// ends all of them, and every request waits for this lock.
    expiring: BTreeSet<(UnixTime, SessionKey)>,
    open: HashMap<SessionKey, Weak<SharedSession>>,
    /// Sessions in cookies whose refresh token was refused.
    superseded: HashMap<SessionKey, Superseded>,
    added: usize,
    /// Sessions that ended here while the store did not answer.
    owed: Vec<SessionKey>,
}

/// The tokens of a session that the provider refused. Another process may have used the
/// refresh token before, so a cookie with newer tokens is valid.
#[derive(Debug)]
struct Superseded {
    access: [u8; 32],
    expires: Option<UnixTime>,
    /// When the last cookie of the session expires.
    until: UnixTime,
}

impl Superseded {
    fn covers(&self, tokens: &Tokens) -> bool {
        tokens.expires < self.expires || sha256(tokens.access.expose().as_bytes()) == self.access
    }
}

impl RevocationTable {
    /// The session with the content of a cookie or of the store; `None` if it has ended.
    /// Content that is older than the current snapshot is ignored.
    pub(super) fn enter(
        &self,
        (session, kept): (Session, Option<KeptState>),
        snapshot_of: impl Fn(Session) -> SessionSnapshot,
        now: UnixTime,
    ) -> Option<Arc<SharedSession>> {
        let key = session.id.key();
        let mut state = self.lock();
        if state.ended.contains_key(&key) {
            return None;
        }
        if let Some(shared) = state.open.get(&key).and_then(Weak::upgrade) {
            if let Some(newer) = shared.snapshot().session.with_newer_of(&session) {
                shared.update(snapshot_of(newer));
            }
            return Some(shared);
        }
        if state.superseded.get(&key).is_some_and(|superseded| superseded.covers(&session.tokens)) {
            return None;
        }
        state.sweep(now);
        let shared = Arc::new(SharedSession::new(snapshot_of(session), kept));
        state.open.insert(key, Arc::downgrade(&shared));
        Some(shared)
    }

    /// The sessions in use.
    pub(super) fn open(&self) -> Vec<Arc<SharedSession>> {
        self.lock().open.values().filter_map(Weak::upgrade).collect()
    }

    /// A session in use.
    pub(super) fn get(&self, key: SessionKey) -> Option<Arc<SharedSession>> {
        self.lock().open.get(&key).and_then(Weak::upgrade)
    }

    /// Ends the session: it is refused from now on, and all tasks that wait for its end
    /// are notified. Returns whether it had not ended before.
    pub(crate) fn end(&self, key: SessionKey, until: UnixTime, now: UnixTime) -> bool {
        let mut state = self.lock();
        state.sweep(now);
        let known = state.ended.get(&key).copied();
        state.note_end(key, known, until);
        if let Some(shared) = state.open.remove(&key).and_then(|shared| shared.upgrade()) {
            shared.finish();
        }
        known.is_none()
    }

    /// Ends the sessions in use that have ended by a time of `not_before`, and returns how
    /// many these are.
    pub(super) fn end_before(&self, not_before: &NotBefore, until: UnixTime, now: UnixTime) -> u64 {
        let ended = |shared: &Arc<SharedSession>| not_before.has_ended(&shared.snapshot().session);
        let ended = self.open().into_iter().filter(ended);
        let keys: Vec<_> = ended.map(|shared| shared.snapshot().session.id.key()).collect();
        let ended = keys.into_iter().filter(|key| self.end(*key, until, now)).count();
        u64::try_from(ended).unwrap_or(u64::MAX)
    }

    /// Notifies what is open under a session that has passed one of its time limits. Its
    /// id is not added to the table: its cookies are refused for their age, and one that
    /// another process has renewed since is valid.
    pub(super) fn expire(&self, key: SessionKey, shared: &Arc<SharedSession>) {
        let mut state = self.lock();
        if state.open.get(&key).is_some_and(|open| std::ptr::eq(open.as_ptr(), Arc::as_ptr(shared))) {
            state.open.remove(&key);
        }
        shared.finish();
    }

    /// Ends what is open under a session whose tokens the provider refused, and refuses cookies
    /// with these or older tokens. One with newer tokens is valid: another process has
    /// refreshed them. `false` if such a cookie has come already.
    pub(super) fn supersede(&self, shared: &Arc<SharedSession>, tokens: &Tokens, until: UnixTime) -> bool {
        let mut state = self.lock();
        let session = &shared.snapshot().session;
        if session.tokens.access.expose() != tokens.access.expose() {
            return false;
        }
        if state.superseded.len() >= CAPACITY
            && let Some(first) = state.superseded.iter().min_by_key(|(_, one)| one.until).map(|(key, _)| *key)
        {
            state.superseded.remove(&first);
        }
        let key = session.id.key();
        let access = sha256(tokens.access.expose().as_bytes());
        state.superseded.insert(key, Superseded { access, expires: tokens.expires, until });
        if state.open.get(&key).is_some_and(|open| std::ptr::eq(open.as_ptr(), Arc::as_ptr(shared))) {
            state.open.remove(&key);
        }
        shared.finish();
        true
    }

    /// Whether some cookie of a session is refused for its tokens.
    pub(super) fn is_superseded(&self, key: SessionKey) -> bool {
        self.lock().superseded.contains_key(&key)
    }

    /// A session in use that is in a state as asked.
    pub(super) fn find(&self, is_it: impl Fn(&Arc<SharedSession>) -> bool) -> Option<Arc<SharedSession>> {
        self.lock().open.values().filter_map(Weak::upgrade).find(is_it)
    }

    /// Notes that the store has yet to be told of the end of a session.
    pub(super) fn owe(&self, key: SessionKey) {
        let mut state = self.lock();
        if state.owed.len() < OWED {
            state.owed.push(key);
        }
    }

    /// Takes the sessions whose end the store has yet to be told.
    pub(super) fn owed(&self) -> Vec<SessionKey> {
        std::mem::take(&mut self.lock().owed)
    }

    /// When a session in use was last used.
    pub(super) fn last_use(&self, key: SessionKey) -> Option<UnixMillis> {
        self.lock().open.get(&key).and_then(Weak::upgrade).map(|shared| shared.last_use())
    }

    /// A panic while the lock was held leaves the maps usable: at worst, an ended session that
    /// no sweep removes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that a session has ended, which was to be refused until `known`.
    fn note_end(&mut self, key: SessionKey, known: Option<UnixTime>, until: UnixTime) {
        if known.is_some_and(|known| known >= until) {
            return;
        }
        if let Some(known) = known {
            self.expiring.remove(&(known, key));
        } else if self.ended.len() >= CAPACITY
            && let Some((_, first)) = self.expiring.pop_first()
        {
            self.ended.remove(&first);
        }
        self.ended.insert(key, until);
        self.expiring.insert((until, key));
    }

    fn sweep(&mut self, now: UnixTime) {
        self.added += 1;
        if self.added.is_multiple_of(SWEEP) {
            self.superseded.retain(|_, superseded| superseded.until > now);
            while let Some((until, key)) = self.expiring.pop_first() {
                if until > now {
                    self.expiring.insert((until, key));
                    break;
                }
                self.ended.remove(&key);
            }
            self.open.retain(|_, shared| shared.strong_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretString;
    use crate::session::record::SessionId;
    use crate::session::tests::{session, snapshot};

    fn enter(register: &RevocationTable, id: [u8; 16], now: UnixTime) -> Option<Arc<SharedSession>> {
        let session = Session { id: id.into(), ..session() };
        register.enter((session, None), snapshot, now)
    }

    #[tokio::test]
    async fn an_ended_session_is_refused_and_waiting_tasks_are_notified() {
        let register = RevocationTable::default();
        let id = [1; 16];
        let shared = enter(&register, id, 0).unwrap();
        let waiting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.ended().await }
        });
        register.end(SessionId::from(id).key(), 100, 0);
        waiting.await.unwrap();
        assert!(shared.has_ended());
        assert!(enter(&register, id, 50).is_none());
        shared.ended().await;
    }

    #[test]
    fn expired_entries_are_removed() {
        let register = RevocationTable::default();
        for n in 0..u32::try_from(SWEEP * 3).unwrap() {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let now = u64::from(n);
            enter(&register, id, now);
            register.end(SessionId::from(id).key(), now + 1, now);
        }
        let state = register.lock();
        assert!(state.ended.len() <= SWEEP + 1 && state.open.len() <= SWEEP + 1, "{}", state.ended.len());
    }

    #[test]
    fn refused_tokens_end_no_session_with_newer_ones() {
        let register = RevocationTable::default();
        let with = |text: &str, expires| Session {
            tokens: Tokens { access: SecretString::new(text), refresh: None, expires: Some(expires) },
            ..session()
        };
        let (older, old, new) = (with("older", 50), with("old", 100), with("new", 200));
        let enter = |session: &Session| register.enter((session.clone(), None), snapshot, 0);
        let shared = enter(&old).unwrap();
        assert!(register.supersede(&shared, &old.tokens, 1_000));
        assert!(shared.has_ended());
        assert!(enter(&old).is_none() && enter(&older).is_none());
        let renewed = enter(&new).unwrap();
        assert!(!renewed.has_ended());
        // A late refusal of old tokens does not end a session that has newer ones.
        assert!(!register.supersede(&renewed, &old.tokens, 1_000));
        assert!(!renewed.has_ended() && enter(&old).is_some());
    }

    #[test]
    fn ending_more_sessions_than_the_table_holds_looks_at_none_of_the_others() {
        let register = RevocationTable::default();
        let key = |n: u64| SessionKey::from_bytes((u128::from(n) << 64 | u128::from(n)).to_be_bytes());
        let count = u64::try_from(CAPACITY).unwrap() * 3;
        let begun = std::time::Instant::now();
        for n in 0..count {
            assert!(register.end(key(n), 1_000_000 + n, 0));
        }
        // Looking at all of them each time takes minutes.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        assert!(!register.end(key(count - 1), 5, 0), "the last one is known");
        let state = register.lock();
        assert_eq!((state.ended.len(), state.expiring.len()), (CAPACITY, CAPACITY));
        assert!(state.ended.contains_key(&key(count - 1)) && !state.ended.contains_key(&key(0)));
    }

    #[test]
    fn an_old_cookie_does_not_restore_an_older_snapshot() {
        let register = RevocationTable::default();
        let tokens = |text: &str, expires| Tokens {
            access: SecretString::new(text),
            refresh: None,
            expires: Some(expires),
        };
        let old = Session { tokens: tokens("old", 100), checked: 10, ..session() };
        let shared = register.enter((old.clone(), None), snapshot, 0).unwrap();
        // Another process contacted the provider and refreshed the tokens.
        let newer = Session { tokens: tokens("new", 200), checked: 20, ..session() };
        register.enter((newer, None), snapshot, 0).unwrap();
        register.enter((old, None), snapshot, 0).unwrap();
        // A third one contacted the provider later, with the old token.
        register
            .enter((Session { tokens: tokens("old", 100), checked: 30, ..session() }, None), snapshot, 0)
            .unwrap();
        let session = shared.snapshot().session.clone();
        assert_eq!((session.tokens.access.expose(), session.checked), ("new", 30));
    }
}
