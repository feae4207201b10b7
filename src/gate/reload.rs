//! Other settings for a gate in use: signed-out sessions stay signed out, and open
//! streams are decided by the new rules.

use super::Gate;
use super::settings::{BuildError, GateSettings};

/// A gate with other settings, ready to replace the one it was made from.
#[derive(Debug)]
pub struct PreparedReload {
    gate: Gate,
    before: Gate,
}

impl Gate {
    /// Builds a gate with other settings, to replace this one. The new gate shares the
    /// session state of this one: ended sessions, the memory store and used states; and its
    /// drain, which may begin at any time.
    /// Nothing changes before [`PreparedReload::activate`].
    ///
    /// # Errors
    /// Those of [`Gate::new`]; then this gate stays as it is.
    pub fn prepare_reload(&self, settings: GateSettings) -> Result<PreparedReload, BuildError> {
        #[cfg(feature = "testing")]
        let settings = self.at_the_same_provider(settings);
        let clock = self.inner.ruleset.clock.clone();
        let gate = Self::with(settings, clock, Some(&self.inner))?;
        Ok(PreparedReload { gate, before: self.clone() })
    }
}

impl PreparedReload {
    /// Puts the new settings in force and returns the gate for all further requests.
    /// Open tunnels and streams are decided by its rules; if the routes differ, those on
    /// routes that are not public are closed.
    ///
    /// A service that holds the gate before, or a layer of it, goes on deciding new requests
    /// by the settings before: build the service again with the layer of the returned gate.
    #[must_use]
    pub fn activate(self) -> Gate {
        let (gate, before) = (self.gate, self.before);
        before.inner.ruleset.replace(&gate.inner.ruleset);
        // Wakes what waits for a change of a session, too.
        gate.inner.oauth2.sessions.rebind();
        before.inner.ruleset.notify_replaced();
        gate
    }
}
