//! A cluster whose slots move and whose nodes fail.

use std::time::{Duration, Instant};

use huggate::store::{RedisMode, RedisSettings, RedisStore, SessionStore};

use crate::load::Load;
use crate::redis_server::{RedisCluster, wait_until};
use crate::sessions::{NOW, key, record, store, until};
use crate::users::{add_user, documented_user};

const SESSIONS: u32 = 300;
/// Two seconds until a node is missed, and a few for the election.
const FAILED_OVER: Duration = Duration::from_secs(20);

fn cluster_store(cluster: &RedisCluster) -> RedisStore {
    store(
        &RedisSettings::new(cluster.nodes[0].url())
            .mode(RedisMode::Cluster)
            .nodes([cluster.nodes[1].address()]),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn calls_are_answered_rightly_while_slots_move() {
    let cluster = RedisCluster::start();
    let store = cluster_store(&cluster);
    let mut load = Load::start(&store, SESSIONS).await;
    load.run(&store, SESSIONS);
    tokio::task::block_in_place(|| {
        cluster.reshard(0, 1, 1500);
        cluster.reshard(2, 0, 1500);
        cluster.reshard(1, 2, 1500);
    });
    let outcome = load.stop().await;
    eprintln!("{outcome:?}");
    assert!(outcome.answered > 1000 && outcome.failed == 0, "{outcome:?}");
    // A store that begins now finds the slots where they are.
    let store = cluster_store(&cluster);
    for number in 0..SESSIONS {
        assert!(store.load(key(number), NOW).await.unwrap().is_some());
    }
}

/// A slot that stays half-moved: some keys are at one node, some at the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_slot_that_is_being_moved_is_used_at_both_nodes() {
    let cluster = RedisCluster::start();
    let mut user = documented_user("word", "{app}:");
    user.extend(["+cluster|slots".to_owned(), "+asking".to_owned()]);
    add_user(&cluster.nodes, &user);
    let url = format!("redis://huggate:word@{}", cluster.nodes[0].address());
    let store = store(&RedisSettings::new(url).mode(RedisMode::Cluster).prefix("{app}:"));
    for number in 0..20 {
        store.create(key(number), record(number), NOW).await.unwrap();
    }
    // The hash tag puts all into one slot.
    let (slot, ids): (_, Vec<String>) = (
        cluster.nodes[0].cli(&["CLUSTER", "KEYSLOT", "{app}"]).trim().to_owned(),
        cluster.nodes.iter().map(|node| node.cli(&["CLUSTER", "MYID"]).trim().to_owned()).collect(),
    );
    let from = cluster.nodes.iter().position(|node| node.cli(&["DBSIZE"]).trim() != "0").unwrap();
    let to = (from + 1) % 3;
    cluster.nodes[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[from]]);
    cluster.nodes[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[to]]);
    let port = cluster.nodes[to].port.to_string();
    for number in 0..10 {
        let name = format!("{{app}}:s:{}", key(number));
        let moved = cluster.nodes[from].cli(&["MIGRATE", "127.0.0.1", &port, &name, "0", "1000"]);
        assert_eq!(moved.trim(), "OK");
    }
    for number in 0..20 {
        assert!(store.load(key(number), NOW).await.unwrap().is_some(), "{number}");
        store.touch(key(number), NOW + 1, NOW + 700, NOW).await.unwrap();
        assert!(store.end(key(number)).await.unwrap(), "{number}");
    }
    // New keys are asked for at the node that takes the slot, where no script is yet.
    cluster.nodes[to].cli(&["SCRIPT", "FLUSH"]);
    store.create(key(77), record(77), NOW).await.unwrap();
    assert!(store.load(key(77), NOW).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_replica_takes_over_with_every_session() {
    let mut cluster = RedisCluster::with_replicas(1);
    let store = cluster_store(&cluster);
    let mut load = Load::start(&store, SESSIONS).await;
    load.run(&store, SESSIONS);
    // Asked for, the master waits until the replica has everything.
    let replica = cluster.replica_of(2);
    assert_eq!(cluster.nodes[replica].cli(&["CLUSTER", "FAILOVER"]).trim(), "OK");
    let is_master = |cluster: &RedisCluster, node: usize| {
        cluster.nodes[node].cli(&["INFO", "replication"]).contains("role:master")
    };
    tokio::task::block_in_place(|| wait_until("the replica is the master", || is_master(&cluster, replica)));
    let answered = load.answered();
    until(FAILED_OVER, "calls are answered", async || load.answered() > answered + 1000).await;
    let outcome = load.stop().await;
    eprintln!("CLUSTER FAILOVER: {outcome:?}");

    // Killed, it is replaced after an election. Nothing is written now, so that nothing that
    // was acknowledged can be lost.
    let replica = cluster.replica_of(1);
    cluster.nodes[1].kill();
    let begun = Instant::now();
    let mut answered = 0;
    while answered < SESSIONS {
        assert!(begun.elapsed() < FAILED_OVER, "{answered} of {SESSIONS} sessions");
        answered = 0;
        for number in 0..SESSIONS {
            if let Ok(stored) = store.load(key(number), NOW).await {
                assert!(stored.is_some(), "session {number} is lost");
                answered += 1;
            }
        }
    }
    eprintln!("after kill -9 all sessions are answered within {:?}", begun.elapsed());
    assert!(is_master(&cluster, replica));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_cluster_that_lost_a_node_is_used_again_once_it_is_back() {
    let mut cluster = RedisCluster::start();
    let store = cluster_store(&cluster);
    for number in 0..60 {
        store.create(key(number), record(number), NOW).await.unwrap();
    }
    cluster.nodes[0].kill();
    until(FAILED_OVER, "calls fail", async || {
        let mut failed = 0;
        for number in 0..60 {
            failed += usize::from(store.load(key(number), NOW).await.is_err());
        }
        failed == 60
    })
    .await;
    cluster.nodes[0].start_again();
    until(FAILED_OVER, "every call is answered", async || {
        let mut answered = 0;
        for number in 0..60 {
            answered += usize::from(store.load(key(number), NOW).await.is_ok());
        }
        answered == 60
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_node_that_hangs_holds_no_call_for_long() {
    let cluster = RedisCluster::start();
    let store = cluster_store(&cluster);
    for number in 0..60 {
        store.create(key(number), record(number), NOW).await.unwrap();
    }
    cluster.nodes[0].pause();
    let (mut answered, mut failed) = (0, 0);
    let begun = Instant::now();
    for number in 0..60 {
        let call = Instant::now();
        let result = store.load(key(number), NOW).await;
        assert!(call.elapsed() < Duration::from_millis(2500), "{:?}", call.elapsed());
        match result {
            Ok(stored) => {
                assert!(stored.is_some(), "session {number} is lost");
                answered += 1;
            }
            Err(_) => failed += 1,
        }
    }
    // A third of the sessions is there, and their calls fail at once after the first ones.
    assert!(failed > 5 && begun.elapsed() < Duration::from_secs(10), "{answered} answered, {failed} failed");
    cluster.nodes[0].resume();
    until(FAILED_OVER, "every session is there again", async || {
        let mut there = 0;
        for number in 0..60 {
            there += usize::from(matches!(store.load(key(number), NOW).await, Ok(Some(_))));
        }
        there == 60
    })
    .await;
}
