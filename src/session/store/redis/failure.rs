//! Why a server gave no usable answer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, ServerError};

use super::endpoint::Endpoint;
use crate::session::store::error::StoreError;

/// Why a call failed. Clones are cheap, since all calls that wait for one connection share it.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// No connection could be opened.
    Connect(Endpoint, Arc<dyn Error + Send + Sync>),
    /// The connection broke.
    Broken(Endpoint, RedisError),
    /// No answer in time.
    Timeout(Endpoint, Duration),
    /// The server answered with an error.
    Server(Endpoint, ServerError),
    /// The answer is not one that the command can have.
    Unexpected(Endpoint, &'static str),
    /// What the servers know of their set does not help.
    Topology(String),
    /// The connection is down, and the next attempt is later.
    Waiting(Arc<Self>),
    /// A record under a key of ours is not one that this version can read.
    Foreign(String),
}

impl Failure {
    pub(super) fn connect(endpoint: &Endpoint, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Connect(endpoint.clone(), Arc::from(cause.into()))
    }

    /// The code of the server's error, such as `READONLY`.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Server(_, error) => Some(error.code()),
            Self::Waiting(failure) => failure.code(),
            Self::Connect(..)
            | Self::Broken(..)
            | Self::Timeout(..)
            | Self::Unexpected(..)
            | Self::Topology(_)
            | Self::Foreign(_) => None,
        }
    }

    /// Whether the server works and refuses this call alone.
    fn is_refusal(&self) -> bool {
        // `OOM` is `maxmemory` with the policy `noeviction`: reads still work.
        matches!(self, Self::Foreign(_)) || self.code() == Some("OOM")
    }
}

/// What to do about an error of the server.
fn advice(error: &ServerError) -> Option<&'static str> {
    let details = error.details().unwrap_or_default();
    match error.code() {
        "NOAUTH" => Some("set `password`, and `username` for an ACL user"),
        "WRONGPASS" => Some("check `username` and `password`"),
        "NOPERM" => Some("give the ACL user the commands, keys and channels that huggate uses"),
        "MOVED" | "ASK" | "CROSSSLOT" => Some("the server is part of a cluster: set `mode` to `cluster`"),
        "READONLY" => Some("the server is a replica: use its master's address, or the mode `sentinel`"),
        "WRONGTYPE" => Some("another program uses keys with this `prefix`: set another one"),
        "OOM" => Some("raise `maxmemory` of the server"),
        _ if details.contains("cluster support disabled") => {
            Some("the server is not part of a cluster: set `mode` to `single`")
        }
        _ if details.contains("unknown command") && details.to_ascii_uppercase().contains("SENTINEL") => {
            Some("the server is not a sentinel: name sentinels in `url` and `nodes`")
        }
        _ if details.contains("unknown command") => {
            Some("is this a Redis or Valkey server? A sentinel needs the mode `sentinel`")
        }
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(endpoint, _) => write!(f, "cannot connect to {endpoint}"),
            Self::Broken(endpoint, _) => write!(f, "the connection to {endpoint} broke"),
            Self::Timeout(endpoint, limit) => {
                write!(f, "{endpoint} did not answer within {} ms", limit.as_millis())
            }
            Self::Server(endpoint, error) => {
                write!(f, "{endpoint} answered {}", error.code())?;
                if let Some(details) = error.details() {
                    // Details repeat arguments at most, which are hashes and sealed bytes.
                    write!(f, " {:?}", details.chars().take(200).collect::<String>())?;
                }
                match advice(error) {
                    Some(advice) => write!(f, "; {advice}"),
                    None => Ok(()),
                }
            }
            Self::Unexpected(endpoint, what) => {
                write!(f, "{endpoint} answered {what} with something else than Redis does")
            }
            Self::Topology(problem) => f.write_str(problem),
            Self::Waiting(_) => f.write_str("not connected, and the next attempt is later"),
            Self::Foreign(key) => write!(
                f,
                "the value of {key} is not a session, or one of a newer version of huggate: update huggate, \
                 or delete the key",
            ),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(_, cause) => Some(&**cause),
            Self::Broken(_, cause) => Some(cause),
            Self::Waiting(failure) => Some(&**failure),
            Self::Timeout(..)
            | Self::Server(..)
            | Self::Unexpected(..)
            | Self::Topology(_)
            | Self::Foreign(_) => None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        if failure.is_refusal() { Self::refused(failure) } else { Self::unavailable(failure) }
    }
}
