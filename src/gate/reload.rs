//! Other settings for a gate in use: who signed out stays so, and what is open is
//! judged anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::settings::{BuildError, GateSettings};
use super::{Gate, Inner};

/// A gate with other settings, ready to take the place of the one it was made from.
#[derive(Debug)]
pub struct PreparedReload {
    gate: Gate,
    before: Gate,
}

impl Gate {
    /// Prepares other settings. What this process knows of sessions goes on: which
    /// have ended, those of a memory store, and which states were used. Nothing
    /// changes before [`PreparedReload::in_force`].
    ///
    /// # Errors
    /// Those of [`Gate::new`]; then this gate stays as it is.
    pub fn prepare_reload(&self, settings: GateSettings) -> Result<PreparedReload, BuildError> {
        let clock = self.inner.clock.clone();
        let gate = Self::with(settings, clock, Some(&self.inner.oauth2))?;
        Ok(PreparedReload { gate, before: self.clone() })
    }
}

impl PreparedReload {
    /// The gate for all requests from now on. Tunnels and streams that are open are
    /// judged by its rules; if the routes are others, those that somebody had to be
    /// let into are closed, since what they were allowed by is gone.
    #[must_use]
    pub fn in_force(self) -> Gate {
        let (gate, before) = (self.gate, self.before);
        if before.inner.oauth2.draining.load(Ordering::Relaxed) {
            gate.drain();
        }
        before.inner.successor.store(Some(Arc::clone(&gate.inner)));
        // Wakes whoever watches a session, too.
        gate.inner.oauth2.sessions.rebind();
        before.inner.replaced.notify_waiters();
        gate
    }
}

impl Inner {
    /// The gate that is in force by now.
    pub(super) fn latest(self: &Arc<Self>) -> Arc<Self> {
        let mut latest = Arc::clone(self);
        while let Some(next) = latest.successor.load_full() {
            latest = next;
        }
        // Those between are of no use to anybody any more.
        if !Arc::ptr_eq(&latest, self) {
            self.successor.store(Some(Arc::clone(&latest)));
        }
        latest
    }

    /// Whether a route's number means the same in `other`.
    pub(super) fn has_places_of(&self, other: &Self) -> bool {
        let (own, others) = (self.policy.routes.list(), other.policy.routes.list());
        own.len() == others.len()
            && own.iter().zip(others).all(|(own, other)| {
                own.host == other.host && own.path == other.path && own.methods == other.methods
            })
    }
}
