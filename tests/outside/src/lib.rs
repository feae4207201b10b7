//! A noticeboard for the members of acme, behind huggate's layer.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::response::Json;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures_util::{Stream, stream};
use http::StatusCode;
use huggate::authn::BearerSettings;
use huggate::{AccessToken, Client, Gate, GateBuilder, Grant, Role, Route, Rule, User};
use tokio::sync::broadcast;
use tower_http::trace::TraceLayer;

mod hooks;
mod store;

pub use hooks::Accounts;
pub use store::SharedSessions;

/// Who may enter, and what takes part in a sign-in: for production and for the tests.
pub fn configure(gate: GateBuilder, accounts: &Arc<Accounts>, sessions: SharedSessions) -> GateBuilder {
    let (signing_in, signing_out) = (accounts.clone(), accounts.clone());
    gate.prefix("/board/oauth2")
        .allow(Rule::org("acme"))
        .route(Route::public("/board"))
        .bearer(BearerSettings::default())
        .session_store(sessions)
        .on_sign_in(move |person| hooks::sign_in(signing_in.clone(), person))
        .on_sign_out(move |person| hooks::sign_out(signing_out.clone(), person))
        .on_refusal(hooks::refusal)
        .pages(hooks::Branded)
}

/// The routes, and where the layers stand.
pub fn app(gate: &Gate, board: Board) -> Router {
    let admin = Router::new()
        .route("/people", get(people))
        // Besides the rule of the gate.
        .layer(gate.require(Rule::org("acme").with_role(Role::Admin)));
    let pages = Router::new()
        .route("/", get(front))
        .route("/me", get(me))
        .route("/notices", get(notices).post(publish))
        .route("/presence", post(presence))
        .route("/hub", get(hub))
        .route("/archive", get(archive.layer(gate.require(Rule::pro(true)))))
        .nest("/admin", admin)
        // Only the routes above are behind the gate, and its endpoints have to be routed.
        .route_layer(gate.layer())
        .route_service("/oauth2/{*endpoint}", gate.endpoints())
        .with_state(board);
    // Outside of the gate: the load balancer signs nobody in.
    let all = Router::new().route("/health", get(|| async { "ok\n" })).nest("/board", pages);
    // The span of each request says who was let in, and by which route.
    all.layer(TraceLayer::new_for_http().make_span_with(huggate::request_span))
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Board {
    notices: broadcast::Sender<String>,
    present: Arc<Mutex<BTreeSet<String>>>,
}

impl Default for Board {
    fn default() -> Self {
        Self { notices: broadcast::Sender::new(16), present: Arc::default() }
    }
}

impl Board {
    /// The people whose session has not ended.
    pub fn present(&self) -> Vec<String> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn set_present(&self, name: &str, present: bool) {
        let mut people = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present {
            people.insert(name.to_owned());
        } else {
            people.remove(name);
        }
    }
}

/// A public page: `None` without a session.
async fn front(user: Option<User>) -> String {
    match user {
        Some(user) => format!("welcome back, {}\n", user.username()),
        None => "the noticeboard of acme\n".to_owned(),
    }
}

/// Who is asking, from where, and what `on_sign_in` noted about them.
async fn me(user: User, client: Client) -> Json<serde_json::Value> {
    Json(serde_json::json!({
        "user": user,
        "plan": user.claims().text("plan"),
        "address": client.ip,
        "host": &*client.host,
    }))
}

/// Sends each notice. The gate cuts the stream when the session ends.
async fn notices(
    State(board): State<Board>,
    user: User,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let first = Some(format!("hello {}", user.username()));
    let rest = (first, board.notices.subscribe());
    Sse::new(stream::unfold(rest, |(first, mut notices)| async {
        let text = match first {
            Some(text) => text,
            None => notices.recv().await.ok()?,
        };
        Some((Ok(Event::default().data(text)), (None, notices)))
    }))
}

async fn publish(State(board): State<Board>, user: User, text: String) -> StatusCode {
    // An error says that nobody listens.
    let _ = board.notices.send(format!("{}: {text}", user.username()));
    StatusCode::NO_CONTENT
}

/// Lists somebody until their permission ends: they sign out, time out, or leave acme.
async fn presence(State(board): State<Board>, user: User, grant: Grant) -> StatusCode {
    board.set_present(user.username(), true);
    tokio::spawn(async move {
        grant.ended().await;
        board.set_present(user.username(), false);
    });
    StatusCode::NO_CONTENT
}

async fn people(State(board): State<Board>) -> String {
    board.present().join("\n")
}

/// A request to Hugging Face on behalf of the person, for the HTTP client of your choice.
async fn hub(token: AccessToken) -> Result<&'static str, StatusCode> {
    let request = http::Request::get("https://huggingface.co/api/models?author=acme")
        .header("authorization", format!("Bearer {}", token.expose()))
        .body(())
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(if request.headers().contains_key("authorization") { "would be sent\n" } else { "would not\n" })
}

async fn archive(user: User) -> String {
    format!("the archive, for {}\n", user.username())
}
