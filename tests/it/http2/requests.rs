//! HTTP/2 requests are translated to HTTP/1.1.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Request};
use http_body_util::Full;
use huggate::{Gate, Rule};
use tokio::io::AsyncWriteExt;

use super::{ask, connect, get, text};
use crate::proxy::{ScriptedApp, TestProxy, echo_app, with_timeout};
use crate::world::{Front, JWT, World};

#[tokio::test]
async fn a_request_reaches_the_app_as_http1() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let mut client = connect(&proxy.address).await;
    let mut request = get("/a%2Fb/./c?d=%20&e");
    for (name, value) in
        [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("x-list", "1"), ("x-other", "x"), ("x-list", "2")]
    {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    let head = text(ask(&mut client, request).await).await;
    assert!(head.starts_with("GET /a%2Fb/./c?d=%20&e HTTP/1.1\r\n"), "{head}");
    for line in ["\r\nhost: gate.example\r\n", "cookie: a=1; b=2; c=3\r\n", "x-list: 1\r\nx-list: 2\r\n"] {
        assert_eq!(head.matches(line).count(), 1, "{line:?} in {head}");
    }
    assert!(!head.contains(":authority") && !head.contains("transfer-encoding"), "{head}");
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let client = connect(&proxy.address).await;
    let answers = (0..200).map(|number| {
        let mut client = client.clone();
        async move { text(ask(&mut client, get(&format!("/{number}"))).await).await }
    });
    for (number, head) in join_all(answers).await.into_iter().enumerate() {
        assert!(head.starts_with(&format!("GET /{number} HTTP/1.1\r\n")), "{head}");
    }
}

#[tokio::test]
async fn hop_by_hop_headers_are_removed_from_responses() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = connect(&proxy.address).await;
    let asking = tokio::spawn(async move { (ask(&mut client, get("/")).await, client) });
    let (mut upstream, _) = app.request().await;
    upstream
        .write_all(
            b"HTTP/1.1 200 OK\r\nconnection: keep-alive, x-hop\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\n\
              set-cookie: a=1\r\nset-cookie: b=2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        )
        .await
        .unwrap();
    let (response, _client) = asking.await.unwrap();
    let names: Vec<&str> = response.headers().keys().map(http::HeaderName::as_str).collect();
    assert!(
        !names.iter().any(|name| ["connection", "keep-alive", "x-hop", "transfer-encoding"].contains(name))
    );
    assert_eq!(response.headers().get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(text(response).await, "ok");
}

#[tokio::test]
async fn bodyless_responses_stay_bodyless() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = connect(&proxy.address).await;
    for (method, answer, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\ncontent-length: 5\r\n\r\n", 304),
        ("GET", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204),
    ] {
        let mut request = get("/");
        *request.method_mut() = method.parse().unwrap();
        let mut sender = client.clone();
        let asking = tokio::spawn(async move { ask(&mut sender, request).await });
        let (mut upstream, _) = app.request().await;
        upstream.write_all(answer.as_bytes()).await.unwrap();
        let response = asking.await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(text(response).await, "", "{method} {answer}");
        // The next request opens a new connection.
        drop(upstream);
    }
    client.ready().await.unwrap();
}

#[tokio::test]
async fn an_upload_and_its_response_are_forwarded() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = connect(&proxy.address).await;
    let request = Request::post("http://gate.example/up").body(Full::from("all of it")).unwrap();
    let asking = tokio::spawn(async move { ask(&mut client, request).await.status() });
    let (mut upstream, head) = app.request().await;
    assert!(head.contains("content-length: 9\r\n"), "{head}");
    assert_eq!(crate::proxy::read_until(&mut upstream, "all of it").await, "all of it");
    upstream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert_eq!(asking.await.unwrap(), 201);
}

#[tokio::test]
async fn headers_past_the_limits_are_rejected() {
    let (app, connections) = echo_app().await;
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.header_bytes = 16 * 1024).await;
    let mut client = connect(&proxy.address).await;
    let mut many = get("/");
    for number in 0..101 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        many.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    assert_eq!(ask(&mut client, many).await.status(), 431);
    let mut long = get("/");
    long.headers_mut().insert("x-long", "x".repeat(20 * 1024).parse().unwrap());
    match with_timeout(client.send_request(long)).await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(!error.is_timeout(), "{error:?}"),
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&mut connect(&proxy.address).await, get("/")).await.status(), 200);
}

#[tokio::test]
async fn a_host_that_differs_from_the_authority_is_rejected() {
    let (app, connections) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let mut client = connect(&proxy.address).await;
    let mut request = get("/");
    request.headers_mut().insert("host", HeaderValue::from_static("other.example"));
    assert_eq!(ask(&mut client, request).await.status(), 400);
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_request_with_a_body_is_not_a_preflight() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let world = World::start(Front::Proxy, |gate| {
        let api = huggate::Route::path("/api/**");
        let mut api = api.allow(vec![Rule::org("acme")]);
        api.preflight = true;
        gate.allow(Rule::org("acme")).route(api)
    })
    .await;
    drop(proxy);
    let host = world.address.clone();
    let preflight = |body: &'static str| {
        Request::options(format!("http://{host}/api/x"))
            .header("origin", "https://other.example")
            .header("access-control-request-method", "PUT")
            .body(Full::<Bytes>::from(body))
            .unwrap()
    };
    let mut client = connect(&world.address).await;
    assert_eq!(ask(&mut client, preflight("")).await.status(), 200);
    assert_eq!(ask(&mut client, preflight("body")).await.status(), 401);
    // Also without `content-length`.
    let stream = futures_util::stream::once(async {
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(b"body")))
    });
    let body = http_body_util::StreamBody::new(stream);
    let (parts, _) = preflight("").into_parts();
    let tcp = tokio::net::TcpStream::connect(&world.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(tcp),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = Request::from_parts(parts, Box::pin(body));
    assert_eq!(with_timeout(sender.send_request(request)).await.unwrap().status(), 401);
}

#[tokio::test]
async fn identity_headers_are_sent_for_http2_requests() {
    let world = World::of_acme(Front::Proxy).await;
    let browser = world.signed_in("ada").await;
    let mut client = connect(&world.address).await;
    let mut request = Request::get(format!("http://{}/x", world.address)).body(Full::default()).unwrap();
    request.headers_mut().insert("x-forwarded-user", HeaderValue::from_static("root"));
    for pair in browser.cookie_line().split("; ") {
        request.headers_mut().append("cookie", pair.parse().unwrap());
    }
    request.headers_mut().append("cookie", HeaderValue::from_static("other=1"));
    let body = text(ask(&mut client, request).await).await;
    assert!(body.contains("ada") && !body.contains("root"), "{body}");
    assert!(body.contains("other=1") && body.contains(JWT[1]), "{body}");
    let nobody = Request::get(format!("http://{}/x", world.address)).body(Full::default()).unwrap();
    let refused = ask(&mut client, nobody).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn grpc_clients_get_grpc_statuses() {
    let world = World::start(Front::Proxy, |gate| {
        gate.allow(Rule::org("acme")).bearer(huggate::authn::BearerSettings::default())
    })
    .await;
    let mut client = connect(&world.address).await;
    let call = |token: Option<String>| {
        let mut call = Request::post(format!("http://{}/pkg.Service/Method", world.address))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers");
        if let Some(token) = token {
            call = call.header("authorization", format!("Bearer {token}"));
        }
        call.body(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0]))).unwrap()
    };
    for (token, status) in
        [(None, "16"), (Some("hf_nonsense".to_owned()), "16"), (world.hub.token_of("dan"), "7")]
    {
        let response = ask(&mut client, call(token.clone())).await;
        assert_eq!(response.status(), 200, "{token:?}");
        assert_eq!(response.headers()["grpc-status"], status, "{token:?}");
        assert_eq!(response.headers()["content-type"], "application/grpc+proto");
        assert!(!response.headers()["grpc-message"].is_empty());
        assert_eq!(text(response).await, "");
    }
    // The endpoint that describes the caller refuses a token in the same way.
    let mut call = call(Some("hf_nonsense".to_owned()));
    *call.uri_mut() = format!("http://{}/oauth2/userinfo", world.address).parse().unwrap();
    let response = ask(&mut client, call).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"16".parse().unwrap())
    );
}

/// A server of an embedder may pass an extended CONNECT on unchanged.
#[tokio::test]
async fn the_gate_judges_an_extended_connect_as_a_get() {
    use huggate::Route;

    let mut get_only = Route::public("/open/**");
    get_only.methods = vec![http::Method::GET];
    let gate = Gate::builder()
        .public_url("http://gate.example")
        .issuer("http://127.0.0.1:1")
        .public_client("nobody")
        .secret(crate::world::SECRET)
        .allow(Rule::org("acme"))
        .route(get_only)
        .build()
        .await
        .unwrap();
    for (path, origin, status) in [
        ("/open/ws", None, 200),
        ("/open/ws", Some("http://gate.example"), 200),
        ("/open/ws", Some("https://evil.example"), 403),
        ("/closed/ws", None, 401),
    ] {
        let mut request = Request::builder().method("CONNECT").uri(format!("http://gate.example{path}"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let app =
            |_| async { Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default())) };
        let response = gate.handle(request.body(String::new()).unwrap(), app).await.unwrap();
        assert_eq!(response.status(), status, "{path} {origin:?}");
    }
}
