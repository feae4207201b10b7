//! Answers that allow a request, and the headers for the app.

use http::header::HeaderName;
use huggate::authn::BearerSettings;
use huggate::identity::{AssertionSettings, Claim, HeaderSettings};
use huggate::{Route, Rule};

use super::{CONTRACTS, Contract, local, path, world};
use crate::world::{Answer, Ask, FRONTS, Front, JWT, World};

const IDENTITY: &[&str] = &[
    "x-auth-request-user",
    "x-auth-request-preferred-username",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-huggate-assertion",
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
];

fn assert_jwt(value: Option<&str>) {
    let value = value.unwrap();
    assert!(JWT.iter().any(|start| value.starts_with(start)) && value.split('.').count() == 3, "{value}");
}

#[tokio::test]
async fn an_allowing_answer_has_both_families_of_identity_headers() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme"))
                .scope("openid profile email read-memberships")
                .trusted_proxies(local())
        })
        .await;
        let id = world.hub.users().into_iter().find(|person| person.username == "ada").unwrap().id;
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            for original in
                [Ask::get("/x"), Ask::navigation("/x?y=1"), Ask::new("POST", "/x"), Ask::fetch("/x")]
            {
                let answer =
                    ada.ask(contract.about(original, &world.address)).await.expect(contract.allowed());
                for family in ["x-auth-request", "x-forwarded"] {
                    for (name, value) in [
                        ("user", id.as_str()),
                        ("preferred-username", "ada"),
                        ("email", "ada@example.org"),
                        ("groups", "acme,acme:admin"),
                    ] {
                        assert_eq!(answer.header(&format!("{family}-{name}")), Some(value));
                    }
                }
                assert_jwt(answer.header("x-huggate-assertion"));
                assert_eq!(answer.header("x-forwarded-access-token"), Some(""));
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                assert_eq!(answer.text(), "");
            }
            // HEAD is treated like GET.
            if contract != Contract::Envoy {
                let head = contract.about(Ask::get("/x"), &world.address).method("HEAD");
                let answer = ada.ask(head).await.expect(contract.allowed());
                assert_eq!(answer.header("x-auth-request-preferred-username"), Some("ada"));
            }
        }
    }
}

#[tokio::test]
async fn envoys_contract_works_on_one_connection() {
    let world = world(Front::Proxy).await;
    let ada = world.signed_in("ada").await;
    let host = &world.address;
    let question = |method: &str, target: &str, more: &str| {
        format!(
            "{method} /oauth2/auth/envoy{target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\
             x-envoy-internal: true\r\nx-forwarded-for: 127.0.0.1\r\nx-envoy-expected-rq-timeout-ms: 200\r\n{more}\r\n"
        )
    };
    let cookie = format!("cookie: {}\r\n", ada.cookie_line());
    let asked = [
        question("GET", "/x?y=1", &cookie),
        question("DELETE", "/x", &cookie),
        question("OPTIONS", "/x", ""),
        question("GET", "/public/x", ""),
        question("GET", "/admin/x", &cookie),
        question("GET", "/", &format!("{cookie}connection: close\r\n")),
    ];
    let answers = crate::world::raw(host, asked.concat().as_bytes()).await;
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.split(' ').next().unwrap()).collect();
    assert_eq!(statuses, ["200", "200", "401", "200", "403", "200"], "{answers}");
}

#[tokio::test]
async fn identity_headers_without_a_value_are_sent_empty() {
    // Attack: otherwise the client's own header would be forwarded.
    for front in FRONTS {
        let world = world(front).await;
        for contract in CONTRACTS {
            let mut ask = contract.about(Ask::get("/public/x"), &world.address);
            for name in IDENTITY {
                ask = ask.with(name, "mallory");
            }
            let answer = world.send(ask).await.expect(contract.allowed());
            for name in IDENTITY {
                assert_eq!(answer.header(name), Some(""), "{contract:?} {name}");
            }
            for name in ["cookie", "authorization"] {
                assert_eq!(answer.header(name), Some(""), "{contract:?} {name}");
            }
            assert!(!format!("{answer:?}").contains("mallory"), "{answer:?}");
        }
        // No verified address.
        let mut finn = world.signed_in("finn").await;
        for contract in CONTRACTS {
            let answer =
                finn.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
            assert_eq!(answer.header("x-auth-request-preferred-username"), Some("finn"));
            assert_eq!(answer.header("x-auth-request-email"), Some(""));
            assert_eq!(answer.header("x-forwarded-email"), Some(""));
        }
        // A signed-in person is identified on a public route too.
        let answer =
            finn.ask(Contract::Forward.about(Ask::get("/public/x"), &world.address)).await.expect(200);
        assert_eq!(answer.header("x-forwarded-preferred-username"), Some("finn"));
    }
}

#[tokio::test]
async fn configured_headers_are_used_and_the_default_ones_are_sent_empty() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let headers = HeaderSettings::default()
                .claims(vec![(HeaderName::from_static("x-who"), Claim::PreferredUsername)])
                .access_token(true);
            let proof = vec![HeaderName::from_static("x-proof"), HeaderName::from_static("x-other-proof")];
            gate.allow(Rule::org("acme"))
                .headers(headers)
                .assertion(AssertionSettings::default().enabled(true).headers(proof))
                .trusted_proxies(local())
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            let answer =
                ada.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
            assert_eq!(answer.header("x-who"), Some("ada"));
            assert_eq!(answer.header("x-auth-request-preferred-username"), Some("ada"));
            assert!(answer.header("x-forwarded-access-token").unwrap().starts_with("hf_oauth_"));
            assert_jwt(answer.header("x-proof"));
            assert_jwt(answer.header("x-other-proof"));
            assert_eq!(answer.header("x-forwarded-user"), Some(""));
            assert_eq!(answer.header("x-huggate-assertion"), Some(""));
        }
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_receives_cookies_and_tokens() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let headers = HeaderSettings::default().access_token(true);
            gate.allow(Rule::org("acme")).headers(headers)
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        let answer = ada.ask(Ask::get("/oauth2/auth").with("authorization", "Basic x")).await.expect(202);
        assert_eq!(answer.header("x-auth-request-preferred-username"), Some("ada"));
        assert_jwt(answer.header("x-huggate-assertion"));
        for name in ["cookie", "authorization"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.header("x-forwarded-access-token"), Some(""));
    }
}

#[tokio::test]
async fn the_session_cookie_is_replaced_and_authorization_is_removed() {
    // Attack: the gate's session cookie or the token forwarded to the app.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut api = path("/api/**");
            api.forward_authorization = true;
            gate.allow(Rule::org("acme")).route(api).trusted_proxies(local())
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        let sealed = ada.session().unwrap();
        ada.set_cookie("theme", "dark");
        for contract in CONTRACTS {
            let ask = |target: &str| contract.about(Ask::get(target), &world.address);
            let answer = ada.ask(ask("/x").with("authorization", "Bearer hf_x").with("cookie", "a=b")).await;
            let answer = answer.expect(contract.allowed());
            let cookie = answer.header("cookie").unwrap();
            assert!(!cookie.contains(&sealed) && !cookie.contains("attempts"), "{cookie}");
            let pairs: Vec<_> = cookie.split("; ").map(|pair| pair.split_once('=').unwrap()).collect();
            let names: Vec<_> = pairs.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["a", "huggate", "theme"]);
            assert_eq!(pairs[1].1, answer.header("x-huggate-assertion").unwrap());
            assert_eq!(answer.header("authorization"), Some(""));
            // The other values are repeated, since the proxy overwrites the headers.
            for (target, value) in [("/x", "Basic eDp5"), ("/api/x", "Bearer hf_x")] {
                let answer =
                    ada.ask(ask(target).with("authorization", value)).await.expect(contract.allowed());
                assert_eq!(answer.header("authorization"), Some(value));
            }
            let answer = ada.ask(ask("/api/x")).await.expect(contract.allowed());
            assert_eq!(answer.header("authorization"), Some(""));
        }
    }
}

#[tokio::test]
async fn tokens_are_accepted_as_without_another_proxy() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            super::rules(gate).bearer(BearerSettings::default()).trusted_proxies(local())
        })
        .await;
        let token = world.hub.token_of("ada").unwrap();
        for contract in CONTRACTS {
            let ask = |token: &str| {
                let ask = Ask::navigation("/x").with("authorization", &format!("Bearer {token}"));
                contract.about(ask, &world.address)
            };
            let answer = world.send(ask(&token)).await.expect(contract.allowed());
            assert_eq!(answer.header("x-forwarded-preferred-username"), Some("ada"));
            assert_eq!(answer.header("authorization"), Some(""));
            let refused = world.send(ask("hf_nothing")).await.expect(401);
            assert!(refused.header("www-authenticate").unwrap().contains("invalid_token"), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn the_audience_of_the_assertion_is_the_original_host() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(Route::host("docs.example.com")).trusted_proxies(local())
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            let mut audience = async |host: &str| {
                let answer = ada.ask(contract.about(Ask::get("/x"), host)).await.expect(contract.allowed());
                let claims = answer.header("x-huggate-assertion").unwrap().split('.').nth(1).unwrap();
                use base64::Engine;
                let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
                let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
                claims["aud"].as_str().unwrap().to_owned()
            };
            assert_eq!(audience(&world.address).await, world.public_url);
            assert_eq!(audience("docs.example.com").await, "http://docs.example.com");
        }
    }
}

/// The cookie lines of an answer, under any header name.
fn lines(answer: &Answer) -> (usize, Vec<String>) {
    let extra: Vec<String> = (1..=5)
        .filter_map(|number| answer.header(&format!("x-huggate-set-cookie-{number}")).map(str::to_owned))
        .collect();
    (answer.cookies().len(), extra)
}

#[tokio::test]
async fn a_used_session_is_renewed_completely() {
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            let answer =
                ada.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
            assert_eq!(lines(&answer), (0, vec![]), "{contract:?}: it is fresh");
            world.advance(2 * 3600);
            let before = ada.session().unwrap();
            // Not if a cache may share it: the gate does not see the app's response here.
            for dest in ["image", "style", "script", "font", "serviceworker"] {
                let part = Ask::get("/x").with("sec-fetch-dest", dest);
                let answer = ada.ask(contract.about(part, &world.address)).await.expect(contract.allowed());
                assert_eq!(lines(&answer), (0, vec![]), "{contract:?}: {dest}");
            }
            let answer = ada
                .ask(contract.about(Ask::get("/public/x"), &world.address))
                .await
                .expect(contract.allowed());
            assert_eq!(lines(&answer), (0, vec![]), "{contract:?}: public");
            let answer =
                ada.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
            assert_eq!(lines(&answer), (1, vec![]), "{contract:?}");
            assert_ne!(ada.session().unwrap(), before);
            ada.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
        }
    }
}

#[tokio::test]
async fn a_chunked_session_is_renewed_completely_or_not_at_all() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme"))
                .scope("openid profile email read-memberships")
                .trusted_proxies(local())
        })
        .await;
        let eve = world.hub.users().into_iter().find(|person| person.username == "eve").unwrap();
        let orgs: Vec<&str> = eve.orgs.iter().map(|org| org.slug.as_str()).collect();
        world.issue_long_tokens();
        for contract in CONTRACTS {
            let mut eve = world.browser();
            eve.sign_in_showing("eve", &orgs).await;
            assert!(eve.cookie("huggate-1").is_some(), "the session is not in chunks");
            world.advance(2 * 3600);
            let before = (eve.session(), eve.cookie("huggate-1").map(str::to_owned));
            let answer =
                eve.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
            let (several, pieces) = lines(&answer);
            if contract == Contract::Nginx {
                // nginx passes on one `Set-Cookie`. So there is none, and the chunks have
                // header names of their own.
                assert_eq!((several, &eve.session()), (0, &before.0));
                assert!(pieces.len() > 1, "{answer:?}");
                for line in pieces {
                    let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
                    eve.set_cookie(name, value);
                }
            } else {
                assert!(several > 1 && pieces.is_empty(), "{answer:?}");
            }
            assert_ne!(eve.session(), before.0);
            assert_ne!(eve.cookie("huggate-1").map(str::to_owned), before.1);
            eve.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
        }
    }
}

#[tokio::test]
async fn a_preflight_is_allowed_anonymously_on_a_route_that_enables_it() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/api/**").preflight()).trusted_proxies(local())
        })
        .await;
        let preflight = |target: &str| {
            Ask::new("OPTIONS", target)
                .with("origin", "https://other.example")
                .with("access-control-request-method", "PUT")
                .with("x-forwarded-user", "root")
        };
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            let yes =
                ada.ask(contract.about(preflight("/api/x"), &world.address)).await.expect(contract.allowed());
            for name in IDENTITY {
                assert_eq!(yes.header(name), Some(""), "{contract:?}: {name}");
            }
            for ask in [preflight("/x"), Ask::new("OPTIONS", "/api/x"), Ask::new("PUT", "/api/x")] {
                world.send(contract.about(ask, &world.address)).await.expect(401);
            }
        }
    }
}
