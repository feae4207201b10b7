//! The admin listener: for operators, on an address of its own.

mod guard;
mod handler;
mod sessions;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use huggate::config::AdminSettings;
use huggate::proxy::Proxy;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_service::Service;

use handler::{Admin, AdminState, error};

use super::failure::Failure;
use super::listen::listen;

/// How long a client may take to send a request head, or stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of connections.
const CONNECTIONS: usize = 64;

/// The listener, if there is one.
pub(super) struct AdminListener {
    settings: Option<Arc<ArcSwap<AdminSettings>>>,
}

impl AdminListener {
    /// Binds the listener and serves it in a task.
    pub(super) async fn start(
        settings: Option<AdminSettings>,
        proxy: &Arc<ArcSwap<Proxy>>,
    ) -> Result<Self, Failure> {
        let Some(settings) = settings else { return Ok(Self { settings: None }) };
        let listener = listen(settings.listen).await?;
        tracing::info!(listen = %settings.listen, "the admin listener is ready");
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        tokio::spawn(serve(listener, Arc::clone(proxy), Arc::clone(&settings)));
        Ok(Self { settings: Some(settings) })
    }

    /// Takes over another token. Another address needs a restart.
    pub(super) fn reload(&self, new: Option<AdminSettings>) {
        let before = self.settings.as_ref().map(|settings| settings.load().listen);
        if before != new.as_ref().map(|new| new.listen) {
            tracing::warn!("admin.listen has changed; restart huggate for that");
            return;
        }
        if let (Some(settings), Some(new)) = (&self.settings, new) {
            settings.store(Arc::new(new));
        }
    }
}

/// Serves the listener for as long as the process runs.
async fn serve(listener: TcpListener, proxy: Arc<ArcSwap<Proxy>>, settings: Arc<ArcSwap<AdminSettings>>) {
    let admin = Admin { proxy, settings };
    let router = router(admin);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, or a client that is gone already.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let mut router = router.clone();
                async move { Ok::<_, Infallible>(answer(&mut router, request.map(Body::new)).await) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection to the admin listener ended");
            }
            drop(place);
        });
    }
}

async fn answer(router: &mut Router, request: Request<Body>) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/sessions", get(sessions::list).delete(sessions::revoke))
        .fallback(async || error(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address takes another method")
        })
        .layer(middleware::from_fn_with_state(admin.clone(), guard::guard))
        .with_state(admin)
}

/// A line for each part.
async fn readyz(admin: AdminState) -> (StatusCode, String) {
    let readiness = admin.gate().readiness();
    let mut text = format!("provider: {}\n", readiness.provider);
    if let Some(store) = readiness.store {
        text.push_str(&format!("store: {store}\n"));
    }
    if readiness.is_draining {
        text.push_str("draining: yes\n");
    }
    (if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}
