//! `huggate demo`: the stand-in, a sample app, and the gate in front of it, in one process and
//! offline.

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
use huggate::upstream::{Upstream, UpstreamSettings, UpstreamUrl};
use huggate::{Gate, Role, Route, Rule};

use super::demo_app;
use super::failure::Failure;
use super::listen::listen;
use super::loopback::loopback;
use super::output::print;
use super::runtime::runtime;
use super::serve::until_stopped;
use super::shutdown::shutdown_signal;

/// Arguments of `huggate demo`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Listen address; loopback only
    #[arg(long, default_value = "127.0.0.1:4180", value_name = "ADDR", value_parser = loopback)]
    listen: SocketAddr,
}

/// Runs until a shutdown signal.
pub(crate) fn run(arguments: &Arguments) -> Result<String, Failure> {
    runtime()?.block_on(serve(arguments.listen))
}

/// Starts all three and serves until a shutdown signal.
async fn serve(addr: SocketAddr) -> Result<String, Failure> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = listen(addr).await?;
    let public_url = format!("http://{}", listener.local_addr().map_err(|error| Failure::run(&error))?);

    let hub = Hub::start(listen(anywhere).await?, Settings::default())
        .await
        .map_err(|error| Failure::run(&error))?;
    let callback = format!("{public_url}/oauth2/callback");
    let client = Client::for_development("demo").name("The huggate demo");
    let (id, secret) = (client.id.clone(), client.secret.clone().unwrap_or_default());
    hub.register(client.redirect_uris(vec![callback]));

    let app = listen(anywhere).await?;
    let app_url = format!("http://{}", app.local_addr().map_err(|error| Failure::run(&error))?);
    let running = Running::default();
    let stopped = running.stopped();
    let gate_url = public_url.clone();
    running.spawn(async move {
        if let Err(error) = demo_app::serve(app, &gate_url, stopped).await {
            tracing::error!(%error, "the sample app failed");
        }
    });

    let gate = gate(&public_url, &hub, id, secret).await?;
    let upstream = UpstreamSettings::new(UpstreamUrl::parse(&app_url).map_err(|error| Failure::run(&error))?);
    let upstream = Upstream::new(&upstream, &running).map_err(|error| Failure::run(&error))?;
    let server = ServerSettings::default().drain_timeout(Duration::from_secs(2));
    let server = Server::new(server, running.clone()).map_err(|error| Failure::run(&error))?;
    let listener = listener.into_std().and_then(Listener::from_tcp).map_err(|error| Failure::run(&error))?;
    let proxy = Arc::new(ArcSwap::from_pointee(Proxy::new(gate, upstream)));
    print(&welcome(&public_url, hub.issuer(), &hub.token_of("ada").unwrap_or_default()));
    until_stopped(proxy, server, Listeners::new(vec![listener]), running, shutdown_signal()).await;
    hub.stop().await;
    Ok("\nThe demo has stopped.\n".to_owned())
}

/// The demo's rules: the app for members of acme, a public folder, a folder for admins.
async fn gate(public_url: &str, hub: &Hub, id: String, secret: String) -> Result<Gate, Failure> {
    let acme = || Rule::org("acme");
    Gate::builder()
        .public_url(public_url)
        .issuer(hub.issuer())
        .client(id, secret)
        .secret(Secret::generate())
        .scope("openid profile email read-memberships")
        .allow(acme())
        .route(Route::public("/public/**"))
        .route(Route::path("/admin/**").allow(acme().with_role(Role::Admin)))
        .bearer(BearerSettings::default())
        .clock(Clock::system())
        .build()
        .await
        .map_err(|error| Failure::run(&error))
}

/// The welcome text.
fn welcome(public_url: &str, issuer: &str, token: &str) -> String {
    format!(
        "
  huggate demo: a sample app behind Sign in with Hugging Face.
  All of it runs here, offline. You need no account and no password.

  Open   {public_url}

  You are sent to a stand-in for huggingface.co ({issuer}), where
  you choose an account. The app is open to members of the organisation acme:
  select acme when you are asked what to share.

    ada    admin of acme             may use the app and /admin
    ben    may read in acme          may use the app, but not /admin
    cleo   has not passed acme's SSO sees what is missing
    dan    not a member of acme      sees who may enter
    joerg  Jörg Müller-李            has a name that is not ASCII
    eve    in 300 organisations      still has a small cookie

  Try
    - {public_url}/reports/42?tab=2   a deep link survives the sign-in
    - {public_url}/admin              for admins of acme
    - {public_url}/public/hello       open to everybody
    - curl -i {public_url}/           programs get 401 and JSON, not a redirect
    - {public_url}/oauth2/userinfo    the signed-in user as JSON
    - curl -H 'Authorization: Bearer {token}' {public_url}/oauth2/userinfo
                                            programs authenticate with a token, here ada's
    - sign out in one tab, and the stream and the WebSocket in another tab end

  Press Ctrl-C to stop.

"
    )
}
