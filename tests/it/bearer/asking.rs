//! How often the hub is asked, and what happens while it cannot be.

use std::time::Duration;

use futures_util::future::join_all;
use huggate::hub::{Edit, Endpoint, Fault};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{of_acme, with};
use crate::world::{Answer, FRONTS, World, skip};

/// Whoami is broken in this way from now on.
fn broken(world: &World, fault: Fault) {
    world.behave(|hub| hub.fail(Endpoint::Whoami, fault));
}

fn mended(world: &World) {
    world.behave(|hub| hub.clear_faults(Endpoint::Whoami));
}

/// 503 that says when to try again, and is no word on the token.
#[track_caller]
fn unchecked(answer: Answer) -> u64 {
    let answer = answer.expect(503);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    assert_eq!(answer.header("www-authenticate"), None);
    let seconds = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    seconds
}

/// Waits until the hub was asked so often.
async fn asked(world: &World, times: u64) {
    let wait = async {
        while world.questions() < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the hub is asked");
}

#[tokio::test]
async fn fifty_requests_at_once_with_a_new_token_are_one_question() {
    for front in FRONTS {
        let world = of_acme(front).await;
        broken(&world, Fault::Slow(Duration::from_millis(200)));
        let (ada, wrong) = (world.token("ada"), "hf_wrong".to_owned());
        let asks = |token: &str| (0..50).map(|_| world.send(with(token, "/"))).collect::<Vec<_>>();
        for answer in join_all(asks(&ada)).await {
            assert_eq!(answer.expect(200).echo().username(), Some("ada"));
        }
        assert_eq!(world.questions(), 1);
        for answer in join_all(asks(&wrong)).await {
            answer.expect(401);
        }
        assert_eq!(world.questions(), 2);
        // Different tokens do not wait for each other.
        let all = world.hub.users().into_iter().map(|person| person.token).filter(|token| *token != ada);
        join_all(all.map(async |token| world.send(with(&token, "/")).await)).await;
        assert_eq!(world.questions(), 11);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_no_answer_from_others() {
    for front in FRONTS {
        let world = of_acme(front).await;
        broken(&world, Fault::Slow(Duration::from_millis(300)));
        let token = world.token("ada");
        let mut first = TcpStream::connect(&world.address).await.unwrap();
        let request =
            format!("GET / HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n", world.address);
        first.write_all(request.as_bytes()).await.unwrap();
        asked(&world, 1).await;
        let second = world.send(with(&token, "/"));
        drop(first);
        second.await.expect(200);
        assert_eq!(world.questions(), 1);
        // Though nobody waits any more, the answer is there for the next.
        let mut third = TcpStream::connect(&world.address).await.unwrap();
        third.write_all(request.replace(&token, &world.token("ben")).as_bytes()).await.unwrap();
        asked(&world, 2).await;
        drop(third);
        world.send(with(&world.token("ben"), "/")).await.expect(200);
        assert_eq!(world.questions(), 2);
    }
}

#[tokio::test]
async fn a_yes_counts_for_a_minute_and_a_no_for_ten_seconds() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let token = world.token("ada");
        for _ in 0..3 {
            world.send(with(&token, "/")).await.expect(200);
        }
        world.advance(59);
        // Revoked: it works on until the minute is over, and no longer.
        world.hub.edit_user("ada", |ada| ada.token = "hf_another".to_owned());
        world.send(with(&token, "/")).await.expect(200);
        assert_eq!(world.questions(), 1);
        world.advance(1);
        world.send(with(&token, "/")).await.expect(401);
        world.advance(9);
        world.send(with(&token, "/")).await.expect(401);
        assert_eq!(world.questions(), 2);
        // It is good again; the no holds for ten seconds.
        let again = token.clone();
        world.hub.edit_user("ada", |ada| ada.token = again);
        world.send(with(&token, "/")).await.expect(401);
        world.advance(1);
        world.send(with(&token, "/")).await.expect(200);
        assert_eq!(world.questions(), 3);
    }
}

#[tokio::test]
async fn who_loses_a_membership_is_out_within_a_minute() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.send(with(&world.token("ben"), "/")).await.expect(200);
        world.hub.edit_user("ben", |ben| ben.orgs.clear());
        world.advance(60);
        world.send(with(&world.token("ben"), "/")).await.expect(403);
    }
}

#[tokio::test]
async fn an_answer_outlives_no_oauth_token() {
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
        assert_eq!(world.questions(), 1);
        // One that the hub ended before its time is out within the minute too.
        world.behave(|hub| hub.edit_access_token = None);
        let token = oauth();
        world.send(with(&token, "/")).await.expect(200);
        world.hub.expire_access_tokens();
        world.advance(60);
        world.send(with(&token, "/")).await.expect(401);
    }
}

#[tokio::test]
async fn a_hub_that_cannot_be_asked_lets_nobody_new_in_and_throws_nobody_out_at_once() {
    // Threats 4: Hub down, let in.
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
            let (questions, calls) = (world.questions(), world.app.calls());
            broken(&world, fault.clone());
            unchecked(world.send(with(&ben, "/")).await);
            unchecked(world.send(with(&ben, "/oauth2/userinfo")).await);
            world.send(with(&ada, "/")).await.expect(200);
            // A client that tries again and again is not a question each time.
            assert_eq!(world.questions(), questions + 1, "{fault:?}");
            world.advance(60);
            unchecked(world.send(with(&ada, "/")).await);
            unchecked(world.send(with(&ben, "/")).await);
            assert_eq!(world.questions(), questions + 3, "{fault:?}");
            assert_eq!(world.app.calls(), calls + 1, "{fault:?}");
            // Nothing of it was an answer.
            mended(&world);
            world.advance(1);
            world.send(with(&ada, "/")).await.expect(200);
            world.send(with(&ben, "/")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_hub_that_says_nothing_or_is_gone_is_503() {
    for front in FRONTS {
        let world = of_acme(front).await;
        broken(&world, Fault::Hang);
        let token = world.token("ada");
        let waiting = world.send(with(&token, "/"));
        let in_time = async {
            asked(&world, 1).await;
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
async fn a_pause_that_the_hub_asks_for_is_kept() {
    // Threats 4: back-off on 429.
    for front in FRONTS {
        let world = of_acme(front).await;
        let (ada, ben, dan) = (world.token("ada"), world.token("ben"), world.token("dan"));
        for (fault, pause) in [
            // The window of the hub's clock ends in 100 seconds.
            (Fault::Status(429), 100),
            (Fault::RetryAfter(30), 30),
            (Fault::RetryAfter(86_400), 300),
        ] {
            world.advance(600 - (world.clock.now() - crate::world::NOW) % 300);
            let before = world.questions();
            world.send(with(&ada, "/")).await.expect(200);
            world.send(with("hf_wrong", "/")).await.expect(401);
            broken(&world, fault);
            assert_eq!(unchecked(world.send(with(&ben, "/")).await), pause);
            mended(&world);
            assert_eq!(world.questions(), before + 3);
            world.advance(9);
            // Nobody is asked about, and what is known is known.
            assert_eq!(unchecked(world.send(with(&ben, "/")).await), pause - 9);
            assert_eq!(unchecked(world.send(with(&dan, "/")).await), pause - 9);
            world.send(with(&ada, "/")).await.expect(200);
            world.send(with("hf_wrong", "/")).await.expect(401);
            world.send(with("hf_not-a-token", "/")).await.expect(401);
            world.advance(pause - 10);
            unchecked(world.send(with(&ben, "/")).await);
            assert_eq!(world.questions(), before + 3);
            world.advance(1);
            world.send(with(&ben, "/")).await.expect(200);
            assert_eq!(world.questions(), before + 4);
        }
    }
}

#[tokio::test]
async fn the_last_question_that_the_limit_allows_is_the_last() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.behave(|hub| hub.rate_limit = 2);
        world.send(with(&world.token("ada"), "/")).await.expect(200);
        // This one is answered, and nothing is left.
        world.send(with(&world.token("ben"), "/")).await.expect(200);
        assert_eq!(unchecked(world.send(with(&world.token("dan"), "/")).await), 100);
        assert_eq!(world.questions(), 2, "a third would be refused, so it is not asked");
        world.advance(100);
        world.send(with(&world.token("dan"), "/")).await.expect(403);
    }
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_is_no_flood_at_the_hub() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let known = world.token("ada");
        world.send(with(&known, "/")).await.expect(200);
        broken(&world, Fault::Hang);
        let flood = join_all((0..100).map(async |n| world.send(with(&format!("hf_madeup{n}"), "/")).await));
        let meanwhile = async {
            asked(&world, 33).await;
            // Whoever is known does not notice.
            world.send(with(&known, "/")).await.expect(200);
            unchecked(world.send(with(&world.token("ben"), "/")).await);
            assert_eq!(world.questions(), 33);
            skip(Duration::from_secs(11)).await;
        };
        let (answers, ()) = tokio::join!(flood, meanwhile);
        for answer in answers {
            unchecked(answer);
        }
        assert_eq!(world.questions(), 33, "32 at once, and no more");
        mended(&world);
        world.advance(1);
        world.send(with(&world.token("ben"), "/")).await.expect(200);
    }
}
