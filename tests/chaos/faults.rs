//! The faults: each is a row of the table.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::load::{Contract, Row};
use crate::processes::huggate;
use crate::redis_server::{RedisCluster, RedisServer, SentinelSet};
use crate::relay::Mode;
use crate::world::{Store, World, libfaketime, with_redis};

/// How long a revocation may take to reach the other replicas.
const REVOKED: Duration = Duration::from_secs(1);
/// Until sentinels have elected another master.
const FAILED_OVER: Duration = Duration::from_secs(20);

/// How long a fault lasts.
fn duration() -> Duration {
    let seconds = std::env::var_os("CHAOS_SECONDS");
    Duration::from_secs(seconds.map_or(2, |text| text.to_str().unwrap().parse().unwrap()))
}

async fn lasts() {
    sleep(duration()).await;
}

/// Replicas that end and start, and one Redis that keeps its data in a file.
pub(crate) async fn of_replicas_and_redis() -> Vec<Row> {
    let mut redis = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut world = World::start(Store::Relayed(&redis.address()), "idle_timeout = \"2m\"").await;
    let mut rows = vec![undisturbed(&world).await, killed_replicas(&mut world).await];
    rows.push(rolling_restart(&mut world).await);
    rows.push(revocation(&world).await);
    for (name, mode) in [
        ("one replica cut off from Redis", Mode::Cut),
        ("one replica whose network to Redis drops everything", Mode::Stall),
    ] {
        rows.push(partition(&world, name, mode).await);
    }
    rows.push(slow_redis(&world).await);
    rows.push(redis_restarts(&world, &mut redis).await);
    rows.push(clocks_apart(&mut world).await);
    rows
}

async fn undisturbed(world: &World) -> Row {
    let row = world.load.begin("none", Contract::Live, true).await;
    lasts().await;
    newcomer(world).await;
    world.load.end(&row)
}

/// Signs in through nginx, so that each step may be at another replica, uses the session at each,
/// and signs out at one, which counts at all.
async fn newcomer(world: &World) {
    let client = &world.load.client;
    let cookie = match client.sign_in(&client.host, "stranger").await {
        Ok(cookie) => cookie,
        Err(why) => return world.load.wrong(why),
    };
    for replica in &world.replicas {
        match client.get(&replica.address, "/newcomer", &cookie).await {
            Ok(answer) if answer.status == 200 && answer.body == "stranger /newcomer" => {}
            answer => world.load.wrong(format!("a newcomer: {:?}", answer.map(|answer| answer.describe()))),
        }
    }
    if let Err(why) = client.sign_out(&client.host, &cookie).await {
        return world.load.wrong(why);
    }
    let ended = Instant::now();
    for replica in &world.replicas {
        until_refused(world, &replica.address, &cookie, ended).await;
    }
}

async fn killed_replicas(world: &mut World) -> Row {
    let row = world.load.begin("kill -9 of a replica, each in turn", Contract::Live, false).await;
    for place in 0..world.replicas.len() {
        world.replicas[place].kill();
        sleep(duration() / 3).await;
        world.replicas[place].run().await;
        sleep(duration() / 3).await;
    }
    world.load.end(&row)
}

async fn rolling_restart(world: &mut World) -> Row {
    let row = world.load.begin("rolling restart with SIGTERM", Contract::Live, false).await;
    for place in 0..world.replicas.len() {
        world.replicas[place].restart().await;
        newcomer(world).await;
        sleep(duration() / 3).await;
    }
    world.load.end(&row)
}

/// Ends a person's sessions by the command. What is asked a second later, at any replica, is
/// refused, and streams have ended.
async fn revocation(world: &World) -> Row {
    let load = &world.load;
    let row = load.begin("sessions of a person revoked", Contract::Live, true).await;
    let mut cookies = Vec::new();
    let mut streams = Vec::new();
    for replica in &world.replicas {
        let cookie = load.client.sign_in(&replica.address, "leaver").await.unwrap();
        for replica in &world.replicas {
            streams.push(load.client.stream(&replica.address, &cookie).await);
        }
        cookies.push(cookie);
    }
    sleep(duration() / 2).await;
    let revoked = world.sessions(&["revoke", "--user", "leaver"]).await;
    for mut stream in streams {
        let left = REVOKED.saturating_sub(revoked.elapsed());
        // An end by the gate, in order or not.
        if !matches!(tokio::time::timeout(left, stream.chunk()).await, Ok(Ok(None) | Err(_))) {
            load.wrong(format!("a stream is open {:?} after the revocation", revoked.elapsed()));
        }
    }
    for cookie in &cookies {
        for replica in &world.replicas {
            until_refused(world, &replica.address, cookie, revoked).await;
        }
    }
    lasts().await;
    for cookie in &cookies {
        for replica in &world.replicas {
            until_refused(world, &replica.address, cookie, Instant::now() - REVOKED).await;
        }
    }
    load.end(&row)
}

async fn until_refused(world: &World, address: &str, cookie: &str, revoked: Instant) {
    loop {
        let asked = revoked.elapsed();
        match world.load.client.get(address, "/revoked", cookie).await {
            Ok(answer) if answer.status == 401 => return,
            Ok(answer) if answer.status == 200 && asked < REVOKED => sleep(Duration::from_millis(5)).await,
            answer => {
                let answer = answer.map(|answer| answer.describe());
                return world.load.wrong(format!("{asked:?} after the revocation: {answer:?}"));
            }
        }
    }
}

/// The first replica and Redis do not hear from each other. Sessions in use there go on there,
/// and others go on at other replicas.
async fn partition(world: &World, name: &'static str, mode: Mode) -> Row {
    let load = &world.load;
    let stranger = load.client.sign_in(&world.replicas[1].address, "stranger").await.unwrap();
    load.recovered().await;
    let row = load.begin(name, Contract::Live, true).await;
    world.relays[0].set(mode);
    let begun = Instant::now();
    while begun.elapsed() < duration() * 2 {
        match load.client.get(&world.replicas[0].address, "/stranger", &stranger).await {
            Ok(answer) if answer.is_unavailable() => {}
            answer => load.wrong(format!("a stranger: {:?}", answer.map(|answer| answer.describe()))),
        }
        match load.client.get(&load.client.host, "/stranger", &stranger).await {
            Ok(answer) if answer.status == 200 && answer.body == "stranger /stranger" => {}
            answer => load.wrong(format!("through nginx: {:?}", answer.map(|answer| answer.describe()))),
        }
        sleep(Duration::from_millis(100)).await;
    }
    world.relays[0].set(Mode::Pass);
    load.recovered().await;
    load.end(&row)
}

async fn slow_redis(world: &World) -> Row {
    let row = world.load.begin("Redis answers after 200 ms", Contract::Live, true).await;
    world.relays.iter().for_each(|relay| relay.set(Mode::Delay(Duration::from_millis(100))));
    lasts().await;
    newcomer(world).await;
    world.relays.iter().for_each(|relay| relay.set(Mode::Pass));
    world.load.end(&row)
}

async fn redis_restarts(world: &World, redis: &mut RedisServer) -> Row {
    let load = &world.load;
    load.recovered().await;
    // Every session is in use at every replica: nobody gets a 503.
    let row = load.begin("kill -9 of Redis, which has its data in a file", Contract::Live, true).await;
    redis.kill();
    lasts().await;
    redis.start_again();
    load.recovered().await;
    newcomer(world).await;
    load.end(&row)
}

async fn clocks_apart(world: &mut World) -> Row {
    let library = libfaketime();
    for (replica, offset) in world.replicas.iter_mut().zip(["-30", "+0", "+30"]) {
        replica.environment = vec![
            ("LD_PRELOAD", library.clone()),
            ("FAKETIME", offset.to_owned()),
            // Pauses and time limits do not go by the clock.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
    }
    let row = world.load.begin("clocks of the replicas 60 s apart", Contract::Live, false).await;
    for place in 0..world.replicas.len() {
        world.replicas[place].restart().await;
    }
    let client = &world.load.client;
    let (slow, fast) =
        (client.clock(&world.replicas[0].address).await, client.clock(&world.replicas[2].address).await);
    let apart = (fast - slow).rem_euclid(24 * 60 * 60);
    assert!((59..=63).contains(&apart), "the clocks are {apart} s apart");
    lasts().await;
    for _ in 0..world.replicas.len() {
        newcomer(world).await;
    }
    world.load.end(&row)
}

/// A Redis that keeps nothing, and replicas whose caches are short.
pub(crate) async fn past_the_grace() -> Vec<Row> {
    let mut redis = RedisServer::single();
    let rest = "cache = \"1s\"\nstore_grace = \"1s\"";
    let world = World::start(Store::Relayed(&redis.address()), rest).await;
    let load = &world.load;
    load.recovered().await;
    let row = load.begin("all replicas cut off for longer than the grace", Contract::Unavailable, true).await;
    world.relays.iter().for_each(|relay| relay.set(Mode::Cut));
    sleep(duration() + Duration::from_secs(2)).await;
    let answer = load.client.get(&load.client.host, "/", &load.sessions[0].cookie()).await;
    if !answer.as_ref().is_ok_and(|answer| answer.is_unavailable()) {
        load.wrong(format!("past the grace: {:?}", answer.map(|answer| answer.describe())));
    }
    world.relays.iter().for_each(|relay| relay.set(Mode::Pass));
    load.recovered().await;
    let mut rows = vec![load.end(&row)];
    let row = load.begin("kill -9 of Redis, which keeps nothing", Contract::Unavailable, true).await;
    redis.kill();
    lasts().await;
    load.allow(Contract::Forgotten);
    redis.start_again();
    load.recovered().await;
    lasts().await;
    load.allow(Contract::Live);
    sleep(duration() / 2).await;
    rows.push(load.end(&row));
    rows
}

pub(crate) async fn of_sentinels() -> Vec<Row> {
    let mut set = SentinelSet::start();
    let nodes = set.nodes();
    let rest = format!(", mode = \"sentinel\", nodes = {:?}", &nodes[1..]);
    let store = with_redis(&nodes[0], &rest);
    let world = World::start(Store::As(store), "").await;
    let load = &world.load;
    load.recovered().await;
    let begun = Instant::now();
    while !set.is_ready() && begun.elapsed() < FAILED_OVER {
        sleep(Duration::from_millis(100)).await;
    }
    let row = load.begin("kill -9 of the master, which sentinels replace", Contract::Live, true).await;
    let place = set.master();
    set.servers[place].kill();
    let begun = Instant::now();
    while set.master() == place && begun.elapsed() < FAILED_OVER {
        sleep(Duration::from_millis(100)).await;
    }
    load.recovered().await;
    newcomer(&world).await;
    set.servers[place].start_again();
    lasts().await;
    vec![load.end(&row)]
}

pub(crate) async fn of_a_cluster() -> Vec<Row> {
    let cluster = RedisCluster::start();
    let address = cluster.nodes[0].address();
    let store = with_redis(&address, ", mode = \"cluster\"");
    let world = World::start(Store::As(store), "cache = \"1s\"").await;
    let load = &world.load;
    let row = load.begin("slots of a cluster move", Contract::Live, true).await;
    let moving = tokio::task::spawn_blocking(move || {
        cluster.reshard(0, 1, 2000);
        cluster.reshard(2, 0, 2000);
        cluster
    });
    while !moving.is_finished() {
        newcomer(&world).await;
        sleep(Duration::from_millis(50)).await;
    }
    let cluster = moving.await.unwrap();
    lasts().await;
    let row = load.end(&row);
    drop(cluster);
    vec![row]
}

/// Mounts a disk of four megabytes where the first argument says, and becomes the rest.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size=4m none "$0" && exec "$@""#;

/// One process with the store in a file.
pub(crate) async fn of_a_disk() -> Vec<Row> {
    let disk = tempfile::tempdir().unwrap();
    let store = format!("store = \"file:{}\"", disk.path().join("sessions.redb").display());
    let mut program: Vec<OsString> =
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK]
            .map(Into::into)
            .into();
    program.push(disk.path().into());
    program.extend(huggate());
    let world = World::with(1, program, Store::As(store), "").await;
    let load = &world.load;
    load.recovered().await;
    let row = load.begin("the disk of the file store is full", Contract::Live, true).await;
    // The disk as the process sees it.
    let seen = PathBuf::from(format!("/proc/{}/root", world.replicas[0].pid()));
    let ballast = seen.join(disk.path().strip_prefix("/").unwrap()).join("ballast");
    let full = std::fs::write(&ballast, vec![1; 4 * 1024 * 1024]);
    assert!(full.is_err(), "the disk is not full");
    let begun = Instant::now();
    let mut refused = 0;
    while begun.elapsed() < duration() * 2 {
        match load.client.sign_in(&load.client.host, "stranger").await {
            Ok(_) => {}
            Err(why) if why.contains(": 503 (removes a cookie: false)") => refused += 1,
            Err(why) => load.wrong(why),
        }
        sleep(Duration::from_millis(20)).await;
    }
    if refused == 0 {
        load.wrong("no sign-in failed: the disk was not full".to_owned());
    }
    std::fs::remove_file(&ballast).unwrap();
    load.recovered().await;
    newcomer(&world).await;
    vec![load.end(&row)]
}

/// From an earlier version to this one and back, where the environment names its program.
pub(crate) async fn of_versions() -> Vec<Row> {
    let Some(earlier) = std::env::var_os("CHAOS_FROM") else { return Vec::new() };
    let redis = RedisServer::single();
    let mut world =
        World::with(3, vec![earlier.clone()], Store::Relayed(&redis.address()), "cache = \"1s\"").await;
    let mut rows = Vec::new();
    for (name, program) in [
        ("rolling upgrade from the earlier version", huggate()),
        ("rolling downgrade to the earlier version", vec![earlier]),
    ] {
        let row = world.load.begin(name, Contract::Live, false).await;
        for place in 0..world.replicas.len() {
            world.replicas[place].program.clone_from(&program);
            world.replicas[place].restart().await;
            newcomer(&world).await;
            lasts().await;
        }
        rows.push(world.load.end(&row));
    }
    rows
}
