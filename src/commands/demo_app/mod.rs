//! The demo's sample app: it shows what an app behind the gate is told, checks
//! the part of it that is signed, and keeps a stream and a socket open, to
//! see them end with the session.
//!
//! It knows the gate by its public address only, as any app would.

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

/// Serves the app on `listener` until `stop`, behind the gate that people reach at
/// `public_url`; its keys are at `{public_url}/oauth2/jwks.json`.
///
/// # Errors
/// The listener's, and a TLS set-up that does not load.
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
            // Otherwise every open stream would hold the process; sockets do not.
            leave.send_replace(());
        })
        .await
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct App {
    /// Checks the signed part of what the gate says.
    assertions: Arc<Assertions>,
    /// Tells the time shown in the stream.
    clock: Clock,
    /// Changes once: when the app is to stop.
    leaving: watch::Receiver<()>,
}

/// Any path: what was asked for, who asks, and every header that came along.
async fn show(State(app): State<App>, request: Request) -> Response {
    let verdict = app.assertions.check(request.headers()).await;
    let html = page::render(request.method(), request.uri(), request.headers(), &verdict);
    // It names a person: no cache may show it to another.
    ([(CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

/// A counter, one event a second until the client leaves or the app stops.
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

/// A socket that greets whoever opens it, then says everything back.
async fn echo(upgrade: WebSocketUpgrade, request: Request) -> Response {
    let name = page::told(request.headers(), "x-forwarded-preferred-username");
    let greeting = format!("Hello, {}. Say something.", name.as_deref().unwrap_or("stranger"));
    upgrade.max_message_size(64 * 1024).on_upgrade(|socket| talk(socket, greeting))
}

/// The conversation on one socket; control frames the library answers itself.
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
