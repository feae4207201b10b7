//! Settings that cannot be used say so; those that can never connect.

use std::time::Duration;

use huggate::keys::SecretString;
use huggate::store::{RedisMode, RedisSettings, RedisStore};

fn problem(settings: &RedisSettings) -> String {
    RedisStore::new(settings).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_used_is_named_with_its_setting() {
    let one = RedisSettings::new("redis://127.0.0.1:6379");
    let url = |url: &str| RedisSettings::new(url);
    let nodes = |mode, node: &str| one.clone().mode(mode).nodes([node.to_owned()]);
    for (settings, start, part) in [
        (url(""), "`url`", "is not a URL"),
        (url("127.0.0.1:6379"), "`url`", "is not a URL"),
        (url("http://127.0.0.1"), "`url`", "another scheme"),
        (url("redis://"), "`url`", "names no host"),
        (url("redis://host/session"), "`url`", "number of a database"),
        (url("redis://host/-1"), "`url`", "number of a database"),
        (url("redis://host/?db=1"), "`url`", "`?`"),
        (url("redis://host:6379/2").mode(RedisMode::Cluster), "`url`", "a cluster has only 0"),
        (url("redis://user@host"), "`password`", "is missing"),
        (nodes(RedisMode::Single, "host:1"), "`nodes`", "are for the modes"),
        (nodes(RedisMode::Cluster, ":1"), "`nodes`", "number 1"),
        (nodes(RedisMode::Cluster, "rediss://host:1"), "`nodes`", "all have TLS, or none"),
        (nodes(RedisMode::Cluster, "redis://user:s3cret@host:1"), "`nodes`", "has a user"),
        (one.clone().mode(RedisMode::Sentinel).master(""), "`master`", "is empty"),
        (one.clone().prefix(""), "`prefix`", "is empty"),
        (one.clone().timeout(Duration::ZERO), "`timeout`", "1 ms"),
        (one.clone().ca(b"pem".to_vec()), "`ca`", "without TLS"),
        (url("rediss://host").ca(b"pem".to_vec()), "`ca`", "no certificate"),
        (url("rediss://host").certificate(b"pem".to_vec()), "`key`", "is missing"),
        (url("rediss://host").key(SecretString::new("pem")), "`certificate`", "is missing"),
    ] {
        let problem = problem(&settings);
        assert!(problem.starts_with(start) && problem.contains(part), "{settings:?}: {problem}");
        assert!(!problem.contains("s3cret"), "{problem}");
    }
}

#[test]
fn what_can_be_used_needs_no_server() {
    let one = RedisSettings::new("redis://127.0.0.1:1");
    for settings in [
        one.clone(),
        RedisSettings::new("redis://user:p%40ss@[::1]:6379/15"),
        RedisSettings::new("rediss://:s3cret@host"),
        one.clone().mode(RedisMode::Cluster).nodes(["host".to_owned(), "[::1]:7000".to_owned()]),
        one.mode(RedisMode::Sentinel).nodes(["redis://other:26379".to_owned()]).master("main"),
    ] {
        RedisStore::new(&settings).unwrap();
    }
}

#[test]
fn no_secret_is_shown() {
    for url in ["redis://user:s3cret@host:6379/1", "redis://:s3cret@host", "no url, s3cret@host"] {
        let settings = RedisSettings::new(url)
            .password(SecretString::new("s3cret"))
            .sentinel_password(SecretString::new("s3cret"))
            .nodes(["user:s3cret@other:1".to_owned()])
            .key(SecretString::new("s3cret"));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3cret") && shown.contains("host"), "{shown}");
    }
    let store = RedisStore::new(&RedisSettings::new("redis://user:s3cret@host:6379/1")).unwrap();
    assert!(!format!("{store:?}").contains("s3cret"));
}
