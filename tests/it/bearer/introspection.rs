//! Requests to the hub about tokens: how many there are, and what happens while it is
//! unavailable.

use std::time::Duration;

use futures_util::future::join_all;
use huggate::hub::{Edit, Endpoint, Fault};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{of_acme, with};
use crate::world::{Answer, FRONTS, World, skip};

/// Makes whoami fail in this way.
fn broken(world: &World, fault: Fault) {
    world.behave(|hub| hub.fail(Endpoint::Whoami, fault));
}

fn mended(world: &World) {
    world.behave(|hub| hub.clear_faults(Endpoint::Whoami));
}

/// Asserts a 503 with `Retry-After` that does not declare the token invalid.
#[track_caller]
fn unchecked(answer: Answer) -> u64 {
    let answer = answer.expect(503);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    assert_eq!(answer.header("www-authenticate"), None);
    let seconds = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    seconds
}

/// Waits until the hub has received this many requests.
async fn wait_for_calls(world: &World, times: u64) {
    let wait = async {
        while world.introspections() < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the hub receives the requests");
}

#[tokio::test]
async fn concurrent_requests_with_a_new_token_cause_one_introspection() {
    for front in FRONTS {
        let world = of_acme(front).await;
        broken(&world, Fault::Slow(Duration::from_millis(200)));
        let (ada, wrong) = (world.token("ada"), "hf_wrong".to_owned());
        let asks = |token: &str| (0..50).map(|_| world.send(with(token, "/"))).collect::<Vec<_>>();
        for answer in join_all(asks(&ada)).await {
            assert_eq!(answer.expect(200).echo().username(), Some("ada"));
        }
        assert_eq!(world.introspections(), 1);
        for answer in join_all(asks(&wrong)).await {
            answer.expect(401);
        }
        assert_eq!(world.introspections(), 2);
        // Different tokens do not wait for each other.
        let all = world.hub.users().into_iter().map(|person| person.token).filter(|token| *token != ada);
        join_all(all.map(async |token| world.send(with(&token, "/")).await)).await;
        assert_eq!(world.introspections(), 11);
    }
}

#[tokio::test]
async fn a_client_that_disconnects_does_not_cancel_the_introspection() {
    for front in FRONTS {
        let world = of_acme(front).await;
        broken(&world, Fault::Slow(Duration::from_millis(300)));
        let token = world.token("ada");
        let mut first = TcpStream::connect(&world.address).await.unwrap();
        let request =
            format!("GET / HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n", world.address);
        first.write_all(request.as_bytes()).await.unwrap();
        wait_for_calls(&world, 1).await;
        let second = world.send(with(&token, "/"));
        drop(first);
        second.await.expect(200);
        assert_eq!(world.introspections(), 1);
        // The answer is cached even though the client disconnected.
        let mut third = TcpStream::connect(&world.address).await.unwrap();
        third.write_all(request.replace(&token, &world.token("ben")).as_bytes()).await.unwrap();
        wait_for_calls(&world, 2).await;
        drop(third);
        world.send(with(&world.token("ben"), "/")).await.expect(200);
        assert_eq!(world.introspections(), 2);
    }
}

#[tokio::test]
async fn valid_tokens_are_cached_for_a_minute_and_invalid_ones_for_ten_seconds() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let token = world.token("ada");
        for _ in 0..3 {
            world.send(with(&token, "/")).await.expect(200);
        }
        world.advance(59);
        // After a revocation it works until the minute is over.
        world.hub.edit_user("ada", |ada| ada.token = "hf_another".to_owned());
        world.send(with(&token, "/")).await.expect(200);
        assert_eq!(world.introspections(), 1);
        world.advance(1);
        world.send(with(&token, "/")).await.expect(401);
        world.advance(9);
        world.send(with(&token, "/")).await.expect(401);
        assert_eq!(world.introspections(), 2);
        // It is valid again; the negative answer is cached for ten seconds.
        let again = token.clone();
        world.hub.edit_user("ada", |ada| ada.token = again);
        world.send(with(&token, "/")).await.expect(401);
        world.advance(1);
        world.send(with(&token, "/")).await.expect(200);
        assert_eq!(world.introspections(), 3);
    }
}

#[tokio::test]
async fn losing_a_membership_ends_access_within_a_minute() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.send(with(&world.token("ben"), "/")).await.expect(200);
        world.hub.edit_user("ben", |ben| ben.orgs.clear());
        world.advance(60);
        world.send(with(&world.token("ben"), "/")).await.expect(403);
    }
}

#[tokio::test]
async fn a_cached_answer_expires_with_its_oauth_token() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.hub.consent("ada", crate::world::CLIENT, &["acme"]);
        let oauth = || world.hub.oauth_token("ada", crate::world::CLIENT).unwrap();
        world.behave(|hub| {
            hub.edit_access_token = Some(Edit::new(|claims| {
                claims.insert("exp".to_owned(), (crate::world::NOW + 20).into());
            }));
        });
        let token = oauth();
        world.send(with(&token, "/")).await.expect(200);
        world.advance(19);
        world.send(with(&token, "/")).await.expect(200);
        world.advance(1);
        let told = world.send(with(&token, "/")).await.expect(401).json();
        assert!(told["error_description"].as_str().unwrap().contains("expired"), "{told}");
        assert_eq!(world.introspections(), 1);
        // A token that the hub revoked early is refused within the minute too.
        world.behave(|hub| hub.edit_access_token = None);
        let token = oauth();
        world.send(with(&token, "/")).await.expect(200);
        world.hub.expire_access_tokens();
        world.advance(60);
        world.send(with(&token, "/")).await.expect(401);
    }
}

#[tokio::test]
async fn while_the_hub_is_unavailable_only_cached_tokens_are_accepted() {
    // Attack: access is granted while the hub is unavailable.
    for front in FRONTS {
        let world = of_acme(front).await;
        let (ada, ben) = (world.token("ada"), world.token("ben"));
        for fault in [
            Fault::Status(500),
            Fault::Status(502),
            Fault::Status(503),
            Fault::Status(403),
            Fault::Status(404),
            Fault::Status(204),
            Fault::NotJson,
            Fault::Truncated,
            Fault::Reset,
            Fault::Huge(3 << 20),
            Fault::Redirect("http://127.0.0.1:9/".to_owned()),
            Fault::Answer { status: 200, content_type: "application/json".to_owned(), body: "[]".to_owned() },
            Fault::Answer { status: 200, content_type: "application/json".to_owned(), body: String::new() },
            Fault::Answer {
                status: 200,
                content_type: "application/json".to_owned(),
                body: r#"{"type":"user","name":"ada","auth":{"type":"access_token"}}"#.to_owned(),
            },
        ] {
            world.advance(60);
            world.send(with(&ada, "/")).await.expect(200);
            let (questions, calls) = (world.introspections(), world.app.calls());
            broken(&world, fault.clone());
            unchecked(world.send(with(&ben, "/")).await);
            unchecked(world.send(with(&ben, "/oauth2/userinfo")).await);
            world.send(with(&ada, "/")).await.expect(200);
            // A client that retries repeatedly does not cause a request each time.
            assert_eq!(world.introspections(), questions + 1, "{fault:?}");
            world.advance(60);
            unchecked(world.send(with(&ada, "/")).await);
            unchecked(world.send(with(&ben, "/")).await);
            assert_eq!(world.introspections(), questions + 3, "{fault:?}");
            assert_eq!(world.app.calls(), calls + 1, "{fault:?}");
            // None of these was an answer.
            mended(&world);
            world.advance(1);
            world.send(with(&ada, "/")).await.expect(200);
            world.send(with(&ben, "/")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_hub_without_an_answer_causes_503() {
    for front in FRONTS {
        let world = of_acme(front).await;
        broken(&world, Fault::Hang);
        let token = world.token("ada");
        let waiting = world.send(with(&token, "/"));
        let in_time = async {
            wait_for_calls(&world, 1).await;
            skip(Duration::from_secs(11)).await;
        };
        let (answer, ()) = tokio::join!(waiting, in_time);
        unchecked(answer);
        world.hub.stop().await;
        world.advance(60);
        unchecked(world.send(with(&token, "/")).await);
    }
}

#[tokio::test]
async fn a_pause_demanded_by_the_hub_is_observed() {
    // Attack: missing back-off after 429.
    for front in FRONTS {
        let world = of_acme(front).await;
        let (ada, ben, dan) = (world.token("ada"), world.token("ben"), world.token("dan"));
        for (fault, pause) in [
            // The rate-limit window of the hub's clock ends in 100 seconds.
            (Fault::Status(429), 100),
            (Fault::RetryAfter(30), 30),
            (Fault::RetryAfter(86_400), 300),
        ] {
            world.advance(600 - (world.clock.now() - crate::world::NOW) % 300);
            let before = world.introspections();
            world.send(with(&ada, "/")).await.expect(200);
            world.send(with("hf_wrong", "/")).await.expect(401);
            broken(&world, fault);
            assert_eq!(unchecked(world.send(with(&ben, "/")).await), pause);
            mended(&world);
            assert_eq!(world.introspections(), before + 3);
            world.advance(9);
            // No requests are sent, and cached answers are still used.
            assert_eq!(unchecked(world.send(with(&ben, "/")).await), pause - 9);
            assert_eq!(unchecked(world.send(with(&dan, "/")).await), pause - 9);
            world.send(with(&ada, "/")).await.expect(200);
            world.send(with("hf_wrong", "/")).await.expect(401);
            world.send(with("hf_not-a-token", "/")).await.expect(401);
            world.advance(pause - 10);
            unchecked(world.send(with(&ben, "/")).await);
            assert_eq!(world.introspections(), before + 3);
            world.advance(1);
            world.send(with(&ben, "/")).await.expect(200);
            assert_eq!(world.introspections(), before + 4);
        }
    }
}

#[tokio::test]
async fn no_request_is_sent_after_the_rate_limit_is_reached() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.behave(|hub| hub.rate_limit = 2);
        world.send(with(&world.token("ada"), "/")).await.expect(200);
        // This request is answered, and the limit is reached.
        world.send(with(&world.token("ben"), "/")).await.expect(200);
        assert_eq!(unchecked(world.send(with(&world.token("dan"), "/")).await), 100);
        assert_eq!(world.introspections(), 2, "a third request would be refused, so none is sent");
        world.advance(100);
        world.send(with(&world.token("dan"), "/")).await.expect(403);
    }
}

#[tokio::test]
async fn a_flood_of_invalid_tokens_does_not_reach_the_hub() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let known = world.token("ada");
        world.send(with(&known, "/")).await.expect(200);
        broken(&world, Fault::Hang);
        let flood = join_all((0..100).map(async |n| world.send(with(&format!("hf_madeup{n}"), "/")).await));
        let meanwhile = async {
            wait_for_calls(&world, 9).await;
            // Clients with cached tokens are not affected.
            world.send(with(&known, "/")).await.expect(200);
            unchecked(world.send(with(&world.token("ben"), "/")).await);
            assert_eq!(world.introspections(), 9);
            // Those without a place give up before the others get no answer.
            skip(Duration::from_secs(3)).await;
            world.send(with(&known, "/")).await.expect(200);
            skip(Duration::from_secs(8)).await;
        };
        let (answers, ()) = tokio::join!(flood, meanwhile);
        for answer in answers {
            unchecked(answer);
        }
        assert_eq!(world.introspections(), 9, "8 at once for one address, and no more");
        mended(&world);
        world.advance(1);
        world.send(with(&world.token("ben"), "/")).await.expect(200);
    }
}
