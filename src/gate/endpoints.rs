//! The gate's own endpoints as a service, for routers whose layer does not cover them.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;

use super::{Gate, GateBody};

/// Answers requests to the gate's own endpoints: sign-in, callback, sign-out.
#[derive(Debug, Clone)]
pub struct EndpointService {
    gate: Gate,
}

/// The body of an [`EndpointService`]'s answer.
#[derive(Default)]
pub struct EndpointBody(Option<Bytes>);

impl Gate {
    /// A service for the paths below the gate's prefix. It is needed only where the layer
    /// does not see them: axum's `Router::route_layer` covers the paths of routes alone,
    /// so the callback would be a 404.
    ///
    /// ```
    /// # #[cfg(feature = "axum")]
    /// # fn router(gate: huggate::Gate) -> axum::Router {
    /// # async fn hello() {}
    /// use axum::{Router, routing::get};
    ///
    /// Router::new()
    ///     .route("/", get(hello))
    ///     .route_layer(gate.layer())
    ///     .route_service("/oauth2/{*endpoint}", gate.endpoints())
    /// # }
    /// ```
    #[must_use]
    pub fn endpoints(&self) -> EndpointService {
        EndpointService { gate: self.clone() }
    }
}

impl<B: Body + Send + 'static> Service<Request<B>> for EndpointService {
    type Response = Response<GateBody<EndpointBody>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gate = self.gate.clone();
        // A path outside the prefix is decided like any other, and then not found.
        let nothing = |_: Request<B>| {
            let mut response = Response::new(EndpointBody(Some(Bytes::from_static(b"not found\n"))));
            *response.status_mut() = StatusCode::NOT_FOUND;
            std::future::ready(Ok(response))
        };
        Box::pin(async move { gate.handle(request, nothing).await })
    }
}

impl Body for EndpointBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

impl fmt::Debug for EndpointBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointBody")
    }
}
