//! Servers that are away, hang, forget, or are not the ones meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use huggate::keys::SecretString;
use huggate::store::{
    Notice, Notices, RedisMode, RedisSettings, RedisStore, Revision, SessionStore, StoreError, Update,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::redis_server::{Certificates, RedisCluster, RedisServer};
use crate::sessions::{NOW, causes, content, key, owner, record, store, until, until_it_answers};

/// One command, connecting, and a second of a machine that is busy.
const PATIENCE: Duration = Duration::from_millis(2500);

async fn failure(store: &RedisStore) -> StoreError {
    let begun = Instant::now();
    let error = store.load(key(0), NOW).await.unwrap_err();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    error
}

/// A call fails as a store that is away, and says why.
async fn is_unavailable(settings: &RedisSettings, reason: &str) {
    let error = failure(&store(settings)).await;
    assert!(error.is_unavailable() && causes(&error).contains(reason), "{reason}: {}", causes(&error));
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_server_that_forgot_everything_has_no_session_and_takes_new_ones() {
    let mut server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    store.create(key(1), record(1), NOW).await.unwrap();
    server.kill();
    assert!(failure(&store).await.is_unavailable());
    server.start_again();
    until_it_answers(&store, PATIENCE).await;
    assert_eq!(content(&store, key(1)).await, None);
    // The scripts are gone as well; each of these finds that out.
    store.touch(key(1), NOW, NOW + 1, NOW).await.unwrap();
    store.create(key(1), record(1), NOW).await.unwrap();
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.update(key(1), Revision::FIRST, record(1), NOW).await.unwrap(), Update::Done);
    server.cli(&["SCRIPT", "FLUSH"]);
    assert!(store.end(key(1)).await.unwrap());
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_server_that_hangs_is_left_after_the_timeout_and_taken_again() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    store.create(key(1), record(1), NOW).await.unwrap();
    server.pause();
    let begun = Instant::now();
    let error = store.load(key(1), NOW).await.unwrap_err();
    let took = begun.elapsed();
    assert!(error.is_unavailable() && took < Duration::from_millis(900), "{took:?}: {}", causes(&error));
    // Later ones wait for a connection at most, and most of them for nothing.
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(store.load(key(1), NOW).await.is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.resume();
    until_it_answers(&store, PATIENCE).await;
    assert!(content(&store, key(1)).await.is_some());
}

/// The gate drops calls after its own limit, which may be shorter than that of the store.
#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_connection_that_hangs_is_noticed_though_calls_are_dropped() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()).timeout(Duration::from_secs(20)));
    store.create(key(1), record(1), NOW).await.unwrap();
    server.pause();
    timeout(Duration::from_millis(200), store.load(key(1), NOW)).await.unwrap_err();
    // The connection was closed: it is no longer counted once the server runs again.
    server.resume();
    until_it_answers(&store, PATIENCE).await;
    assert_eq!(server.info("stats", "total_connections_received").map(|count| count >= 2), Some(true));
}

#[tokio::test]
async fn calls_share_one_attempt_to_connect_and_then_fail_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    // It accepts, and never says anything.
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let store = store(&RedisSettings::new(url).timeout(Duration::from_millis(100)));
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let store = store.clone();
        calls.spawn(async move { store.load(key(1), NOW).await.is_err() });
    }
    let begun = Instant::now();
    assert!(calls.join_all().await.into_iter().all(|failed| failed));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    let begun = Instant::now();
    let mut failed = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(store.load(key(1), NOW).await.is_err());
        failed += 1;
        tokio::task::yield_now().await;
    }
    // 200 ms for each attempt, and pauses that grow to a second.
    let attempts = accepted.load(Ordering::SeqCst);
    assert!(failed > 1000 && (3..12).contains(&attempts), "{failed} calls, {attempts} connections");
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn all_calls_share_one_connection() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    let before = server.info("stats", "total_connections_received").unwrap();
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        calls.spawn(async move { store.create(key(number), record(number), NOW).await });
    }
    assert!(calls.join_all().await.into_iter().all(|created| created.is_ok()));
    // The other one is that of the question.
    assert_eq!(server.info("stats", "total_connections_received"), Some(before + 2));
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_closed_connection_is_opened_again() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    for _ in 0..5 {
        until_it_answers(&store, PATIENCE).await;
        server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    until_it_answers(&store, PATIENCE).await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn wrong_users_modes_and_addresses_say_what_is_wrong() {
    let closed = RedisServer::with(&["--requirepass", "right"]);
    let open = RedisServer::single();
    let cluster = RedisCluster::start();
    let at = |server: &RedisServer| RedisSettings::new(server.url());
    let wrong = at(&closed).password(SecretString::new("wrong"));
    is_unavailable(&at(&closed), "NOAUTH").await;
    is_unavailable(&wrong, "check `username` and `password`").await;
    is_unavailable(&at(&closed).username("nobody".to_owned()).password(SecretString::new("x")), "refused")
        .await;
    is_unavailable(&at(&open).mode(RedisMode::Cluster), "set `mode` to `single`").await;
    is_unavailable(&at(&open).mode(RedisMode::Sentinel), "is not a sentinel").await;
    is_unavailable(&RedisSettings::new("redis://127.0.0.1:1"), "cannot connect to 127.0.0.1:1").await;
    let wrong = store(&at(&cluster.nodes[0]));
    let mut errors = Vec::new();
    for number in 0..10 {
        errors.extend(wrong.load(key(number), NOW).await.err());
    }
    assert!(errors.iter().all(|error| causes(error).contains("set `mode` to `cluster`")) && errors.len() > 2);
    // The right password helps without a restart.
    let store = store(&at(&closed));
    assert!(failure(&store).await.is_unavailable());
    closed.cli(&["-a", "right", "CONFIG", "SET", "requirepass", ""]);
    until_it_answers(&store, PATIENCE).await;
    open.cli(&["ACL", "SETUSER", "default", "resetkeys", "~other:*"]);
    is_unavailable(&at(&open), "NOPERM").await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_certificate_that_does_not_count_is_an_error() {
    let (tls, other) = (Certificates::issue(), Certificates::issue());
    let server = tls.server();
    let url = || RedisSettings::new(format!("rediss://{}", server.address()));
    is_unavailable(&url().ca(other.ca.clone().into_bytes()), "cannot connect").await;
    is_unavailable(&url().ca(tls.ca.clone().into_bytes()), "").await;
    is_unavailable(&RedisSettings::new(server.url()), "").await;
    let plain = RedisServer::single();
    let settings = RedisSettings::new(format!("rediss://{}", plain.address()));
    is_unavailable(&settings.ca(tls.ca.clone().into_bytes()), "has it TLS").await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn garbage_in_our_keys_is_an_error_and_hides_nothing_else() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    store.create(key(1), record(7), NOW).await.unwrap();
    store.create(key(2), record(7), NOW).await.unwrap();
    let name = format!("huggate:s:{}", key(1));
    let long = "x".repeat(100_000);
    let next_version = format!("\u{2}{}", "y".repeat(60));
    for value in ["", "x", "\u{1}", "\u{1}23456789012345678901234567890123456789012345", &next_version, &long]
    {
        server.cli(&["SET", &name, value]);
        for error in [
            store.load(key(1), NOW).await.map(|_| ()).err(),
            store.update(key(1), Revision::FIRST, record(7), NOW).await.map(|_| ()).err(),
        ] {
            let Some(error) = error else {
                // Redis has no difference between an empty string and none.
                assert!(value.len() != 100_000, "{value:?}");
                continue;
            };
            assert!(!error.is_unavailable() && causes(&error).contains(&name), "{}", causes(&error));
        }
        store.touch(key(1), NOW + 5, NOW + 1000, NOW).await.unwrap();
        let page = store.list(Some(owner(7)), None, NOW).await.unwrap();
        assert!(page.sessions.iter().any(|(listed, _)| *listed == key(2)), "{value:?}");
        store.list(None, None, NOW).await.unwrap();
    }
    assert!(store.create(key(1), record(7), NOW).await.is_err());
    assert!(store.end(key(1)).await.unwrap());
    store.create(key(1), record(7), NOW).await.unwrap();
    server.cli(&["DEL", &name]);
    server.cli(&["LPUSH", &name, "x"]);
    let error = store.load(key(1), NOW).await.unwrap_err();
    assert!(error.is_unavailable() && causes(&error).contains("WRONGTYPE"), "{}", causes(&error));
    assert!(store.touch(key(1), NOW, NOW + 1, NOW).await.is_err());
    assert!(store.update(key(1), Revision::FIRST, record(7), NOW).await.is_err());
    assert!(store.end(key(1)).await.unwrap());
    let index = server.cli(&["KEYS", "huggate:o:*"]).trim().to_owned();
    server.cli(&["ZADD", &index, "5", "short", "6", &"l".repeat(40)]);
    server.cli(&["SET", &format!("huggate:a:{:02x}", 2), "x"]);
    assert_eq!(store.list(Some(owner(7)), None, NOW).await.unwrap().sessions.len(), 1);
    assert!(store.list(None, None, NOW).await.is_err());
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_full_server_refuses_writes_and_answers_reads() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    store.create(key(1), record(1), NOW).await.unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "1000"]);
    let error = store.create(key(2), record(2), NOW).await.unwrap_err();
    assert!(!error.is_unavailable() && causes(&error).contains("maxmemory"), "{}", causes(&error));
    assert!(content(&store, key(1)).await.is_some());
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_watch_ends_when_its_server_hangs_and_skips_what_it_does_not_know() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    let (told, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let watching = store.clone();
    let watch = tokio::spawn(async move {
        watching.watch(Notices::new(move |notice| told.send(notice).unwrap_or_default())).await
    });
    assert_eq!(timeout(PATIENCE, notices.recv()).await.unwrap(), Some(Notice::Missed));
    // One of a newer version is a change of something.
    server.cli(&["PUBLISH", "huggate:changes", "zzz"]);
    assert_eq!(timeout(PATIENCE, notices.recv()).await.unwrap(), Some(Notice::Missed));
    let begun = Instant::now();
    server.pause();
    let error = timeout(Duration::from_secs(5), watch).await.unwrap().unwrap();
    assert!(error.is_unavailable() && begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    server.resume();
    until(PATIENCE, "the subscription is closed", async || {
        server.cli(&["PUBSUB", "NUMSUB", "huggate:changes"]).trim().ends_with('0')
    })
    .await;
}
