//! Whether the gate can serve.

use std::fmt;
use std::sync::atomic::Ordering;

use super::endpoints::OAuth2;
use crate::provider::Reachability;

/// Whether a gate can serve, part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// The provider. It does not count for [`Readiness::is_ready`]: people who are signed in
    /// are served without it.
    pub provider: PartState,
    /// The session store; `None` if there is none that can fail.
    pub store: Option<PartState>,
    /// Whether a drain has begun.
    pub is_draining: bool,
}

/// The state of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartState {
    /// It answered last.
    Reachable,
    /// It did not.
    Unreachable,
    /// Nothing was asked of it yet.
    NotAsked,
}

impl Readiness {
    /// Whether load balancers should send requests here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_draining && self.store != Some(PartState::Unreachable)
    }

    /// The problems of a gate that is not ready, a line for each part: `store: unreachable`.
    #[must_use]
    pub fn problems(&self) -> Vec<&'static str> {
        let store = self.store == Some(PartState::Unreachable);
        let lines = [(store, "store: unreachable"), (self.is_draining, "draining: yes")];
        lines.into_iter().filter_map(|(holds, line)| holds.then_some(line)).collect()
    }
}

impl fmt::Display for PartState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reachable => "reachable",
            Self::Unreachable => "unreachable",
            Self::NotAsked => "not asked yet",
        })
    }
}

impl OAuth2 {
    pub(crate) fn readiness(&self) -> Readiness {
        let store = self.sessions.store_is_up();
        Readiness {
            provider: match self.provider.reachability() {
                Reachability::Reachable => PartState::Reachable,
                Reachability::Unreachable => PartState::Unreachable,
                Reachability::Unknown => PartState::NotAsked,
            },
            store: store.map(|up| if up { PartState::Reachable } else { PartState::Unreachable }),
            is_draining: self.draining.load(Ordering::Relaxed),
        }
    }
}
