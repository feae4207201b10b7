//! Why the original request of a forward-auth request is ambiguous.

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
/// Not a header: Envoy appends the original path to the path of the endpoint.
pub(super) const PATH: &str = "the path after /auth/envoy";
pub(super) const OWN_METHOD: &str = "the method";

/// All headers that describe the original request.
const METADATA: [&str; 5] = [ORIGINAL_URL, ORIGINAL_URI, FORWARDED_URI, ORIGINAL_METHOD, FORWARDED_METHOD];

/// Why the original request of a forward-auth request is ambiguous.
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
    /// The header to check.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn new(header: &'static str, problem: Problem) -> Self {
        Self { header: Cow::Borrowed(header), problem }
    }

    /// A client's identity header that the answer cannot overwrite.
    pub(super) fn spoofed(header: &HeaderName) -> Self {
        Self { header: header.to_string().into(), problem: Problem::Spoofed }
    }

    /// A header that changes the method in some apps.
    pub(super) fn method_override(header: &HeaderName) -> Self {
        Self { header: header.to_string().into(), problem: Problem::MethodOverride }
    }

    /// Reports the first header that is present but ignored because the peer is not a
    /// trusted proxy, or that no header is present.
    pub(super) fn untrusted(contract: Contract, headers: &HeaderMap) -> Self {
        match METADATA.into_iter().find(|name| headers.contains_key(*name)) {
            Some(header) => Self::new(header, Problem::Untrusted),
            None if contract == Contract::Envoy => Self::new(PATH, Problem::Untrusted),
            None => Self::missing_target(contract),
        }
    }

    /// A header that changes the path in some apps.
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

    /// The target is one of the gate's own endpoints.
    pub(super) fn own_endpoint(header: &'static str) -> Self {
        Self::new(header, Problem::OwnEndpoint)
    }

    /// `X-Auth-Request-Redirect` is not exactly one address.
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
                write!(f, "{header} is ignored, since the peer is not in trusted_proxies")
            }
            Problem::Repeated => write!(f, "{header} is repeated"),
            Problem::Malformed => write!(f, "{header} is malformed"),
            Problem::Differs(other) => write!(f, "{header} and {other} differ"),
            Problem::OwnEndpoint => write!(
                f,
                "{header} names one of the gate's own endpoints, which have to be sent to the gate directly"
            ),
            Problem::Spoofed => {
                write!(f, "{header} contains an identity in a spelling that the answer does not overwrite")
            }
            Problem::MethodOverride => write!(f, "{header} would change the method after the decision"),
            Problem::PathOverride => write!(f, "{header} would change the path after the decision"),
        }
    }
}
