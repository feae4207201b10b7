//! `huggate serve`: the proxy.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use huggate::clock::Clock;
use huggate::config::{Config, Environment};
use huggate::gate::Gate;
use huggate::proxy::Proxy;
use huggate::server::{Listener, Listeners, Running, Server};
use huggate::telemetry::AuditEntry;
use huggate::upstream::Upstream;

use super::admin::AdminListener;
use super::failure::{Failure, with_causes};
use super::file_descriptors::FileDescriptorLimit;
use super::listen::bind;
use super::reload::Reload;
use super::runtime::current_thread_runtime;
use super::shutdown::shutdown_signal;
use super::systemd;

/// Runs until a shutdown signal.
pub(crate) fn run(path: Option<&Path>, environment: Environment) -> Result<String, Failure> {
    let mut config = Config::load_to_serve(path, &environment)
        .map_err(|problems| Failure::Configuration(problems.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let descriptors = FileDescriptorLimit::raise();
    descriptors.cap_connections(&mut config.server);
    // The server's threads answer requests; this one accepts, watches files and reloads.
    current_thread_runtime()?.block_on(async {
        let passed = systemd::activated_sockets().map_err(|error| {
            Failure::Run(format!("the sockets that systemd passed (LISTEN_FDS) cannot be used: {error}"))
        })?;
        let running = Running::default();
        let files = config.files.clone();
        let admin = config.admin.clone();
        let prepared = prepare(config, &running, passed)?;
        let admin = AdminListener::start(admin, &prepared.proxy).await?;
        tokio::spawn(discover(prepared.proxy.load().gate().clone()));
        let reload = Reload {
            path: path.map(Path::to_owned),
            environment,
            descriptors,
            proxy: Arc::clone(&prepared.proxy),
            server: prepared.server.clone(),
            listeners: prepared.listeners.clone(),
            own_listeners: prepared.own_listeners,
            running: running.clone(),
            admin,
        };
        let watching = tokio::spawn(reload.watch(files));
        systemd::notify_ready();
        let Prepared { proxy, server, listeners, .. } = prepared;
        let finished = until_stopped(proxy, server, listeners, running, shutdown_signal()).await;
        watching.abort();
        if !finished {
            tracing::warn!("some requests did not finish within timeouts.drain and were aborted");
        }
        Ok(String::new())
    })
}

/// Everything that serving needs.
struct Prepared {
    proxy: Arc<ArcSwap<Proxy>>,
    server: Server,
    listeners: Listeners,
    /// Whether the listeners were bound here, not passed by systemd.
    own_listeners: bool,
}

/// Does everything fallible before the first request is accepted.
fn prepare(config: Config, running: &Running, passed: Vec<Listener>) -> Result<Prepared, Failure> {
    let public_url = config.gate.public_url.as_str().to_owned();
    let callback = format!("{public_url}{}/callback", config.gate.prefix);
    let upstream_url = config.upstream.default.to_string();
    let gate = Gate::new(config.gate, Clock::system()).map_err(|error| Failure::configuration(&error))?;
    let upstream =
        Upstream::new(&config.upstream, running).map_err(|error| Failure::configuration(&error))?;
    let own_listeners = passed.is_empty();
    let listeners = if own_listeners { bind(&config.server, &config.server.listen)? } else { passed };
    let server =
        Server::new(config.server, running.clone()).map_err(|error| Failure::configuration(&error))?;
    for listener in &listeners {
        let listen = listener.address();
        tracing::info!(%public_url, %listen, upstream = %upstream_url, %callback, "huggate is ready");
    }
    let proxy = Arc::new(ArcSwap::from_pointee(Proxy::new(gate, upstream)));
    Ok(Prepared { proxy, server, listeners: Listeners::new(listeners), own_listeners })
}

/// Serves until `stop`, then drains; returns whether all requests finished.
pub(super) async fn until_stopped(
    proxy: Arc<ArcSwap<Proxy>>,
    server: Server,
    listeners: Listeners,
    running: Running,
    stop: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let draining = Arc::clone(&proxy);
    tokio::spawn(async move {
        stop.await;
        tracing::info!("shutting down: finishing current requests, accepting no new connections");
        systemd::notify_stopping();
        // Readiness checks must fail before the listeners close.
        draining.load().drain();
        running.stop();
    });
    let service = move |request, context| {
        let entry = AuditEntry::of(&request);
        // Mapped: an async block around the future would hold it twice.
        proxy.load().handle(request, context).map(|response| {
            if let Some(entry) = entry {
                entry.record(&response);
            }
            response
        })
    };
    server.run(listeners, service).await
}

/// Queries the provider at start, so that a mistake shows in the log before the first sign-in.
async fn discover(gate: Gate) {
    let asked = match gate.discover().await {
        Ok(()) => gate.count_provider_keys().await,
        Err(reason) => Err(reason),
    };
    match asked {
        Ok(_) => tracing::info!("the provider is reachable"),
        Err(reason) if reason.is_transient() => {
            let advice = reason.advice();
            tracing::warn!(
                reason = with_causes(&reason),
                advice,
                "the provider is not reachable yet; sign-ins fail until it is"
            );
        }
        Err(reason) => {
            let advice = reason.advice();
            tracing::error!(
                reason = with_causes(&reason),
                advice,
                "the provider cannot be used, so nobody can sign in"
            );
        }
    }
}
