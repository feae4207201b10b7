//! Route tables, and the property that path evaluation guarantees, as the tests and the
//! fuzz target check it.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use huggate::clock::Clock;
use huggate::{Gate, GateBuilder, Route, Rule};

use crate::servers::{SERVERS, decode};

/// The maximum number of servers in a chain.
const CHAIN: usize = 4;

/// Path patterns in order, and whether each is public; all other paths admit only a
/// person who does not exist.
pub(crate) struct Table {
    rows: Vec<(String, bool)>,
    gate: Gate,
}

/// The result for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The `http` crate refused it.
    NoTarget,
    /// The gate refused it with this status.
    Refused(u16),
    /// It reached the app, although nobody is signed in.
    Passed,
}

impl Table {
    pub(crate) fn new(rows: &[(&str, bool)]) -> Self {
        let routes = rows.iter().map(|(pattern, public)| {
            let route = Route::path(*pattern);
            if *public { route.without_sign_in() } else { route.allow(vec![Rule::user("somebody-else")]) }
        });
        let gate = Gate::builder()
            .public_url("http://127.0.0.1:1")
            // Nothing listens there; there are no requests to the provider because nobody
            // signs in.
            .issuer("http://127.0.0.1:1")
            .public_client("nobody")
            .secret("5e".repeat(32))
            .clock(Clock::manual(1_790_000_000))
            .allow(Rule::user("nobody"));
        let gate = routes.fold(gate, GateBuilder::route).build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rows = rows.iter().map(|(pattern, public)| ((*pattern).to_owned(), *public)).collect();
        Self { rows, gate: runtime.block_on(gate).unwrap() }
    }

    /// Sends `target` through the gate.
    ///
    /// # Errors
    /// The problem, if it was allowed: the app received another target, or a server
    /// behind the gate may resolve it to a path that is not public.
    pub(crate) fn send(&self, target: &str) -> Result<Outcome, String> {
        let request =
            Request::builder().uri(target).header("host", "127.0.0.1:1").body(Empty::<Bytes>::new());
        let Ok(request) = request else { return Ok(Outcome::NoTarget) };
        let mut forwarded = None;
        let app = async |request: Request<Empty<Bytes>>| {
            forwarded = request.uri().path_and_query().map(|target| target.as_str().to_owned());
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        };
        // It never waits: nobody is signed in, and no page is requested.
        let handled = pin!(self.gate.handle(request, app)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(response)) = handled else { return Err(format!("{target:?} is waited for")) };
        let Some(forwarded) = forwarded else { return Ok(Outcome::Refused(response.status().as_u16())) };
        // A fragment is not part of a target; the parser of the request drops it.
        if forwarded != target.split('#').next().unwrap_or_default() {
            return Err(format!("{target:?} was forwarded as {forwarded:?}"));
        }
        let path = forwarded.split('?').next().unwrap_or_default();
        self.judge(path.as_bytes()).map(|()| Outcome::Passed)
    }

    /// Resolves `path` with every chain of servers.
    ///
    /// # Errors
    /// The chain that resolves it to a path that is not public.
    pub(crate) fn judge(&self, path: &[u8]) -> Result<(), String> {
        let mut read = vec![(path.to_vec(), Vec::new())];
        let (mut start, mut depth) = (0, 0);
        while start < read.len() && depth < CHAIN {
            let end = read.len();
            for index in start..end {
                for (name, server) in SERVERS {
                    let (path, chain) = &read[index];
                    let Some(reading) = server(path) else { continue };
                    if read.iter().all(|(known, _)| *known != reading) {
                        let chain = [&chain[..], &[name]].concat();
                        read.push((reading, chain));
                    }
                }
            }
            (start, depth) = (end, depth + 1);
        }
        for (reading, chain) in read {
            if !self.is_public(&reading) {
                let (path, reading) = (String::from_utf8_lossy(path), String::from_utf8_lossy(&reading));
                let rows = &self.rows;
                return Err(format!("{path:?} passed as public, and {chain:?} reads {reading:?}; {rows:?}"));
            }
        }
        Ok(())
    }

    /// Whether `path` is public to servers with and without distinguishing case and a
    /// trailing slash.
    fn is_public(&self, path: &[u8]) -> bool {
        // `%C3%A9` is the encoded form of `é`: every server treats them alike.
        let path = decode(path, |byte| !byte.is_ascii());
        let path = String::from_utf8_lossy(&path);
        let ours = path == "/oauth2" || path.starts_with("/oauth2/");
        !ours && self.first(&path, str::to_owned) && self.first(&path, careless)
    }

    fn first(&self, path: &str, read: impl Fn(&str) -> String) -> bool {
        let path = read(path);
        let matching = self.rows.iter().find(|(pattern, _)| match pattern.strip_suffix("/**") {
            Some(folder) => {
                let rest = path.strip_prefix(&*read(folder));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            None => path == read(pattern),
        });
        matching.is_some_and(|(_, public)| *public)
    }
}

fn careless(path: &str) -> String {
    let path = path.to_lowercase();
    path.strip_suffix('/').map(str::to_owned).unwrap_or(path)
}
