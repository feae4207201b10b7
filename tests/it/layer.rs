//! The Tower layer around other services.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use huggate::{Client, Gate, Grant, Peer, Refusal, Route, Rule, TrustedProxies, User};
use tower::{Layer, ServiceExt};

use crate::world::{FRONTS, World};

/// An error type that only the inner service has.
#[derive(Debug, PartialEq)]
struct Own(u32);

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "own error {}", self.0)
    }
}

/// A gate with a public `/public/**`, and Ada's cookie for it.
async fn world() -> (World, String) {
    let world = World::start(FRONTS[0], |gate| {
        let public = Route::public("/public/**");
        gate.allow(Rule::org("acme")).route(public)
    })
    .await;
    let line = world.signed_in("ada").await.cookie_line();
    (world, line)
}

fn ask(path: &str, cookie: &str) -> Request<Empty<Bytes>> {
    let request = Request::builder().uri(path).header("host", "a.example").header("cookie", cookie);
    request.body(Empty::new()).unwrap()
}

#[tokio::test]
async fn the_inner_services_error_is_returned_unchanged() {
    let (world, cookie) = world().await;
    let failing = tower::service_fn(async |_: Request<Empty<Bytes>>| Err::<Response<Full<Bytes>>, _>(Own(7)));
    let error = world.gate.layer().layer(failing).oneshot(ask("/", &cookie)).await.err();
    assert_eq!(error, Some(Own(7)));
    // An anonymous request does not reach the service, and a refusal is not an error.
    let refused = world.gate.layer().layer(failing).oneshot(ask("/", "")).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.extensions().get::<Refusal>(), Some(&Refusal::SignIn));
}

#[tokio::test]
async fn the_inner_response_body_keeps_its_frames_trailers_and_size_hint() {
    let (world, cookie) = world().await;
    let streaming = tower::service_fn(async |_: Request<Empty<Bytes>>| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"one"))),
            Ok(Frame::data(Bytes::from_static(b"two"))),
            Ok(Frame::trailers(trailers)),
            Err(Own(1)),
        ];
        let frames = futures_util::stream::iter(frames);
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let mut body = world.gate.layer().layer(streaming).oneshot(ask("/", &cookie)).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.frame().await.unwrap().unwrap_err(), Own(1));

    let whole = tower::service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::from("12345")))
    });
    let body = world.gate.layer().layer(whole).oneshot(ask("/", &cookie)).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
}

#[tokio::test]
async fn the_request_body_reaches_the_inner_service_unread() {
    let (world, cookie) = world().await;
    /// A body type that the layer does not know and could not create.
    struct Sealed(u32);
    impl Body for Sealed {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("the layer reads the body")
        }
    }
    let reading = tower::service_fn(async |request: Request<Sealed>| {
        Ok::<_, Infallible>(Response::new(Full::from(request.into_body().0.to_string())))
    });
    let request = ask("/", &cookie).map(|_| Sealed(42));
    let response = world.gate.layer().layer(reading).oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "42");
}

#[tokio::test]
async fn the_extensions_contain_the_user_and_the_grant() {
    let (world, cookie) = world().await;
    let telling = tower::service_fn(async |request: Request<Empty<Bytes>>| {
        let extensions = request.extensions();
        let user = extensions.get::<User>().map(|user| user.username().to_owned());
        let grant = extensions.get::<Grant>().expect("a grant");
        assert_eq!(grant.user().map(|user| user.username().to_owned()), user);
        let client = extensions.get::<Client>().expect("a client");
        let told = format!("{user:?} {:?} {}", grant.route(), client.host);
        Ok::<_, Infallible>(Response::new(Full::from(told)))
    });
    for (path, cookie, told) in [
        ("/x", cookie.as_str(), "Some(\"ada\") None a.example"),
        ("/public/x", cookie.as_str(), "Some(\"ada\") Some(0) a.example"),
        ("/public/x", "", "None Some(0) a.example"),
    ] {
        let response = world.gate.layer().layer(telling).oneshot(ask(path, cookie)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), told);
    }
}

#[tokio::test]
async fn a_foreign_user_in_the_extensions_is_removed() {
    // An extension that an outer layer left: on a public route, an anonymous request has no
    // user.
    let (world, cookie) = world().await;
    let telling = tower::service_fn(|request: Request<Empty<Bytes>>| {
        let user = request.extensions().get::<User>().map(|user| user.username().to_owned());
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::from(format!("{user:?}")))))
    });
    let service = world.gate.layer().layer(telling);
    let response = service.clone().oneshot(ask("/public/x", &cookie)).await.unwrap();
    let ada = response.extensions().get::<User>().unwrap().clone();
    let mut request = ask("/public/x", "");
    request.extensions_mut().insert(ada);
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "None");
}

#[tokio::test]
async fn forwarding_headers_are_ignored_unless_the_peer_is_a_trusted_proxy() {
    // Attack: spoofed X-Forwarded-*; the leftmost address trusted.
    let world = World::start(FRONTS[0], |gate| {
        let public = Route::public("/**");
        gate.allow(Rule::org("acme"))
            .route(public)
            .trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"]).unwrap())
    })
    .await;
    let telling = tower::service_fn(async |request: Request<Empty<Bytes>>| {
        let client = request.extensions().get::<Client>().unwrap().clone();
        let told = format!(
            "{} {} {}",
            client.ip.map_or_else(String::new, |ip| ip.to_string()),
            client.host,
            client.https
        );
        Ok::<_, Infallible>(Response::new(Full::from(told)))
    });
    for (peer, forwarded, told) in [
        ("203.0.113.9", "6.6.6.6", "203.0.113.9 a.example false"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7 app.example.com true"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.2.3.4", "198.51.100.7 app.example.com true"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7 app.example.com true"),
        ("10.0.0.1", "198.51.100.7, garbage", "10.0.0.1 app.example.com true"),
    ] {
        let mut request = ask("/x", "");
        for (name, value) in [
            ("x-forwarded-for", forwarded),
            ("x-forwarded-host", "App.example.com"),
            ("x-forwarded-proto", "https"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let addr = std::net::SocketAddr::new(peer.parse().unwrap(), 4711);
        request.extensions_mut().insert(Peer::new(addr));
        let response = world.gate.layer().layer(telling).oneshot(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), told, "{peer}: {forwarded}");
    }
}

#[tokio::test]
async fn a_gate_is_cheap_to_clone_and_clones_share_their_state() {
    let (world, cookie) = world().await;
    let telling = tower::service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::from("in")))
    });
    let one: Gate = world.gate.clone();
    let two = world.gate.clone();
    assert_eq!(one.layer().layer(telling).oneshot(ask("/", &cookie)).await.unwrap().status(), 200);
    let out = one.layer().layer(telling).oneshot(ask("/oauth2/sign_out", &cookie)).await.unwrap();
    assert_eq!(out.status(), 200);
    assert_eq!(two.layer().layer(telling).oneshot(ask("/", &cookie)).await.unwrap().status(), 401);
}

#[cfg(feature = "axum")]
mod extractors {
    use axum::Router;
    use axum::routing::get;
    use huggate::User;
    use tower::ServiceExt;

    use super::{BodyExt, ask, world};

    fn router() -> Router {
        Router::new()
            .route("/", get(|user: User| async move { format!("hello {}", user.username()) }))
            .route(
                "/public/maybe",
                get(|user: Option<User>| async move {
                    user.map_or_else(|| "nobody".to_owned(), |user| user.username().to_owned())
                }),
            )
            .route("/public/must", get(|user: User| async move { user.username().to_owned() }))
    }

    #[tokio::test]
    async fn a_handler_takes_the_user_as_an_argument() {
        let (world, cookie) = world().await;
        let app = router().layer(world.gate.layer());
        for (path, cookie, status, body) in [
            ("/", cookie.as_str(), 200, "hello ada"),
            ("/public/maybe", cookie.as_str(), 200, "ada"),
            ("/public/maybe", "", 200, "nobody"),
            ("/public/must", "", 401, "nobody is signed in"),
            ("/public/must", cookie.as_str(), 200, "ada"),
            ("/public/none", "", 404, ""),
        ] {
            let response = app.clone().oneshot(ask(path, cookie)).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body, "{path}");
        }
        // A layer around the whole router also covers routes that do not exist.
        assert_eq!(app.clone().oneshot(ask("/none", "")).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn a_proxy_gets_a_request_without_hop_by_hop_fields() {
    let (world, cookie) = world().await;
    let hop_by_hop = [
        ("connection", "x-named"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("trailer", "x-forwarded-user"),
    ];
    let request = |more: &[(&'static str, &'static str)]| {
        let mut request = ask("/public/x", &cookie);
        for (name, value) in more {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request
    };
    let sent = async |request: Request<Empty<Bytes>>| {
        let mut sent = HeaderMap::new();
        let forward = |request: Request<Empty<Bytes>>, _: Grant, _: Client| {
            sent = request.headers().clone();
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        };
        let answered = world.gate.handle_with_grant(None, request, forward).await;
        assert_eq!(answered.unwrap().status(), 200);
        sent
    };
    let headers = sent(request(&hop_by_hop)).await;
    for (name, _) in hop_by_hop {
        assert!(!headers.contains_key(name), "{name}: {headers:?}");
    }
    assert_eq!(headers["x-forwarded-preferred-username"], "ada");
    // Trailers may be accepted on any line, and a WebSocket handshake stays one.
    let headers = sent(request(&[("te", "gzip"), ("te", "Trailers;q=1, trailers")])).await;
    assert_eq!(headers.get_all("te").iter().collect::<Vec<_>>(), ["trailers"]);
    let headers = sent(request(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])).await;
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"Upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
}
