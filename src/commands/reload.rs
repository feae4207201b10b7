//! Reloading the configuration and its files without dropping requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use huggate::config::{Config, Environment};
use huggate::proxy::Proxy;
use huggate::server::{ListenAddress, Listeners, Running, Server};
use tokio::signal::unix::{SignalKind, signal};

use super::admin::AdminListener;
use super::failure::Failure;
use super::file_descriptors::FileDescriptorLimit;
use super::listen::bind;
use super::systemd;

/// How often the files are checked. Polling also detects changes of mounts, symbolic links and
/// renames, as Kubernetes makes them.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What a reload needs, and what it replaces.
pub(super) struct Reload {
    pub(super) path: Option<PathBuf>,
    pub(super) environment: Environment,
    pub(super) descriptors: FileDescriptorLimit,
    pub(super) proxy: Arc<ArcSwap<Proxy>>,
    pub(super) server: Server,
    pub(super) listeners: Listeners,
    pub(super) own_listeners: bool,
    pub(super) admin: AdminListener,
    /// Reloads stop at shutdown.
    pub(super) running: Running,
}

/// Modification time, size and inode.
type FileStamp = Option<(SystemTime, u64, u64)>;

impl Reload {
    /// Reloads on SIGHUP, and when one of `files` has changed and been stable for an interval.
    pub(super) async fn watch(self, mut files: Vec<PathBuf>) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut known = stamps(&files);
        let mut before = known.clone();
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => drop(hangup.recv().await),
                    None => std::future::pending().await,
                }
            };
            let changed = tokio::select! {
                () = self.running.stopped() => return,
                () = asked => true,
                () = tokio::time::sleep(POLL_INTERVAL) => {
                    let now = stamps(&files);
                    // Unchanged since the last check: the writer is done.
                    let settled = now == before && now != known;
                    before = now;
                    settled
                }
            };
            if !changed {
                continue;
            }
            // Taken before the files are read, so that changes during the reload are detected.
            let seen = stamps(&files);
            systemd::notify_reloading();
            match self.reload() {
                Ok(read) => {
                    known = if read == files { seen } else { stamps(&read) };
                    files = read;
                    tracing::info!("the configuration was reloaded");
                }
                Err(Failure::Configuration(why) | Failure::Run(why)) => {
                    known = seen;
                    for line in why.lines() {
                        tracing::error!("{line}");
                    }
                    tracing::error!("reloading failed; the previous configuration stays in effect");
                }
            }
            systemd::notify_ready();
            before = known.clone();
        }
    }

    /// Everything fallible happens before anything is replaced.
    fn reload(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut config = Config::load_to_serve(self.path.as_deref(), &self.environment)
            .map_err(|problems| Failure::configuration(&problems))?;
        self.descriptors.cap_connections(&mut config.server);
        let current = self.proxy.load();
        let gate =
            current.gate().prepare_reload(config.gate).map_err(|error| Failure::configuration(&error))?;
        let upstream =
            current.upstream().reloaded(&config.upstream).map_err(|error| Failure::configuration(&error))?;
        let wanted = config.server.listen.clone();
        let open = self.listeners.configured();
        let missing: Vec<ListenAddress> =
            wanted.iter().filter(|address| !open.contains(address)).cloned().collect();
        let new = if self.own_listeners { bind(&config.server, &missing)? } else { Vec::new() };
        self.server.reload(config.server).map_err(|error| Failure::configuration(&error))?;
        self.admin.reload(config.admin);
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for listener in &new {
            tracing::info!(listen = %listener.address(), "listening on a new address");
        }
        self.proxy.store(Arc::new(Proxy::new(gate.activate(), upstream)));
        if self.own_listeners {
            self.listeners.replace(|address| wanted.contains(address), new);
        }
        Ok(config.files)
    }
}

fn stamps(files: &[PathBuf]) -> Vec<FileStamp> {
    use std::os::unix::fs::MetadataExt;

    let one = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    files.iter().map(one).collect()
}
