//! Which sessions have ended in this process, and who must be told.
//!
//! A sealed cookie stays openable until it expires. Signing out therefore also
//! puts the session's id on a list here, and turns a switch that open tunnels
//! and every opened copy of the session hold.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::snapshot::SessionSnapshot;
use super::{Session, SessionId};
use crate::clock::UnixTime;

/// How many ended sessions are remembered. Each took a whole sign-in, so the
/// bound is far off; past it the one that would have ended first is forgotten.
const CAPACITY: usize = 100_000;
/// How many entries are added between two sweeps.
const SWEEP: usize = 1_024;

/// A session in this process: whether it still stands, and what is known of it.
/// Shared by everything opened from it.
#[derive(Debug)]
pub(crate) struct SharedSession {
    ended: AtomicBool,
    end: Notify,
    known: ArcSwap<SessionSnapshot>,
    changed: Notify,
    /// Held by whoever asks the provider about the session.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// No question before, since the last one was not answered.
    not_before: AtomicU64,
}

/// The right to ask the provider about a session: nobody else does meanwhile.
#[derive(Debug)]
pub(crate) struct RevalidationPermit(
    #[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedMutexGuard<()>,
);

impl SharedSession {
    fn new(known: SessionSnapshot) -> Self {
        Self {
            ended: AtomicBool::new(false),
            end: Notify::new(),
            known: ArcSwap::from_pointee(known),
            changed: Notify::new(),
            asking: Arc::default(),
            not_before: AtomicU64::new(0),
        }
    }

    /// What is known of the session.
    pub(super) fn known(&self) -> Arc<SessionSnapshot> {
        self.known.load_full()
    }

    /// Takes in what became known, and tells whoever waits for it.
    pub(super) fn update(&self, known: SessionSnapshot) {
        self.known.store(Arc::new(known));
        self.changed.notify_waiters();
    }

    /// Is ready when something else is known than at the time of this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The right to ask the provider now, unless somebody else has it.
    pub(crate) fn try_turn(&self) -> Option<RevalidationPermit> {
        Arc::clone(&self.asking).try_lock_owned().ok().map(RevalidationPermit)
    }

    /// The right to ask the provider, once whoever has it is done.
    pub(crate) async fn turn(&self) -> RevalidationPermit {
        RevalidationPermit(Arc::clone(&self.asking).lock_owned().await)
    }

    /// How many seconds are left until the provider may be asked again.
    pub(crate) fn pause(&self, now: UnixTime) -> u64 {
        self.not_before.load(Ordering::Relaxed).saturating_sub(now)
    }

    /// Asks the provider nothing until then.
    pub(crate) fn pause_until(&self, then: UnixTime) {
        self.not_before.store(then, Ordering::Relaxed);
    }

    /// Whether the session was ended here.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until the session is ended here.
    pub(crate) async fn ended(&self) {
        let notified = self.end.notified();
        if !self.has_ended() {
            notified.await;
        }
    }

    fn finish(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.notify_waiters();
    }
}

/// The sessions that ended, and the switches of those that are open.
#[derive(Debug, Default)]
pub(crate) struct RevocationTable {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Ended, and until when a cookie of it could still be presented.
    ended: HashMap<SessionId, UnixTime>,
    open: HashMap<SessionId, Weak<SharedSession>>,
    added: usize,
}

impl RevocationTable {
    /// The session as a cookie or the store just told it; `None` if it has ended.
    /// What is older in there than what is known already does not count.
    pub(super) fn enter(
        &self,
        session: Session,
        snapshot_of: impl Fn(Session) -> SessionSnapshot,
        now: UnixTime,
    ) -> Option<Arc<SharedSession>> {
        let id = session.id;
        let mut state = self.lock();
        if state.ended.contains_key(&id) {
            return None;
        }
        if let Some(live) = state.open.get(&id).and_then(Weak::upgrade) {
            if let Some(newer) = live.known.load().session.with_newer_of(&session) {
                live.update(snapshot_of(newer));
            }
            return Some(live);
        }
        state.sweep(now);
        let live = Arc::new(SharedSession::new(snapshot_of(session)));
        state.open.insert(id, Arc::downgrade(&live));
        Some(live)
    }

    /// The sessions that somebody holds open now.
    pub(super) fn open(&self) -> Vec<Arc<SharedSession>> {
        self.lock().open.values().filter_map(Weak::upgrade).collect()
    }

    /// Ends the session: refused from now on, and whoever waits is told.
    pub(crate) fn end(&self, id: SessionId, until: UnixTime, now: UnixTime) {
        let mut state = self.lock();
        state.sweep(now);
        if state.ended.len() >= CAPACITY
            && let Some(first) = state.ended.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id)
        {
            state.ended.remove(&first);
        }
        state.ended.insert(id, until);
        if let Some(live) = state.open.remove(&id).and_then(|live| live.upgrade()) {
            live.finish();
        }
    }

    /// A panic while the lock was held leaves both maps whole: every change is
    /// one call of the map's own.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sweep(&mut self, now: UnixTime) {
        self.added += 1;
        if self.added.is_multiple_of(SWEEP) {
            self.ended.retain(|_, until| *until > now);
            self.open.retain(|_, live| live.strong_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Tokens;
    use crate::keys::SecretString;
    use crate::session::tests::{known, session};

    fn enter(register: &RevocationTable, id: [u8; 16], now: UnixTime) -> Option<Arc<SharedSession>> {
        let session = Session { id: id.into(), ..session() };
        register.enter(session, known, now)
    }

    #[tokio::test]
    async fn an_ended_session_is_refused_and_whoever_waits_is_told() {
        let register = RevocationTable::default();
        let id = [1; 16];
        let live = enter(&register, id, 0).unwrap();
        let waiting = tokio::spawn({
            let live = Arc::clone(&live);
            async move { live.ended().await }
        });
        register.end(id.into(), 100, 0);
        waiting.await.unwrap();
        assert!(live.has_ended());
        assert!(enter(&register, id, 50).is_none());
        live.ended().await;
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let register = RevocationTable::default();
        for n in 0..u32::try_from(SWEEP * 3).unwrap() {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let now = u64::from(n);
            enter(&register, id, now);
            register.end(SessionId::from(id), now + 1, now);
        }
        let state = register.lock();
        assert!(state.ended.len() <= SWEEP + 1 && state.open.len() <= SWEEP + 1, "{}", state.ended.len());
    }

    #[test]
    fn an_old_cookie_does_not_bring_back_what_was_known_once() {
        let register = RevocationTable::default();
        let tokens = |text: &str, expires| Tokens {
            access: SecretString::new(text),
            refresh: None,
            expires: Some(expires),
        };
        let old = Session { tokens: tokens("old", 100), checked: 10, ..session() };
        let live = register.enter(old.clone(), known, 0).unwrap();
        // Another process asked, and refreshed.
        let newer = Session { tokens: tokens("new", 200), checked: 20, ..session() };
        register.enter(newer, known, 0).unwrap();
        register.enter(old, known, 0).unwrap();
        // A third one asked later, with the old token.
        register.enter(Session { tokens: tokens("old", 100), checked: 30, ..session() }, known, 0).unwrap();
        let session = live.known().session.clone();
        assert_eq!((session.tokens.access.expose(), session.checked), ("new", 30));
    }
}
