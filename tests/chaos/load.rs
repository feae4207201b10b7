//! A steady load of signed-in people, each of whose answers is compared with the contract.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Answer, Client};

/// The pause of a session between two requests.
const PAUSE: Duration = Duration::from_millis(40);
/// How many of the wrong answers a row shows.
const SHOWN: usize = 5;
/// How long a gate may take until everything is as before, once a fault is over.
const RECOVERED: Duration = Duration::from_secs(15);

/// What answers may be, besides 200 with the right person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// Nothing.
    Live,
    /// 503 with `Retry-After`: the store is away, and the session is not in use at that
    /// replica, or for longer than the grace.
    Unavailable,
    /// That, and 401 once for each session: Redis came back without it.
    Forgotten,
}

/// A session of a person.
pub(crate) struct SessionOfPerson {
    pub(crate) user: String,
    cookie: Mutex<String>,
    last: Mutex<Instant>,
    /// Whether the gate has said that it has ended.
    has_ended: AtomicBool,
}

impl SessionOfPerson {
    pub(crate) fn new(user: &str, cookie: String) -> Self {
        Self {
            user: user.to_owned(),
            cookie: Mutex::new(cookie),
            last: Mutex::new(Instant::now()),
            has_ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn cookie(&self) -> String {
        self.cookie.lock().unwrap().clone()
    }
}

/// What a row of the table counts.
#[derive(Default)]
struct Tally {
    ok: usize,
    unavailable: usize,
    signed_in_again: usize,
    wrong: usize,
    samples: Vec<String>,
    longest_gap: Duration,
}

/// A row of the table.
pub(crate) struct Row {
    name: &'static str,
    seconds: f64,
    ok: usize,
    unavailable: usize,
    signed_in_again: usize,
    pub(crate) wrong: usize,
    longest_gap: Duration,
    pub(crate) samples: Vec<String>,
}

impl Row {
    pub(crate) const HEAD: &str = "| fault | seconds | requests | 200 | 503 | signed in again | wrong answers | longest gap |\n\
         |---|---|---|---|---|---|---|---|";

    pub(crate) fn line(&self) -> String {
        let (ok, unavailable, again) = (self.ok, self.unavailable, self.signed_in_again);
        format!(
            "| {} | {:.0} | {} | {ok} | {unavailable} | {again} | {} | {} ms |",
            self.name,
            self.seconds,
            ok + unavailable + again + self.wrong,
            self.wrong,
            self.longest_gap.as_millis()
        )
    }
}

/// The load on a set of replicas.
pub(crate) struct Load {
    pub(crate) client: Client,
    replicas: Vec<String>,
    pub(crate) sessions: Vec<SessionOfPerson>,
    contract: Mutex<Contract>,
    /// Whether requests go to the replicas themselves as well as through nginx.
    direct: AtomicBool,
    tally: Mutex<Tally>,
    sent: AtomicUsize,
    /// How many requests to replicas themselves have no answer yet.
    in_flight: AtomicUsize,
    /// Whether any answer was wrong.
    pub(crate) has_failed: AtomicBool,
}

/// A row that is being counted.
pub(crate) struct Begun {
    name: &'static str,
    at: Instant,
}

impl Load {
    pub(crate) fn new(client: Client, replicas: Vec<String>, sessions: Vec<SessionOfPerson>) -> Arc<Self> {
        Arc::new(Self {
            client,
            replicas,
            sessions,
            contract: Mutex::new(Contract::Live),
            direct: AtomicBool::new(false),
            tally: Mutex::default(),
            sent: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
        })
    }

    /// Starts the requests, one session a task; they end with the set.
    pub(crate) fn run(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for place in 0..self.sessions.len() {
            let load = Arc::clone(self);
            tasks.spawn(async move {
                loop {
                    load.step(&load.sessions[place]).await;
                    sleep(PAUSE).await;
                }
            });
        }
        tasks
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    fn contract(&self) -> Contract {
        *self.contract.lock().unwrap()
    }

    pub(crate) fn allow(&self, contract: Contract) {
        *self.contract.lock().unwrap() = contract;
    }

    /// Counts from now on. With `direct`, every second request goes to a replica itself.
    pub(crate) async fn begin(&self, name: &'static str, contract: Contract, direct: bool) -> Begun {
        self.allow(contract);
        self.direct.store(direct, Ordering::SeqCst);
        // Requests of the row before would notice that a replica ends.
        while !direct && self.in_flight.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let at = Instant::now();
        for session in &self.sessions {
            *session.last.lock().unwrap() = at;
            session.has_ended.store(false, Ordering::SeqCst);
        }
        *self.tally() = Tally::default();
        Begun { name, at }
    }

    pub(crate) fn end(&self, begun: &Begun) -> Row {
        let tally = std::mem::take(&mut *self.tally());
        self.direct.store(false, Ordering::SeqCst);
        let gaps = self.sessions.iter().map(|session| session.last.lock().unwrap().elapsed());
        Row {
            name: begun.name,
            seconds: begun.at.elapsed().as_secs_f64(),
            ok: tally.ok,
            unavailable: tally.unavailable,
            signed_in_again: tally.signed_in_again,
            wrong: tally.wrong,
            longest_gap: gaps.max().unwrap_or_default().max(tally.longest_gap),
            samples: tally.samples,
        }
    }

    /// Notes something that the contract does not allow.
    pub(crate) fn wrong(&self, what: String) {
        self.has_failed.store(true, Ordering::SeqCst);
        let mut tally = self.tally();
        tally.wrong += 1;
        if tally.samples.len() < SHOWN {
            tally.samples.push(what);
        }
    }

    async fn step(&self, session: &SessionOfPerson) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        // Counted first: see `begin`.
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let direct = self.direct.load(Ordering::SeqCst) && number % 2 == 1;
        if !direct {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        let address =
            if direct { &self.replicas[number / 2 % self.replicas.len()] } else { &self.client.host };
        let path = format!("/{number}");
        let before = self.contract();
        let answer = self.client.get(address, &path, &session.cookie()).await;
        if direct {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        // A fault may begin or end meanwhile.
        let contract = [before, self.contract()];
        match answer {
            Ok(answer) if answer.status == 200 && !answer.removes_cookie => {
                if answer.body != format!("{} {path}", session.user) {
                    return self
                        .wrong(format!("{} got at {address} {path}: {:?}", session.user, answer.body));
                }
                let now = Instant::now();
                let gap = now - std::mem::replace(&mut *session.last.lock().unwrap(), now);
                let mut tally = self.tally();
                tally.ok += 1;
                tally.longest_gap = tally.longest_gap.max(gap);
            }
            Ok(answer) if answer.is_unavailable() && contract.iter().any(|one| *one != Contract::Live) => {
                self.tally().unavailable += 1;
            }
            Ok(answer) if answer.status == 401 && contract.contains(&Contract::Forgotten) => {
                self.sign_in_again(session, &answer).await;
            }
            Ok(answer) => self.wrong(format!("{} at {address} {path}: {}", session.user, answer.describe())),
            Err(error) => self.wrong(format!("{} at {address} {path}: {error}", session.user)),
        }
    }

    /// Redis has no session any more. A person signs in once, and the new session lasts.
    async fn sign_in_again(&self, session: &SessionOfPerson, answer: &Answer) {
        if session.has_ended.swap(true, Ordering::SeqCst) {
            return self.wrong(format!("{}: a second session ended: {}", session.user, answer.describe()));
        }
        let begun = Instant::now();
        loop {
            match self.client.sign_in(&self.client.host, &session.user).await {
                Ok(cookie) => {
                    *session.cookie.lock().unwrap() = cookie;
                    self.tally().signed_in_again += 1;
                    return;
                }
                Err(error) if begun.elapsed() > RECOVERED => return self.wrong(error),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Waits until every replica is ready, and answers every session. Each has all of them in
    /// use then.
    pub(crate) async fn recovered(&self) {
        let begun = Instant::now();
        for address in &self.replicas {
            self.answers(address, "/oauth2/readyz", "", begun).await;
        }
        for session in &self.sessions {
            for address in &self.replicas {
                self.answers(address, "/recovered", &session.cookie(), begun).await;
            }
        }
    }

    async fn answers(&self, address: &str, path: &str, cookie: &str, begun: Instant) {
        loop {
            match self.client.get(address, path, cookie).await {
                Ok(answer) if answer.status == 200 => return,
                answer if begun.elapsed() > RECOVERED => {
                    let answer = answer.map(|answer| answer.describe());
                    return self.wrong(format!("{address}{path} after {RECOVERED:?}: {answer:?}"));
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}
