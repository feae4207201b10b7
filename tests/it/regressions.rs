//! What went wrong once, and must not again: each test is named for it.

use std::time::{Duration, Instant};

use huggate::{PathPattern, Route, Rule};

use crate::world::{Ask, FRONTS, World};

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap()
}

#[tokio::test]
async fn one_long_path_kept_a_processor_busy_for_seconds() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(Route::path(pattern("/public/**")).public())
        })
        .await;
        for piece in ["/a", "/", "/a;b", "/%2e%252e;", "/.%2e;x/%252e.;y\\"] {
            let path = format!("/{}", piece.repeat(60_000 / piece.len()));
            let began = Instant::now();
            world.send(Ask::get(&path)).await;
            // A build without optimisations took from one to eight.
            assert!(began.elapsed() < Duration::from_millis(500), "{piece}: {:?}", began.elapsed());
        }
        world.send(Ask::get(&format!("/public{}", "/a".repeat(30_000)))).await.expect(200);
    }
}
