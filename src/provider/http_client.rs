//! HTTP client for the provider, with limits for time and size. It does not follow redirects.

use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

#[cfg(feature = "testing")]
use super::in_process::{ExchangeError, InProcessProvider, exchange};
use super::issuer::Issuer;
use super::rate_limit;
use crate::causes::Causes;
use crate::keys::SecretString;

/// Maximum size of a response. A userinfo with 300 organisations takes about 150 kB.
const MAX_RESPONSE: usize = 2 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One client for all exchanges, to reuse connections.
pub(super) struct HttpClient {
    /// `None` if the TLS configuration of this machine could not be loaded; every request then
    /// fails with that reason.
    client: Option<reqwest::Client>,
    /// Answers in place of the network.
    #[cfg(feature = "testing")]
    in_process: Option<InProcessProvider>,
}

/// A failed exchange with the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    #[error("{endpoint} could not be reached")]
    Unreachable {
        endpoint: String,
        #[source]
        cause: ConnectionError,
    },
    #[error("{endpoint} did not answer within {} seconds", TIMEOUT.as_secs())]
    Timeout { endpoint: String },
    #[error("{endpoint} answered {status}")]
    Status {
        endpoint: String,
        status: StatusCode,
        /// Seconds to wait, if the response says so.
        retry_after: Option<u64>,
    },
    #[error("{endpoint} sent a response of more than {MAX_RESPONSE} bytes")]
    TooLong { endpoint: String },
    #[error("{endpoint} sent a response that is not the expected JSON ({reason})")]
    Malformed { endpoint: String, reason: String },
}

/// Why there is no connection to the provider, in plain words and of the kind that the
/// system reported. Clones share the error, since several requests may wait for one exchange.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionError(Arc<io::Error>);

impl Deref for ConnectionError {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl PartialEq for ConnectionError {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.to_string() == other.to_string()
    }
}

impl Eq for ConnectionError {}

impl FetchError {
    /// Whether the provider is unreachable or overloaded, so that a later attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLong { .. } | Self::Malformed { .. } => false,
        }
    }

    /// The kind of failure, for logs. A 403 is told apart: a firewall or a policy sends it, and
    /// waiting does not help.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Status { status, .. } => match *status {
                StatusCode::UNAUTHORIZED => "unauthorized",
                StatusCode::FORBIDDEN => "forbidden",
                StatusCode::TOO_MANY_REQUESTS => "rate_limited",
                status if status.is_server_error() => "server_error",
                _ => "unexpected_status",
            },
            Self::TooLong { .. } | Self::Malformed { .. } => "malformed",
        }
    }

    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::TooLong { .. }
            | Self::Malformed { .. } => None,
        }
    }

    /// What the operator can do.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable { cause, .. } if cause.to_string().contains("certificate") => {
                "the certificate is not accepted here: check provider.issuer, this machine's clock and its \
                 trusted authorities"
            }
            Self::Unreachable { cause, .. } if cause.to_string().contains("corrupt message") => {
                "what answers there does not speak TLS: check provider.issuer"
            }
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                "check provider.issuer, and that this machine may connect to it (DNS, firewall)"
            }
            Self::Status { .. } if self.is_transient() => "the provider has a problem: try again later",
            Self::Status { .. } => "check that provider.issuer is the provider's own address",
            Self::TooLong { .. } | Self::Malformed { .. } => {
                "something else answers there, such as a proxy's page: check provider.issuer"
            }
        }
    }
}

/// A response with its whole body.
pub(super) struct FetchResponse {
    pub(super) endpoint: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl FetchResponse {
    /// Parses the body as JSON, regardless of the status.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, FetchError> {
        serde_json::from_slice(&self.body).map_err(|error| FetchError::Malformed {
            endpoint: self.endpoint.clone(),
            // Only position and category: serde's message may quote the response.
            reason: format!("{:?} at line {} column {}", error.classify(), error.line(), error.column()),
        })
    }

    /// Rejects every status but 200.
    pub(super) fn ok(self) -> Result<Self, FetchError> {
        if self.status == StatusCode::OK { Ok(self) } else { Err(self.refused()) }
    }

    /// The error for a status that is not the expected one.
    pub(super) fn refused(self) -> FetchError {
        let retry_after = rate_limit::retry_after(self.status, &self.headers);
        FetchError::Status { endpoint: self.endpoint, status: self.status, retry_after }
    }
}

impl HttpClient {
    /// A client for the provider with this issuer.
    #[cfg_attr(
        not(feature = "testing"),
        expect(unused_variables, reason = "tests alone replace the network")
    )]
    pub(super) fn new(issuer: &Issuer) -> Self {
        #[cfg(feature = "testing")]
        if let Some(provider) = &issuer.in_process {
            return Self { client: None, in_process: Some(provider.clone()) };
        }
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("huggate/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = match client {
            Ok(client) => Some(client),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "TLS could not be set up, so nobody can sign in");
                None
            }
        };
        Self {
            client,
            #[cfg(feature = "testing")]
            in_process: None,
        }
    }

    pub(super) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<FetchResponse, FetchError> {
        self.send(Method::GET, url, headers, None).await
    }

    /// Sends `form` as `application/x-www-form-urlencoded`.
    pub(super) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        form: &[(&str, &str)],
    ) -> Result<FetchResponse, FetchError> {
        self.send(Method::POST, url, headers, Some(form)).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        form: Option<&[(&str, &str)]>,
    ) -> Result<FetchResponse, FetchError> {
        #[cfg(feature = "testing")]
        if let Some(provider) = &self.in_process {
            return send_in_process(provider, method, url, headers, form).await;
        }
        let endpoint = name(url);
        let Some(client) = &self.client else {
            let cause = ConnectionError(Arc::new(io::Error::other("TLS could not be set up")));
            return Err(FetchError::Unreachable { endpoint, cause });
        };
        let mut request = client.request(method, url.clone()).headers(headers);
        if let Some(form) = form {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request = request.header(CONTENT_TYPE, form).body(body);
        }
        let failed = |error: reqwest::Error| {
            let endpoint = name(url);
            if error.is_timeout() {
                return FetchError::Timeout { endpoint };
            }
            FetchError::Unreachable { endpoint, cause: ConnectionError(Arc::new(describe(&error))) }
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_RESPONSE {
                return Err(FetchError::TooLong { endpoint });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(FetchResponse { endpoint, status, headers, body })
    }
}

/// The same without a network: the request that reqwest would send goes to `provider`.
#[cfg(feature = "testing")]
async fn send_in_process(
    provider: &InProcessProvider,
    method: Method,
    url: &Url,
    headers: HeaderMap,
    form: Option<&[(&str, &str)]>,
) -> Result<FetchResponse, FetchError> {
    let mut request = http::Request::new(bytes::Bytes::new());
    let unreachable = |endpoint, error: io::Error| FetchError::Unreachable {
        endpoint,
        cause: ConnectionError(Arc::new(error)),
    };
    let uri = url
        .as_str()
        .parse()
        .map_err(|_| unreachable(name(url), io::Error::other("this is not the address of an endpoint")))?;
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    if let Some(form) = form {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        *request.body_mut() = body.into();
        let media_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    let endpoint = name(url);
    match exchange(provider, request, TIMEOUT, MAX_RESPONSE).await {
        Ok((status, headers, body)) => Ok(FetchResponse { endpoint, status, headers, body }),
        Err(ExchangeError::Timeout) => Err(FetchError::Timeout { endpoint }),
        Err(ExchangeError::TooLong) => Err(FetchError::TooLong { endpoint }),
        Err(ExchangeError::Connection(error)) => Err(unreachable(endpoint, describe(&*error))),
    }
}

/// The `Authorization` header for a token (RFC 6750, section 2.1), if the token is valid in a
/// header.
pub(super) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The URL without its query, which may hold secrets; for messages.
fn name(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Describes an error in plain words. The innermost error has the reason; the outer ones repeat
/// the URL.
fn describe(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let kind = cause.downcast_ref::<io::Error>().map_or(ErrorKind::Other, io::Error::kind);
    let text = cause.to_string();
    let words = match kind {
        ErrorKind::ConnectionRefused => "the connection was refused",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => "the connection was closed",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            "the network is unreachable"
        }
        ErrorKind::TimedOut => "the connection timed out",
        _ if text.contains("failed to lookup address") => "the host name could not be resolved",
        // The error number does not help anybody.
        _ => text.split(" (os error ").next().unwrap_or_default(),
    };
    io::Error::new(kind, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_errors_are_described_in_plain_words() {
        for (error, words) in [
            (io::Error::from_raw_os_error(111), "the connection was refused"),
            (io::Error::from_raw_os_error(104), "the connection was closed"),
            (io::Error::from_raw_os_error(101), "the network is unreachable"),
            (io::Error::from_raw_os_error(113), "the network is unreachable"),
            (
                io::Error::other("failed to lookup address information: Name or service not known"),
                "the host name could not be resolved",
            ),
            (io::Error::from_raw_os_error(24), "Too many open files"),
        ] {
            let described = describe(&error);
            assert_eq!(described.to_string(), words, "{error}");
            assert_eq!(described.kind(), error.kind(), "{error}");
        }
    }
}
