//! WebSocket handshakes: authorized like any request, and their origin is checked.

use std::time::Duration;

use huggate::{Route, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Ask, FRONTS, World, upgraded};

#[tokio::test]
async fn a_websocket_of_the_apps_own_page_opens_and_transfers_data_both_ways() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let ada = world.signed_in("ada").await;
        for origin in [Some(world.public_url.as_str()), None] {
            let mut ask = Ask::websocket("/ws").with("cookie", &ada.cookie_line()).or_host(&world.address);
            if let Some(origin) = origin {
                ask = ask.with("origin", origin);
            }
            let mut stream = upgraded(&world.address, ask).await;
            stream.write_all(b"\x00\xffhello").await.unwrap();
            let mut back = [0; 7];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"\x00\xffhello");
        }
    }
}

#[tokio::test]
async fn a_cross_origin_websocket_is_refused() {
    // Attack: `Origin` ignored (oauth2-proxy #1347). Browsers send cookies with the
    // handshake.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let public = Route::public("/ws");
            gate.allow(Rule::org("acme")).route(public)
        })
        .await;
        let ada = world.signed_in("ada").await;
        let calls = world.app.calls();
        for path in ["/ws", "/socket"] {
            for origin in [
                "https://evil.example",
                "null",
                "",
                &format!("{}.evil.example", world.public_url),
                &format!("{}/", world.public_url),
                &world.public_url.replace("http:", "https:"),
                "http://127.0.0.1",
                "file://",
            ] {
                let ask = Ask::websocket(path).with("cookie", &ada.cookie_line()).with("origin", origin);
                let answer = world.send(ask).await.expect(403);
                assert_eq!(answer.json()["error"], "cross_origin", "{origin}");
            }
            // The app's own origin next to another one.
            let two =
                Ask::websocket(path).with("origin", &world.public_url).with("origin", "https://evil.example");
            world.send(two.with("cookie", &ada.cookie_line())).await.expect(403);
            let spelled =
                Ask::websocket(path).set("upgrade", "WebSocket").with("origin", "https://evil.example");
            world.send(spelled.with("cookie", &ada.cookie_line())).await.expect(403);
            let listed = Ask::websocket(path).set("upgrade", "h2c").with("upgrade", "websocket");
            world
                .send(listed.with("origin", "https://evil.example").with("cookie", &ada.cookie_line()))
                .await
                .expect(403);
        }
        assert_eq!(world.app.calls(), calls);
    }
}

#[tokio::test]
async fn an_anonymous_websocket_gets_401_and_one_without_access_403() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.send(Ask::websocket("/ws").with("origin", &world.public_url)).await.expect(401);
        let mut dan = world.browser();
        dan.sign_in("dan").await.expect(403);
        dan.ask(Ask::websocket("/ws").with("origin", &world.public_url)).await.expect(403);
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn a_handshake_that_the_app_declines_stays_http() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        let ask = Ask::websocket("/no-socket").with("origin", &world.public_url);
        let answer = tokio::time::timeout(Duration::from_secs(10), ada.ask(ask)).await.unwrap();
        assert_eq!(answer.expect(200).echo().username(), Some("ada"));
    }
}
