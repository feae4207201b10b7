//! Clocks that differ.

use std::time::Duration;

use huggate::Rule;
use huggate::hub::EditToken;

use crate::world::{FRONTS, Log, NOW, World};

/// A world whose provider's clock is `ahead` of ours, and which tolerates `skew`.
async fn world(ahead: i64, skew: Option<u64>) -> World {
    let world = World::start(FRONTS[0], |gate| {
        let gate = gate.allow(Rule::org("acme"));
        skew.map(Duration::from_secs).into_iter().fold(gate, huggate::GateBuilder::clock_skew)
    })
    .await;
    let edit = EditToken::new(move |_, claims| {
        for (name, seconds) in [("iat", 0), ("exp", 3600)] {
            claims.insert(name.to_owned(), (i64::try_from(NOW).unwrap() + ahead + seconds).into());
        }
    });
    world.behave(|hub| hub.edit_id_token = Some(edit));
    world
}

#[tokio::test]
async fn a_wrong_clock_is_named_with_the_difference() {
    for (ahead, difference) in
        [(120, "120 seconds ahead"), (3_000, "3000 seconds ahead"), (-3_700, "100 seconds ago")]
    {
        let log = Log::start();
        let world = world(ahead, None).await;
        let mut ada = world.browser();
        let page = ada.sign_in("ada").await.expect_page(502, difference);
        assert!(page.text().contains("the clock of this server"), "{}", page.text());
        assert!(page.text().contains("provider.clock_skew"), "{}", page.text());
        assert!(log.text().contains(difference) && log.text().contains("clock"), "{}", log.text());
        assert!(!ada.has_session());
    }
}

#[tokio::test]
async fn a_difference_up_to_five_minutes_is_tolerated_if_the_operator_says_so() {
    for (ahead, skew, fine) in [
        (59, None, true),
        (61, None, false),
        (120, Some(120), true),
        (299, Some(300), true),
        (301, Some(300), false),
        // No more than five minutes, whatever is set.
        (301, Some(3_600), false),
        (-3_700, Some(120), true),
        (-3_700, Some(90), false),
        (1, Some(0), false),
        (0, Some(0), true),
    ] {
        let world = world(ahead, skew).await;
        let mut ada = world.browser();
        let answer = ada.sign_in("ada").await;
        assert_eq!(ada.has_session(), fine, "{ahead} {skew:?}: {answer:?}");
    }
}
