//! The layer, as far as it sees what moves.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use huggate::gate::PermissionEnded;
use huggate::{Grant, Rule};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt};

use super::{IDLE, STORES};
use crate::proxy::with_timeout;
use crate::world::{Ask, FRONTS, Front, World, begin, skip};

async fn world(front: Front, store: huggate::session::StoreSettings) -> World {
    World::start(front, move |gate| {
        gate.allow(Rule::org("acme")).session(move |session| {
            session.store = store;
            session.idle_timeout = Duration::from_secs(IDLE);
        })
    })
    .await
}

fn request(method: &str, cookie: &str) -> Request<Empty<Bytes>> {
    let request =
        Request::builder().method(method).uri("/x").header("host", "a.example").header("cookie", cookie);
    request.body(Empty::new()).unwrap()
}

async fn pass(world: &World, seconds: u64) {
    world.advance(seconds);
    skip(Duration::from_secs(seconds)).await;
}

/// The frames that are sent through a channel.
fn frames<E: Send + 'static>(receiver: mpsc::Receiver<Bytes>) -> impl Body<Data = Bytes, Error = E> {
    let frames = stream::unfold(receiver, |mut frames| async {
        frames.recv().await.map(|frame| (Ok::<_, E>(Frame::data(frame)), frames))
    });
    StreamBody::new(frames.chain(stream::pending()))
}

#[tokio::test]
async fn a_quiet_event_stream_ends_with_its_idle_session_behind_every_front() {
    for front in FRONTS {
        for store in STORES {
            let world = world(front, store).await;
            let ada = world.signed_in("ada").await;
            let cookie = ada.cookie_line();
            let ask = Ask::get("/events").with("cookie", &cookie).or_host(&world.address);
            let mut events = begin(&world.address, ask).await.into_body();
            events.frame().await.unwrap().unwrap();
            pass(&world, IDLE).await;
            let end = with_timeout(events.frame()).await;
            // The app of the bare layer has a body that cannot fail.
            assert_eq!(end.is_none(), front == Front::Layer, "{front:?}: {end:?}");
            world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_body_is_cut_with_an_error_when_its_session_ends_and_its_frames_are_use() {
    for store in STORES {
        let world = world(FRONTS[0], store).await;
        let mut ada = world.signed_in("ada").await;
        let cookie = ada.cookie_line();
        let (send, receive) = mpsc::channel(1);
        let body = std::sync::Mutex::new(Some(frames::<Box<dyn Error + Send + Sync>>(receive)));
        let service = tower::service_fn(|_: Request<Empty<Bytes>>| {
            let body = body.lock().unwrap().take().unwrap();
            async { Ok::<_, Infallible>(Response::new(body.boxed_unsync())) }
        });
        let response =
            world.gate.handle(request("GET", &cookie), |request| service.oneshot(request)).await.unwrap();
        let mut body = response.into_body();
        for number in 0..4 {
            let reader = tokio::spawn(async move {
                let frame = with_timeout(body.frame()).await;
                (body, frame)
            });
            // The reader waits before the frame comes.
            tokio::task::yield_now().await;
            pass(&world, IDLE - 1).await;
            send.send(Bytes::from(format!("{number}"))).await.unwrap();
            let frame;
            (body, frame) = reader.await.unwrap();
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), format!("{number}"));
        }
        pass(&world, IDLE - 1).await;
        world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
        ada.open("/oauth2/sign_out").await.expect(200);
        let error = with_timeout(body.frame()).await.unwrap().unwrap_err();
        assert!(error.downcast_ref::<PermissionEnded>().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_request_that_the_inner_service_works_on_ends_with_its_session() {
    for store in STORES {
        let world = world(FRONTS[0], store).await;
        let pending = tower::service_fn(|_: Request<Empty<Bytes>>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
        });
        let mut ada = world.signed_in("ada").await;
        let call = world.gate.layer().layer(pending).oneshot(request("GET", &ada.cookie_line()));
        let call = tokio::spawn(call);
        tokio::task::yield_now().await;
        ada.open("/oauth2/sign_out").await.expect(200);
        let response = with_timeout(call).await.unwrap().unwrap();
        assert_eq!(response.status(), 401);
        let said = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&said).contains("session_ended"), "{said:?}");
    }
}

#[tokio::test]
async fn a_response_that_comes_when_its_session_has_ended_is_ours() {
    for store in STORES {
        let world = world(FRONTS[0], store).await;
        let cookie = world.signed_in("ada").await.cookie_line();
        let sign_out = || {
            let ask = Ask::new("POST", "/oauth2/sign_out").with("cookie", &cookie);
            world.send(ask.with("sec-fetch-site", "same-origin"))
        };
        let inner = |_: Request<Empty<Bytes>>| async {
            sign_out().await.expect(200);
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"private"))))
        };
        let response = world.gate.handle(request("GET", &cookie), inner).await.unwrap();
        assert_eq!(response.status(), 401);
        let said = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&said).contains("session_ended"), "{said:?}");
    }
}

#[tokio::test]
async fn a_service_with_a_websocket_of_its_own_records_its_use() {
    for store in STORES {
        let world = world(FRONTS[0], store).await;
        let cookie = world.signed_in("ada").await.cookie_line();
        let (send, mut grants) = mpsc::channel::<Grant>(1);
        let service = tower::service_fn(move |request: Request<Empty<Bytes>>| {
            let send = send.clone();
            async move {
                send.send(request.extensions().get::<Grant>().unwrap().clone()).await.unwrap();
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        world.gate.layer().layer(service).oneshot(request("GET", &cookie)).await.unwrap();
        let grant = grants.recv().await.unwrap();
        let ended = tokio::spawn({
            let grant = grant.clone();
            async move { grant.ended().await }
        });
        for _ in 0..3 {
            pass(&world, IDLE - 1).await;
            grant.record_use();
        }
        assert!(!ended.is_finished());
        pass(&world, IDLE - 1).await;
        world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
        pass(&world, IDLE).await;
        with_timeout(ended).await.unwrap();
        world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(401);
    }
}
