//! What counts as use, and what is quiet.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::exchange::VERSIONS;
use super::{IDLE, SSE, STORES, Stage};
use crate::proxy::{read_until, wait_closed};
use crate::world::Ask;

/// Sends the head of a response, and a first chunk.
async fn respond(upstream: &mut TcpStream, lines: &str) {
    let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
    upstream.write_all(head.as_bytes()).await.unwrap();
    chunk(upstream, "first").await;
}

async fn chunk(upstream: &mut TcpStream, text: &str) {
    upstream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_stream_on_which_something_moves_keeps_its_session_also_for_the_next_request() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let ada = stage.world.signed_in("ada").await;
            let cookie = ada.cookie_line();
            let mut events = stage.get(version, &cookie, "/events").await;
            let (mut upstream, _) = stage.app.request().await;
            respond(&mut upstream, SSE).await;
            assert_eq!(events.status().await, 200);
            events.receive("first").await;
            for number in 0..4 {
                stage.pass(IDLE - 1).await;
                chunk(&mut upstream, &format!("event {number}")).await;
                events.receive(&format!("event {number}")).await;
            }
            stage.pass(IDLE - 1).await;
            // The cookie says that the session was last used at the sign-in.
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
            stage.pass(IDLE - 1).await;
            chunk(&mut upstream, "the last").await;
            events.receive("the last").await;
        }
    }
}

#[tokio::test]
async fn an_event_stream_on_which_nothing_moves_ends_with_its_idle_session() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let mut ada = stage.world.signed_in("ada").await;
            let mut events = stage.get(version, &ada.cookie_line(), "/events").await;
            let (mut upstream, _) = stage.app.request().await;
            respond(&mut upstream, SSE).await;
            assert_eq!(events.status().await, 200);
            events.receive("first").await;
            stage.pass(IDLE - 1).await;
            chunk(&mut upstream, "still here").await;
            events.receive("still here").await;
            stage.pass(IDLE).await;
            events.is_cut().await;
            assert!(wait_closed(&mut upstream).await, "the app is still sending");
            ada.fetch("/").await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_quiet_stream_goes_on_while_requests_use_its_session() {
    for store in STORES {
        let stage = Stage::new(store).await;
        let mut ada = stage.world.signed_in("ada").await;
        let old = ada.cookie_line();
        let mut events = stage.get(VERSIONS[0], &old, "/events").await;
        let (mut upstream, _) = stage.app.request().await;
        respond(&mut upstream, SSE).await;
        events.receive("first").await;
        for _ in 0..4 {
            stage.pass(IDLE - 1).await;
            ada.fetch("/").await.expect(200);
        }
        chunk(&mut upstream, "an event at last").await;
        events.receive("an event at last").await;
        stage.world.send(Ask::fetch("/").with("cookie", &old)).await.expect(200);
    }
}

#[tokio::test]
async fn requests_are_use_even_if_the_client_keeps_no_renewed_cookie() {
    for store in STORES {
        let stage = Stage::new(store).await;
        let cookie = stage.world.signed_in("ada").await.cookie_line();
        for _ in 0..4 {
            stage.pass(IDLE - 1).await;
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
        }
        stage.pass(IDLE).await;
        stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(401);
    }
}

#[tokio::test]
async fn an_upload_that_moves_keeps_its_session_and_one_that_does_not_ends_with_it() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let ada = stage.world.signed_in("ada").await;
            let cookie = ada.cookie_line();
            let mut upload = stage.post(version, &cookie, "/upload").await;
            let (mut upstream, _) = stage.app.request().await;
            for number in 0..4 {
                let part = format!("part {number}");
                upload.send(&part).await;
                read_until(&mut upstream, &format!("{part}\r\n")).await;
                stage.pass(IDLE - 1).await;
            }
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
            stage.pass(IDLE).await;
            assert_eq!(upload.status().await, 401);
            assert!(upload.rest().await.contains("session_ended"));
            assert!(wait_closed(&mut upstream).await, "the app is still waiting for the rest");
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_download_that_moves_keeps_its_session_and_one_that_does_not_is_cut() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let ada = stage.world.signed_in("ada").await;
            let cookie = ada.cookie_line();
            let mut download = stage.get(version, &cookie, "/download").await;
            let (mut upstream, _) = stage.app.request().await;
            upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin").await.unwrap();
            assert_eq!(download.status().await, 200);
            download.receive("begin").await;
            // More frames than those for which a response counts as short.
            for number in 0..20 {
                stage.pass(IDLE - 1).await;
                upstream.write_all(format!("part {number};").as_bytes()).await.unwrap();
                download.receive(&format!("part {number};")).await;
            }
            stage.pass(IDLE - 1).await;
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
            stage.pass(IDLE).await;
            download.is_cut().await;
            assert!(wait_closed(&mut upstream).await);
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(401);
        }
    }
}

#[tokio::test]
async fn what_a_stream_used_is_known_after_its_cookie_left_the_cache() {
    for store in STORES {
        let stage = Stage::with(move |session| {
            session.store = store;
            session.cached_sessions = 1;
        })
        .await;
        let cookie = stage.world.signed_in("ada").await.cookie_line();
        let mut events = stage.get(VERSIONS[0], &cookie, "/events").await;
        let (mut upstream, _) = stage.app.request().await;
        respond(&mut upstream, SSE).await;
        events.receive("first").await;
        for user in ["ben", "ada"] {
            stage.pass(IDLE - 1).await;
            chunk(&mut upstream, "next").await;
            events.receive("next").await;
            // Others take the place in the cache.
            stage.world.signed_in(user).await.fetch("/").await.expect(200);
        }
        stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
    }
}
