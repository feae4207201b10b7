//! The gate as a Tower layer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Gate, GateBody};

/// Wraps a service in the gate.
#[derive(Debug, Clone)]
pub struct GateLayer {
    gate: Gate,
}

/// A service behind the gate, which gets only allowed requests.
#[derive(Debug, Clone)]
pub struct GateService<S> {
    gate: Gate,
    inner: S,
}

impl Gate {
    /// A layer that wraps a service in this gate: an axum `Router`, a hyper service, or any
    /// service for `http::Request`.
    ///
    /// In axum, add it to the whole router (`Router::layer`, last), so that it also covers
    /// paths without a route.
    #[must_use]
    pub fn layer(&self) -> GateLayer {
        GateLayer { gate: self.clone() }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = GateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService { gate: self.gate.clone(), inner }
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for GateService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<GateBody<ResB>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        // `poll_ready` was called on this service, so it is called, and the clone stays.
        let waiting = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, waiting);
        let gate = self.gate.clone();
        Box::pin(async move { gate.handle(request, |request| ready.call(request)).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::User;

    #[test]
    fn a_clone_of_a_gate_or_a_user_is_one_reference() {
        let reference = size_of::<std::sync::Arc<()>>();
        assert_eq!(size_of::<Gate>(), reference);
        assert_eq!(size_of::<GateLayer>(), reference);
        assert_eq!(size_of::<User>(), reference);
    }
}
