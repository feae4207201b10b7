//! Another master, as sentinels choose it.

use std::time::{Duration, Instant};

use huggate::store::{Notice, Notices, RedisMode, RedisSettings, RedisStore, Revision, SessionStore, Update};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{sleep, timeout};

use crate::redis_server::{RedisServer, SentinelSet};
use crate::sessions::{NOW, content, key, owner, record, record_of, store, until};

/// A second until the sentinels miss the master, and a few for their election.
const FAILED_OVER: Duration = Duration::from_secs(20);
const SESSIONS: u32 = 50;

fn settings(set: &SentinelSet) -> RedisSettings {
    let nodes = set.nodes();
    RedisSettings::new(format!("redis://{}", nodes[0])).mode(RedisMode::Sentinel).nodes(nodes[1..].to_vec())
}

/// Stores sessions, and waits until the replica has them. Redis acknowledges a write before
/// that, so that a failover may lose what was written last.
async fn stored_everywhere(set: &SentinelSet, store: &RedisStore) {
    for number in 0..SESSIONS {
        store.create(key(number), record(number), NOW).await.unwrap();
    }
    let offset = |server: &RedisServer| server.info("replication", "master_repl_offset");
    let [one, other] = &set.servers[..] else { unreachable!("there are two") };
    let count = |server: &RedisServer| server.cli(&["DBSIZE"]);
    until(FAILED_OVER, "the replica has all", async || {
        offset(one) == offset(other) && count(one) == count(other)
    })
    .await;
}

/// Watches as the gate does: again and again.
fn watched(store: &RedisStore) -> UnboundedReceiver<Notice> {
    let (told, notices) = mpsc::unbounded_channel();
    let store = store.clone();
    tokio::spawn(async move {
        while !told.is_closed() {
            let told = told.clone();
            store.watch(Notices::new(move |notice| told.send(notice).unwrap_or_default())).await;
            sleep(Duration::from_millis(100)).await;
        }
    });
    notices
}

/// Uses the store through a failover: no call says that a session is gone, and soon all are
/// answered again.
async fn survives(store: &RedisStore, old: u16, master: impl Fn() -> u16) -> Duration {
    let begun = Instant::now();
    let mut written = 0;
    // Sessions that were there are there, or nothing is known.
    while master() == old || written == 0 {
        assert!(begun.elapsed() < FAILED_OVER, "no other master took a write in {:?}", begun.elapsed());
        for number in 0..SESSIONS {
            if let Ok(stored) = store.load(key(number), NOW).await {
                assert!(stored.is_some(), "session {number} is lost");
            }
        }
        let fresh = record_of(owner(1), "written while the master changed");
        if master() != old {
            written += usize::from(store.update(key(0), Revision::FIRST, fresh, NOW).await.is_ok());
        }
        sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

async fn is_told_of_an_update(store: &RedisStore, notices: &mut UnboundedReceiver<Notice>) {
    let changed = Notice::Changed(key(5), Revision::FIRST.next());
    until(FAILED_OVER, "the watch is at the new master", async || {
        while notices.try_recv().is_ok() {}
        let ended =
            store.create(key(999), record(999), NOW).await.is_ok() && store.end(key(999)).await.is_ok();
        let told = timeout(Duration::from_millis(500), notices.recv()).await;
        ended && told == Ok(Some(Notice::Ended(key(999))))
    })
    .await;
    let update = store.update(key(5), Revision::FIRST, record(5), NOW).await.unwrap();
    assert_eq!(update, Update::Done);
    let told = async { while notices.recv().await != Some(changed) {} };
    timeout(Duration::from_secs(2), told).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_failover_that_was_asked_for_costs_no_session() {
    let set = SentinelSet::start();
    let store = store(&settings(&set));
    let mut notices = watched(&store);
    stored_everywhere(&set, &store).await;
    let old = set.servers[set.master()].port;
    let said = set.sentinels[0].cli(&["SENTINEL", "FAILOVER", "mymaster"]);
    assert!(said.contains("OK"), "{said}");
    let took = survives(&store, old, || set.servers[set.master()].port).await;
    eprintln!("another master took writes after {took:?}");
    for number in 1..SESSIONS {
        assert!(content(&store, key(number)).await.is_some(), "{number}");
    }
    is_told_of_an_update(&store, &mut notices).await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_killed_master_is_replaced_within_seconds() {
    let mut set = SentinelSet::start();
    let store = store(&settings(&set));
    let mut notices = watched(&store);
    stored_everywhere(&set, &store).await;
    let place = set.master();
    let old = set.servers[place].port;
    set.servers[place].kill();
    let took = survives(&store, old, || set.servers[set.master()].port).await;
    eprintln!("another master took writes after {took:?}");
    is_told_of_an_update(&store, &mut notices).await;
    // The old one comes back, empty. It becomes a replica, and nobody takes it for the master.
    set.servers[place].start_again();
    let master = set.servers[1 - place].port.to_string();
    until(FAILED_OVER, "the old master is a replica", async || {
        for number in 0..SESSIONS {
            if let Ok(stored) = store.load(key(number), NOW).await {
                assert!(stored.is_some(), "session {number} is lost");
            }
        }
        let state = set.servers[place].cli(&["INFO", "replication"]);
        state.contains("role:slave") && state.contains(&format!("master_port:{master}"))
    })
    .await;
}

/// Nothing but the watch is there to notice it.
#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn the_watch_of_a_gate_without_calls_follows_a_master_that_hangs() {
    let set = SentinelSet::start();
    let store = store(&settings(&set));
    let mut notices = watched(&store);
    assert_eq!(timeout(FAILED_OVER, notices.recv()).await.unwrap(), Some(Notice::Missed));
    let place = set.master();
    set.servers[place].pause();
    until(FAILED_OVER, "the watch is at the other server", async || {
        let subscribed = set.servers[1 - place].cli(&["PUBSUB", "NUMSUB", "huggate:changes"]);
        subscribed.trim().ends_with('1')
    })
    .await;
    let other = crate::sessions::store(&settings(&set));
    other.create(key(1), record(1), NOW).await.unwrap();
    assert!(other.end(key(1)).await.unwrap());
    let told = async { while notices.recv().await != Some(Notice::Ended(key(1))) {} };
    timeout(FAILED_OVER, told).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn sentinels_that_hang_or_know_no_master_are_passed_over() {
    let set = SentinelSet::start();
    set.sentinels[0].pause();
    let settings = settings(&set);
    let begun = Instant::now();
    let store = store(&settings);
    store.create(key(1), record(1), NOW).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    set.sentinels[0].resume();
    let unknown = crate::sessions::store(&settings.master("another"));
    let error = unknown.load(key(1), NOW).await.unwrap_err();
    let causes = crate::sessions::causes(&error);
    assert!(error.is_unavailable() && causes.contains("knows no master \"another\""), "{causes}");
}
