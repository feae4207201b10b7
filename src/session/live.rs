//! Which sessions have ended in this process, and who must be told.
//!
//! A sealed cookie stays openable until it expires. Signing out therefore also
//! puts the session's id on a list here, and turns a switch that open tunnels
//! and every opened copy of the session hold.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::SessionId;
use crate::clock::UnixTime;

/// How many ended sessions are remembered. Each took a whole sign-in, so the
/// bound is far off; past it the one that would have ended first is forgotten.
const CAPACITY: usize = 100_000;
/// How many entries are added between two sweeps.
const SWEEP: usize = 1_024;

/// Whether one session still stands; shared by everything opened from it.
#[derive(Debug, Default)]
pub(crate) struct Live {
    ended: AtomicBool,
    end: Notify,
}

impl Live {
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
pub(crate) struct Register {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Ended, and until when a cookie of it could still be presented.
    ended: HashMap<SessionId, UnixTime>,
    open: HashMap<SessionId, Weak<Live>>,
    added: usize,
}

impl Register {
    /// The switch of a session; `None` if it has ended.
    pub(crate) fn enter(&self, id: SessionId, now: UnixTime) -> Option<Arc<Live>> {
        let mut state = self.lock();
        if state.ended.contains_key(&id) {
            return None;
        }
        if let Some(live) = state.open.get(&id).and_then(Weak::upgrade) {
            return Some(live);
        }
        state.sweep(now);
        let live = Arc::new(Live::default());
        state.open.insert(id, Arc::downgrade(&live));
        Some(live)
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

    #[tokio::test]
    async fn an_ended_session_is_refused_and_whoever_waits_is_told() {
        let register = Register::default();
        let id = SessionId::from([1; 16]);
        let live = register.enter(id, 0).unwrap();
        let waiting = tokio::spawn({
            let live = Arc::clone(&live);
            async move { live.ended().await }
        });
        register.end(id, 100, 0);
        waiting.await.unwrap();
        assert!(live.has_ended());
        assert!(register.enter(id, 50).is_none());
        live.ended().await;
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let register = Register::default();
        for n in 0..u32::try_from(SWEEP * 3).unwrap() {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let now = u64::from(n);
            register.enter(SessionId::from(id), now);
            register.end(SessionId::from(id), now + 1, now);
        }
        let state = register.lock();
        assert!(state.ended.len() <= SWEEP + 1 && state.open.len() <= SWEEP + 1, "{}", state.ended.len());
    }
}
