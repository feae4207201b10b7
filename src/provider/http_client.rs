//! How we talk to the provider: bounded in time and size, never redirected.

use std::io::ErrorKind;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use url::Url;

use crate::keys::SecretString;

/// The longest answer that is read. A userinfo of 300 organisations takes about
/// 150 kB.
const MAX_RESPONSE: usize = 2 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte sent to the last received.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One client for all exchanges, so that connections are used again.
pub(super) struct HttpClient {
    /// `None` if the TLS configuration of this machine could not be loaded; then
    /// every question fails, and says so.
    client: Option<reqwest::Client>,
}

/// An exchange with the provider that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    #[error("{endpoint} could not be reached: {reason}")]
    Unreachable { endpoint: String, reason: String },
    #[error("{endpoint} did not answer within {} seconds", TIMEOUT.as_secs())]
    Timeout { endpoint: String },
    #[error("{endpoint} answered {status}")]
    Status { endpoint: String, status: StatusCode },
    #[error("{endpoint} answered with more than {MAX_RESPONSE} bytes")]
    TooLong { endpoint: String },
    #[error("{endpoint} answered with something that is not the expected JSON ({reason})")]
    Malformed { endpoint: String, reason: String },
}

impl FetchError {
    /// Whether the provider is away or overloaded, rather than wrong: worth
    /// trying again later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLong { .. } | Self::Malformed { .. } => false,
        }
    }
}

/// A status, headers and the whole body.
pub(super) struct FetchResponse {
    pub(super) endpoint: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl FetchResponse {
    /// The body as JSON, whatever the status.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, FetchError> {
        serde_json::from_slice(&self.body).map_err(|error| FetchError::Malformed {
            endpoint: self.endpoint.clone(),
            // The position and kind alone: serde's text may quote the answer.
            reason: format!("{:?} at line {} column {}", error.classify(), error.line(), error.column()),
        })
    }

    /// Refuses every status but 200.
    pub(super) fn ok(self) -> Result<Self, FetchError> {
        if self.status == StatusCode::OK {
            return Ok(self);
        }
        Err(FetchError::Status { endpoint: self.endpoint, status: self.status })
    }
}

impl HttpClient {
    pub(super) fn new() -> Self {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("huggate/", env!("CARGO_PKG_VERSION")))
            .build();
        match client {
            Ok(client) => Self { client: Some(client) },
            Err(error) => {
                tracing::error!(%error, "TLS could not be set up; nobody can sign in");
                Self { client: None }
            }
        }
    }

    pub(super) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<FetchResponse, FetchError> {
        self.send(Method::GET, url, headers, None::<&()>).await
    }

    /// Sends `form` as `application/x-www-form-urlencoded`.
    pub(super) async fn post<F: serde::Serialize>(
        &self,
        url: &Url,
        headers: HeaderMap,
        form: &F,
    ) -> Result<FetchResponse, FetchError> {
        self.send(Method::POST, url, headers, Some(form)).await
    }

    async fn send<F: serde::Serialize>(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        form: Option<&F>,
    ) -> Result<FetchResponse, FetchError> {
        let endpoint = name(url);
        let Some(client) = &self.client else {
            return Err(FetchError::Unreachable { endpoint, reason: "TLS could not be set up".to_owned() });
        };
        let mut request = client.request(method, url.clone()).headers(headers);
        if let Some(form) = form {
            request = request.form(form);
        }
        let failed = |error: reqwest::Error| {
            let endpoint = name(url);
            if error.is_timeout() {
                return FetchError::Timeout { endpoint };
            }
            FetchError::Unreachable { endpoint, reason: describe(&error) }
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

/// `Authorization` for a token (RFC 6750, section 2.1), if it can stand in a header.
pub(super) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Where a question went, for messages: without a query, which may hold secrets.
fn name(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// What happened, as people say it: pages show it. The innermost error knows; the
/// outer ones repeat the URL.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    match kind {
        Some(ErrorKind::ConnectionRefused) => "the connection was refused".to_owned(),
        Some(
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof,
        ) => "the connection broke off".to_owned(),
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown) => {
            "there is no way to it in the network".to_owned()
        }
        Some(ErrorKind::TimedOut) => "it does not answer".to_owned(),
        _ => {
            let text = cause.to_string();
            if text.contains("failed to lookup address") {
                return "its name cannot be found".to_owned();
            }
            // The number says nothing to anybody.
            let text = text.split(" (os error ").next().unwrap_or_default();
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn what_went_wrong_is_said_in_words() {
        for (error, words) in [
            (Error::from_raw_os_error(111), "the connection was refused"),
            (Error::from_raw_os_error(104), "the connection broke off"),
            (Error::from_raw_os_error(101), "there is no way to it in the network"),
            (Error::from_raw_os_error(113), "there is no way to it in the network"),
            (
                Error::other("failed to lookup address information: Name or service not known"),
                "its name cannot be found",
            ),
            (Error::from_raw_os_error(24), "Too many open files"),
        ] {
            assert_eq!(describe(&error), words, "{error}");
        }
    }
}
