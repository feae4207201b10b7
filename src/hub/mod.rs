//! An offline stand-in for huggingface.co's sign-in.
//!
//! For development, the demo and tests. It listens on a loopback address only, generates its
//! keys at every start, and can be told to [deviate](Behaviour) from a correct provider. It
//! follows huggingface.co as observed in 2026, and shares no code with the gate, so that a
//! mistake in one does not hide in the other.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use huggate::hub::{Client, Endpoint, Hub, Settings};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let hub = Hub::start(listener, Settings::default()).await?;
//! hub.register(Client::confidential("my-app", "secret", "My app", &["http://localhost/callback"]));
//! // Ada consented before, and granted access to the organisation acme.
//! hub.consent("ada", "my-app", &["acme"]);
//! assert_eq!(hub.calls(Endpoint::Token), 0);
//! hub.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Scripts need no browser: `Cookie: hub_user=ada` signs a user in at the hub, and after
//! [`Hub::consent`] the authorization endpoint redirects without a page. Otherwise the forms
//! can be submitted directly: `POST /oauth/authorize` with `ticket`, `username`, any number of
//! `org`, and `decision` (`authorize` or `deny`).

mod account_pages;
mod api_error;
mod authorization_request;
mod authorize;
mod bearer;
mod behaviour;
mod browser_session;
mod client_authentication;
mod clients;
mod credentials;
mod csrf;
mod device_authorization;
mod device_flow;
mod device_page;
mod discovery;
mod fault_injection;
mod faulty_body;
mod grant;
mod id_token;
#[cfg(feature = "testing")]
mod in_process;
mod json;
mod jwt;
mod logout_token;
mod oauth_error;
mod pages;
mod parameters;
mod peer;
mod random;
mod rate_limit;
mod redirect;
mod registration;
mod router;
mod server;
mod state;
mod token;
mod ttl_map;
mod userinfo;
mod users;
mod users_file;
mod whoami;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use behaviour::{Behaviour, Broken, Edit, EditQuery, EditToken, Endpoint, Fault, Iss, Signature};
pub use clients::Client;
pub use json::Object;
pub use users::{App, Membership, ResourceGroup, User, users_table};
pub use users_file::UsersError;

use crate::clock::Clock;
use crate::setters::setters;
use state::{HubContext, HubState, Shared};

/// Initial state of a hub; by default the built-in users and correct behaviour.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The users.
    pub users: Vec<User>,
    /// Applications with tokens of their own.
    pub apps: Vec<App>,
    /// The clients registered at start.
    pub clients: Vec<Client>,
    /// Deviations from correct behaviour.
    pub behaviour: Behaviour,
    /// The clock.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        let (users, apps) = users_file::built_in();
        Self { users, apps, clients: Vec::new(), behaviour: Behaviour::default(), clock: Clock::system() }
    }
}

impl Settings {
    setters!(
        behaviour: Behaviour,
        clock: Clock;
        users: into Vec<User>,
        apps: into Vec<App>,
        clients: into Vec<Client>,
    );

    /// Settings with the users of a users file instead of the built-in ones.
    ///
    /// # Errors
    /// The first problem, with its line and key.
    pub fn from_users_toml(text: &str) -> Result<Self, UsersError> {
        let (users, apps) = users_file::parse(text)?;
        Ok(Self { users, apps, ..Self::default() })
    }
}

/// Why a hub cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Anybody can sign in as any user, so the hub must not be reachable from other machines.
    #[error("the stand-in only listens on loopback addresses (127.0.0.1, ::1), not on {0}")]
    NotLoopback(SocketAddr),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] std::io::Error),
    /// Key generation failed.
    #[error("key generation failed")]
    Keys,
}

/// A running hub; cheap to clone. It runs until [`Hub::stop`] is called or its runtime shuts
/// down.
#[derive(Clone)]
pub struct Hub {
    /// State shared with the handlers.
    shared: Shared,
    /// The serving task, until it is stopped.
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Stops the serving task.
    stop: Arc<Notify>,
    /// Whether a hub without a serving task refuses connections.
    #[cfg(feature = "testing")]
    stopped: Arc<AtomicBool>,
}

impl Hub {
    /// Starts serving on a loopback listener.
    ///
    /// # Errors
    /// If the listener is not on a loopback address, or keys cannot be generated.
    pub async fn start(listener: TcpListener, settings: Settings) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Listener)?;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        // RSA key generation is slow and must not block other tasks.
        let keys = tokio::task::spawn_blocking(jwt::Keys::generate).await;
        let keys = keys.ok().and_then(Result::ok).ok_or(StartError::Keys)?;
        let Settings { users, apps, clients, behaviour, clock } = settings;
        let state = Mutex::new(HubState::new(users, apps, clients, behaviour, keys));
        let shared = Arc::new(HubContext { issuer: format!("http://{address}"), clock, state });
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared), Arc::clone(&stop)));
        Ok(Self {
            shared,
            task: Arc::new(Mutex::new(Some(task))),
            stop,
            #[cfg(feature = "testing")]
            stopped: Arc::default(),
        })
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash; `https://huggingface.test` for the
    /// provider of a test's gate.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Registers a client; replaces one with the same id.
    pub fn register(&self, client: Client) {
        self.shared.state().clients.insert(client.id.clone(), client);
    }

    /// A user's access token.
    #[must_use]
    pub fn token_of(&self, username: &str) -> Option<String> {
        self.shared.state().user_named(username).map(|user| user.token.clone())
    }

    /// An OAuth access token for a user, as issued at the end of a sign-in: with every scope of
    /// the client and the organisations of [`Hub::consent`].
    #[must_use]
    pub fn oauth_token(&self, username: &str, client_id: &str) -> Option<String> {
        token::issue_without_sign_in(&self.shared, username, client_id)
    }

    /// The current users.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.shared.state().users.clone()
    }

    /// Adds a user; replaces one with the same username. Consents and tokens stay.
    pub fn add_user(&self, user: User) {
        let mut state = self.shared.state();
        state.users.retain(|other| !other.username.eq_ignore_ascii_case(&user.username));
        state.users.push(user);
    }

    /// Changes a user: their memberships, name or token. `edit` must not call the hub. Does
    /// nothing if there is no such user.
    pub fn edit_user(&self, username: &str, edit: impl FnOnce(&mut User)) {
        let mut state = self.shared.state();
        let mut users = state.users.iter_mut();
        if let Some(user) = users.find(|user| user.username.eq_ignore_ascii_case(username)) {
            edit(user);
        }
    }

    /// Records the user's consent to every scope of the client, and to these organisations (by
    /// slug) alone.
    pub fn consent(&self, username: &str, client_id: &str, orgs: &[&str]) {
        let mut state = self.shared.state();
        let Some(user) = state.user_named(username) else { return };
        let granted = user.orgs.iter().filter(|org| orgs.contains(&org.slug.as_str()));
        let (id, granted): (_, BTreeSet<String>) =
            (user.id.clone(), granted.map(|org| org.id.clone()).collect());
        let scopes = state.clients.get(client_id).map(|client| client.scopes.clone()).unwrap_or_default();
        state.remember(&id, client_id, &scopes, granted);
    }

    /// Withdraws the consent, as "Disconnect" does; the client's tokens for this user become
    /// invalid.
    pub fn disconnect(&self, username: &str, client_id: &str) {
        let mut state = self.shared.state();
        if let Some(id) = state.user_named(username).map(|user| user.id.clone()) {
            state.disconnect(&id, client_id);
        }
    }

    /// Expires every access token; refresh tokens stay valid.
    pub fn expire_access_tokens(&self) {
        self.shared.state().access_tokens.retain(|_| false);
    }

    /// Changes the hub's behaviour. `edit` must not call the hub.
    pub fn behave(&self, edit: impl FnOnce(&mut Behaviour)) {
        edit(&mut self.shared.state().behaviour);
    }

    /// The number of requests to an endpoint, including those with an injected fault.
    #[must_use]
    pub fn calls(&self, endpoint: Endpoint) -> u64 {
        self.shared.state().calls.get(&endpoint).copied().unwrap_or(0)
    }

    /// The last request to an endpoint, without its body: to inspect client authentication and
    /// parameters.
    #[must_use]
    pub fn last_request(&self, endpoint: Endpoint) -> Option<http::Request<()>> {
        self.shared.state().last.get(&endpoint).cloned()
    }

    /// Signs ID tokens with a new key and `kid` from now on; the old ones stay in the JWKS if
    /// `keep_old`.
    pub fn rotate_keys(&self, keep_old: bool) {
        let fresh = jwt::RsaKey::generate().expect("key generation succeeded at start");
        self.shared.state().keys.rotate(fresh, keep_old);
    }

    /// Stops serving and closes every connection. The address is free when this returns.
    pub async fn stop(&self) {
        #[cfg(feature = "testing")]
        self.stopped.store(true, Ordering::Relaxed);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            self.stop.notify_one();
            // A task that panicked has stopped, too.
            let _ = task.await;
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").field("issuer", &self.shared.issuer).finish_non_exhaustive()
    }
}
