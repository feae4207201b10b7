//! A provider in this process, which takes the place of connections in tests.
//!
//! It is a trait because the stand-in for the provider shares no code with its client, and so
//! neither names the other.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

/// The body of a response. Its errors are those of a connection.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The answer to a request; an error is that of a connection.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = io::Result<Response<ResponseBody>>> + Send + 'a>>;

/// Answers the requests to a provider.
pub(crate) trait InProcess: Any + Send + Sync {
    fn answer(&self, request: Request<Bytes>) -> Answering<'_>;

    /// The provider of a gate that this one's gate replaces on reload, if it can be kept.
    fn after(self: Arc<Self>, before: &Arc<dyn InProcess>) -> Arc<dyn InProcess>;
}

/// A shared [`InProcess`], equal to itself alone.
#[derive(Clone)]
pub(super) struct InProcessProvider(pub(super) Arc<dyn InProcess>);

impl PartialEq for InProcessProvider {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for InProcessProvider {}

impl fmt::Debug for InProcessProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcessProvider")
    }
}

/// Why there is no response. The HTTP client maps each to the failure of a connection.
pub(super) enum ExchangeError {
    Timeout,
    TooLong,
    Connection(Box<dyn Error + Send + Sync>),
}

/// Sends a request and reads the whole response, within the limits of a connection.
pub(super) async fn exchange(
    provider: &InProcessProvider,
    request: Request<Bytes>,
    timeout: Duration,
    max_size: usize,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), ExchangeError> {
    let response = async {
        let response =
            provider.0.answer(request).await.map_err(|error| ExchangeError::Connection(error.into()))?;
        let (parts, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let Ok(chunk) = frame.map_err(ExchangeError::Connection)?.into_data() else { continue };
            if body.len() + chunk.len() > max_size {
                return Err(ExchangeError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((parts.status, parts.headers, body))
    };
    tokio::time::timeout(timeout, response).await.unwrap_or(Err(ExchangeError::Timeout))
}
