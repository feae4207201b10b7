//! The test world: the stand-in for huggingface.co, an app that returns its requests, the
//! gate in front of it, each on its own socket; and browsers and programs as clients.

mod app;
mod browser;
mod collector;
mod front;
mod log;
mod wire;

use std::time::Duration;

use huggate::clock::Clock;
use huggate::hub::{Behaviour, Client, Hub, Settings};
use huggate::{Gate, GateBuilder, Rule};
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) use app::{App, Echo};
pub(crate) use browser::Browser;
pub(crate) use collector::{Collector, Recorded};
pub(crate) use front::{FRONTS, Front, listeners, proxy, serve, server, upstream};
pub(crate) use log::Log;
pub(crate) use wire::{Answer, Ask, EMBEDDER_POLICY, JWT, begin, raw, send, upgraded};

/// The start time of every world.
pub(crate) const NOW: u64 = 1_790_000_000;
/// The default session secret.
pub(crate) const SECRET: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
/// The client id at the hub.
pub(crate) const CLIENT: &str = "the-app";
/// The client secret at the hub.
pub(crate) const CLIENT_SECRET: &str = "oauth_app_secret_of_the_app";

/// The hub, the app, and the gate in front of it.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) app: App,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// The address of the front: `127.0.0.1:port`.
    pub(crate) address: String,
    /// The public URL.
    pub(crate) public_url: String,
    front: Front,
}

impl World {
    /// A world whose public URL is the address of its own socket.
    pub(crate) async fn start(front: Front, change: impl FnOnce(GateBuilder) -> GateBuilder) -> Self {
        Self::build(front, None, true, change).await
    }

    /// A world with an `https://…` public URL, behind something that terminates TLS.
    pub(crate) async fn at(
        front: Front,
        public_url: &str,
        change: impl FnOnce(GateBuilder) -> GateBuilder,
    ) -> Self {
        Self::build(front, Some(public_url), true, change).await
    }

    /// A world whose provider is unavailable when the gate starts.
    pub(crate) async fn without_provider(
        front: Front,
        change: impl FnOnce(GateBuilder) -> GateBuilder,
    ) -> Self {
        Self::build(front, None, false, change).await
    }

    /// Members of acme have access.
    pub(crate) async fn of_acme(front: Front) -> Self {
        Self::start(front, |gate| gate.allow(Rule::org("acme"))).await
    }

    async fn build(
        front: Front,
        public_url: Option<&str>,
        provider: bool,
        change: impl FnOnce(GateBuilder) -> GateBuilder,
    ) -> Self {
        let clock = Clock::manual(NOW);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let public_url = public_url.map_or_else(|| format!("http://{address}"), str::to_owned);
        let hub = start_hub("127.0.0.1:0", &clock, &public_url).await;
        if !provider {
            hub.stop().await;
        }
        let app = App::default();
        let gate = change(builder(&public_url, &hub, &clock).secret(SECRET)).build().await.unwrap();
        serve(front, &gate, &app, listener).await;
        Self { hub, app, gate, clock, address, public_url, front }
    }

    /// Another process with the same provider, people and clock: a replica, or this one
    /// after a restart. The first one keeps running.
    pub(crate) async fn replica(&self, change: impl FnOnce(GateBuilder) -> GateBuilder) -> Self {
        self.replica_with(change, &[SECRET]).await
    }

    /// Another process with other secrets.
    pub(crate) async fn replica_with(
        &self,
        change: impl FnOnce(GateBuilder) -> GateBuilder,
        secrets: &[&str],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = App::default();
        let builder = secrets
            .iter()
            .fold(builder(&self.public_url, &self.hub, &self.clock), |gate, secret| gate.secret(*secret));
        let gate = change(builder).build().await.unwrap();
        serve(self.front, &gate, &app, listener).await;
        Self {
            hub: self.hub.clone(),
            app,
            gate,
            clock: self.clock.clone(),
            address,
            public_url: self.public_url.clone(),
            front: self.front,
        }
    }

    /// The settings of a replica that is not started.
    pub(crate) fn replica_settings(
        &self,
        change: impl FnOnce(GateBuilder) -> GateBuilder,
    ) -> huggate::gate::GateSettings {
        change(builder(&self.public_url, &self.hub, &self.clock).secret(SECRET)).settings().unwrap()
    }

    /// This process after a reload: what is open here goes on by the new settings, and
    /// further requests go to the front of the world that is returned.
    pub(crate) async fn reloaded(&self, change: impl FnOnce(GateBuilder) -> GateBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let builder = change(builder(&self.public_url, &self.hub, &self.clock).secret(SECRET));
        let gate = self.gate.prepare_reload(builder.settings().unwrap()).unwrap().activate();
        serve(self.front, &gate, &self.app, listener).await;
        Self {
            hub: self.hub.clone(),
            app: self.app.clone(),
            gate,
            clock: self.clock.clone(),
            address,
            public_url: self.public_url.clone(),
            front: self.front,
        }
    }

    /// Restarts the provider at the same address.
    pub(crate) async fn bring_provider_back(&mut self) {
        let address = self.hub.issuer().strip_prefix("http://").unwrap().to_owned();
        self.hub = start_hub(&address, &self.clock, &self.public_url).await;
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// A browser with a session of a person who has already consented.
    pub(crate) async fn signed_in(&self, user: &str) -> Browser<'_> {
        let mut browser = self.browser();
        browser.sign_in(user).await;
        assert!(browser.has_session(), "{user} has no session");
        browser
    }

    pub(crate) fn behave(&self, edit: impl FnOnce(&mut Behaviour)) {
        self.hub.behave(edit);
    }

    /// Makes sessions so long that they need two cookies.
    pub(crate) fn issue_long_tokens(&self) {
        let edit = huggate::hub::Edit::new(|answer| {
            answer.insert("refresh_token".to_owned(), "t".repeat(4_096).into());
        });
        self.behave(|hub| hub.edit_token = Some(edit));
    }

    pub(crate) fn calls(&self, endpoint: huggate::hub::Endpoint) -> u64 {
        self.hub.calls(endpoint)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends a request to the front and checks the invariants of every answer.
    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        let host = self.public_url.split_once("://").unwrap().1;
        let answer = send(&self.address, ask.or_host(host)).await;
        answer.check();
        answer
    }

    /// The public keys of the assertion.
    pub(crate) async fn jwks(&self) -> Value {
        self.send(Ask::get("/oauth2/jwks.json")).await.json()
    }
}

fn builder(public_url: &str, hub: &Hub, clock: &Clock) -> GateBuilder {
    Gate::builder()
        .public_url(public_url)
        .issuer(hub.issuer())
        .client(CLIENT, CLIENT_SECRET)
        .clock(clock.clone())
        // The default name has the port, which differs from run to run.
        .session(|session| session.cookie_name = "huggate".to_owned())
}

async fn start_hub(address: &str, clock: &Clock, public_url: &str) -> Hub {
    let callbacks = [
        format!("{public_url}/oauth2/callback"),
        format!("{public_url}/auth/callback"),
        format!("{public_url}/app/oauth2/callback"),
        "https://docs.example.com/oauth2/callback".to_owned(),
    ];
    let callbacks: Vec<&str> = callbacks.iter().map(String::as_str).collect();
    let client = Client::confidential(CLIENT, CLIENT_SECRET, "The App", &callbacks);
    let settings = Settings::default().clients(vec![client]).clock(clock.clone());
    Hub::start(TcpListener::bind(address).await.unwrap(), settings).await.unwrap()
}

/// Advances timers and back-offs by this time, without waiting.
pub(crate) async fn skip(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

/// The value of a query parameter.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse("http://relative").unwrap().join(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
