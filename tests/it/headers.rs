//! Identity headers for the app: they are correct and cannot be forged.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::HeaderName;
use huggate::hub::{Edit, Membership};
use huggate::identity::{AssertionSettings, Claim, HeaderSettings};
use huggate::{GateBuilder, Route, Rule};
use serde_json::{Value, json};

use crate::world::{Ask, Browser, FRONTS, Front, NOW, SECRET, World};

/// Spellings that WSGI, CGI, PHP or a server in front of them fold together.
const FORGED: &[&str] = &[
    "x-forwarded-user",
    "x_forwarded_user",
    "x-forwarded_user",
    "x.forwarded.user",
    "xforwardeduser",
    "x--forwarded--user",
    "-x-forwarded-user",
    "x-forwarded-user-",
    "x-forwarded-email",
    "x-forwarded_email",
    "x-forwarded-preferred-username",
    "x-forwarded-preferred_username",
    "x_forwarded_groups",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-auth-request-email",
    "x_auth_request_groups",
    "x-auth-request-anything-else",
    "x-huggate-assertion",
    "x_huggate_assertion",
    "x-huggate-of-tomorrow",
    "remote-user",
    "remote_user",
    "remote-name",
    "remote-email",
    "remote-groups",
];

fn route(path: &str) -> Route {
    Route::path(path)
}

async fn world(front: Front) -> World {
    World::start(front, |gate| {
        gate.allow(Rule::org("acme"))
            .route(route("/public/**").without_sign_in())
            .route(route("/own/**").allow(vec![Rule::user("ada")]))
    })
    .await
}

fn forged(mut ask: Ask) -> Ask {
    for name in FORGED {
        ask = ask.with(name, "mallory");
    }
    // Longer than any prefix that is compared completely.
    ask.with(&format!("x-auth-request-{}", "a".repeat(200)), "mallory")
}

#[tokio::test]
async fn identity_headers_are_removed_in_every_spelling_on_every_kind_of_route() {
    // Attack: oauth2-proxy CVE-2025-64484, Traefik CVE-2026-88011.
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            let nobody = world.send(forged(Ask::new(method, "/public/x"))).await.expect(200);
            assert!(nobody.echo().headers().all(|(_, value)| value != "mallory"), "{:?}", nobody.echo());
            assert_eq!(nobody.echo().username(), None);
            for path in ["/public/x", "/x", "/own/x"] {
                let echo = ada.ask(forged(Ask::new(method, path))).await.expect(200).echo();
                assert!(echo.headers().all(|(_, value)| value != "mallory"), "{method} {path}: {echo:?}");
                assert_eq!(echo.username(), Some("ada"));
            }
        }
        // The gate's own endpoints ignore them too.
        for path in ["/x", "/oauth2/userinfo", "/own/x"] {
            world.send(forged(Ask::get(path))).await.expect(401);
        }
        let me = ada.ask(forged(Ask::get("/oauth2/userinfo"))).await.expect(200);
        assert!(!me.text().contains("mallory"));
    }
}

#[tokio::test]
async fn similar_header_names_are_kept() {
    for front in FRONTS {
        let world = world(front).await;
        let kept = ["remote-users", "x-user", "x-for-users", "user", "x-remote-user2", "x-auth", "x-hug"];
        let ask = kept.iter().fold(Ask::get("/public/x"), |ask, name| ask.with(name, "kept"));
        let echo = world.send(ask).await.expect(200).echo();
        for name in kept {
            assert_eq!(echo.header(name), Some("kept"), "{name}");
        }
    }
}

#[tokio::test]
async fn disabled_and_renamed_identity_headers_are_removed_too() {
    // Attack: only the configured names are removed.
    let long = format!("x-{}", "who".repeat(60));
    for front in FRONTS {
        let name = HeaderName::from_bytes(long.as_bytes()).unwrap();
        let world = World::start(front, |gate| {
            let headers = HeaderSettings::default()
                .claims(vec![
                    (HeaderName::from_static("x-who"), Claim::PreferredUsername),
                    (name, Claim::PreferredUsername),
                ])
                .access_token(false);
            let assertion =
                AssertionSettings::default().enabled(false).headers(vec![HeaderName::from_static("x-proof")]);
            gate.allow_anyone()
                .route(route("/public/**").without_sign_in())
                .headers(headers)
                .assertion(assertion)
        })
        .await;
        let ask = forged(Ask::get("/public/x"))
            .with("x-who", "mallory")
            .with("x_who", "mallory")
            .with("x-proof", "mallory")
            .with("x.proof", "mallory")
            .with(&long, "mallory")
            .with(&long.replace('-', "_"), "mallory");
        let echo = world.send(ask.clone()).await.expect(200).echo();
        assert!(echo.headers().all(|(_, value)| value != "mallory"), "{echo:?}");
        let mut ada = world.signed_in("ada").await;
        let echo = ada.ask(ask).await.expect(200).echo();
        assert!(echo.headers().all(|(_, value)| value != "mallory"), "{echo:?}");
        assert_eq!((echo.header("x-who"), echo.header(&long)), (Some("ada"), Some("ada")));
        assert_eq!((echo.header("x-forwarded-user"), echo.header("x-huggate-assertion")), (None, None));
        // Without the assertion, the session cookie is still not forwarded.
        assert_eq!(echo.header("cookie"), None);
    }
}

#[tokio::test]
async fn the_app_receives_the_identity() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).scope("openid profile email read-memberships")
        })
        .await;
        let mut ada = world.browser();
        let echo = ada.sign_in_showing("ada", &["acme", "example-labs"]).await.expect(200).echo();
        let id = world.hub.users().into_iter().find(|person| person.username == "ada").unwrap().id;
        assert_eq!(echo.header("x-forwarded-user"), Some(id.as_str()));
        assert_eq!(echo.header("x-forwarded-preferred-username"), Some("ada"));
        assert_eq!(echo.header("x-forwarded-email"), Some("ada@example.org"));
        assert_eq!(
            echo.header("x-forwarded-groups"),
            Some("acme,acme:admin,example-labs,example-labs:write")
        );
        assert_eq!(echo.header("x-forwarded-access-token"), None);
        // An unverified address is not sent.
        let mut finn = world.signed_in("finn").await;
        let echo = finn.open("/").await.expect(200).echo();
        assert_eq!((echo.username(), echo.header("x-forwarded-email")), (Some("finn"), None));
        // An organisation without a usable membership is not a group.
        let world =
            World::start(front, |gate| gate.allow_anyone().scope("openid profile read-memberships")).await;
        for (user, groups) in
            [("cleo", None), ("dan", None), ("gita", None), ("hugo", Some("acme,acme:ml-ops")), ("ivy", None)]
        {
            let echo = world.signed_in(user).await.open("/").await.expect(200).echo();
            assert_eq!(echo.header("x-forwarded-groups"), groups, "{user}");
        }
    }
}

#[tokio::test]
async fn the_access_token_is_sent_only_if_configured() {
    // Attack: the user's Hugging Face token passed to the app.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let headers = HeaderSettings::default().access_token(true);
            gate.allow(Rule::org("acme")).headers(headers)
        })
        .await;
        let echo = world.signed_in("ada").await.open("/").await.expect(200).echo();
        assert!(echo.header("x-forwarded-access-token").unwrap().starts_with("hf_oauth_"));
    }
}

#[tokio::test]
async fn a_value_of_the_provider_cannot_inject_a_header_or_a_group() {
    // Attack: a value of the provider with CR/LF, non-ASCII, commas or 10 KB.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut headers = HeaderSettings::default();
            headers.claims.push((HeaderName::from_static("x-display-name"), Claim::Name));
            gate.allow_anyone().scope("openid profile read-memberships").headers(headers)
        })
        .await;
        let echo = world.signed_in("joerg").await.open("/").await.expect(200).echo();
        assert_eq!(echo.header("x-display-name"), Some("UTF-8''J%C3%B6rg%20M%C3%BCller-%E6%9D%8E"));
        for (name, told) in [
            ("a\r\nX-Forwarded-User: root", Some("aX-Forwarded-User: root".to_owned())),
            ("UTF-8''root", Some("UTF-8''UTF-8%27%27root".to_owned())),
            ("\u{0}\u{7f}", None),
            (&"é".repeat(10_000), Some(format!("UTF-8''{}", "%C3%A9".repeat(200)))),
        ] {
            let text = name.to_owned();
            world.behave(|hub| {
                hub.edit_userinfo =
                    Some(Edit::new(move |answer| drop(answer.insert("name".into(), json!(text)))));
            });
            let echo = world.signed_in("ada").await.open("/").await.expect(200).echo();
            assert_eq!(echo.header("x-display-name"), told.as_deref(), "{name:?}");
            assert_eq!(echo.username(), Some("ada"));
        }
        world.behave(|hub| hub.edit_userinfo = None);
        // A role or a slug with a comma is one element.
        world.hub.edit_user("ada", |ada| {
            ada.orgs = vec![Membership::new("evil", "x,acme,acme:admin"), Membership::new("b,acme", "read")];
        });
        let mut ada = world.browser();
        let echo = ada.sign_in_showing("ada", &["evil", "b,acme"]).await.expect(200).echo();
        let groups: Vec<&str> = echo.header("x-forwarded-groups").unwrap().split(',').collect();
        assert_eq!(groups, ["evil", "evil:x%2Cacme%2Cacme%3Aadmin", "b%2Cacme", "b%2Cacme:read"]);
    }
}

#[tokio::test]
async fn the_connection_header_cannot_remove_identity_headers() {
    // Attack: Go's `httputil.ReverseProxy.Director`.
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        for connection in [
            "x-forwarded-preferred-username, x-huggate-assertion, cookie, x-hop",
            "close, X-Forwarded-Preferred-Username, X-Hop",
            "keep-alive,x-forwarded-user,x-huggate-assertion ,x-hop",
            "\u{e9}, x-forwarded-user, x-hop",
        ] {
            let ask = Ask::get("/x").with("connection", connection).with("x-hop", "1").with("x-end", "1");
            let echo = ada.ask(ask).await.expect(200).echo();
            assert_eq!(echo.username(), Some("ada"), "{connection}");
            assert!(
                echo.header("x-forwarded-user").is_some() && echo.header("x-huggate-assertion").is_some()
            );
            // The app may be a proxy itself and process the rest of the line.
            let left = echo.header("connection").unwrap_or_default();
            assert!(matches!(left, "" | "close" | "keep-alive"), "{connection}: {left}");
            assert_eq!((echo.header("x-hop"), echo.header("x-end")), (None, Some("1")), "{connection}");
            assert!(echo.cookies().iter().any(|(name, _)| *name == "huggate"));
        }
    }
}

/// Header and claims of a JWT whose signature one of `keys` verifies.
fn verified(token: &str, keys: &Value) -> (Value, Value) {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let mut point = vec![4];
    point.extend(decode(key["x"].as_str().unwrap()));
    point.extend(decode(key["y"].as_str().unwrap()));
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &decode(signature))
        .expect("the signature holds");
    (header, serde_json::from_slice(&decode(claims)).unwrap())
}

fn assertion(echo: &crate::world::Echo) -> String {
    echo.header("x-huggate-assertion").unwrap().to_owned()
}

async fn asserted(browser: &mut Browser<'_>) -> String {
    assertion(&browser.open("/").await.expect(200).echo())
}

#[tokio::test]
async fn the_assertion_identifies_the_person_and_verifies_with_the_published_keys() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).scope("openid profile email read-memberships")
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        let keys = world.jwks().await;
        let (header, claims) = verified(&asserted(&mut ada).await, &keys);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
        let id = world.hub.users().into_iter().find(|person| person.username == "ada").unwrap().id;
        for (name, value) in [
            ("iss", json!(world.public_url)),
            ("aud", json!(world.public_url)),
            ("sub", json!(id)),
            ("preferred_username", json!("ada")),
            ("name", json!("Ada Example")),
            ("email", json!("ada@example.org")),
            ("groups", json!(["acme", "acme:admin"])),
            ("auth_method", json!("session")),
            ("iat", json!(NOW)),
            ("nbf", json!(NOW)),
            ("exp", json!(NOW + 300)),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        assert!(text("jti").len() >= 22 && text("sid").len() >= 22);
        assert!(!ada.session().unwrap().contains(&text("sid")));
        // Without organisations, `groups` is still an array.
        let world = World::start(front, GateBuilder::allow_anyone).await;
        let (_, claims) = verified(&asserted(&mut world.signed_in("dan").await).await, &world.jwks().await);
        assert_eq!(claims["groups"], json!([]));
        assert_eq!(claims.get("email"), None);
    }
}

#[tokio::test]
async fn the_published_keys_are_public_keys_with_thumbprints_as_ids() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let answer = world.send(Ask::get("/oauth2/jwks.json")).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
        let keys = answer.json();
        let key = &keys["keys"][0];
        assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
        assert!(key.get("d").is_none());
        // RFC 7638, section 3.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key["x"], key["y"]);
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
        assert_eq!(key["kid"], json!(thumbprint));
        // Replicas use the same key; after a rotation both keys are published.
        let replica = world.replica(|gate| gate.allow(Rule::org("acme"))).await;
        assert_eq!(replica.jwks().await, keys);
        let rotated = world.replica(|gate| gate.allow(Rule::org("acme")).secret("ab".repeat(32))).await;
        assert_eq!(rotated.jwks().await["keys"].as_array().unwrap().len(), 2);
        assert!(!answer.text().contains(SECRET));
    }
}

#[tokio::test]
async fn the_assertion_is_reused_for_four_minutes_and_never_expired() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        let first = asserted(&mut ada).await;
        world.advance(239);
        assert_eq!(asserted(&mut ada).await, first);
        world.advance(1);
        let second = asserted(&mut ada).await;
        assert_ne!(second, first);
        let (_, claims) = verified(&second, &world.jwks().await);
        assert_eq!(claims["exp"], NOW + 240 + 300);
        // Two sessions of one person have different `sid`s, and each keeps its own.
        let sid = |token: &str, keys: &Value| verified(token, keys).1["sid"].clone();
        let keys = world.jwks().await;
        let other = asserted(&mut world.signed_in("ada").await).await;
        assert_eq!(sid(&first, &keys), sid(&second, &keys));
        assert_ne!(sid(&first, &keys), sid(&other, &keys));
    }
}

#[tokio::test]
async fn the_audience_is_the_host_of_the_route() {
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", |gate| {
            let mut docs = route("/**");
            docs.host = Some("docs.example.com".to_owned());
            gate.allow(Rule::org("acme")).route(docs)
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        let line = ada.cookie_line();
        let keys = world.jwks().await;
        for (host, audience) in [
            ("docs.example.com", "https://docs.example.com"),
            ("app.example.com", "https://app.example.com"),
            ("evil.example", "https://app.example.com"),
        ] {
            let echo =
                world.send(Ask::get("/").with("host", host).with("cookie", &line)).await.expect(200).echo();
            assert_eq!(verified(&assertion(&echo), &keys).1["aud"], audience, "{host}");
        }
        ada.open("/").await.expect(200);
    }
}

#[tokio::test]
async fn the_assertion_is_sent_in_the_configured_headers_and_is_not_accepted_as_a_session() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let names =
                ["x-huggate-assertion", "cf-access-jwt-assertion"].map(HeaderName::from_static).to_vec();
            gate.allow(Rule::org("acme")).assertion(AssertionSettings::default().headers(names).enabled(true))
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        let echo = ada.open("/").await.expect(200).echo();
        let token = assertion(&echo);
        assert_eq!(echo.header("cf-access-jwt-assertion"), Some(token.as_str()));
        // An app that leaks the assertion leaks no session.
        for cookie in [format!("huggate={token}"), format!("huggate-pending-x={token}")] {
            world.send(Ask::get("/").with("cookie", &cookie)).await.expect(401);
        }
        world.send(Ask::get("/").with("authorization", &format!("Bearer {token}"))).await.expect(401);
        world.send(Ask::get("/").with("x-huggate-assertion", &token)).await.expect(401);
    }
}

#[tokio::test]
async fn the_assertion_replaces_the_session_cookie_and_other_cookies_keep_their_order() {
    // Attack: the gate's session cookie forwarded.
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        let sealed = ada.session().unwrap();
        ada.step("/oauth2/start").await.expect(302);
        let pending = ada.pending()[0].to_owned();
        let attempt = ada.cookie(&pending).unwrap().to_owned();
        let line = format!(
            "a=1; huggate={sealed}; theme=dark; {pending}={attempt}; huggate-attempts=1; huggate-1=stray; \
             huggate-99999999=stray; a=2; huggatex=app; huggate_x=app; q=\"a b\"; empty=; bare"
        );
        for path in ["/x", "/public/x"] {
            let echo = world.send(Ask::get(path).with("cookie", &line)).await.expect(200).echo();
            let told = format!(
                "a=1; huggate={}; theme=dark; a=2; huggatex=app; huggate_x=app; q=\"a b\"; empty=; bare",
                assertion(&echo)
            );
            assert_eq!(echo.header("cookie"), Some(told.as_str()));
        }
        // Several lines, and a repeated session cookie.
        let ask = Ask::get("/x")
            .with("cookie", "z=0")
            .with("cookie", &format!("huggate={sealed}; y=1; huggate={sealed}"));
        let echo = world.send(ask).await.expect(200).echo();
        assert!(!format!("{echo:?}").contains(&sealed));
        let names: Vec<&str> = echo.cookies().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["z", "huggate", "y", "huggate"]);
        // A forged assertion does not replace it on a public route.
        let echo = world.send(Ask::get("/public/x").with("cookie", "huggate=eyJ.forged.x; b=1")).await.echo();
        assert_eq!(echo.header("cookie"), Some("b=1"));
        let echo = world.send(Ask::get("/public/x").with("cookie", "huggate=x")).await.echo();
        assert_eq!(echo.header("cookie"), None);
    }
}

#[tokio::test]
async fn an_app_cannot_set_or_remove_the_gates_cookies() {
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        let session = ada.session();
        let lines = [
            "huggate=planted; Path=/",
            "huggate=; Max-Age=0; Path=/",
            " huggate =planted; Path=/",
            "=huggate=planted; Path=/",
            "huggate-1=planted; Path=/",
            "huggate-pending-x=planted; Path=/",
            "huggate-attempts=9; Path=/",
            "theme=dark; Path=/",
            "huggatex=app; Path=/",
        ];
        let query = lines
            .iter()
            .fold(url::form_urlencoded::Serializer::new(String::new()), |mut query, line| {
                query.append_pair("set-cookie", line);
                query
            })
            .finish();
        let answer = ada.ask(Ask::get(&format!("/respond?{query}"))).await.expect(200);
        assert_eq!(answer.cookies(), ["theme=dark; Path=/", "huggatex=app; Path=/"]);
        assert_eq!(ada.session(), session);
    }
}

#[tokio::test]
async fn a_public_page_receives_the_identity_if_there_is_one() {
    for front in FRONTS {
        let world = world(front).await;
        let nobody = world.send(Ask::get("/public/x")).await.expect(200).echo();
        assert_eq!((nobody.username(), nobody.header("x-huggate-assertion")), (None, None));
        let mut ada = world.signed_in("ada").await;
        assert_eq!(ada.open("/public/x").await.expect(200).echo().username(), Some("ada"));
        let garbage =
            world.send(Ask::get("/public/x").with("cookie", "huggate=garbage")).await.expect(200).echo();
        assert_eq!(garbage.username(), None);
    }
}
