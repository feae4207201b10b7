//! `huggate serve`: the proxy.

use std::path::Path;

use huggate::clock::Clock;
use huggate::config::{Config, Environment};
use huggate::gate::Gate;
use huggate::proxy::Proxy;
use huggate::server::{Running, Server};
use huggate::telemetry::Asked;
use huggate::upstream::Upstream;
use tokio::net::TcpListener;

use super::{Failure, asked_to_stop, listen, runtime};

/// Runs until it is asked to stop.
pub(crate) fn run(path: Option<&Path>, environment: &Environment) -> Result<String, Failure> {
    let config =
        Config::load(path, environment).map_err(|problems| Failure::Configuration(problems.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(async {
        let running = Running::default();
        let (proxy, server, listeners) = prepare(config, &running).await?;
        tokio::spawn(discover(proxy.gate().clone()));
        let finished = until_stopped(proxy, server, listeners, running, asked_to_stop()).await;
        if finished {
            return Ok(String::new());
        }
        tracing::warn!("some requests did not finish within timeouts.drain and were cut");
        Ok(String::new())
    })
}

/// Makes everything that can fail before the first request is taken.
pub(super) async fn prepare(
    config: Config,
    running: &Running,
) -> Result<(Proxy, Server, Vec<TcpListener>), Failure> {
    let public_url = config.gate.public_url.as_str().to_owned();
    let callback = format!("{public_url}{}/callback", config.gate.prefix);
    let upstream_url = config.upstream.default.to_string();
    let gate =
        Gate::new(config.gate, Clock::system()).map_err(|error| Failure::Configuration(error.to_string()))?;
    let upstream = Upstream::new(&config.upstream, running.tasks.clone(), running.stop.clone())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let addresses = config.server.listen.clone();
    let server = Server::new(config.server, running.clone())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let mut listeners = Vec::new();
    for addr in addresses {
        let listener = listen(addr).await?;
        let addr = listener.local_addr().unwrap_or(addr);
        tracing::info!(%public_url, listen = %addr, upstream = %upstream_url, %callback, "huggate is ready");
        listeners.push(listener);
    }
    Ok((Proxy::new(gate, upstream), server, listeners))
}

/// Serves until `stop`, then drains; `true` if all that was under way finished.
pub(super) async fn until_stopped(
    proxy: Proxy,
    server: Server,
    listeners: Vec<TcpListener>,
    running: Running,
    stop: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let gate = proxy.gate().clone();
    tokio::spawn(async move {
        stop.await;
        tracing::info!("asked to stop: no new connections, what is under way is finished");
        gate.drain();
        running.stop.cancel();
    });
    let service = move |request| {
        let proxy = proxy.clone();
        async move {
            let asked = Asked::of(&request);
            let response = proxy.handle(request).await;
            if let Some(asked) = asked {
                asked.decided(&response);
            }
            response
        }
    };
    server.run(listeners, service).await
}

/// Asks the provider early, so that a mistake shows in the log at the start and
/// not when the first person wants in.
async fn discover(gate: Gate) {
    match gate.discover().await {
        Ok(()) => tracing::info!("the provider answers"),
        Err(reason) if reason.is_passing() => {
            tracing::warn!(%reason, "the provider does not answer yet; sign-ins are answered with 503 until it does");
        }
        Err(reason) => tracing::error!(%reason, "the provider cannot be used; nobody can sign in"),
    }
}
