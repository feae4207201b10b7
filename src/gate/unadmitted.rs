//! A request that does not go on to the app, and the one endpoint that reads a body.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;

use super::body::GateBody;
use crate::client::{Client, IncomingRequest};
use crate::oauth2::{LogoutBody, MAX_BODY, OAuth2};

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that does not go on.
pub(crate) enum Unadmitted {
    /// Our own response.
    Answered(Response<Bytes>),
    /// A request to [`OAuth2::backchannel_logout`]. Its head has been taken, its body has not.
    Logout(Box<(Parts, Client)>),
}

impl From<Response<Bytes>> for Box<Unadmitted> {
    fn from(response: Response<Bytes>) -> Self {
        Self::new(Unadmitted::Answered(response))
    }
}

impl Unadmitted {
    /// The response to the request with this body.
    pub(crate) async fn answer<A: Body, B>(
        self: Box<Self>,
        oauth2: &OAuth2,
        body: A,
    ) -> Response<GateBody<B>> {
        let response = match *self {
            Self::Answered(response) => response,
            Self::Logout(head) => {
                let (parts, client) = &*head;
                let body = Box::pin(read(body)).await;
                Box::pin(oauth2.backchannel_logout(IncomingRequest::new(parts, client), body)).await
            }
        };
        response.map(GateBody::own)
    }
}

/// Takes the head of a request that does not go on.
pub(super) fn take_head<B>(request: &mut Request<B>) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    std::mem::swap(&mut parts.method, request.method_mut());
    std::mem::swap(&mut parts.uri, request.uri_mut());
    std::mem::swap(&mut parts.headers, request.headers_mut());
    std::mem::swap(&mut parts.extensions, request.extensions_mut());
    parts.version = request.version();
    parts
}

async fn read<B: Body>(body: B) -> LogoutBody {
    let whole = async {
        let (mut body, mut read) = (pin!(body), Vec::new());
        while let Some(frame) = body.as_mut().frame().await {
            let Ok(frame) = frame else { return LogoutBody::Missing };
            let Ok(mut data) = frame.into_data() else { continue };
            if read.len().saturating_add(data.remaining()) > MAX_BODY {
                return LogoutBody::TooLarge;
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                read.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
        }
        LogoutBody::Whole(read)
    };
    tokio::time::timeout(BODY_TIMEOUT, whole).await.unwrap_or(LogoutBody::Missing)
}
