//! A minimal reverse proxy on hyper with the architecture of huggate. The difference in
//! cost is the price of authentication.
//!
//! `bare LISTEN UPSTREAM [--shared] [--raw]`
//!
//! - One runtime per core; a new connection goes to the one with the fewest. With
//!   `--shared` one multi-threaded runtime.
//! - Removes hop-by-hop headers, writes `X-Forwarded-*` and limits the response time, as
//!   any proxy must; not with `--raw`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let [listen, upstream, ..] = arguments.as_slice() else {
        return Err("bare LISTEN UPSTREAM [--shared] [--raw]".into());
    };
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let (upstream, hygiene) = (upstream.parse()?, !has("--raw"));
    let cores = std::thread::available_parallelism()?.get();
    if has("--shared") {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build()?;
        return runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let proxy = Arc::new(Proxy::new(upstream, hygiene));
            loop {
                let (stream, peer) = listener.accept().await?;
                tokio::spawn(Arc::clone(&proxy).serve(stream, peer.ip()));
            }
        });
    }
    let workers = (0..cores).map(|_| Worker::start(upstream, hygiene)).collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, peer) = listener.accept().await?;
            let idlest = workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
            if let Some(worker) = idlest {
                worker.connections.fetch_add(1, Ordering::Relaxed);
                worker.queue.send((stream.into_std()?, peer.ip()))?;
            }
        }
    })
}

/// A thread with a runtime and connections of its own.
struct Worker {
    queue: mpsc::UnboundedSender<(std::net::TcpStream, IpAddr)>,
    connections: Arc<AtomicUsize>,
}

impl Worker {
    fn start(upstream: SocketAddr, hygiene: bool) -> Result<Self, Failure> {
        let (queue, mut arriving) = mpsc::unbounded_channel::<(std::net::TcpStream, IpAddr)>();
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let proxy = Arc::new(Proxy::new(upstream, hygiene));
                while let Some((stream, peer)) = arriving.recv().await {
                    let (proxy, count) = (Arc::clone(&proxy), Arc::clone(&count));
                    tokio::spawn(async move {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            proxy.serve(stream, peer).await;
                        }
                        count.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            });
        });
        Ok(Self { queue, connections })
    }
}

/// Forwards to one upstream.
struct Proxy {
    upstream: SocketAddr,
    hygiene: bool,
    idle: Arc<Idle>,
}

type Sender = SendRequest<Incoming>;
type Idle = Mutex<VecDeque<Sender>>;

impl Proxy {
    fn new(upstream: SocketAddr, hygiene: bool) -> Self {
        Self { upstream, hygiene, idle: Arc::default() }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: IpAddr) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let proxy = Arc::clone(&self);
            async move {
                Ok::<_, Infallible>(proxy.answer(request, peer).await.unwrap_or_else(|_| {
                    let mut response = Response::new(Returning { body: None, sender: None });
                    *response.status_mut() = StatusCode::BAD_GATEWAY;
                    response
                }))
            }
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        if self.hygiene {
            server.timer(TokioTimer::new());
        }
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Returning>, Failure> {
        if !self.hygiene {
            return self.send(request).await;
        }
        remove_hop_by_hop(request.headers_mut());
        let headers = request.headers_mut();
        headers.insert(X_FORWARDED_FOR, HeaderValue::try_from(peer.to_string())?);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        if let Some(host) = headers.get(header::HOST).cloned() {
            headers.insert(X_FORWARDED_HOST, host);
        }
        let mut response = tokio::time::timeout(RESPONSE_TIMEOUT, self.send(request)).await??;
        remove_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    async fn send(&self, request: Request<Incoming>) -> Result<Response<Returning>, Failure> {
        let mut sender = loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
            match kept {
                Some(mut sender) => {
                    if sender.is_ready() || sender.ready().await.is_ok() {
                        break sender;
                    }
                }
                None => break self.connect().await?,
            }
        };
        let response = sender.send_request(request).await?;
        let back = Some((sender, Arc::clone(&self.idle)));
        Ok(response.map(|body| Returning { body: Some(body), sender: back }))
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A response body; at its end the connection is reused.
struct Returning {
    body: Option<Incoming>,
    sender: Option<(Sender, Arc<Idle>)>,
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let over = frame.is_none() || body.is_end_stream();
        if over && let Some((sender, idle)) = self.sender.take() {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(sender);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        // A response without a body is complete without being polled.
        if self.is_end_stream()
            && let Some((sender, idle)) = self.sender.take()
        {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(sender);
        }
    }
}

/// RFC 9110, section 7.6.1, with what `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let names = |line: &HeaderValue| {
        let names = line.as_bytes().split(|byte| *byte == b',');
        names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect::<Vec<_>>()
    };
    let named: Vec<HeaderName> = headers.get_all(header::CONNECTION).iter().flat_map(names).collect();
    let is_hop_by_hop = |name: &HeaderName| {
        *name == header::CONNECTION
            || *name == header::TRANSFER_ENCODING
            || *name == header::UPGRADE
            || *name == header::TE
            || *name == header::TRAILER
            || *name == header::PROXY_AUTHENTICATE
            || *name == header::PROXY_AUTHORIZATION
            || *name == KEEP_ALIVE
            || *name == PROXY_CONNECTION
            || named.contains(name)
    };
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}
