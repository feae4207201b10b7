//! The assertion that the app gets: who is asking, signed for its own origin.

use std::sync::Arc;

use http::header::HeaderName;

use crate::client::Client;
use crate::clock::Clock;
use crate::identity::assertion::AssertionSigner;
use crate::identity::{AssertionSettings, RenderedIdentity, SignedAssertion};

/// Signs assertions for the app of each host.
#[derive(Debug)]
pub(crate) struct AppAssertions {
    signer: AssertionSigner,
    settings: AssertionSettings,
    /// Hosts of routes, in the order of the audiences after the first.
    hosts: Vec<String>,
    /// The public URL's origin, and then those of `hosts`.
    audiences: Vec<String>,
    clock: Clock,
}

impl AppAssertions {
    pub(crate) fn new(
        signer: AssertionSigner,
        settings: AssertionSettings,
        hosts: Vec<String>,
        audiences: Vec<String>,
        clock: Clock,
    ) -> Self {
        Self { signer, settings, hosts, audiences, clock }
    }

    /// The headers that carry it.
    pub(crate) fn headers(&self) -> &[HeaderName] {
        &self.settings.headers
    }

    /// The signed identity, for the app whose host `client` names; `None` if assertions are
    /// off.
    pub(crate) fn assertion(
        &self,
        identity: &RenderedIdentity,
        client: &Client,
    ) -> Option<Arc<SignedAssertion>> {
        if !self.settings.enabled {
            return None;
        }
        let audience = self.audience(&client.host);
        identity.assertion(&self.signer, &self.audiences, audience, self.clock.now())
    }

    /// Which app it is for: the host of a route, or the public URL's.
    fn audience(&self, host: &str) -> usize {
        self.hosts.iter().position(|known| known == host).map_or(0, |index| index + 1)
    }
}
