//! What is stored: keys, how long they last, and what that costs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use huggate::store::{
    Cursor, OwnerKey, RedisSettings, RedisStore, Revision, SessionKey, SessionRecord, SessionStore,
};
use tokio::task::JoinSet;

use crate::redis_server::RedisServer;
use crate::sessions::{LASTS, NOW, key, owner, record, record_of, store};

/// The time to live of each key, in seconds.
fn lifetimes(server: &RedisServer) -> Vec<(String, i64)> {
    let names = server.cli(&["--scan"]);
    let lifetime = |name: &str| server.cli(&["PTTL", name]).trim().parse::<i64>().unwrap() / 1000;
    names.lines().map(|name| (name.to_owned(), lifetime(name))).collect()
}

/// The sessions of a list, page by page, each listed once.
async fn listed(store: &RedisStore, of: Option<OwnerKey>) -> BTreeSet<SessionKey> {
    let (mut keys, mut after): (_, Option<Cursor>) = (BTreeSet::new(), None);
    loop {
        let page = store.list(of, after, NOW).await.unwrap();
        for (key, _) in page.sessions {
            assert!(keys.insert(key), "{key:?} is listed twice");
        }
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

/// The number of commands that a server ran, without those of the tests.
fn commands(server: &RedisServer) -> usize {
    let text = server.cli(&["INFO", "commandstats"]);
    let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<usize>().ok();
    let ours = |line: &&str| {
        line.starts_with("cmdstat_")
            && !line.starts_with("cmdstat_config")
            && !line.starts_with("cmdstat_info")
    };
    text.lines().filter(ours).filter_map(calls).sum()
}

async fn fill(store: &RedisStore, numbers: std::ops::Range<u32>, record: impl Fn(u32) -> SessionRecord) {
    let mut tasks = JoinSet::new();
    for number in numbers {
        let (store, record) = (store.clone(), record(number));
        tasks.spawn(async move { store.create(key(number), record, NOW).await.unwrap() });
        if tasks.len() >= 64 {
            tasks.join_next().await.unwrap().unwrap();
        }
    }
    tasks.join_all().await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn every_key_lasts_as_long_as_its_longest_session_and_no_longer() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()).prefix("app:"));
    let mut long = record(1);
    long.expires = NOW + 10 * LASTS;
    store.create(key(1), long, NOW).await.unwrap();
    store.create(key(2), record(1), NOW).await.unwrap();
    store.create(key(3), record(2), NOW).await.unwrap();
    let lasts = |name: String| {
        let lifetimes = lifetimes(&server);
        lifetimes.iter().find(|(other, _)| *other == name).map(|(_, seconds)| *seconds).unwrap()
    };
    let session = |number: u32| format!("app:s:{}", key(number));
    let of = |number: u32| format!("app:o:{}", SessionKey::from_bytes(*owner(number).as_bytes()));
    let about = |seconds: i64, expected: u64| {
        // Clocks are up to a minute apart, on either side.
        let expected = i64::try_from(expected).unwrap();
        assert!((expected + 60..=expected + 120).contains(&seconds), "{seconds} for {expected}");
    };
    about(lasts(session(1)), 10 * LASTS);
    about(lasts(session(2)), LASTS);
    about(lasts(of(1)), 10 * LASTS);
    about(lasts(of(2)), LASTS);
    about(lasts("app:a:03".to_owned()), LASTS);
    // A touch and an update lengthen, and do not shorten.
    store.touch(key(3), NOW + 1, NOW + 2 * LASTS, NOW).await.unwrap();
    for name in [session(3), of(2), "app:a:03".to_owned()] {
        about(lasts(name), 2 * LASTS);
    }
    store.touch(key(3), NOW + 1, NOW + 1, NOW).await.unwrap();
    store.update(key(3), Revision::FIRST, record(2), NOW).await.unwrap();
    for name in [session(3), of(2), "app:a:03".to_owned()] {
        about(lasts(name), 2 * LASTS);
    }
    // An update that moves a session to another owner, as a rotation does.
    store.update(key(3), Revision::FIRST.next(), record(5), NOW).await.unwrap();
    about(lasts(of(5)), 2 * LASTS);
    let all = lifetimes(&server);
    assert!(all.iter().all(|(name, seconds)| name.starts_with("app:") && *seconds > 0), "{all:?}");
    assert!(!all.iter().any(|(name, _)| *name == of(2)), "{all:?}");
    for number in 1..=3 {
        assert!(store.end(key(number)).await.unwrap());
    }
    assert_eq!(lifetimes(&server), []);
}

/// The clock of one gate is a minute behind, that of another one a minute ahead.
#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn the_clock_of_the_gate_counts() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    store.create(key(1), record(1), NOW + 60).await.unwrap();
    store.touch(key(1), NOW, NOW + LASTS, NOW + 60).await.unwrap();
    let name = format!("huggate:s:{}", key(1));
    let lifetime: u64 = server.cli(&["TTL", &name]).trim().parse().unwrap();
    // In the eyes of the other gate it lasts until NOW + LASTS.
    assert!(lifetime > LASTS - 60 + 60, "{lifetime}");
    // A session without an end in sight has a time to live as well.
    let mut endless = record(2);
    endless.expires = u64::MAX;
    store.create(key(2), endless, NOW).await.unwrap();
    store.touch(key(2), u64::MAX, u64::MAX, NOW).await.unwrap();
    assert!(lifetimes(&server).iter().all(|(_, seconds)| *seconds > 0));
    assert!(store.load(key(2), u64::MAX - 1).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_list_of_a_person_costs_what_the_person_has() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    fill(&store, 0..10_000, |number| record(1000 + number % 500)).await;
    fill(&store, 10_000..10_003, |_| record(1)).await;
    fill(&store, 20_000..20_250, |_| record(2)).await;
    server.cli(&["CONFIG", "RESETSTAT"]);
    assert_eq!(listed(&store, Some(owner(1))).await.len(), 3);
    assert_eq!(commands(&server), 4, "one for the index, and one for each session");
    server.cli(&["CONFIG", "RESETSTAT"]);
    assert_eq!(listed(&store, Some(owner(2))).await.len(), 250);
    assert_eq!(commands(&server), 252, "one more for the second page");
    server.cli(&["CONFIG", "RESETSTAT"]);
    store.load(key(5), NOW).await.unwrap().unwrap();
    assert_eq!(commands(&server), 1);
    let all = listed(&store, None).await;
    assert_eq!(all.len(), 10_253);
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn what_a_list_names_and_is_not_there_is_listed_when_it_is() {
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()));
    fill(&store, 0..20, |_| record(1)).await;
    let index = server.cli(&["KEYS", "huggate:o:*"]).trim().to_owned();
    let names = |index: &str| server.cli(&["ZCARD", index]).trim().to_owned();
    // As between the two writes of a session that begins, or when Redis dropped a key.
    let moved = |from: &str, to: &str| {
        for number in 0..10 {
            let name = format!("huggate:s:{}", key(number));
            server.cli(&["RENAME", &format!("{name}{from}"), &format!("{name}{to}")]);
        }
    };
    moved("", ":later");
    assert_eq!(listed(&store, Some(owner(1))).await.len(), 10);
    assert_eq!(listed(&store, None).await.len(), 10);
    // Nothing that was begun meanwhile escapes who lists sessions to end them.
    moved(":later", "");
    assert_eq!(listed(&store, Some(owner(1))).await.len(), 20);
    assert_eq!(listed(&store, None).await.len(), 20);
    assert_eq!(names(&index), "20");
    // A person who is never listed has no growing index: a new session drops expired ones.
    let mut later = record(1);
    later.expires = NOW + 5 * LASTS;
    store.create(key(99), later, NOW + 2 * LASTS).await.unwrap();
    assert_eq!(names(&index), "1");
}

/// Prints the figures of the documentation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_usual_session_takes_less_than_two_kilobytes() {
    const SESSIONS: u32 = 100_000;
    let server = RedisServer::single();
    let store = store(&RedisSettings::new(server.url()).timeout(Duration::from_secs(5)));
    let memory = || server.info("memory", "used_memory").unwrap();
    let cpu = || {
        let text = server.cli(&["INFO", "cpu"]);
        let value = |name: &str| {
            text.lines().find_map(|line| line.trim().strip_prefix(name)?.parse::<f64>().ok()).unwrap()
        };
        value("used_cpu_user:") + value("used_cpu_sys:")
    };
    store.load(key(0), NOW).await.unwrap();
    let (before, begun) = (memory(), Instant::now());
    let sealed = "s".repeat(1000);
    // Two sessions for each person.
    fill(&store, 0..SESSIONS, |number| {
        let mut record = record_of(owner(number / 2), &sealed);
        record.summary = Bytes::from(vec![b'm'; 150]);
        record
    })
    .await;
    let each = (memory() - before) / u64::from(SESSIONS);
    let wrote = begun.elapsed();
    let (used, begun) = (cpu(), Instant::now());
    for number in 0..5000 {
        store.load(key(number), NOW).await.unwrap().unwrap();
    }
    let one = begun.elapsed() / 5000;
    eprintln!(
        "{each} bytes per session of 1,150 bytes; {SESSIONS} created in {wrote:?}; a load takes {one:?}, \
         {:.1} µs of the server",
        (cpu() - used) / 5000.0 * 1e6,
    );
    assert!(each < 2000, "{each} bytes");
}
