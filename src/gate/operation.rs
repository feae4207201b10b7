//! What operators do with a gate.

use super::Gate;
use crate::oauth2::Readiness;
use crate::session::SessionAdmin;

impl Gate {
    /// Whether the gate can serve, part by part: what `readyz` says.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.inner.oauth2.readiness()
    }

    /// Lists and ends sessions, of this gate and of all others that use its store.
    #[must_use]
    pub fn session_admin(&self) -> SessionAdmin {
        self.inner.oauth2.sessions.admin()
    }
}
