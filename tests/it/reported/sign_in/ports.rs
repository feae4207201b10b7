//! Two gates on one host.

use huggate::Gate;
use huggate::hub::{Client, Hub, Settings};
use huggate::{PublicUrl, Rule};
use tokio::net::TcpListener;

use crate::world::{App, Browser, CLIENT, CLIENT_SECRET, FRONTS, Front, SECRET, World};

const OTHER_SECRET: &str = "6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f";

/// Copies the cookies: a browser sends those of a host to all its ports.
fn share(from: &Browser<'_>, to: &mut Browser<'_>) {
    for (name, value) in from.cookies() {
        to.set_cookie(name, value);
    }
}

/// A world with the default cookie name.
async fn gate(front: Front, secret: &str) -> World {
    let mut world = World::of_acme(front).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let public_url = format!("http://{address}");
    let callback = format!("{public_url}/oauth2/callback");
    let client = Client::confidential(CLIENT, CLIENT_SECRET, "The App", &[&callback]);
    let settings = Settings::default().clients(vec![client]).clock(world.clock.clone());
    let hub = Hub::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), settings).await.unwrap();
    let gate = Gate::builder()
        .public_url(&public_url)
        .issuer(hub.issuer())
        .client(CLIENT, CLIENT_SECRET)
        .clock(world.clock.clone())
        .secret(secret)
        .allow(Rule::org("acme"))
        .build()
        .await
        .unwrap();
    let app = App::default();
    crate::world::serve(front, &gate, &app, listener).await;
    world.hub = hub;
    world.app = app;
    world.gate = gate;
    world.address = address;
    world.public_url = public_url;
    world
}

#[tokio::test]
async fn two_gates_on_two_ports_of_one_host_keep_to_themselves() {
    for front in FRONTS {
        let (one, two) = (gate(front, SECRET).await, gate(front, OTHER_SECRET).await);
        let (mut at_one, mut at_two) = (one.browser(), two.browser());
        // Both sign-ins are under way at the same time.
        let first = at_one.callback_url("ada").await;
        share(&at_one, &mut at_two);
        let second = at_two.callback_url("ben").await;
        share(&at_two, &mut at_one);
        let page = at_one.open(&first).await.expect(200);
        let port = one.address.split_once(':').unwrap().1;
        assert!(at_one.cookie(&format!("huggate-{port}")).is_some(), "{:?}", at_one.cookies());
        // The app sees no cookie of the other gate, which is a session there.
        let told: Vec<String> = page.echo().cookies().into_iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(told, [format!("huggate-{port}")]);
        share(&at_one, &mut at_two);
        at_two.open(&second).await.expect(200);
        share(&at_two, &mut at_one);
        assert_eq!(at_one.fetch("/").await.expect(200).echo().username(), Some("ada"));
        assert_eq!(at_two.fetch("/").await.expect(200).echo().username(), Some("ben"));
        // Nor may it set one.
        let planted = at_one.fetch(&format!("/respond?set-cookie=huggate-{}%3Dx", "9999")).await;
        assert!(planted.expect(200).cookies().is_empty());
        // Signing out of one leaves the other.
        at_one.open("/oauth2/sign_out").await.expect(200);
        assert_eq!(at_two.fetch("/").await.expect(200).echo().username(), Some("ben"));
        at_one.fetch("/").await.expect(401);
    }
}

#[test]
fn only_a_port_that_the_public_url_names_counts() {
    for (url, port) in [
        ("https://app.example.com", None),
        ("https://app.example.com:443", None),
        ("https://app.example.com:8443", Some("8443")),
        ("http://[::1]:80", None),
        ("http://[::1]:4180", Some("4180")),
    ] {
        assert_eq!(PublicUrl::parse(url).unwrap().port(), port, "{url}");
    }
}
