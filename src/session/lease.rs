//! The lease of a session: the process that contacts the provider about it says so in the
//! session's record, so that no other one does at the same time.
//!
//! It is an [`Extension`] of the record. A version that does not know it keeps it, and
//! contacts the provider for itself.

use serde::{Deserialize, Serialize};

use super::vault::{Enclosed, Extension};
use crate::clock::{UnixMillis, UnixTime};
use crate::keys::random;

/// The tag of the extension.
const TAG: u16 = 1;
/// How long a lease lasts, in seconds: longer than fetching metadata and userinfo and
/// refreshing the tokens take together, each with its time limit.
const LEASE: u64 = 35;
/// How long before its end a lease is too short for refreshing tokens, in seconds: longer
/// than the time limits of fetching metadata, of the token endpoint and of the store together.
const LAST: u64 = 22;
/// The longest time that a lease says, in seconds. A longer one is of no version of huggate.
const LONGEST: u64 = 300;
/// How far the clocks of two replicas differ at most, in seconds.
const SKEW: u64 = 60;

/// Names a process among those that share a store.
pub(super) type ProcessId = [u8; 8];

/// What one process tells the others about its exchange with the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    owner: ProcessId,
    /// Tells it from others of the same process.
    id: [u8; 8],
    /// When it ends by the clock of the owner.
    until: UnixTime,
    /// How long it lasts. Others measure this from when they saw it first, since clocks
    /// differ.
    seconds: u64,
    /// The provider did not answer: nobody contacts it about this session for as long.
    failed: bool,
}

/// What another process said last, if that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseElsewhere {
    /// It contacts the provider.
    InProgress,
    /// The provider did not answer it; the next request is allowed after these seconds.
    Failed { retry_after: u64 },
}

impl Lease {
    /// This process contacts the provider from now on.
    pub(super) fn in_progress(owner: ProcessId, now: UnixTime) -> Self {
        Self { owner, id: random(), until: now.saturating_add(LEASE), seconds: LEASE, failed: false }
    }

    /// The provider did not answer this process, and is left alone for `pause` seconds.
    pub(super) fn failed(owner: ProcessId, pause: u64, now: UnixTime) -> Self {
        Self { owner, id: random(), until: now.saturating_add(pause), seconds: pause, failed: true }
    }

    /// The lease of a record, if it has one.
    pub(super) fn of(enclosed: &Enclosed) -> Option<Self> {
        let extension = enclosed.extensions.iter().find(|extension| extension.tag == TAG)?;
        let (lease, _): (Self, _) = postcard::take_from_bytes(&extension.content).ok()?;
        Some(Self { seconds: lease.seconds.min(LONGEST), ..lease })
    }

    /// Puts it into a record, in place of another one.
    pub(super) fn put(&self, enclosed: &mut Enclosed) {
        Self::remove(enclosed);
        let content = postcard::to_allocvec(self).expect("writing plain data to memory does not fail");
        enclosed.extensions.push(Extension { tag: TAG, content });
    }

    /// Removes the lease of a record.
    pub(super) fn remove(enclosed: &mut Enclosed) {
        enclosed.extensions.retain(|extension| extension.tag != TAG);
    }

    pub(super) fn is_of(&self, process: ProcessId) -> bool {
        self.owner == process
    }

    /// What it says to another process, which has seen it first at the time `seen`; `None`
    /// if it has ended. It has also ended if it would by any clock, so that what a process
    /// left behind long ago delays nobody.
    pub(super) fn elsewhere(&self, seen: UnixMillis, now: UnixMillis) -> Option<LeaseElsewhere> {
        let end = seen.saturating_add(self.seconds.saturating_mul(1000));
        if now >= end || now / 1000 >= self.until.saturating_add(SKEW) {
            return None;
        }
        let retry_after = end.saturating_sub(now).div_ceil(1000);
        Some(if self.failed { LeaseElsewhere::Failed { retry_after } } else { LeaseElsewhere::InProgress })
    }

    /// Whether its owner can still refresh tokens and store them before it ends.
    pub(super) fn lasts(&self, now: UnixTime) -> bool {
        now.saturating_add(LAST) < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: UnixMillis = 1_000_000_000;

    #[test]
    fn a_lease_is_judged_by_the_clock_of_who_sees_it() {
        // The owner's clock is a minute ahead, and a minute behind.
        for owner in [SEEN / 1000 + 59, SEEN / 1000 - 59] {
            let lease = Lease::in_progress([1; 8], owner);
            let at = |seconds| lease.elsewhere(SEEN, SEEN + seconds * 1000);
            assert_eq!(at(0), Some(LeaseElsewhere::InProgress));
            assert_eq!(at(LEASE - 1), Some(LeaseElsewhere::InProgress));
            assert_eq!(at(LEASE), None);
        }
        let failed = Lease::failed([1; 8], 15, SEEN / 1000);
        assert_eq!(failed.elsewhere(SEEN, SEEN + 5_500), Some(LeaseElsewhere::Failed { retry_after: 10 }));
    }

    #[test]
    fn a_lease_from_long_ago_has_ended_when_it_is_seen_first() {
        let lease = Lease::in_progress([1; 8], SEEN / 1000 - LEASE - SKEW);
        assert_eq!(lease.elsewhere(SEEN, SEEN), None);
    }

    #[test]
    fn other_extensions_stay_and_a_lease_of_the_next_version_is_read() {
        let mut enclosed = Enclosed::default();
        enclosed.extensions.push(Extension { tag: 7, content: vec![1] });
        let lease = Lease::in_progress([1; 8], 5);
        Lease::failed([2; 8], 15, 5).put(&mut enclosed);
        lease.put(&mut enclosed);
        enclosed.extensions[1].content.push(9);
        assert_eq!((Lease::of(&enclosed), enclosed.extensions.len()), (Some(lease), 2));
        Lease::remove(&mut enclosed);
        assert_eq!((Lease::of(&enclosed), enclosed.extensions[0].tag), (None, 7));
        // What cannot be read counts as none.
        enclosed.extensions.push(Extension { tag: TAG, content: vec![1, 2] });
        assert_eq!(Lease::of(&enclosed), None);
    }
}
