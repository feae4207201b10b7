//! Errors: each has its cause as its source, and does not repeat its text.

use std::error::Error;
use std::io;
use std::time::Duration;

use huggate::hub::{Endpoint, Fault};
use huggate::server::{Running, Server};
use huggate::upstream::{Upstream, UpstreamSettings};
use huggate::{Gate, Route, Rule};

use crate::world::{self, World};

/// The texts of an error and of its sources. None contains the next, since a printer of such
/// chains prints all of them.
#[track_caller]
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let texts: Vec<String> =
        std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    for pair in texts.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{texts:?}");
    }
    texts
}

fn builder(issuer: &str) -> huggate::GateBuilder {
    Gate::builder()
        .public_url("http://127.0.0.1:3000")
        .issuer(issuer)
        .client("id", "secret")
        .secret(huggate::keys::Secret::generate())
        .allow(Rule::org("acme"))
}

/// An address of loopback where nothing listens.
async fn closed() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn the_source_of_an_unreachable_provider_is_the_error_of_the_system() {
    let issuer = closed().await;
    let gate = builder(&issuer).build().await.unwrap();
    let error = gate.discover().await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(
        chain(&error),
        [
            format!("{issuer}/.well-known/openid-configuration could not be reached"),
            "the connection was refused".to_owned()
        ]
    );
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let error = gate.count_provider_keys().await.unwrap_err();
    assert_eq!(chain(&error).last().unwrap(), "the connection was refused");
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_says_why_in_its_source() {
    let url = builder("http://127.0.0.1:1").public_url("ftp://app.example").build().await.unwrap_err();
    let issuer = builder("huggingface.co").build().await.unwrap_err();
    let secret = builder("http://127.0.0.1:1").secret("c2hvcnQ=").build().await.unwrap_err();
    for (error, own, source) in [
        (url, "public_url \"ftp://app.example\" cannot be used", "is not an http or https URL"),
        (issuer, "issuer \"huggingface.co\" cannot be used", "is not a URL"),
        (secret, "the session secret cannot be used", "has 5 bytes; at least 32 random bytes are required"),
    ] {
        assert_eq!(chain(&error), [own, source]);
    }
}

#[tokio::test]
async fn a_provider_that_answers_something_else_is_the_source_of_the_build_error() {
    let world = World::of_acme(world::FRONTS[0]).await;
    world.behave(|hub| hub.fail(Endpoint::Discovery, Fault::Status(404)));
    let issuer = world.hub.issuer();
    let error = builder(issuer).build().await.unwrap_err();
    let answered = format!("{issuer}/.well-known/openid-configuration answered 404 Not Found");
    assert_eq!(chain(&error), ["the provider cannot be used".to_owned(), answered]);
    // Through one more error type.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = format!(
        "public_url = \"http://127.0.0.1:3000\"\n[provider]\nissuer = \"{issuer}\"\nclient_id = \"id\"\n\
         [session]\nsecret = \"{}\"\n[access]\nallow = [{{ org = \"acme\" }}]\n",
        huggate::keys::Secret::generate()
    );
    std::fs::write(&path, text).unwrap();
    let from_file = Gate::from_config(&path).await.unwrap_err();
    assert_eq!(chain(&from_file), chain(&error));
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none.pem");
    let mut server = world::server();
    server.tls = vec![huggate::server::CertificateFiles::new(none.clone(), none.clone())];
    let error = Server::new(server, Running::default()).unwrap_err();
    let named = format!("tls.cert_file {} cannot be used", none.display());
    assert_eq!(chain(&error), [named, "does not exist".to_owned()]);

    let url = huggate::upstream::UpstreamUrl::parse("https://127.0.0.1:1").unwrap();
    let mut upstream: UpstreamSettings = world::upstream(url);
    std::fs::write(&none, "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n").unwrap();
    upstream.tls.ca_file = Some(none.clone());
    let running = Running::default();
    let error = Upstream::new(&upstream, &running).unwrap_err();
    let texts = chain(&error);
    assert_eq!(texts[0], format!("upstream_tls.ca_file {} cannot be used", none.display()));
    assert_eq!(texts[1], "is not valid PEM");
    assert!(texts.len() > 2, "{texts:?}");
}

#[tokio::test]
async fn the_log_of_an_app_that_is_down_has_the_cause() {
    let log = world::Log::start();
    let world = World::of_acme(world::FRONTS[2]).await;
    let browser = world.signed_in("ada").await;
    let cookie = browser.cookie_line();
    let url = huggate::upstream::UpstreamUrl::parse(&closed().await).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut settings = world::upstream(url);
    settings.connect_timeout = Duration::from_secs(2);
    let (_running, _server) = world::proxy(&world.gate, &settings, world::server(), listener);
    let ask = world::Ask::get("/").with("cookie", &cookie).or_host(&world.address);
    world::send(&address, ask).await.expect(502);
    let text = log.text();
    assert!(text.contains("does not accept connections: Connection refused"), "{text}");
}

#[tokio::test]
async fn a_route_whose_path_is_no_pattern_is_an_error_of_the_build() {
    for route in [Route::public("/a*"), Route::path("/a*").allow(Rule::user("ada"))] {
        let error = builder("http://127.0.0.1:1").route(route.clone()).build().await.unwrap_err();
        assert_eq!(
            chain(&error),
            [
                "the path \"/a*\" of a route cannot be used",
                "`*` can only stand in a final `/**`, which matches a folder and everything below it"
            ]
        );
        // A reload does not get around it.
        let gate = builder("http://127.0.0.1:1").build().await.unwrap();
        let settings = builder("http://127.0.0.1:1").route(route).settings().unwrap();
        gate.prepare_reload(settings).unwrap_err();
    }
}
