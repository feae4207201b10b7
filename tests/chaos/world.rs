//! Replicas, nginx before them, a stand-in for huggingface.co, an app, and people.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use huggate::hub::{Hub, Settings};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::app::app;
use crate::client::Client;
use crate::load::{Load, SessionOfPerson};
use crate::processes::{Nginx, Replica, huggate};
use crate::redis_server::free_port;
use crate::relay::Relay;

const SECRET: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
/// People with a load of requests, and how many sessions each has.
const PEOPLE: [&str; 4] = ["user-0", "user-1", "user-2", "user-3"];
const SESSIONS: usize = 3;
/// People of single tests.
const OTHERS: [&str; 2] = ["leaver", "stranger"];

pub(crate) struct World {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) load: Arc<Load>,
    _running: JoinSet<()>,
    _nginx: Nginx,
    _hub: Hub,
}

/// Where the sessions are.
pub(crate) enum Store<'a> {
    /// In Redis at this address, behind a relay for each replica.
    Relayed(&'a str),
    /// As this part of the configuration says.
    As(String),
}

impl World {
    /// Three replicas.
    pub(crate) async fn start(store: Store<'_>, rest: &str) -> Self {
        Self::with(3, huggate(), store, rest).await
    }

    /// So many replicas of this program. `rest` follows `[session]`.
    pub(crate) async fn with(count: usize, program: Vec<OsString>, store: Store<'_>, rest: &str) -> Self {
        let host = free_address();
        let hub = hub().await;
        let app = app().await;
        let (mut replicas, mut relays) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let store = match &store {
                Store::Relayed(redis) => {
                    let relay = Relay::start(redis).await;
                    let text = with_redis(&relay.address, "");
                    relays.push(relay);
                    text
                }
                Store::As(text) => text.clone(),
            };
            let address = free_address();
            let config = format!(
                "public_url = \"http://{host}\"\nlisten = \"{address}\"\nupstream = \"{app}\"\n\
                 trusted_proxies = [\"127.0.0.1\"]\naccess.allow = [{{ org = \"acme\" }}]\n\
                 provider = {{ issuer = \"{}\", client_id = \"chaos\", client_secret = \"secret\" }}\n\
                 [session]\nsecret = \"{SECRET}\"\n{rest}\n{store}\n",
                hub.issuer()
            );
            replicas.push(Replica::start(address, &config, program.clone()).await);
        }
        let addresses: Vec<String> = replicas.iter().map(|replica| replica.address.clone()).collect();
        let nginx = Nginx::start(&host, &addresses).await;
        let client = Client::new(&host);
        let mut sessions = Vec::new();
        for user in PEOPLE {
            for _ in 0..SESSIONS {
                let cookie = client.sign_in(&host, user).await.unwrap();
                sessions.push(SessionOfPerson::new(user, cookie));
            }
        }
        let load = Load::new(client, addresses, sessions);
        let running = load.run();
        Self { replicas, relays, load, _running: running, _nginx: nginx, _hub: hub }
    }

    /// `huggate sessions` with the configuration of the first replica; returns when it ended.
    pub(crate) async fn sessions(&self, arguments: &[&str]) -> Instant {
        let mut command = Command::new(env!("CARGO_BIN_EXE_huggate"));
        command.arg("sessions").args(arguments).arg("--config").arg(self.replicas[0].config());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Instant::now()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed shows what the replicas said.
        if std::thread::panicking() || self.load.has_failed.load(Ordering::SeqCst) {
            for replica in &self.replicas {
                eprintln!("huggate at {}:\n{}", replica.address, replica.said());
            }
        }
    }
}

fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// The store in Redis, with more time than by default: a machine that is busy is not a fault.
pub(crate) fn with_redis(address: &str, rest: &str) -> String {
    format!("store = \"redis://{address}\"\nredis = {{ timeout = \"2s\"{rest} }}")
}

/// The stand-in, with everybody in acme.
async fn hub() -> Hub {
    let hub = Hub::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Settings::default()).await.unwrap();
    let client = huggate::hub::Client::confidential("chaos", "secret", "Chaos", &[]);
    hub.register(client.any_loopback_redirect(true));
    let ben = hub.users().into_iter().find(|user| user.username == "ben").unwrap();
    for name in PEOPLE.iter().chain(&OTHERS) {
        let mut user = huggate::hub::User::new(name);
        user.orgs.clone_from(&ben.orgs);
        hub.add_user(user);
        hub.consent(name, "chaos", &["acme"]);
    }
    hub
}

/// The library of Debian's faketime.
pub(crate) fn libfaketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let mut found = folders.map(|folder| folder.unwrap().path().join("faketime/libfaketime.so.1"));
    let path = found.find(|path| Path::is_file(path)).expect("faketime is installed by scripts/setup");
    path.display().to_string()
}
