//! Every end of a session ends what is open under it.

use std::pin::pin;
use std::time::Duration;

use huggate::session::StoreSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::exchange::{Exchange, VERSIONS, Version};
use super::{IDLE, SSE, STORES, Stage};
use crate::proxy::{read_until, wait_closed, with_timeout};
use crate::world::{Ask, Browser, CLIENT};

/// Seconds until the provider is asked again.
const REVALIDATE: u64 = 15 * 60;

/// What is open under a session, with the app's ends of it.
struct Open {
    events: Exchange,
    download: Exchange,
    answered_upload: Exchange,
    upload: Exchange,
    waiting: Exchange,
    waiting_page: Exchange,
    upstreams: Vec<TcpStream>,
}

impl Open {
    async fn under(stage: &Stage, version: Version, cookie: &str) -> Self {
        let mut upstreams = Vec::new();
        let mut events = stage.get(version, cookie, "/events").await;
        upstreams.push(stage.app.request().await.0);
        let head = format!("HTTP/1.1 200 OK\r\n{SSE}\r\n\r\n5\r\nevent\r\n");
        upstreams[0].write_all(head.as_bytes()).await.unwrap();
        assert_eq!(events.status().await, 200);
        events.receive("event").await;

        let mut download = stage.get(version, cookie, "/download").await;
        upstreams.push(stage.app.request().await.0);
        upstreams[1].write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin").await.unwrap();
        assert_eq!(download.status().await, 200);
        download.receive("begin").await;

        // The app answers while the client is still sending.
        let mut answered_upload = stage.post(version, cookie, "/both").await;
        answered_upload.send("to the app").await;
        upstreams.push(stage.app.request().await.0);
        read_until(&mut upstreams[2], "to the app\r\n").await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nback\r\n";
        upstreams[2].write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answered_upload.status().await, 200);
        answered_upload.receive("back").await;

        let mut upload = stage.post(version, cookie, "/upload").await;
        upload.send("a part").await;
        upstreams.push(stage.app.request().await.0);
        read_until(&mut upstreams[3], "a part\r\n").await;

        let waiting = stage.get(version, cookie, "/waiting").await;
        upstreams.push(stage.app.request().await.0);
        let waiting_page = Exchange::with_accept(stage, version, "GET", "/page", cookie, "text/html").await;
        upstreams.push(stage.app.request().await.0);
        Self { events, download, answered_upload, upload, waiting, waiting_page, upstreams }
    }

    /// All of it ends, with this status where no response had begun.
    async fn ends(mut self, status: u16, error: &str) {
        self.events.is_cut().await;
        self.download.is_cut().await;
        self.answered_upload.is_cut().await;
        for mut unanswered in [self.upload, self.waiting] {
            assert_eq!(unanswered.status().await, status);
            let said = unanswered.rest().await;
            assert!(said.contains(error), "{said}");
        }
        assert_eq!(self.waiting_page.status().await, status);
        assert!(self.waiting_page.rest().await.contains("<h1>"));
        for upstream in &mut self.upstreams {
            assert!(wait_closed(upstream).await, "the app still has a connection");
        }
    }
}

/// Runs `end` with a browser of the session, for both stores and protocols, and sees
/// everything end.
async fn each(status: u16, error: &str, end: impl AsyncFn(&Stage, &mut Browser<'_>)) {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::with(move |session| {
                session.store = store;
                session.idle_timeout = Duration::from_secs(12 * 3600);
            })
            .await;
            let mut ada = stage.world.signed_in("ada").await;
            let ben = stage.world.signed_in("ben").await;
            let open = Open::under(&stage, version, &ada.cookie_line()).await;
            let mut other = stage.get(version, &ben.cookie_line(), "/events").await;
            let (mut upstream, _) = stage.app.request().await;
            let head = format!("HTTP/1.1 200 OK\r\n{SSE}\r\n\r\n5\r\nevent\r\n");
            upstream.write_all(head.as_bytes()).await.unwrap();
            assert_eq!(other.status().await, 200);
            other.receive("event").await;
            end(&stage, &mut ada).await;
            open.ends(status, error).await;
            // What is open under another session is not touched.
            upstream.write_all(b"4\r\nnext\r\n").await.unwrap();
            other.receive("next").await;
        }
    }
}

#[tokio::test]
async fn a_sign_out_ends_all_that_is_open_under_the_session() {
    each(401, "session_ended", async |_, ada| {
        ada.open("/oauth2/sign_out").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_sign_out_in_another_browser_with_the_same_session_ends_all_of_it() {
    each(401, "session_ended", async |stage, ada| {
        let mut other = ada.at(&stage.world);
        other.open("/oauth2/sign_out").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_new_sign_in_in_the_same_browser_ends_what_the_session_before_had_open() {
    each(401, "session_ended", async |_, ada| {
        ada.open("/oauth2/start").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_revocation_by_the_provider_ends_all_that_is_open_at_the_next_revalidation() {
    each(401, "session_ended", async |stage, _| {
        stage.world.hub.disconnect("ada", CLIENT);
        stage.pass(REVALIDATE).await;
    })
    .await;
}

#[tokio::test]
async fn a_lost_membership_ends_all_that_is_open_at_the_next_revalidation() {
    each(403, "access_ended", async |stage, _| {
        stage.world.hub.edit_user("ada", |ada| ada.orgs.retain(|org| org.slug != "acme"));
        stage.pass(REVALIDATE).await;
    })
    .await;
}

#[tokio::test]
async fn max_age_ends_all_that_is_open_though_it_is_in_use() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::with(move |session| {
                session.store = store;
                session.max_age = Duration::from_secs(2 * IDLE);
            })
            .await;
            let mut ada = stage.world.signed_in("ada").await;
            let mut open = Open::under(&stage, version, &ada.cookie_line()).await;
            for _ in 0..2 {
                stage.pass(IDLE - 1).await;
                open.upstreams[0].write_all(b"4\r\nnext\r\n").await.unwrap();
                open.events.receive("next").await;
            }
            stage.pass(2).await;
            open.ends(401, "session_ended").await;
            ada.fetch("/").await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_response_that_comes_when_its_session_has_ended_is_answered_and_not_cut() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let mut ada = stage.world.signed_in("ada").await;
            let mut quick = stage.get(version, &ada.cookie_line(), "/quick").await;
            let (mut upstream, _) = stage.app.request().await;
            ada.open("/oauth2/sign_out").await.expect(200);
            // Cut at its first byte, it would be a connection that is closed without a word.
            upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nprivate").await.unwrap();
            assert_eq!(quick.status().await, 401);
            let said = quick.rest().await;
            assert!(said.contains("session_ended") && !said.contains("private"), "{said}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_goes_on_after_its_response_ends_with_its_session() {
    for (max_age, revalidate) in [(2, 3600), (3600, 2)] {
        for version in VERSIONS {
            let stage = Stage::with(move |session| {
                session.max_age = Duration::from_secs(max_age);
                session.revalidate = Duration::from_secs(revalidate);
                session.idle_timeout = Duration::from_secs(3600);
            })
            .await;
            let ada = stage.world.signed_in("ada").await;
            let mut upload = stage.post(version, &ada.cookie_line(), "/upload").await;
            upload.send("a part").await;
            let (mut upstream, _) = stage.app.request().await;
            read_until(&mut upstream, "a part\r\n").await;
            upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nback").await.unwrap();
            assert_eq!(upload.status().await, 200);
            upload.receive("back").await;
            stage.world.hub.edit_user("ada", |ada| ada.orgs.retain(|org| org.slug != "acme"));
            stage.world.advance(2);
            // It does not stall meanwhile.
            let (mut reader, _writer) = upstream.into_split();
            let mut rest = Vec::new();
            let mut closed = pin!(with_timeout(reader.read_to_end(&mut rest)));
            let mut sending = true;
            while futures_util::poll!(closed.as_mut()).is_pending() {
                sending = sending && upload.try_send("x").await;
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn tabs_that_sign_in_at_the_same_moment_have_one_session() {
    for store in STORES {
        // The second callback is sent before, or after, the answer to the first has come.
        for before in [false, true] {
            let stage = Stage::new(store).await;
            let mut ada = stage.world.browser();
            ada.be_at_hub("ada", &["acme"]);
            // A browser restores its tabs: no request has a cookie yet.
            let mut starts = Vec::new();
            for _ in 0..2 {
                starts.push(stage.world.send(Ask::navigation("/")).await.expect(302));
            }
            let mut callbacks = Vec::new();
            for start in &starts {
                let (name, value) = start.cookies()[0].split(';').next().unwrap().split_once('=').unwrap();
                ada.set_cookie(name, value);
            }
            for start in &starts {
                callbacks.push(ada.step(start.location()).await.location().to_owned());
            }
            let earlier = ada.at(&stage.world);
            ada.step(&callbacks[0]).await;
            let mut events = stage.get(Version::Http1, &ada.cookie_line(), "/events").await;
            let (mut upstream, _) = stage.app.request().await;
            let head = format!("HTTP/1.1 200 OK\r\n{SSE}\r\n\r\n5\r\nevent\r\n");
            upstream.write_all(head.as_bytes()).await.unwrap();
            assert_eq!(events.status().await, 200);
            events.receive("event").await;
            let mut second = if before { earlier } else { ada.at(&stage.world) };
            second.step(&callbacks[1]).await;
            second.fetch("/").await.expect(200);
            ada.fetch("/").await.expect(200);
            upstream.write_all(b"4\r\nnext\r\n").await.unwrap();
            events.receive("next").await;
            second.open("/oauth2/sign_out").await.expect(200);
            events.is_cut().await;
            ada.fetch("/").await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_second_account_in_another_tab_does_not_take_over_the_session_of_the_first() {
    for store in STORES {
        let stage = Stage::new(store).await;
        let mut ada = stage.world.browser();
        let mut starts = Vec::new();
        for _ in 0..2 {
            let start = stage.world.send(Ask::navigation("/")).await.expect(302);
            let (name, value) = start.cookies()[0].split(';').next().unwrap().split_once('=').unwrap();
            ada.set_cookie(name, value);
            starts.push(start);
        }
        ada.be_at_hub("ada", &["acme"]);
        let first = ada.step(starts[0].location()).await.location().to_owned();
        ada.be_at_hub("ben", &["acme"]);
        let second = ada.step(starts[1].location()).await.location().to_owned();
        ada.step(&first).await;
        let of_ada = ada.cookie_line();
        ada.step(&second).await;
        assert_eq!(ada.fetch("/").await.expect(200).echo().username(), Some("ben"));
        stage.world.send(Ask::fetch("/").with("cookie", &of_ada)).await.expect(401);
    }
}

#[tokio::test]
async fn an_end_closes_the_connection_to_the_app_though_the_client_reads_nothing() {
    let stage = Stage::new(StoreSettings::Cookie).await;
    let mut ada = stage.world.signed_in("ada").await;
    for version in VERSIONS {
        let mut download = stage.get(version, &ada.cookie_line(), "/download").await;
        let (mut upstream, _) = stage.app.request().await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
        assert_eq!(download.status().await, 200);
        let (mut reader, mut writer) = upstream.into_split();
        let (begun, filled) = tokio::sync::oneshot::channel();
        let sending = tokio::spawn(async move {
            let piece = vec![b'x'; 1 << 20];
            // What fits into buffers on the way.
            let mut begun = Some(begun);
            loop {
                let sent = tokio::time::timeout(Duration::from_millis(300), writer.write_all(&piece));
                match sent.await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => {
                        if let Some(begun) = begun.take() {
                            let _ = begun.send(());
                        }
                    }
                }
            }
        });
        with_timeout(filled).await.unwrap();
        ada.open("/oauth2/sign_out").await.expect(200);
        let mut rest = Vec::new();
        let _ = with_timeout(reader.read_to_end(&mut rest)).await;
        with_timeout(sending).await.unwrap();
        download.is_cut().await;
        ada.sign_in("ada").await.expect(200);
    }
}
