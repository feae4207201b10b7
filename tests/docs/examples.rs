//! The examples run as programs; each serves a complete sign-in.

use std::process::Stdio;
use std::time::Duration;

use http::StatusCode;
use http::uri::PathAndQuery;
use huggate::clock::Clock;
use huggate::hub::Hub;
use reqwest::header::{ACCEPT, COOKIE};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::world::{CLIENT, example, http, hub, sign_in, sign_in_as};

/// Starts an example; returns the address that it prints.
async fn start(name: &str, hub: &Hub) -> (Child, String) {
    let mut child = Command::new(example(name))
        .env("LISTEN", "127.0.0.1:0")
        .env("ISSUER", hub.issuer())
        .env("CLIENT_ID", CLIENT.0)
        .env("CLIENT_SECRET", CLIENT.1)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(Duration::from_secs(10), lines.next_line()).await;
    let line = line.unwrap_or_else(|_| panic!("{name} prints nothing")).unwrap();
    let line = line.unwrap_or_else(|| panic!("{name} ended at once"));
    (child, line.strip_prefix("open ").unwrap().to_owned())
}

/// The text of a page, asked for with these cookies.
async fn page(url: String, cookies: &str) -> String {
    let answer = http().get(url).header(ACCEPT, "text/html").header(COOKIE, cookies).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn axum() {
    let hub = hub(Clock::system()).await;
    let (_running, url) = start("axum", &hub).await;
    assert_eq!(page(format!("{url}/"), "").await, "nobody is signed in; open /hello\n");
    let refused = http().get(format!("{url}/hello")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    let cookies = sign_in(&format!("{url}/hello")).await;
    assert_eq!(
        page(format!("{url}/hello"), &cookies).await,
        "hello Ada Example, you are in acme, acme:admin\n"
    );
    assert_eq!(page(format!("{url}/"), &cookies).await, "welcome back, ada\n");
}

#[tokio::test]
async fn shutdown() {
    let hub = hub(Clock::system()).await;
    let (mut running, url) = start("shutdown", &hub).await;
    let cookies = sign_in(&format!("{url}/events")).await;
    let mut streams = Vec::new();
    for (path, cookies, event) in [("events", &*cookies, "data: ada\n\n"), ("clock", "", "data: tick\n\n")] {
        let mut stream = http().get(format!("{url}/{path}")).header(COOKIE, cookies).send().await.unwrap();
        assert_eq!(stream.chunk().await.unwrap().unwrap(), event);
        streams.push(stream);
    }
    let pid = i32::try_from(running.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let ended = timeout(Duration::from_secs(10), running.wait()).await;
    assert!(ended.expect("open streams hold up the shutdown").unwrap().success());
    for mut stream in streams {
        // What came before the end may be read first.
        while let Ok(chunk) = stream.chunk().await {
            assert!(chunk.is_some(), "the stream looks complete");
        }
    }
}

#[tokio::test]
async fn pages() {
    let hub = hub(Clock::system()).await;
    let (_running, url) = start("pages", &hub).await;
    let sign_in = page(format!("{url}/oauth2/sign_in"), "").await;
    assert!(sign_in.contains("<h1>Welcome</h1>") && sign_in.contains("/oauth2/start?rd=%2F"), "{sign_in}");
    let refused = http().get(format!("{url}/api/x")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.headers().contains_key("www-authenticate"));
    assert!(refused.text().await.unwrap().contains("https://example.com/errors/login_required"));

    let cookies = self::sign_in(&format!("{url}/plan")).await;
    assert_eq!(page(format!("{url}/plan"), &cookies).await, "ada, your plan is gold\n");
}

#[tokio::test]
async fn hyper() {
    let hub = hub(Clock::system()).await;
    let (mut running, url) = start("hyper", &hub).await;
    assert_eq!(page(format!("{url}/"), "").await, "hello nobody, you are at 127.0.0.1\n");
    let refused = http().get(format!("{url}/anything")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    let cookies = sign_in(&format!("{url}/anything")).await;
    assert_eq!(page(format!("{url}/"), &cookies).await, "hello ada, you are at 127.0.0.1\n");

    // The client's idle connections do not hold it up.
    let pid = Pid::from_raw(running.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let status = timeout(Duration::from_secs(5), running.wait()).await.expect("it does not end");
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn nested() {
    let hub = hub(Clock::system()).await;
    let (_running, url) = start("nested", &hub).await;
    let ada = sign_in(&format!("{url}/admin/people")).await;
    let ben = sign_in_as("ben", &format!("{url}/models")).await;
    for path in ["/models", "/nowhere"] {
        let refused = http().get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let shown = page(format!("{url}/admin/people?all"), &ada).await;
    assert_eq!(shown, "ada at /admin/people?all, here /people?all\n");
    assert_eq!(page(format!("{url}/models"), &ben).await, "ben at /models, here /\n");
    for path in ["/admin/people", "/models/publish"] {
        let asked = http().get(format!("{url}{path}"));
        let refused = asked.header(COOKIE, &ben).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        page(format!("{url}{path}"), &ada).await;
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct GreetRequest {
    #[prost(string, tag = "1")]
    greeting: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GreetReply {
    #[prost(string, tag = "1")]
    text: String,
}

/// Calls a method with one field of metadata.
async fn call(
    channel: &tonic::transport::Channel,
    method: &'static str,
    metadata: Option<(&'static str, &str)>,
) -> Result<String, tonic::Status> {
    let mut request = tonic::Request::new(GreetRequest { greeting: "hello".to_owned() });
    if let Some((name, value)) = metadata {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<GreetRequest, GreetReply>::default();
    let reply = client.unary(request, PathAndQuery::from_static(method), codec).await?;
    Ok(reply.into_inner().text)
}

#[tokio::test]
async fn tonic() {
    let hub = hub(Clock::system()).await;
    let (_running, url) = start("tonic", &hub).await;
    let channel = tonic::transport::Endpoint::from_shared(url.clone()).unwrap().connect().await.unwrap();
    let greet = "/greeter.Greeter/Greet";
    let refused = call(&channel, greet, None).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused}");

    let token = |name: &str| format!("Bearer {}", hub.token_of(name).unwrap());
    let authorized =
        async |method, name: &str| call(&channel, method, Some(("authorization", &token(name)))).await;
    assert_eq!(authorized(greet, "ada").await.unwrap(), "hello ada, you are at 127.0.0.1");
    let refused = authorized(greet, "dan").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused}");
    // Paths are judged before there is a service.
    let admin = "/greeter.Admin/Remove";
    assert_eq!(authorized(admin, "ben").await.unwrap_err().code(), tonic::Code::PermissionDenied);
    assert_eq!(authorized(admin, "ada").await.unwrap_err().code(), tonic::Code::Unimplemented);

    let cookies = sign_in(&format!("{url}/greeter")).await;
    let greeted = call(&channel, greet, Some(("cookie", &cookies))).await;
    assert_eq!(greeted.unwrap(), "hello ada, you are at 127.0.0.1");
}
