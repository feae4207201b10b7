//! Several `huggate serve` processes over one Redis, behind nginx, are one gate: a steady load of
//! signed-in requests goes on through faults, and each answer is compared with the contract.
//!
//! `CHAOS_SECONDS` is how long each fault lasts, two seconds by default.
//! `CHAOS_FROM` is the program of an earlier version, from which replicas are upgraded
//! and to which they go back. `scripts/chaos` sets both.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]

#[path = "../redis/redis_server.rs"]
#[expect(dead_code, reason = "the tests of the store use all of it")]
mod redis_server;

mod app;
mod client;
mod faults;
mod load;
mod processes;
mod relay;
mod world;

use load::Row;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server, nginx and faketime: run ./scripts/test"]
async fn replicas_are_one_gate_under_faults() {
    let mut rows = faults::of_replicas_and_redis().await;
    rows.extend(faults::past_the_grace().await);
    rows.extend(faults::of_sentinels().await);
    rows.extend(faults::of_a_cluster().await);
    rows.extend(faults::of_a_disk().await);
    rows.extend(faults::of_versions().await);
    println!("\n{}", Row::HEAD);
    rows.iter().for_each(|row| println!("{}", row.line()));
    for row in rows.iter().filter(|row| row.wrong > 0) {
        eprintln!("{}\n    {}", row.line(), row.samples.join("\n    "));
    }
    assert!(rows.iter().all(|row| row.wrong == 0), "there are wrong answers");
}
