//! Why it is not clear which request a proxy asks about.

use std::borrow::Cow;
use std::fmt;

use http::header::{HeaderMap, HeaderName};

use super::contract::Contract;

pub(super) const ORIGINAL_URL: &str = "X-Original-URL";
pub(super) const ORIGINAL_URI: &str = "X-Original-URI";
pub(super) const ORIGINAL_METHOD: &str = "X-Original-Method";
pub(super) const FORWARDED_URI: &str = "X-Forwarded-Uri";
pub(super) const FORWARDED_METHOD: &str = "X-Forwarded-Method";
pub(super) const FORWARDED_HOST: &str = "X-Forwarded-Host";
pub(super) const FORWARDED_PROTO: &str = "X-Forwarded-Proto";
/// Not a header: Envoy has the original path follow our own.
pub(super) const PATH: &str = "the path after /auth/envoy";
pub(super) const OWN_METHOD: &str = "the method";

/// Everything that says something of the original request.
const METADATA: [&str; 5] = [ORIGINAL_URL, ORIGINAL_URI, FORWARDED_URI, ORIGINAL_METHOD, FORWARDED_METHOD];

/// Why it is not clear which request a proxy asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmbiguousOriginal {
    header: Cow<'static, str>,
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Missing,
    Untrusted,
    Repeated,
    Malformed,
    Differs(&'static str),
    OwnEndpoint,
    Spoofed,
    MethodOverride,
    PathOverride,
}

impl AmbiguousOriginal {
    /// The header to look at.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn new(header: &'static str, problem: Problem) -> Self {
        Self { header: Cow::Borrowed(header), problem }
    }

    /// An identity header of the client's that the answer cannot overwrite.
    pub(super) fn spoofed(header: &HeaderName) -> Self {
        Self { header: header.to_string().into(), problem: Problem::Spoofed }
    }

    /// A header by which the app may take the request for another.
    pub(super) fn method_override(header: &HeaderName) -> Self {
        Self { header: header.to_string().into(), problem: Problem::MethodOverride }
    }

    /// The first thing that is there and does not count, since whoever asks is no
    /// trusted proxy; or that nothing is there.
    pub(super) fn untrusted(contract: Contract, headers: &HeaderMap) -> Self {
        match METADATA.into_iter().find(|name| headers.contains_key(*name)) {
            Some(header) => Self::new(header, Problem::Untrusted),
            None if contract == Contract::Envoy => Self::new(PATH, Problem::Untrusted),
            None => Self::missing_target(contract),
        }
    }

    /// A header by which the app may take the request for one of another path.
    pub(super) fn path_override(header: &HeaderName) -> Self {
        Self { header: header.to_string().into(), problem: Problem::PathOverride }
    }

    pub(super) fn missing_target(contract: Contract) -> Self {
        let header = match contract {
            Contract::Nginx => ORIGINAL_URI,
            Contract::Forward => FORWARDED_URI,
            Contract::Envoy => PATH,
        };
        Self::new(header, Problem::Missing)
    }

    pub(super) fn missing_method(contract: Contract) -> Self {
        let header = match contract {
            Contract::Nginx => ORIGINAL_METHOD,
            Contract::Forward => FORWARDED_METHOD,
            Contract::Envoy => OWN_METHOD,
        };
        Self::new(header, Problem::Missing)
    }

    /// The target is one of our own endpoints.
    pub(super) fn own_endpoint(header: &'static str) -> Self {
        Self::new(header, Problem::OwnEndpoint)
    }

    /// `X-Auth-Request-Redirect` does not name one address.
    pub(super) fn redirect() -> Self {
        Self::new("X-Auth-Request-Redirect", Problem::Repeated)
    }
}

impl fmt::Display for AmbiguousOriginal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.header;
        match self.problem {
            Problem::Missing => write!(f, "{header} is missing"),
            Problem::Untrusted => {
                write!(f, "{header} does not count, since whoever asks is not in trusted_proxies")
            }
            Problem::Repeated => write!(f, "{header} came more than once"),
            Problem::Malformed => write!(f, "{header} cannot be read"),
            Problem::Differs(other) => write!(f, "{header} and {other} do not say the same"),
            Problem::OwnEndpoint => write!(
                f,
                "{header} names one of the gate's own endpoints, which go to the gate itself and are not asked about"
            ),
            Problem::Spoofed => {
                write!(f, "{header} claims an identity in a spelling that the answer does not overwrite")
            }
            Problem::MethodOverride => write!(f, "{header} would change the method after it was judged"),
            Problem::PathOverride => write!(f, "{header} would change the path after it was judged"),
        }
    }
}
