//! The hub as the provider of a gate in the same process.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;

use crate::client::normalized;
use crate::clock::Clock;
use crate::gate::{Gate, GateSettings};
use crate::hub::{Client, Hub, Settings};
use crate::provider::{Answering, InProcess};

/// A hub, and the client that its gate is there.
pub(super) struct TestProvider {
    pub(super) hub: Hub,
    pub(super) client: Client,
}

impl TestProvider {
    /// A hub without users for a gate with these settings, where the gate is registered.
    pub(super) fn start(settings: &GateSettings, clock: &Clock) -> Arc<dyn InProcess> {
        let client = client(settings);
        let (users, apps, clients) = (Vec::new(), Vec::new(), vec![client.clone()]);
        let hub = Settings { users, apps, clients, clock: clock.clone(), ..Settings::default() };
        let hub = Hub::in_process(settings.provider.issuer.as_str(), hub);
        Arc::new(Self { hub, client })
    }

    /// The provider of a gate.
    pub(super) fn of(gate: &Gate) -> Option<&Self> {
        let provider: &dyn Any = &**gate.inner.oauth2.provider.issuer().in_process()?;
        provider.downcast_ref()
    }
}

/// The gate as a client: its callback at the public URL and at each host of a route.
fn client(settings: &GateSettings) -> Client {
    let hosts = settings.routes.iter().filter_map(|route| route.host.as_deref());
    let origins = hosts.map(|host| settings.public_url.sibling(&normalized(host)));
    let callbacks = origins.chain([settings.public_url.as_str().to_owned()]);
    let callbacks: Vec<String> =
        callbacks.map(|origin| format!("{origin}{}/callback", settings.prefix)).collect();
    let callbacks: Vec<&str> = callbacks.iter().map(String::as_str).collect();
    let (id, name) = (&settings.provider.client_id, "The app under test");
    match &settings.provider.client_secret {
        Some(secret) => Client::confidential(id, secret.expose(), name, &callbacks),
        None => Client::public(id, name, &callbacks),
    }
}

impl InProcess for TestProvider {
    fn answer(&self, request: Request<Bytes>) -> Answering<'_> {
        Box::pin(async move {
            let response = self.hub.answer(request.map(Body::from)).await?;
            Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
        })
    }

    fn after(self: Arc<Self>, before: &Arc<dyn InProcess>) -> Arc<dyn InProcess> {
        let provider: &dyn Any = &**before;
        match provider.downcast_ref::<Self>() {
            Some(earlier) if earlier.hub.issuer() == self.hub.issuer() => {
                earlier.hub.register(self.client.clone());
                Arc::clone(before)
            }
            _ => self,
        }
    }
}
