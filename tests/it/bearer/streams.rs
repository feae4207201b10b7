//! Streams that were opened with a token end when it is no longer valid.

use std::time::Duration;

use http_body_util::BodyExt;
use huggate::hub::{Endpoint, Fault, User};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{of_acme, with};
use crate::world::{FRONTS, World, begin, skip};

const REVALIDATE: u64 = 15 * 60;
const GRACE: u64 = 3600;

/// An open event stream.
async fn events(world: &World) -> Incoming {
    let ask = with(&world.token("ada"), "/events").or_host(&world.address);
    let mut events = begin(&world.address, ask).await.into_body();
    events.frame().await.unwrap().unwrap();
    events
}

/// Advances clocks and timers by this time.
async fn pass(world: &World, seconds: u64) {
    world.advance(seconds);
    skip(Duration::from_secs(seconds)).await;
}

async fn ends(events: &mut Incoming) {
    let end = timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = events.frame().await {} });
    end.await.expect("the stream goes on");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_invalid_or_its_owner_loses_access() {
    type Change = fn(&mut User);
    let changes: [Change; 2] =
        [|ada| ada.token = format!("hf_{}", "Z".repeat(34)), |ada| ada.orgs.retain(|org| org.slug != "acme")];
    for front in FRONTS {
        for change in changes {
            let world = of_acme(front).await;
            let mut events = events(&world).await;
            pass(&world, REVALIDATE).await;
            let goes_on = timeout(Duration::from_millis(200), events.frame()).await;
            assert!(goes_on.is_err(), "it ended: {goes_on:?}");
            assert_eq!(world.introspections(), 2);
            world.hub.edit_user("ada", change);
            pass(&world, REVALIDATE).await;
            ends(&mut events).await;
            assert_eq!(world.introspections(), 3);
        }
    }
}

#[tokio::test]
async fn a_stream_survives_an_unavailable_provider_only_for_the_grace_period() {
    let world = of_acme(FRONTS[0]).await;
    let mut events = events(&world).await;
    world.behave(|hub| hub.fail(Endpoint::Whoami, Fault::Status(500)));
    pass(&world, REVALIDATE).await;
    let goes_on = timeout(Duration::from_millis(200), events.frame()).await;
    assert!(goes_on.is_err(), "it ended: {goes_on:?}");
    pass(&world, GRACE).await;
    ends(&mut events).await;
}
