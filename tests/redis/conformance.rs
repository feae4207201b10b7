//! What every store promises, at each kind of server.

use huggate::keys::SecretString;
use huggate::store::{RedisMode, RedisSettings};
use huggate::testing::store_conformance;

use crate::redis_server::{Certificates, RedisCluster, RedisServer, SentinelSet};
use crate::sessions::store;
use crate::users::{add_user, documented_user};

fn with_tls(server: &RedisServer, issued: &Certificates) -> RedisSettings {
    RedisSettings::new(format!("rediss://{}", server.address()))
        .ca(issued.ca.clone().into_bytes())
        .certificate(issued.certificate.clone().into_bytes())
        .key(SecretString::new(issued.key.clone()))
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn one_server_keeps_every_promise() {
    let server = RedisServer::single();
    let settings = RedisSettings::new(server.url());
    store_conformance(store(&settings), store(&settings)).await;
}

/// The user of the documentation, with no right more.
#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn an_acl_user_with_its_own_prefix_and_database_keeps_every_promise() {
    let server = RedisServer::with(&["--requirepass", "of the default user"]);
    let admin = ["-a", "of the default user", "--no-auth-warning"];
    let mut rule: Vec<&str> = admin.to_vec();
    let user = documented_user("it's a p@ss/word", "app:");
    rule.extend(user.iter().map(String::as_str));
    assert_eq!(server.cli(&rule).trim(), "OK");
    let url = format!("redis://huggate:it%27s%20a%20p%40ss%2Fword@127.0.0.1:{}/3", server.port);
    let in_url = RedisSettings::new(url).prefix("app:");
    let apart = RedisSettings::new(format!("redis://127.0.0.1:{}/3", server.port))
        .username("huggate".to_owned())
        .password(SecretString::new("it's a p@ss/word"))
        .prefix("app:");
    store_conformance(store(&in_url), store(&apart)).await;
    let keys = |database: &str| {
        let mut command = admin.to_vec();
        command.extend(["-n", database, "DBSIZE"]);
        server.cli(&command)
    };
    assert_eq!(keys("0").trim(), "0");
    assert_ne!(keys("3").trim(), "0");
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_server_with_tls_that_wants_a_certificate_keeps_every_promise() {
    let issued = Certificates::issue();
    let server = issued.server();
    let settings = with_tls(&server, &issued);
    store_conformance(store(&settings), store(&settings)).await;
    // An embedder decides about the process, and huggate does not.
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_master_that_sentinels_name_keeps_every_promise() {
    let set = SentinelSet::start();
    let nodes = set.nodes();
    let mut user = documented_user("word", "huggate:");
    user.push("+role".to_owned());
    add_user(&set.servers, &user);
    let settings = RedisSettings::new(format!("redis://huggate:word@{}", nodes[0]))
        .mode(RedisMode::Sentinel)
        .nodes(nodes[1..].to_vec());
    store_conformance(store(&settings), store(&settings)).await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_cluster_keeps_every_promise() {
    let cluster = RedisCluster::start();
    let mut user = documented_user("word", "huggate:");
    user.extend(["+cluster|slots".to_owned(), "+asking".to_owned()]);
    add_user(&cluster.nodes, &user);
    let one = |node: usize| {
        RedisSettings::new(format!("redis://huggate:word@{}", cluster.nodes[node].address()))
            .mode(RedisMode::Cluster)
    };
    store_conformance(store(&one(0)), store(&one(1))).await;
    let counts: Vec<String> = cluster.nodes.iter().map(|node| node.cli(&["DBSIZE"])).collect();
    assert!(counts.iter().all(|count| count.trim() != "0"), "every node has some: {counts:?}");
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_cluster_with_tls_keeps_every_promise() {
    let issued = Certificates::issue();
    let cluster = RedisCluster::with_tls(&issued);
    let one = |node: usize| with_tls(&cluster.nodes[node], &issued).mode(RedisMode::Cluster);
    store_conformance(store(&one(0)), store(&one(1))).await;
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}
