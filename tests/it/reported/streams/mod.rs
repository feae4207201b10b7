//! Use, idleness and the end of a session, where a stream or a transfer lasts.

mod end;
mod exchange;
mod idle;
mod layer;
mod sign_out;
mod tunnel;

use std::time::Duration;

use huggate::Rule;
use huggate::session::{SessionSettings, StoreSettings};
use huggate::upstream::UpstreamUrl;
use tokio::net::TcpListener;

use crate::proxy::ScriptedApp;
use crate::world::{self, Front, World, skip};
use exchange::{Exchange, Version};

/// `session.idle_timeout` in these tests, in seconds.
const IDLE: u64 = 50;
const STORES: [StoreSettings; 2] = [StoreSettings::Cookie, StoreSettings::Memory];
const SSE: &str = "content-type: text/event-stream\r\ntransfer-encoding: chunked";

/// A world, and a second listener of its gate, in front of an app that the test scripts.
struct Stage {
    world: World,
    app: ScriptedApp,
    address: String,
}

impl Stage {
    async fn new(store: StoreSettings) -> Self {
        Self::with(move |session| session.store = store).await
    }

    async fn with(change: impl Fn(&mut SessionSettings) + Send + Sync + 'static) -> Self {
        let world = World::start(Front::Proxy, move |gate| {
            gate.allow(Rule::org("acme")).session(move |session| {
                session.idle_timeout = Duration::from_secs(IDLE);
                change(session);
            })
        })
        .await;
        let (app, behind) = ScriptedApp::start().await;
        let url = UpstreamUrl::parse(&format!("http://{behind}")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = world::server();
        // Kept while a test skips the time between two frames.
        server.idle_timeout = Duration::from_secs(24 * 3600);
        let mut upstream = world::upstream(url);
        upstream.response_timeout = server.idle_timeout;
        world::proxy(&world.gate, &upstream, server, listener);
        Self { world, app, address }
    }

    /// The host of the public URL, for which the cookies are.
    fn host(&self) -> &str {
        self.world.public_url.split_once("://").unwrap().1
    }

    async fn get(&self, version: Version, cookie: &str, path: &str) -> Exchange {
        Exchange::begin(self, version, "GET", path, cookie).await
    }

    /// A request with a body that is not complete.
    async fn post(&self, version: Version, cookie: &str, path: &str) -> Exchange {
        Exchange::begin(self, version, "POST", path, cookie).await
    }

    /// Advances clocks and timers by this time, which passes while nothing moves.
    async fn pass(&self, seconds: u64) {
        self.world.advance(seconds);
        skip(Duration::from_secs(seconds)).await;
    }
}
