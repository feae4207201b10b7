//! Configuration from a TOML file and the environment.
//!
//! The reference is `config.toml` in the repository root: every key with its default and
//! meaning. Variables (`HUGGATE_SESSION__IDLE_TIMEOUT=1h`) override the file, and the file
//! overrides what a Hugging Face Space provides. All problems are reported at once:
//!
//! ```
//! use huggate::config::{Config, Environment};
//!
//! let text = r#"
//!     public_url = "https://app.example.com"
//!     [session]
//!     idle_timeout = "12x"
//! "#;
//! let problems = Config::parse(text, "config.toml", &Environment::default()).unwrap_err().to_string();
//! assert!(problems.contains(
//!     r#"config.toml:4: session.idle_timeout: "12x" is not a duration; write it like "15m", "12h" or "7d""#,
//! ));
//! assert!(problems.contains("config.toml:3: session.secret: is missing"));
//! ```

#[cfg(feature = "proxy")]
mod admin;
mod bearer;
mod consumer;
mod environment;
mod host_bypass;
mod identity;
pub(crate) mod problem;
mod provider;
pub(crate) mod reader;
#[cfg(feature = "redis-store")]
mod redis;
pub(crate) mod routes;
mod rules;
pub(crate) mod schema;
mod secrets;
#[cfg(feature = "proxy")]
mod server;
#[cfg(feature = "proxy")]
mod serving_files;
mod session;
mod source;
mod space;
mod store;
pub(crate) mod suggestion;
pub(crate) mod toml_parser;
mod tree;
pub(crate) mod unknown_keys;
#[cfg(feature = "proxy")]
mod upstream;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

#[cfg(feature = "proxy")]
pub use admin::AdminSettings;
pub use environment::Environment;
pub use problem::{Origin, Problem, Problems};
pub use secrets::EXAMPLE_SECRET;

use crate::client::{PublicUrl, TrustedProxies};
use crate::clock::Clock;
use crate::gate::{BuildError, Gate, GateSettings};
use crate::hooks::Hooks;
use crate::oauth2::ReturnHosts;
use crate::policy::{Access, OwnPrefix, Route};
#[cfg(feature = "proxy")]
use crate::{server::ServerSettings, upstream::UpstreamSettings};
use consumer::Consumer;
use problem::Report;
use reader::{Field, Table};
use space::Space;
use toml_parser::Parsed;

/// The default file.
const DEFAULT_FILE: &str = "config.toml";

/// A loaded configuration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The file; `None` if the configuration is from the environment alone.
    pub file: Option<PathBuf>,
    /// Every file that the configuration depends on, starting with its own.
    pub files: Vec<PathBuf>,
    /// Warnings: valid settings that are probably not intended.
    pub warnings: Vec<Problem>,
    /// Access rules and sign-in.
    pub gate: GateSettings,
    /// The origin of each route in `gate`.
    pub routes_from: Vec<Origin>,
    /// How clients are served.
    #[cfg(feature = "proxy")]
    pub server: ServerSettings,
    /// Where requests are sent.
    #[cfg(feature = "proxy")]
    pub upstream: UpstreamSettings,
    /// The listener for operators, if there is one.
    #[cfg(feature = "proxy")]
    pub admin: Option<AdminSettings>,
}

/// Why [`Gate::from_config`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromConfigError {
    /// The file or a variable has problems.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The provider cannot be used, or the settings contradict each other.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Config {
    /// Loads the file at `path`. Without a path, loads `config.toml` in the working directory,
    /// or the environment alone if it has settings.
    ///
    /// # Errors
    /// [`Problems`]: all problems of the configuration.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, Problems> {
        let found = source::find(path, Path::new(DEFAULT_FILE), environment)?;
        let parts = read(&found.text, &found.name, environment, Consumer::Proxy)?;
        parts.into_config(found.file, &found.name)
    }

    /// The same, and loads the certificates and keys that serving needs, so that their problems
    /// are reported together with all others.
    ///
    /// # Errors
    /// [`Problems`]: all problems of the configuration and of these files.
    #[cfg(feature = "proxy")]
    pub fn load_to_serve(path: Option<&Path>, environment: &Environment) -> Result<Self, Problems> {
        let found = source::find(path, Path::new(DEFAULT_FILE), environment)?;
        let parts = read(&found.text, &found.name, environment, Consumer::Serving)?;
        parts.into_config(found.file, &found.name)
    }

    /// Parses a file's text. `file` is its path: its name in problems, and the base of relative
    /// paths.
    ///
    /// # Errors
    /// [`Problems`]: all problems of the configuration.
    pub fn parse(text: &str, file: &str, environment: &Environment) -> Result<Self, Problems> {
        read(text, file, environment, Consumer::Proxy)?.into_config(Some(file.into()), file)
    }
}

impl Gate {
    /// Creates a gate for the layer from a configuration file and the environment. Settings of
    /// the proxy (`upstream`, `listen`, …) may be missing.
    ///
    /// # Errors
    /// [`FromConfigError`]: all problems of the configuration, or an invalid response of the
    /// provider. An unreachable provider is not an error.
    pub async fn from_config(path: impl AsRef<Path>) -> Result<Self, FromConfigError> {
        let gate = Self::new(GateSettings::from_config(path)?, Clock::default())?;
        gate.discover_at_start().await?;
        Ok(gate)
    }
}

impl GateSettings {
    /// Reads the settings of [`Gate::from_config`] and makes no gate of them: for
    /// [`Gate::prepare_reload`], and for a gate in a test.
    ///
    /// # Errors
    /// [`Problems`]: all problems of the configuration.
    pub fn from_config(path: impl AsRef<Path>) -> Result<Self, Problems> {
        let environment = Environment::of_process();
        let found = source::find(Some(path.as_ref()), Path::new(DEFAULT_FILE), &environment)?;
        let parts = read(&found.text, &found.name, &environment, Consumer::Layer)?;
        for warning in &parts.warnings {
            tracing::warn!("{warning}");
        }
        Ok(parts.gate)
    }
}

/// The parts of a configuration.
struct Parts {
    warnings: Vec<Problem>,
    /// Files other than the configuration file.
    files: Vec<PathBuf>,
    gate: GateSettings,
    routes_from: Vec<Origin>,
    #[cfg(feature = "proxy")]
    server: ServerSettings,
    #[cfg(feature = "proxy")]
    upstream: Option<UpstreamSettings>,
    #[cfg(feature = "proxy")]
    admin: Option<AdminSettings>,
}

impl Parts {
    #[cfg(feature = "proxy")]
    fn into_config(self, file: Option<PathBuf>, name: &str) -> Result<Config, Problems> {
        let upstream = self.upstream.ok_or_else(|| Problems::one(name, "has no upstream".to_owned()))?;
        Ok(Config {
            files: file.iter().cloned().chain(self.files).collect(),
            file,
            warnings: self.warnings,
            gate: self.gate,
            routes_from: self.routes_from,
            server: self.server,
            upstream,
            admin: self.admin,
        })
    }

    #[cfg(not(feature = "proxy"))]
    fn into_config(self, file: Option<PathBuf>, _: &str) -> Result<Config, Problems> {
        let files = file.iter().cloned().chain(self.files).collect();
        Ok(Config { file, files, warnings: self.warnings, gate: self.gate, routes_from: self.routes_from })
    }
}

/// From text to settings: parses, applies the environment, rejects unknown keys, and reads the
/// rest.
fn read(text: &str, file: &str, environment: &Environment, consumer: Consumer) -> Result<Parts, Problems> {
    let Parsed { root: mut tree, errors } = toml_parser::parse_all(text, file);
    let report = Report::new(file).with_syntax_errors(errors);
    #[cfg(feature = "proxy")]
    let report = report.opening_files(consumer == Consumer::Serving);
    environment.apply(&mut tree, &report);
    let space = Space::apply(environment, &mut tree);
    unknown_keys::check(&mut tree, schema::ROOT, &report);
    let root = Table::root(&tree, &report);
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    if consumer != Consumer::Layer {
        root.required("upstream", "say where the app listens, as in upstream = \"http://127.0.0.1:7860\"");
    }
    let parts = parts(&root, folder, space.as_ref(), consumer);
    let files = report.files();
    let (parts, warnings) = report.finish(parts)?;
    Ok(Parts { warnings, files, ..parts })
}

fn parts(root: &Table<'_>, folder: &Path, space: Option<&Space>, consumer: Consumer) -> Option<Parts> {
    let public_url = public_url(root);
    let prefix = prefix(root);
    let access = access(root);
    let deny = root.table("access").field("deny").and_then(|field| rules::rules(&field)).unwrap_or_default();
    let bearer = bearer::read(root);
    let routes = routes::read(root, &prefix, bearer.is_some());
    let session = session::read(root, folder, space, public_url.as_ref());
    let nobody = Access::Rules(Vec::new());
    let allow = access.as_ref().unwrap_or(&nobody);
    host_bypass::warn(root, &routes, allow, consumer);
    #[cfg(feature = "proxy")]
    let route_fields: Vec<Field<'_>> = routes.iter().map(|(_, field)| field.clone()).collect();
    let (routes, routes_from): (Vec<Route>, _) =
        routes.into_iter().map(|(route, field)| (route, field.origin())).unzip();
    let rules = provider::Rules { access: allow, deny: &deny, routes: &routes };
    let provider = provider::read(root, folder, space, &rules);
    let (headers, assertion) = identity::read(root);
    let trusted_proxies = trusted_proxies(root);
    let return_hosts = return_hosts(root);
    #[cfg(feature = "proxy")]
    let server = server::server(root, folder, &trusted_proxies);
    #[cfg(feature = "proxy")]
    let upstream = upstream::upstream(root, folder, &route_fields, &server::ports(&server.listen));
    #[cfg(feature = "proxy")]
    let admin = admin::read(root, folder, &server::ports(&server.listen));
    Some(Parts {
        warnings: Vec::new(),
        files: Vec::new(),
        routes_from,
        gate: GateSettings {
            public_url: public_url?,
            prefix,
            provider: provider?,
            session: session?,
            access: access?,
            deny,
            routes,
            headers,
            assertion,
            return_hosts,
            trusted_proxies,
            bearer,
            hooks: Hooks::default(),
        },
        #[cfg(feature = "proxy")]
        server,
        #[cfg(feature = "proxy")]
        upstream,
        #[cfg(feature = "proxy")]
        admin,
    })
}

fn public_url(root: &Table<'_>) -> Option<PublicUrl> {
    let field =
        root.required("public_url", "set the URL that people open, as in \"https://app.example.com\"")?;
    let url = field.parse(PublicUrl::parse)?;
    if !url.is_https() && !url.is_loopback() {
        field.warn("is http: anybody on the network can read and steal sessions");
    }
    Some(url)
}

fn prefix(root: &Table<'_>) -> String {
    let prefix = root.field("prefix").and_then(|field| {
        field.parse(|text| {
            let why = "is not a plain path; write it like \"/oauth2\", with letters, digits, - and _";
            if OwnPrefix::parse(text).is_some() { Ok(text.to_owned()) } else { Err(why) }
        })
    });
    prefix.unwrap_or_else(|| "/oauth2".to_owned())
}

fn access(root: &Table<'_>) -> Option<Access> {
    let how = r#"say who may enter, as in allow = [{ org = "acme" }], or allow = "anyone""#;
    rules::access(&root.table("access").required("allow", how)?)
}

fn trusted_proxies(root: &Table<'_>) -> TrustedProxies {
    let list = root.field("trusted_proxies").and_then(|field| field.list()).unwrap_or_default();
    // "unix" means every peer of a unix listener.
    let (unix, list): (Vec<_>, Vec<_>) = list.into_iter().partition(|field| field.as_text() == Some("unix"));
    let network = |field: &Field<'_>| {
        let network = field.parse(|text| {
            let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
            text.parse()
                .ok()
                .or_else(address)
                .ok_or("is not a network; write it like \"10.0.0.0/8\", or \"unix\"")
        })?;
        if network.prefix_len() == 0 {
            field.warn("contains every address: any client can claim any address");
        }
        Some(network)
    };
    let trusted = TrustedProxies::new(list.iter().filter_map(network).collect());
    if unix.is_empty() { trusted } else { trusted.with_unix_sockets() }
}

fn return_hosts(root: &Table<'_>) -> ReturnHosts {
    let list = root.field("return_hosts").and_then(|field| field.list()).unwrap_or_default();
    let mut fine = Vec::new();
    for field in &list {
        if field.parse(|text| ReturnHosts::parse([text])).is_some() {
            fine.extend(field.as_text());
        }
    }
    ReturnHosts::parse(fine).unwrap_or_default()
}

#[cfg(test)]
mod tests;
