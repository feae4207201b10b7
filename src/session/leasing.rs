//! Leases of sessions in a store that replicas share: taken before the provider is
//! contacted, and given back with its answer.

use super::active::ActiveSession;
use super::lease::{Lease, LeaseElsewhere};
use super::server_side::Written;
use super::sessions::Sessions;
use super::store::StoreDown;

/// The result of asking for a session's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leased {
    /// No other process contacts the provider about the session.
    Yes,
    /// Another process has written the session, and this one has what it wrote.
    Changed,
    /// The session has ended.
    Ended,
}

impl Sessions {
    /// Takes the lease of a session. Call it while
    /// [`lease_elsewhere`](Self::lease_elsewhere) is `None`. Without a store that replicas
    /// share there is no lease to take.
    ///
    /// # Errors
    /// [`StoreDown`] if the store does not answer, or takes no writes.
    pub(crate) async fn acquire_lease(&self, active: &ActiveSession) -> Result<Leased, StoreDown> {
        let shared = &active.cached.shared;
        let (Some(_), Some(store), Some(kept)) = (self.lifetimes.cache, &self.backend.store, &shared.kept)
        else {
            return Ok(if self.refresh(shared).await? { Leased::Yes } else { Leased::Ended });
        };
        let lease = Lease::in_progress(self.backend.process, self.clock.now());
        let (revision, mut enclosed) = kept.basis(self.backend.process);
        lease.put(&mut enclosed);
        Ok(match self.write_over(store, kept, shared, (revision, enclosed)).await? {
            Written::Done => {
                kept.hold(lease);
                Leased::Yes
            }
            Written::Changed { .. } => Leased::Changed,
            Written::Ended => Leased::Ended,
        })
    }

    /// What another process says about its exchange with the provider, as far as this one
    /// has heard.
    pub(crate) fn lease_elsewhere(&self, active: &ActiveSession) -> Option<LeaseElsewhere> {
        let kept = active.shared().kept.as_ref()?;
        self.lifetimes.cache?;
        kept.lease_elsewhere(self.backend.process, self.clock.now_millis())
    }

    /// Gives the lease back without an answer of the provider: other processes do not
    /// contact it about the session for `pause` seconds either.
    pub(crate) async fn give_up_lease(&self, active: &ActiveSession, pause: u64) {
        let shared = &active.cached.shared;
        let (Some(store), Some(kept)) = (&self.backend.store, &shared.kept) else { return };
        if !kept.release() {
            return;
        }
        let (revision, mut enclosed) = kept.basis(self.backend.process);
        Lease::failed(self.backend.process, pause, self.clock.now()).put(&mut enclosed);
        // If it fails, the lease ends with its time.
        let _ = self.write_over(store, kept, shared, (revision, enclosed)).await;
    }

    /// Whether this process can refresh the session's tokens and store them before another
    /// one may begin to.
    pub(crate) fn may_refresh(&self, active: &ActiveSession) -> bool {
        active.shared().kept.as_ref().is_none_or(|kept| kept.lease_lasts(self.clock.now()))
    }

    /// Whether another process may have used the session's refresh token, and could not say
    /// so since the store takes no writes.
    pub(crate) fn may_be_refreshed_elsewhere(&self, active: &ActiveSession) -> bool {
        let kept = active.shared().kept.as_ref();
        self.lifetimes.cache.is_some() && kept.is_some_and(|kept| !kept.holds_lease())
    }
}
