//! What operators do with a gate.

use super::Gate;
use crate::session::SessionAdmin;

impl Gate {
    /// Lists and ends sessions, of this gate and of all others that use its store.
    #[must_use]
    pub fn session_admin(&self) -> SessionAdmin {
        self.inner.oauth2.sessions.admin()
    }
}
