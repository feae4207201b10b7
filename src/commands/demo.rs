//! `huggate demo`: the stand-in, a sample app, and the gate in front of it, in one
//! process, offline.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Args;
use huggate::authn::BearerSettings;
use huggate::clock::Clock;
use huggate::hub::{Client, Hub, Settings};
use huggate::keys::Secret;
use huggate::proxy::Proxy;
use huggate::server::{Listener, Listeners, Running, Server, ServerSettings};
use huggate::upstream::{Upstream, UpstreamSettings, UpstreamTls, UpstreamUrl};
use huggate::{Gate, PathPattern, Role, Route, Rule};

use super::demo_app;
use super::failure::Failure;
use super::listen::listen;
use super::output::print;
use super::runtime::runtime;
use super::serve::until_stopped;
use super::shutdown::shutdown_signal;

/// Arguments of `huggate demo`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen; an address of this machine alone
    #[arg(long, default_value = "127.0.0.1:4180", value_name = "ADDR")]
    listen: SocketAddr,
}

/// Runs until it is asked to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<String, Failure> {
    if !arguments.listen.ip().is_loopback() {
        return Err(Failure::Configuration(format!(
            "--listen {}: the demo lets anybody be anybody, so it listens on this machine alone (127.0.0.1 or [::1])",
            arguments.listen
        )));
    }
    runtime()?.block_on(serve(arguments.listen))
}

/// Starts all three, and serves until it is asked to stop.
async fn serve(addr: SocketAddr) -> Result<String, Failure> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = listen(addr).await?;
    let public_url = format!("http://{}", listener.local_addr().map_err(|error| failed(&error))?);

    let hub =
        Hub::start(listen(anywhere).await?, Settings::default()).await.map_err(|error| failed(&error))?;
    let callback = format!("{public_url}/oauth2/callback");
    let client = Client { name: "The huggate demo".to_owned(), ..Client::for_development("demo") };
    let (id, secret) = (client.id.clone(), client.secret.clone().unwrap_or_default());
    hub.register(Client { redirect_uris: vec![callback], ..client });

    let app = listen(anywhere).await?;
    let app_url = format!("http://{}", app.local_addr().map_err(|error| failed(&error))?);
    let running = Running::default();
    let stopped = running.stop.clone().cancelled_owned();
    let gate_url = public_url.clone();
    running.tasks.spawn(async move {
        if let Err(error) = demo_app::serve(app, &gate_url, stopped).await {
            tracing::error!(%error, "the sample app ended");
        }
    });

    let gate = gate(&public_url, &hub, id, secret).await?;
    let upstream = upstream_settings(UpstreamUrl::parse(&app_url).map_err(|error| failed(&error))?);
    let upstream = Upstream::new(&upstream, running.tasks.clone(), running.stop.clone())
        .map_err(|error| failed(&error))?;
    let server = ServerSettings { drain_timeout: Duration::from_secs(2), ..ServerSettings::default() };
    let server = Server::new(server, running.clone()).map_err(|error| failed(&error))?;
    let listener = listener.into_std().and_then(Listener::from_tcp).map_err(|error| failed(&error))?;
    let proxy = Arc::new(ArcSwap::from_pointee(Proxy::new(gate, upstream)));
    print(&welcome(&public_url, hub.issuer(), &hub.token_of("ada").unwrap_or_default()));
    until_stopped(proxy, server, Listeners::new(vec![listener]), running, shutdown_signal()).await;
    hub.stop().await;
    Ok("\nThe demo is over.\n".to_owned())
}

/// The demo's policy: members of acme, a public folder, and one for admins.
async fn gate(public_url: &str, hub: &Hub, id: String, secret: String) -> Result<Gate, Failure> {
    let acme = || Rule::org("acme");
    let pattern = |text| PathPattern::parse(text).map_err(|error| failed(&error));
    Gate::builder()
        .public_url(public_url)
        .issuer(hub.issuer())
        .client(id, secret)
        .secret(Secret::generate())
        .scope("openid profile email read-memberships")
        .allow(acme())
        .route(Route::path(pattern("/public/**")?).public())
        .route(Route::path(pattern("/admin/**")?).allow(vec![acme().with_role(Role::Admin)]))
        .bearer(BearerSettings::default())
        .clock(Clock::system())
        .build()
        .await
        .map_err(|error| failed(&error))
}

/// How requests get to the sample app at `url`.
fn upstream_settings(url: UpstreamUrl) -> UpstreamSettings {
    UpstreamSettings {
        default: url.into(),
        routes: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(60),
        stream_timeout: Duration::from_secs(600),
        tls: UpstreamTls::default(),
        body_bytes: None,
        connections: 1_000,
    }
}

/// A failure with the words of `error`.
fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Run(error.to_string())
}

/// What a newcomer needs to know.
fn welcome(public_url: &str, issuer: &str, token: &str) -> String {
    format!(
        "
  huggate demo: a sample app behind Sign in with Hugging Face.
  All of it runs here, offline. Nobody needs an account or a password.

  Open   {public_url}

  You are sent to a stand-in for huggingface.co ({issuer}), where
  you choose who to be. The app is open to members of the organisation acme:
  tick acme when you are asked what to share.

    ada    admin of acme             gets in, and into /admin
    ben    may read in acme          gets in, and not into /admin
    cleo   acme asks for her SSO     is told what is missing
    dan    member of nothing         is told who may enter
    joerg  Jörg Müller-李            a name that is not ASCII
    eve    in 300 organisations      and still a small cookie

  Try
    - {public_url}/reports/42?tab=2   a deep link is kept across the sign-in
    - {public_url}/admin              for admins of acme
    - {public_url}/public/hello       open to everybody
    - curl -i {public_url}/           a program gets 401 and JSON, not a redirect
    - {public_url}/oauth2/userinfo    who am I
    - curl -H 'Authorization: Bearer {token}' {public_url}/oauth2/userinfo
                                            a program comes in with a token: it is ada's
    - sign out in one tab and watch the stream and the socket end in another

  Ctrl-C ends it.

"
    )
}
