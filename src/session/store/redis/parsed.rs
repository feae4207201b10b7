//! Settings that were checked.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::endpoint::Endpoint;
use super::settings::{RedisMode, RedisSettings, RedisSettingsError};
use crate::keys::SecretString;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// The longest prefix. It is part of every key.
const MAX_PREFIX: usize = 200;

/// User and password for one kind of server.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
}

/// What [`RedisSettings`] say of addresses and users.
pub(super) struct Parsed {
    pub(super) has_tls: bool,
    /// That of the URL, then the nodes.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) credentials: Credentials,
    pub(super) sentinel_credentials: Credentials,
    pub(super) database: i64,
}

impl Parsed {
    pub(super) fn of(settings: &RedisSettings) -> Result<Self, RedisSettingsError> {
        check(settings)?;
        let port = if settings.mode == RedisMode::Sentinel { SENTINEL_PORT } else { PORT };
        let url = parse_url(&settings.url).map_err(|problem| RedisSettingsError::new("url", problem))?;
        let database = database(&url).map_err(|problem| RedisSettingsError::new("url", problem))?;
        if settings.mode == RedisMode::Cluster && database != 0 {
            return Err(RedisSettingsError::new(
                "url",
                "names a database, and a cluster has only 0: leave it out",
            ));
        }
        let has_tls = url.scheme() == "rediss";
        let mut endpoints = vec![endpoint(&url, port)];
        for (index, node) in settings.nodes.iter().enumerate() {
            let node = parse_node(node, has_tls, port).map_err(|problem| {
                RedisSettingsError::new(
                    "nodes",
                    format!("has an entry, number {}, that {problem}", index + 1),
                )
            })?;
            if !endpoints.contains(&node) {
                endpoints.push(node);
            }
        }
        let username = settings.username.clone().or_else(|| decoded(url.username()));
        let password = settings.password.clone();
        let password = password.or_else(|| url.password().and_then(decoded).map(SecretString::new));
        if username.is_some() && password.is_none() {
            let problem = "is missing, and there is a user name: set both, or leave the user out";
            return Err(RedisSettingsError::new("password", problem));
        }
        let sentinel_credentials = Credentials {
            username: settings.sentinel_username.clone(),
            password: settings.sentinel_password.clone(),
        };
        let credentials = Credentials { username, password };
        Ok(Self { has_tls, endpoints, credentials, sentinel_credentials, database })
    }
}

/// What can be said without parsing.
fn check(settings: &RedisSettings) -> Result<(), RedisSettingsError> {
    let wrong = |setting, problem: &str| Err(RedisSettingsError::new(setting, problem));
    if settings.timeout < Duration::from_millis(1) || settings.timeout > Duration::from_secs(60) {
        return wrong("timeout", "is not between 1 ms and 60 s");
    }
    if settings.prefix.is_empty() || settings.prefix.len() > MAX_PREFIX {
        return wrong("prefix", "is empty or longer than 200 bytes: choose one such as `huggate:`");
    }
    match settings.mode {
        RedisMode::Single if !settings.nodes.is_empty() => {
            wrong("nodes", "are for the modes `cluster` and `sentinel`: set `mode`, or leave them out")
        }
        RedisMode::Sentinel if settings.master.is_empty() => {
            wrong("master", "is empty: give the name from the sentinels' `sentinel monitor NAME …`")
        }
        RedisMode::Single | RedisMode::Cluster | RedisMode::Sentinel => Ok(()),
    }
}

/// The problem continues after the name of the setting, and repeats nothing of the URL,
/// which may contain a password.
fn parse_url(text: &str) -> Result<Url, &'static str> {
    const FORM: &str = "is not a URL: write `redis://host:6379`, or `rediss://host:6379` for TLS";
    let url = Url::parse(text).map_err(|_| FORM)?;
    match url.scheme() {
        "redis" | "rediss" => {}
        _ => return Err("has another scheme than `redis` and `rediss`"),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host: write `redis://host:6379`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(
            "has a `?` or `#`, which have no meaning here: write them as `%3F` and `%23` in a password",
        );
    }
    Ok(url)
}

fn database(url: &Url) -> Result<i64, &'static str> {
    match url.path().trim_start_matches('/') {
        "" => Ok(0),
        number => match number.parse() {
            Ok(number @ 0..) => Ok(number),
            _ => Err("has a path that is not the number of a database, such as `/0`"),
        },
    }
}

fn parse_node(text: &str, has_tls: bool, port: u16) -> Result<Endpoint, &'static str> {
    let url = if text.contains("://") {
        let url = parse_url(text)?;
        if (url.scheme() == "rediss") != has_tls {
            return Err("has another scheme than `url`: all have TLS, or none");
        }
        url
    } else {
        let bare = Url::parse(&format!("redis://{text}"));
        let named = |url: &Url| url.host_str().is_some_and(|host| !host.is_empty());
        bare.ok().filter(named).ok_or("is neither `host:port` nor a URL")?
    };
    if !url.username().is_empty() || url.password().is_some() || !matches!(url.path(), "" | "/") {
        return Err("has a user, a password or a path: those of `url` hold for all nodes");
    }
    Ok(endpoint(&url, port))
}

fn endpoint(url: &Url, port: u16) -> Endpoint {
    Endpoint::new(url.host_str().unwrap_or_default(), url.port().unwrap_or(port))
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    Some(decoded.into_owned()).filter(|text| !text.is_empty())
}
