//! Requests without a session: navigations are redirected to the provider, everything else gets
//! 401.

use huggate::Rule;
use huggate::hub::Endpoint;

use crate::world::{Answer, Ask, FRONTS, World, parameter};

/// Asserts a 401 with JSON that names the sign-in URL, without starting a sign-in.
#[track_caller]
fn told(answer: Answer) -> Answer {
    let answer = answer.expect(401);
    let document = answer.json();
    assert_eq!(document["error"], "login_required");
    assert!(document["error_description"].as_str().unwrap().contains("sign_in_url"));
    let url = document["sign_in_url"].as_str().unwrap();
    assert!(url.contains("/oauth2/sign_in?rd="), "{url}");
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
    assert!(answer.cookies().is_empty(), "a sign-in was started: {answer:?}");
    answer
}

#[tokio::test]
async fn only_navigations_are_redirected_to_the_provider() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for ask in [
            Ask::navigation("/x"),
            Ask::get("/x").with("accept", "text/html"),
            Ask::navigation("/x").method("HEAD"),
            Ask::navigation("/x").set("sec-fetch-site", "cross-site"),
        ] {
            let answer = world.send(ask).await.expect(302);
            assert!(answer.cookie("huggate-pending-").is_some());
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn programs_get_401_and_no_sign_in_is_started() {
    // 401 instead of a redirect for XHR.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for ask in [
            Ask::get("/x"),
            Ask::get("/x").with("accept", "*/*"),
            Ask::get("/x").with("accept", "application/json"),
            Ask::fetch("/x"),
            Ask::fetch("/x").set("accept", "text/html"),
            Ask::navigation("/x").set("sec-fetch-mode", "no-cors").set("sec-fetch-dest", "image"),
            Ask::navigation("/x").set("sec-fetch-mode", "same-origin"),
            Ask::get("/x").with("accept", "text/html").with("x-requested-with", "XMLHttpRequest"),
            Ask::new("POST", "/x").with("accept", "text/html").body("a=b"),
            Ask::new("PUT", "/x").body("a=b"),
            Ask::new("DELETE", "/x"),
            Ask::new("OPTIONS", "/x").with("origin", "https://evil.example"),
            Ask::new("PROPFIND", "/x"),
            Ask::navigation("/x").with("sec-purpose", "prefetch"),
            Ask::navigation("/x").with("sec-purpose", "prefetch;prerender"),
            Ask::get("/x").with("accept", "text/html").with("purpose", "prefetch"),
            Ask::websocket("/ws"),
        ] {
            told(world.send(ask).await);
        }
        // A HEAD request without headers gets 401 without a body.
        let head = world.send(Ask::new("HEAD", "/x")).await.expect(401);
        assert!(head.cookies().is_empty() && head.body.is_empty());
        assert_eq!((world.app.calls(), world.calls(Endpoint::Authorize)), (0, 0));
    }
}

#[tokio::test]
async fn a_fetch_gets_a_sign_in_url_for_its_page() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for (referer, rd) in [
            (format!("{}/board?x=1", world.public_url), "/board?x=1"),
            ("https://evil.example/board".to_owned(), "/"),
            ("garbage".to_owned(), "/"),
        ] {
            let answer = told(world.send(Ask::fetch("/api").with("referer", &referer)).await);
            let url = answer.json()["sign_in_url"].as_str().unwrap().to_owned();
            assert!(url.starts_with(&world.public_url), "{url}");
            assert_eq!(parameter(&url, "rd").as_deref(), Some(rd), "{referer}");
            world.send(Ask::navigation(url.strip_prefix(&world.public_url).unwrap())).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_framed_page_gets_a_button_that_opens_a_tab() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for dest in ["iframe", "frame", "embed", "object", "fencedframe"] {
            for path in ["/x", "/oauth2/start?rd=/x"] {
                let ask =
                    Ask::navigation(path).set("sec-fetch-dest", dest).set("sec-fetch-site", "cross-site");
                let page = world.send(ask).await.expect_page(401, "target=\"_blank\"");
                assert!(page.cookies().is_empty());
                assert!(page.header("www-authenticate").is_some());
                // It is shown inside the frame, so it is the only page that may be framed.
                assert!(page.header("x-frame-options").is_none());
                assert!(page.header("content-security-policy").unwrap().ends_with("frame-ancestors *"));
                assert!(page.text().contains("/oauth2/start?rd=%2Fx"), "{}", page.text());
            }
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn all_other_pages_forbid_framing() {
    // Attack: clickjacking of the sign-in or a refusal.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut dan = world.browser();
        let refused = dan.sign_in("dan").await.expect(403);
        let pages = [
            refused,
            world.send(Ask::navigation("/oauth2/sign_in")).await,
            world.send(Ask::navigation("/oauth2/sign_out")).await,
            world.send(Ask::navigation("/oauth2/sign_out").set("sec-fetch-site", "cross-site")).await,
            world.send(Ask::navigation("/oauth2/callback?state=x")).await,
            world.send(Ask::navigation("/oauth2/nothing")).await,
            world.send(Ask::navigation("/x").method("POST")).await,
        ];
        for page in pages {
            assert_eq!(page.header("x-frame-options"), Some("DENY"), "{page:?}");
            assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        }
    }
}

#[tokio::test]
async fn a_submitted_form_is_not_lost() {
    // An expired session must not lose a POST. A redirect would drop its body, so the page
    // stays in the form's tab.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let form = Ask::navigation("/save")
            .method("POST")
            .set("sec-fetch-site", "same-origin")
            .with("content-type", "application/x-www-form-urlencoded")
            .body("text=long");
        let page = world.send(form.clone()).await.expect_page(401, "Your form was not sent");
        assert!(page.cookies().is_empty());
        assert!(page.text().contains("target=\"_blank\""));
        assert_eq!(world.app.calls(), 0);
        // After a sign-in in the other tab, reloading sends the form again.
        let mut ada = world.signed_in("ada").await;
        let sent = ada.ask(form).await.expect(200).echo();
        assert_eq!((sent.method(), sent.length()), ("POST", 9));
    }
}

#[tokio::test]
async fn a_start_without_navigation_starts_no_sign_in() {
    // Attack: a sign-in started by another site's image.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let image = Ask::get("/oauth2/start")
            .with("sec-fetch-mode", "no-cors")
            .with("sec-fetch-dest", "image")
            .with("sec-fetch-site", "cross-site");
        told(world.send(image).await);
        told(world.send(Ask::navigation("/oauth2/start").with("sec-purpose", "prefetch")).await);
        // A plain client that follows links is redirected.
        world.send(Ask::get("/oauth2/start")).await.expect(302);
    }
}

#[tokio::test]
async fn no_header_bypasses_the_sign_in() {
    // Attacks: health-check User-Agents, and paths taken from a client's X-Forwarded-Uri.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let health = huggate::Route::public("/health");
            gate.allow(Rule::org("acme")).route(health)
        })
        .await;
        for (name, value) in [
            ("user-agent", "kube-probe/1.30"),
            ("user-agent", "GoogleHC/1.0"),
            ("user-agent", "ELB-HealthChecker/2.0"),
            ("x-forwarded-uri", "/health"),
            ("x-original-url", "/health"),
            ("x-original-uri", "/health"),
            ("x-rewrite-url", "/health"),
            ("x-forwarded-path", "/health"),
            ("x-forwarded-prefix", "/health"),
            ("x-envoy-original-path", "/health"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1;host=localhost"),
            ("authorization", "Bearer x"),
            ("authorization", "Basic YWRhOng="),
            ("proxy-authorization", "Basic YWRhOng="),
            ("x-http-method-override", "OPTIONS"),
            ("connection", "cookie, x-forwarded-user"),
            ("x-forwarded-user", "ada"),
            ("x-huggate-assertion", "x"),
            ("referer", "http://127.0.0.1/health"),
            ("upgrade", "h2c"),
        ] {
            let answer = world.send(Ask::get("/secret").with(name, value)).await;
            assert_eq!(answer.status, 401, "{name}: {value}");
        }
        assert_eq!(world.app.calls(), 0);
    }
}
