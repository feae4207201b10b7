//! A Leptos server behind the layer: a page that is rendered for the person who is signed in, and
//! a server function that reads `User`.

use axum::Router;
use axum::http::request::Parts;
use axum::routing::{get, post};
use huggate::{Gate, GateBuilder, Route, Rule, User};
use leptos::prelude::*;

/// Who may enter: for production and for the tests.
pub fn configure(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme")).route(Route::public("/"))
}

/// The pages and the server functions, behind the gate.
pub fn app(gate: &Gate) -> Router {
    // Where Leptos spawns; `generate_route_list` does it otherwise. An error says that it is set.
    let _ = any_spawner::Executor::init_tokio();
    Router::new()
        .route("/", get(leptos_axum::render_app_async(Front)))
        .route("/groups", get(leptos_axum::render_app_async(Groups)))
        .route("/api/{*function}", post(leptos_axum::handle_server_fns))
        .layer(gate.layer())
}

/// A public page: it is rendered with and without somebody.
#[component]
fn Front() -> impl IntoView {
    // Leptos gives components the head of the request, with what the layer put into it.
    let user =
        use_context::<Parts>().and_then(|parts| User::from_extensions(&parts.extensions).ok()?.cloned());
    let who = match user {
        Some(user) => view! { <p>"Signed in as " {user.username().to_owned()}</p> }.into_any(),
        None => view! { <p><a href="/oauth2/sign_in">"Sign in"</a></p> }.into_any(),
    };
    view! { <h1>"The front page"</h1> {who} }
}

/// A page for members, which asks a server function while it is rendered.
#[component]
fn Groups() -> impl IntoView {
    let groups = Resource::new(|| (), |()| groups());
    view! {
        <h1>"Your groups"</h1>
        <Suspense>
            {move || Suspend::new(async move {
                groups.await.map(|groups| view! { <p>{groups.join(", ")}</p> })
            })}
        </Suspense>
    }
}

/// What the browser asks for at `/api/groups` as well. The gate has decided that request too.
#[server(prefix = "/api", endpoint = "groups")]
pub async fn groups() -> Result<Vec<String>, ServerFnError> {
    let user: User = leptos_axum::extract().await?;
    Ok(user.groups().to_vec())
}
