//! The demo's sample app: it shows what an app behind the gate receives, verifies the
//! assertion, and keeps a stream and a WebSocket open, to show that they end with the session.
//!
//! Like any app, it only knows the gate's public URL.

mod assertion;
mod page;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Request, State, WebSocketUpgrade};
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::stream::{self, Stream};
use huggate::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use assertion::Assertions;

/// Serves the app on `listener` until `stop`, behind the gate at `public_url`, whose keys are
/// at `{public_url}/oauth2/jwks.json`.
///
/// # Errors
/// If the listener fails, or TLS cannot be set up.
pub(crate) async fn serve(
    listener: TcpListener,
    public_url: &str,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (leave, leaving) = watch::channel(());
    let app = App { assertions: Arc::new(Assertions::new(public_url)?), clock: Clock::system(), leaving };
    let routes =
        Router::new().route("/events", get(events)).route("/echo", any(echo)).fallback(show).with_state(app);
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            stop.await;
            // Graceful shutdown waits for streams, but not for WebSockets.
            leave.send_replace(());
        })
        .await
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct App {
    /// Verifies the assertion.
    assertions: Arc<Assertions>,
    /// The time shown in the stream.
    clock: Clock,
    /// Signals shutdown.
    leaving: watch::Receiver<()>,
}

/// Any path: shows the request, the person and every header.
async fn show(State(app): State<App>, request: Request) -> Response {
    let verdict = app.assertions.check(request.headers()).await;
    let html = page::render(request.method(), request.uri(), request.headers(), &verdict);
    // The page names a person: caches must not share it.
    ([(CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

/// A counter, one event per second until the client disconnects or the app stops.
async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = tokio::time::interval(Duration::from_secs(1));
    Sse::new(stream::unfold((app, ticks, 0_u64), |(mut app, mut ticks, number)| async move {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = app.leaving.changed() => return None,
        }
        let number = number + 1;
        let data = serde_json::json!({ "number": number, "time": app.clock.now() });
        Some((Ok(Event::default().data(data.to_string())), (app, ticks, number)))
    }))
}

/// A WebSocket that greets the person and echoes messages.
async fn echo(upgrade: WebSocketUpgrade, request: Request) -> Response {
    let name = page::identity_header(request.headers(), "x-forwarded-preferred-username");
    let greeting = format!("Hello, {}. Say something.", name.as_deref().unwrap_or("stranger"));
    upgrade.max_message_size(64 * 1024).on_upgrade(|socket| talk(socket, greeting))
}

/// The message loop of one WebSocket; the library answers control frames.
async fn talk(mut socket: WebSocket, greeting: String) {
    let mut answer = Message::text(greeting);
    while socket.send(answer).await.is_ok() {
        answer = loop {
            match socket.recv().await {
                Some(Ok(said @ (Message::Text(_) | Message::Binary(_)))) => break said,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Err(_)) | None => return,
            }
        };
    }
}
