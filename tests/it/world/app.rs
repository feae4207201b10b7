//! An app that returns the request it received.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The body of its responses.
pub(crate) type AppBody = UnsyncBoxBody<Bytes, Infallible>;

/// The app; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct App {
    asked: Arc<AtomicU64>,
}

impl App {
    /// The number of requests it received.
    pub(crate) fn calls(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Its response. `/events` is an endless stream, `/ws` becomes a raw echo,
    /// `/respond?name=value` has these headers; all other paths return the request.
    pub(crate) async fn answer<B>(self, mut request: Request<B>) -> Result<Response<AppBody>, Infallible>
    where
        B: Body + Send + 'static,
        B::Data: Send,
    {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut response = match request.uri().path() {
            "/events" => events(),
            "/ws" if request.headers().contains_key("upgrade") => tunnel(&mut request),
            _ => tell(request).await,
        };
        response.headers_mut().insert("x-from-app", HeaderValue::from_static("yes"));
        Ok(response)
    }
}

async fn tell<B: Body>(request: Request<B>) -> Response<AppBody> {
    let (parts, body) = request.into_parts();
    let collected = body.collect().await.ok();
    let length = collected.map(|collected| collected.to_bytes().len());
    let headers: Vec<(&str, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let told = json!({
        "method": parts.method.as_str(),
        "target": parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str),
        "headers": headers,
        "length": length,
    });
    let mut response = Response::new(Full::new(Bytes::from(told.to_string())).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if parts.uri.path() == "/respond" {
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().append(name, HeaderValue::from_str(&value).unwrap());
        }
    }
    response
}

fn events() -> Response<AppBody> {
    let first = futures_util::stream::once(async {
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"data: hello\n\n")))
    });
    let body = StreamBody::new(first.chain(futures_util::stream::pending()));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// 101, and then an echo of all bytes.
fn tunnel<B>(request: &mut Request<B>) -> Response<AppBody> {
    let upgrade = hyper::upgrade::on(&mut *request);
    let key = request.headers().get("sec-websocket-key").map(HeaderValue::as_bytes).unwrap_or_default();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", HeaderValue::from_static("upgrade"));
    response.headers_mut().insert("upgrade", HeaderValue::from_static("websocket"));
    response.headers_mut().insert("sec-websocket-accept", accept.parse().unwrap());
    response
}

/// The request that the app received.
#[derive(Debug)]
pub(crate) struct Echo(pub(crate) Value);

impl Echo {
    pub(crate) fn method(&self) -> &str {
        self.0["method"].as_str().unwrap()
    }

    pub(crate) fn target(&self) -> &str {
        self.0["target"].as_str().unwrap()
    }

    /// The length of the body in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.0["length"].as_u64().unwrap()
    }

    /// Every header, in order.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0["headers"].as_array().unwrap().iter();
        pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
    }

    /// The only header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers().filter(|(known, _)| *known == name).map(|(_, value)| value);
        let first = values.next();
        assert!(values.next().is_none(), "{name} came twice: {self:?}");
        first
    }

    /// The names and values of the cookies, in order.
    pub(crate) fn cookies(&self) -> Vec<(&str, &str)> {
        let lines = self.headers().filter(|(name, _)| *name == "cookie");
        lines
            .flat_map(|(_, line)| line.split("; "))
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect()
    }

    /// The person, as identified to the app.
    pub(crate) fn username(&self) -> Option<&str> {
        self.header("x-forwarded-preferred-username")
    }
}
