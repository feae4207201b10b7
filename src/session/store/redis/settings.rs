//! How Redis or Valkey is reached.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::keys::SecretString;
use crate::setters::setters;

/// What [`RedisSettings::url`] and [`RedisSettings::nodes`] name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RedisMode {
    /// One server.
    #[default]
    Single,
    /// Some nodes of a cluster; the others are found.
    Cluster,
    /// Sentinels, which say which server is the master.
    Sentinel,
}

/// Where Redis or Valkey is, and how to sign in there. [`RedisStore::new`](super::RedisStore::new)
/// checks it.
///
/// ```
/// use huggate::store::{RedisMode, RedisSettings, RedisStore};
///
/// let settings = RedisSettings::new("redis://sentinel-1:26379")
///     .mode(RedisMode::Sentinel)
///     .nodes(["sentinel-2:26379".to_owned(), "sentinel-3:26379".to_owned()])
///     .master("mymaster");
/// assert!(RedisStore::new(&settings).is_ok());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisSettings {
    /// `redis://` or `rediss://` (TLS), with an optional user, password and database:
    /// `rediss://user:password@host:6379/0`. `Debug` does not show the password.
    pub url: String,
    /// What the addresses name.
    pub mode: RedisMode,
    /// Further nodes of the cluster, or sentinels: `host:port`, or URLs without user and
    /// database, which are those of [`RedisSettings::url`] everywhere.
    pub nodes: Vec<String>,
    /// The sentinels' name of the master.
    pub master: String,
    /// The ACL user, in place of the URL's.
    pub username: Option<String>,
    /// The password, in place of the URL's.
    pub password: Option<SecretString>,
    /// The user at the sentinels.
    pub sentinel_username: Option<String>,
    /// The password of the sentinels. They are not asked with the servers' one.
    pub sentinel_password: Option<SecretString>,
    /// The authorities to trust, in PEM. `None` trusts those of the system.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain, in PEM.
    pub certificate: Option<Vec<u8>>,
    /// The key of [`RedisSettings::certificate`], in PEM.
    pub key: Option<SecretString>,
    /// What the names of all keys and channels begin with: `huggate:`. In a cluster, hash
    /// tags (`{…}`) in it would put all sessions on one node.
    pub prefix: String,
    /// How long one command may take: 500 ms. Connecting may take twice that.
    pub timeout: Duration,
}

impl RedisSettings {
    /// The defaults, with this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            mode: RedisMode::Single,
            nodes: Vec::new(),
            master: "mymaster".to_owned(),
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            ca: None,
            certificate: None,
            key: None,
            prefix: "huggate:".to_owned(),
            timeout: Duration::from_millis(500),
        }
    }

    setters!(
        mode: RedisMode,
        timeout: Duration;
        url: into String,
        nodes: into Vec<String>,
        master: into String,
        username: into Option<String>,
        password: into Option<SecretString>,
        sentinel_username: into Option<String>,
        sentinel_password: into Option<SecretString>,
        ca: into Option<Vec<u8>>,
        certificate: into Option<Vec<u8>>,
        key: into Option<SecretString>,
        prefix: into String,
    );
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<String> = self.nodes.iter().map(|node| without_password(node)).collect();
        f.debug_struct("RedisSettings")
            .field("url", &without_password(&self.url))
            .field("mode", &self.mode)
            .field("nodes", &nodes)
            .field("master", &self.master)
            .field("username", &self.username)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The text up to its user and from its host on. It need not be a URL.
fn without_password(text: &str) -> String {
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}…@{host}")
}

/// Which setting cannot be used, and why.
#[derive(Debug)]
pub struct RedisSettingsError {
    setting: &'static str,
    problem: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RedisSettingsError {
    pub(super) fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self { setting, problem: problem.into(), source: None }
    }

    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The field of [`RedisSettings`].
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// What is wrong with it, and what to do; continues after the field's name.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for RedisSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.setting, self.problem)
    }
}

impl Error for RedisSettingsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
