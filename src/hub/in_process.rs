//! A hub without a listener, whose requests are function calls.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::http::{Request, Response};
use tokio::sync::Notify;
use url::Url;

use super::fault_injection::answer;
use super::jwt::{Keys, RsaKey};
use super::router::router;
use super::state::{HubContext, HubState};
use super::{Hub, Settings};

/// RSA key generation takes longer than everything else in a test, so all hubs of a process sign
/// with one key.
static KEY: OnceLock<Arc<RsaKey>> = OnceLock::new();

impl Hub {
    /// A hub that serves as `issuer` and does not listen: [`Hub::answer`] is its only entrance.
    pub(crate) fn in_process(issuer: &str, settings: Settings) -> Self {
        let key = KEY.get_or_init(|| {
            Arc::new(RsaKey::generate().expect("the system's random generator works, so a key is found"))
        });
        let keys = Keys::with(Arc::clone(key)).expect("the system's random generator works");
        let Settings { users, apps, clients, behaviour, clock } = settings;
        let state = Mutex::new(HubState::new(users, apps, clients, behaviour, keys));
        let shared = Arc::new(HubContext { issuer: issuer.to_owned(), clock, state });
        Self {
            shared,
            task: Arc::new(Mutex::new(None)),
            stop: Arc::new(Notify::new()),
            stopped: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The answer to a request for this hub's issuer, with its faults. An error is what a client
    /// notices of a connection: that it is refused or reset, or that there is no such host.
    pub(crate) async fn answer(&self, request: Request<Body>) -> io::Result<Response<Body>> {
        let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
        if origin(&request.uri().to_string()) != origin(self.issuer()) {
            return Err(io::Error::other("failed to lookup address information"));
        }
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::new(ErrorKind::ConnectionRefused, "the connection was refused"));
        }
        let (reset, peer) = (Notify::new(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let router = router(Arc::clone(&self.shared));
        tokio::select! {
            response = answer(&self.shared, router, &reset, peer, request) => Ok(response),
            () = reset.notified() => {
                Err(io::Error::new(ErrorKind::ConnectionReset, "the connection was reset"))
            }
        }
    }
}
