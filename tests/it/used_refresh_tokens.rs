//! Sessions in cookies: a browser can send a cookie whose refresh token another replica has
//! used since. The provider refuses it, and the renewed cookie stays valid.

use huggate::hub::{Endpoint, Fault};
use huggate::{GateBuilder, Rule};

use crate::world::{FRONTS, World};

const REVALIDATE: u64 = 15 * 60;
const GRACE: u64 = 3600;
const TOKEN: u64 = 8 * 3600;

fn acme(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme"))
}

#[tokio::test]
async fn the_cookie_from_before_a_refresh_is_refused_and_the_renewed_one_goes_on() {
    for front in FRONTS {
        for known_before in [false, true] {
            let world = World::start(front, acme).await;
            let replica = world.replica(acme).await;
            let mut ada = world.signed_in("ada").await;
            let mut late = ada.at(&replica);
            if known_before {
                late.fetch("/").await.expect(200);
            }
            world.advance(TOKEN);
            ada.fetch("/").await.expect(200);
            let renewed = ada.session();
            assert_ne!(renewed, late.session());
            // It says nothing about the browser's cookie, which is another one by now.
            let refused = late.fetch("/").await.expect(401);
            assert!(refused.cookies().is_empty(), "{:?}", refused.cookies());
            let page = late.step("/").await.expect(302);
            assert!(!page.cookies().iter().any(|line| line.starts_with("huggate=")), "{:?}", page.cookies());
            let tokens = world.calls(Endpoint::Token);
            late.fetch("/").await.expect(401);
            assert_eq!(world.calls(Endpoint::Token), tokens, "it is asked again");
            let mut there = ada.at(&replica);
            there.fetch("/").await.expect(200);
            ada.fetch("/").await.expect(200);
            there.fetch("/").await.expect(200);
            // A sign-out ends the session, with any of its cookies.
            late.open("/oauth2/sign_out").await.expect(200);
            there.fetch("/").await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_session_whose_access_token_works_goes_on_after_its_refresh_token_was_used() {
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let replica = world.replica(acme).await;
        let mut ada = world.signed_in("ada").await;
        let mut late = ada.at(&replica);
        world.advance(REVALIDATE + GRACE);
        world.behave(|hub| hub.fail_times(Endpoint::Userinfo, Fault::Status(401), 1));
        ada.fetch("/").await.expect(200);
        assert_eq!(world.calls(Endpoint::Token), 2);
        late.fetch("/").await.expect(200);
        assert_eq!(world.calls(Endpoint::Token), 2);
    }
}
