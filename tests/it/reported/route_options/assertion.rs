//! `assertion` of a route, and the bound of `groups`: the head that the app gets fits its server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huggate::authn::BearerSettings;
use huggate::hub::Membership;
use huggate::identity::{AssertionSettings, HeaderSettings};
use huggate::policy::AssertionUse;
use huggate::{GateBuilder, Route, Rule, TrustedProxies};
use serde_json::Value;

use crate::world::{Answer, Ask, Echo, FRONTS, Front, World};

fn path(text: &str) -> Route {
    Route::path(text)
}

/// A route for each value of the option.
fn routes(gate: GateBuilder) -> GateBuilder {
    gate.route(path("/header/**").assertion(AssertionUse::Header))
        .route(path("/cookie/**").assertion(AssertionUse::Cookie))
        .route(path("/none/**").assertion(AssertionUse::None))
        .route(path("/both/**").assertion(AssertionUse::Both))
}

/// Ada is in acme, named by a rule, and in this many other organisations before it.
fn ada_in_many(world: &World, others: usize) {
    world.hub.edit_user("ada", |ada| {
        ada.orgs = (0..others)
            .map(|n| Membership::new(&format!("organisation-number-{n}"), "contributor"))
            .collect();
        ada.orgs.push(Membership::new("acme", "admin"));
    });
}

/// Ada, signed in, with each of her organisations granted to the app.
async fn ada<'w>(world: &'w World) -> crate::world::Browser<'w> {
    let orgs: Vec<String> = world
        .hub
        .users()
        .into_iter()
        .find(|user| user.username == "ada")
        .unwrap()
        .orgs
        .into_iter()
        .map(|org| org.slug)
        .collect();
    let mut browser = world.browser();
    browser.sign_in_showing("ada", &orgs.iter().map(String::as_str).collect::<Vec<_>>()).await.expect(200);
    browser
}

/// The size of the head at the app, from the names and values of its fields.
fn size(echo: &Echo) -> usize {
    echo.headers().map(|(name, value)| name.len() + value.len() + 4).sum()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn session_cookie(echo: &Echo) -> Option<&str> {
    echo.cookies().into_iter().find(|(name, _)| *name == "huggate").map(|(_, value)| value)
}

#[tokio::test]
async fn a_route_says_how_the_app_gets_the_assertion() {
    for front in FRONTS {
        let world = World::start(front, |gate| routes(gate.allow(Rule::org("acme")))).await;
        ada_in_many(&world, 30);
        let mut ada = ada(&world).await;
        ada.set_cookie("theme", "dark");
        let mut sizes = Vec::new();
        let mut longest = 0;
        for (target, header, cookie) in [
            ("/", true, true),
            ("/both/x", true, true),
            ("/header/x", true, false),
            ("/cookie/x", false, true),
            ("/none/x", false, false),
        ] {
            let answer = ada.ask(Ask::fetch(target).with("x-huggate-assertion", "forged")).await.expect(200);
            let echo = answer.echo();
            let in_header = echo.header("x-huggate-assertion");
            let in_cookie = session_cookie(&echo);
            assert_eq!((in_header.is_some(), in_cookie.is_some()), (header, cookie), "{target}");
            for token in [in_header, in_cookie].into_iter().flatten() {
                assert_eq!(claims(token)["preferred_username"], "ada");
                longest = longest.max(token.len());
            }
            // Neither the sealed session nor anything of another kind gets through.
            assert!(echo.cookies().contains(&("theme", "dark")), "{target}");
            assert_eq!(echo.cookies().len(), 1 + usize::from(cookie), "{target}");
            assert_eq!(echo.username(), Some("ada"));
            sizes.push(size(&echo));
        }
        let [access, both, header, cookie, none] = sizes[..] else { panic!("{sizes:?}") };
        assert!(access >= 2 * longest && both >= 2 * longest, "{sizes:?}");
        assert!(header < both - longest && cookie < both - longest, "{sizes:?} {longest}");
        assert!(none < header - longest && none < cookie - longest, "{sizes:?} {longest}");
        // With one of them the head is small enough for servers that accept 8 KB.
        assert!(header < 6 * 1024 && cookie < 6 * 1024, "{sizes:?}");
    }
}

#[tokio::test]
async fn an_assertion_that_is_off_is_off_on_every_route() {
    for front in FRONTS {
        let off = AssertionSettings::default().enabled(false);
        let world = World::start(front, |gate| routes(gate.allow(Rule::org("acme")).assertion(off))).await;
        let mut ada = world.signed_in("ada").await;
        for target in ["/", "/both/x", "/header/x", "/cookie/x"] {
            let echo = ada.fetch(target).await.expect(200).echo();
            assert_eq!((echo.header("x-huggate-assertion"), session_cookie(&echo)), (None, None), "{target}");
        }
    }
}

#[tokio::test]
async fn forward_auth_answers_with_the_assertion_as_the_route_says() {
    let world = World::start(Front::Proxy, |gate| {
        let local = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
        routes(gate.allow(Rule::org("acme")).trusted_proxies(local))
    })
    .await;
    let mut ada = world.signed_in("ada").await;
    for (target, header, cookie) in [
        ("/both/x", true, true),
        ("/header/x", true, false),
        ("/cookie/x", false, true),
        ("/none/x", false, false),
    ] {
        let answer = ada.ask(Ask::get(&format!("/oauth2/auth/envoy{target}"))).await.expect(200);
        // An empty field overwrites the client's.
        let empty = |name: &str| answer.header(name).unwrap().is_empty();
        assert_eq!((!empty("x-huggate-assertion"), !empty("cookie")), (header, cookie), "{target}");
        assert_eq!(answer.header("x-auth-request-preferred-username"), Some("ada"));
    }
}

/// The groups in a header of the app, and in its assertion.
fn groups(answer: &Answer) -> (String, Value) {
    let echo = answer.echo();
    let claims = claims(echo.header("x-huggate-assertion").unwrap());
    (echo.header("x-forwarded-groups").unwrap_or_default().to_owned(), claims)
}

#[tokio::test]
async fn groups_are_bounded_in_the_header_and_in_the_assertion() {
    for front in FRONTS {
        for (bytes, whole) in [(200, false), (16 * 1024, true)] {
            let world = World::start(front, |gate| {
                let headers = HeaderSettings::default().groups_bytes(bytes);
                gate.allow(Rule::org("acme")).headers(headers).bearer(BearerSettings::default())
            })
            .await;
            ada_in_many(&world, 30);
            let mut browser = ada(&world).await;
            let token = format!("Bearer {}", world.hub.token_of("ada").unwrap());
            let by_session = browser.fetch("/").await.expect(200);
            let by_token = world.send(Ask::get("/").with("authorization", &token)).await.expect(200);
            for answer in [by_session, by_token] {
                let (header, claims) = groups(&answer);
                assert!(header.len() <= bytes, "{header}");
                let listed: Vec<&str> = header.split(',').collect();
                assert_eq!(claims["groups"], Value::from(listed.clone()), "the same in both");
                assert!(listed.contains(&"acme") && listed.contains(&"acme:admin"), "{header}");
                if whole {
                    assert_eq!(listed.len(), 2 * 31);
                    assert_eq!(claims.get("groups_truncated"), None);
                } else {
                    assert!(header.starts_with("acme,acme:admin,organisation-number-"), "{header}");
                    assert!(header.len() > 200 - 60 && header.ends_with(":contributor"), "{header}");
                    assert_eq!(claims["groups_truncated"], true);
                }
            }
            let told = browser.fetch("/oauth2/userinfo").await.expect(200).json();
            assert_eq!(told["groups_truncated"], !whole);
            let listed = told["groups"].as_array().unwrap().len();
            assert_eq!(listed == 2 * 31, whole, "{told}");
        }
    }
}

#[tokio::test]
async fn without_room_for_groups_the_rules_still_see_the_organisation() {
    let world = World::start(Front::Proxy, |gate| {
        let headers = HeaderSettings::default().groups_bytes(0);
        gate.allow(Rule::org("acme")).headers(headers)
    })
    .await;
    ada_in_many(&world, 3);
    let mut ada = ada(&world).await;
    let (header, claims) = groups(&ada.fetch("/").await.expect(200));
    assert_eq!((header.as_str(), claims["groups"].as_array().unwrap().len()), ("", 0));
    assert_eq!(claims["groups_truncated"], true);
}
