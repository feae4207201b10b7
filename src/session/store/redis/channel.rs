//! One connection that all calls share, and that is opened again when it breaks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::connector::{Connector, Link};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::sentinel::Sentinels;
use crate::keys::random;

/// The pause after the second failure in a row. It doubles up to [`LONGEST_PAUSE`], which is
/// short because the gate itself asks ever less often.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// A call that was dropped after less than this has not seen a server that is silent.
const SILENCE: Duration = Duration::from_millis(50);

/// Where a channel leads.
pub(super) enum Target {
    Server(Endpoint),
    Master(Sentinels),
}

/// A connection to a target. Calls share it; while it is opened they wait for it, and while
/// it is down they fail at once.
pub(super) struct Channel {
    target: Target,
    connector: Arc<Connector>,
    /// How long a command may take.
    limit: Duration,
    state: Mutex<State>,
    /// The number of answers so far.
    answers: AtomicU64,
}

/// How an attempt to connect goes: nothing is known until it ends.
type Opening = watch::Receiver<Option<Result<Arc<Link>, Failure>>>;

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// Whether a task opens it, and how that went.
    opening: Option<Opening>,
    /// Failures since the last answer.
    failures: u32,
    /// The last one, and when the next attempt may begin.
    waiting: Option<(Instant, Failure)>,
}

impl Channel {
    pub(super) fn new(target: Target, connector: Arc<Connector>, limit: Duration) -> Arc<Self> {
        let (state, answers) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { target, connector, limit, state, answers })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One round trip. Errors of the server are values among the replies.
    pub(super) async fn send(
        self: &Arc<Self>,
        commands: Vec<redis::Cmd>,
    ) -> Result<(Endpoint, Vec<Value>), Failure> {
        let link = self.link().await?;
        let call = Call { channel: self, link: &link, begun: Instant::now(), answers: self.answers() };
        let answer = match timeout(self.limit, link.send(commands)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Timeout(link.endpoint.clone(), self.limit)),
        };
        match &answer {
            Ok(replies) => self.heard(&link, replies),
            Err(failure @ Failure::Broken(..)) => self.discard(&link, failure),
            Err(_) => {}
        }
        // After the answer was counted.
        drop(call);
        answer.map(|replies| (link.endpoint.clone(), replies))
    }

    /// Where the target is now. It has to answer: a connection that nothing used may be
    /// half-open.
    pub(super) async fn locate(self: &Arc<Self>) -> Result<Endpoint, Failure> {
        Ok(self.send(vec![redis::cmd("PING")]).await?.0)
    }

    /// Where the connection leads, if there is one.
    pub(super) fn current(&self) -> Option<Endpoint> {
        self.lock().link.as_ref().map(|link| link.endpoint.clone())
    }

    async fn link(self: &Arc<Self>) -> Result<Arc<Link>, Failure> {
        let mut opening = {
            let mut state = self.lock();
            match (&state.link, &state.opening, &state.waiting) {
                // A server closes connections that idle; no call has to find that out.
                (Some(link), _, _) if !link.is_closed() => return Ok(Arc::clone(link)),
                (_, Some(opening), _) => opening.clone(),
                (_, None, Some((next, failure))) if Instant::now() < *next => {
                    return Err(Failure::Waiting(Arc::new(failure.clone())));
                }
                (_, None, _) => self.open(&mut state),
            }
        };
        match opening.wait_for(Option::is_some).await.ok().and_then(|opened| opened.clone()) {
            Some(opened) => opened,
            // The task was ended with its runtime.
            None => {
                self.lock().opening = None;
                Err(Failure::Topology("the runtime that opened the connection has ended".to_owned()))
            }
        }
    }

    /// Opens the connection in a task, since a call may be dropped.
    fn open(self: &Arc<Self>, state: &mut State) -> Opening {
        let (opened, opening) = watch::channel(None);
        state.opening = Some(opening.clone());
        let channel = Arc::clone(self);
        tokio::spawn(async move {
            let link = channel.connect().await.map(Arc::new);
            let mut state = channel.lock();
            state.opening = None;
            match &link {
                Ok(link) => {
                    tracing::debug!(server = %link.endpoint, "connected to the session store");
                    state.link = Some(Arc::clone(link));
                }
                Err(failure) => state.fail(failure),
            }
            drop(state);
            opened.send_replace(Some(link));
        });
        opening
    }

    async fn connect(&self) -> Result<Link, Failure> {
        match &self.target {
            Target::Server(endpoint) => self.connector.open(endpoint).await,
            Target::Master(sentinels) => {
                let limit = self.connector.limit;
                let opened = timeout(limit, sentinels.open_master(&self.connector)).await;
                opened.unwrap_or_else(|_| {
                    let problem = format!("no sentinel led to a master within {} ms", limit.as_millis());
                    Err(Failure::Topology(problem))
                })
            }
        }
    }

    fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    fn heard(&self, link: &Arc<Link>, replies: &[Value]) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let codes = replies.iter().filter_map(|reply| match reply {
            Value::ServerError(error) => Some(error),
            _ => None,
        });
        for error in codes {
            // A failover made the server a replica, or its users changed.
            let is_stale = match &self.target {
                Target::Master(_) => matches!(error.code(), "READONLY" | "MASTERDOWN" | "LOADING" | "NOAUTH"),
                Target::Server(_) => error.code() == "NOAUTH",
            };
            if is_stale {
                return self.discard(link, &Failure::Server(link.endpoint.clone(), error.clone()));
            }
        }
        let mut state = self.lock();
        state.failures = 0;
        state.waiting = None;
    }

    /// Closes the connection, if it is still the one in use.
    fn discard(&self, link: &Arc<Link>, failure: &Failure) {
        let mut state = self.lock();
        if state.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            tracing::debug!(server = %link.endpoint, reason = %failure, "closing a connection to the session store");
            state.link = None;
            state.fail(failure);
        }
    }
}

impl State {
    /// The first failure after an answer has no pause: a connection that idled was closed.
    fn fail(&mut self, failure: &Failure) {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.failures {
            1 => Duration::ZERO,
            failures => jittered((PAUSE * 2_u32.pow((failures - 2).min(8))).min(LONGEST_PAUSE)),
        };
        self.waiting = Some((Instant::now() + pause, failure.clone()));
    }
}

/// Between three quarters and five quarters of `pause`, so that replicas do not connect at
/// once.
fn jittered(pause: Duration) -> Duration {
    let [byte] = random();
    pause * 3 / 4 + pause * u32::from(byte) / 510
}

/// A call under way. The gate drops one that takes too long, often before the limit here. If
/// the server sent nothing at all meanwhile, the connection may be half-open, and is closed.
struct Call<'a> {
    channel: &'a Channel,
    link: &'a Arc<Link>,
    begun: Instant,
    answers: u64,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let waited = self.begun.elapsed();
        if self.channel.answers() == self.answers && waited >= SILENCE {
            self.channel.discard(self.link, &Failure::Timeout(self.link.endpoint.clone(), waited));
        }
    }
}
