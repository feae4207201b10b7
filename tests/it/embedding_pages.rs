//! Pages of the embedder's own in place of the gate's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response};
use huggate::hooks::{ErrorPage, ForbiddenPage, Html, Pages, SignIn, SignInPage, SignedOutPage};
use huggate::{GateBuilder, PathPattern, Route, Rule, escape_html};

use crate::http2;
use crate::world::{Answer, Ask, EMBEDDER_POLICY, FRONTS, Log, World, send};

/// Every page, with everything that it is told.
struct Everything;

impl Pages for Everything {
    fn sign_in(&self, page: &SignInPage) -> Option<Html> {
        Some(Html::new(format!("sign in: {} | {} | {}", page.host, page.start_url, page.scope)))
    }

    fn signed_out(&self, page: &SignedOutPage) -> Option<Html> {
        Some(Html::new(format!("signed out: {} | {} | {:?}", page.host, page.start_url, page.continue_url)))
    }

    fn forbidden(&self, page: &ForbiddenPage) -> Option<Html> {
        let ForbiddenPage { host, username, reasons, again_url, share_url, sign_out_url, .. } = page;
        let known = page.user.as_ref().is_some_and(|user| user.username() == username);
        Some(Html::new(format!(
            "forbidden: {host} | {username} {known} | {reasons:?} | {again_url} | {share_url:?} | {sign_out_url}"
        )))
    }

    fn error(&self, page: &ErrorPage) -> Option<Html> {
        Some(Html::new(format!(
            "error: {} {} | {} | {}",
            page.status.as_u16(),
            page.code,
            escape_html(&page.text),
            page.sign_in_url
        )))
    }
}

fn settings(gate: GateBuilder) -> GateBuilder {
    let admin = Route::path(PathPattern::parse("/admin/**").unwrap()).allow(vec![Rule::org("closed")]);
    gate.allow(Rule::org("acme")).route(admin)
}

/// Checks the fields of a replaced page.
fn check(answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("content-security-policy"), EMBEDDER_POLICY);
    assert_eq!((header("x-frame-options"), header("cache-control")), ("DENY", "no-store"));
}

#[tokio::test]
async fn every_page_that_can_be_replaced_is_the_embedders() {
    for front in FRONTS {
        let world = World::start(front, |gate| settings(gate).pages(Everything)).await;
        let host = &world.address;
        let answer = world.send(Ask::navigation("/oauth2/sign_in?rd=/page")).await.expect(200);
        check(&answer);
        let start = "/oauth2/start?rd=%2Fpage";
        assert_eq!(
            answer.text(),
            format!("sign in: {host} | {start} | openid profile read-memberships"),
            "{front:?}"
        );
        let mut browser = world.signed_in("ada").await;
        let answer = browser.step("/admin/x").await.expect(403);
        check(&answer);
        let text = answer.text();
        assert!(text.starts_with(&format!("forbidden: {host} | ada true | [\"It is open to")), "{text}");
        assert!(text.contains("closed") && text.contains(" | /oauth2/start?rd=%2Fadmin%2Fx | "), "{text}");
        assert!(text.ends_with(" | /oauth2/sign_out?rd=%2Fadmin%2Fx"), "{text}");

        let answer = browser.step("/page/..%2fadmin").await.expect(400);
        check(&answer);
        assert!(answer.text().starts_with("error: 400 ambiguous_path | Servers interpret"), "{text}");
        // A program gets JSON as before.
        assert_eq!(browser.fetch("/admin/x").await.expect(403).json()["error"], "access_denied");

        let answer = browser.step("/oauth2/sign_out?rd=/bye").await.expect(200);
        check(&answer);
        assert!(answer.headers.contains_key("clear-site-data") && answer.headers.contains_key("refresh"));
        assert_eq!(
            answer.text(),
            format!("signed out: {host} | /oauth2/start?rd=%2F | Some(\"/bye\")"),
            "{front:?}"
        );
        assert!(!browser.has_session());
        let answer = world.send(Ask::navigation("/oauth2/callback?state=x&code=y")).await.expect(400);
        check(&answer);
        assert!(answer.text().starts_with("error: 400 invalid_request | "), "{}", answer.text());
        // Pages on which more depends stay ours.
        let ask = Ask::navigation("/oauth2/sign_out").set("sec-fetch-site", "cross-site");
        assert!(world.send(ask).await.expect(200).text().contains("<form"));
        let framed = Ask::navigation("/page").set("sec-fetch-dest", "iframe");
        assert!(world.send(framed).await.expect(401).text().contains("Sign in (new tab)"));
    }
}

#[tokio::test]
async fn the_page_of_a_refused_sign_in_is_the_embedders() {
    let world = World::start(FRONTS[1], |gate| {
        settings(gate).pages(Everything).on_sign_in(|_| async { Ok(SignIn::refuse("Not <you>.")) })
    })
    .await;
    let answer = world.browser().sign_in("ada").await.expect(403);
    check(&answer);
    let sign_in = format!("{}/oauth2/sign_in?rd=%2F", world.public_url);
    assert_eq!(answer.text(), format!("error: 403 sign_in_refused | Not &lt;you&gt;. | {sign_in}"));
}

/// Pages that fail in every way.
struct Failing(u8);

impl Pages for Failing {
    fn error(&self, _: &ErrorPage) -> Option<Html> {
        match self.0 {
            0 => None,
            1 => panic!("no template"),
            _ => {
                std::thread::sleep(Duration::from_millis(300));
                Some(Html::new("late"))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn pages_that_are_not_written_panic_or_block_leave_ours() {
    for case in 0..3 {
        let world = World::start(FRONTS[1], |gate| {
            settings(gate).pages(Failing(case)).hook_timeout(Duration::from_millis(30))
        })
        .await;
        let answer = world.send(Ask::navigation("/oauth2/callback?state=x&code=y")).await.expect(400);
        assert!(answer.text().contains("This sign-in cannot be finished here"), "{case}: {}", answer.text());
        let answer = world.send(Ask::navigation("/oauth2/sign_in")).await.expect(200);
        assert!(answer.text().contains("Sign in with Hugging Face"));
    }
}

#[tokio::test]
async fn a_page_that_panics_is_in_the_log() {
    let log = Log::start();
    let world = World::start(FRONTS[1], |gate| settings(gate).pages(Failing(1))).await;
    world.send(Ask::navigation("/oauth2/callback?state=x&code=y")).await.expect(400);
    let text = log.text();
    assert!(text.contains("a hook panicked") && text.contains("pages") && text.contains("no template"));
}

/// A page with a policy of its own.
struct Scripted;

impl Pages for Scripted {
    fn sign_in(&self, _: &SignInPage) -> Option<Html> {
        Some(
            Html::new("<script src=\"/app.js\"></script>")
                .policy(HeaderValue::from_static("script-src 'self'")),
        )
    }
}

#[tokio::test]
async fn a_page_may_have_a_policy_of_its_own_and_is_not_framed() {
    let world = World::start(FRONTS[1], |gate| settings(gate).pages(Scripted)).await;
    let ask = Ask::navigation("/oauth2/sign_in").or_host(&world.address);
    let answer = send(&world.address, ask).await.expect(200);
    assert_eq!(answer.headers.get("content-security-policy").unwrap(), "script-src 'self'");
    assert_eq!(answer.headers.get("x-frame-options").unwrap(), "DENY");
    assert_eq!(answer.text(), "<script src=\"/app.js\"></script>");
}

#[tokio::test]
async fn on_refusal_comes_before_the_pages() {
    let world = World::start(FRONTS[1], |gate| {
        settings(gate).pages(Everything).on_refusal(|refused| async move {
            Ok((refused.code() == "access_denied")
                .then(|| Response::builder().status(404).body(Bytes::from("nothing here")))
                .transpose()?)
        })
    })
    .await;
    let mut browser = world.signed_in("ada").await;
    assert_eq!(browser.step("/admin/x").await.expect(404).text(), "nothing here");
    let answer = browser.step("/page/..%2fadmin").await.expect(400);
    assert!(answer.text().starts_with("error: 400 ambiguous_path"));
}

#[tokio::test]
async fn pages_are_the_embedders_over_http2() {
    let world = World::start(FRONTS[2], |gate| settings(gate).pages(Everything)).await;
    let mut sender = http2::connect(&world.address).await;
    let request = http::Request::get(format!("http://{}/oauth2/sign_in", world.address));
    let request = request.header("accept", "text/html").body(http_body_util::Full::default()).unwrap();
    let answer = http2::ask(&mut sender, request).await;
    assert_eq!(answer.status(), 200);
    assert!(http2::text(answer).await.starts_with("sign in: "));
}

/// A page that is not made before the lock is released.
struct Stuck(Arc<Mutex<()>>);

impl Pages for Stuck {
    fn sign_in(&self, _: &SignInPage) -> Option<Html> {
        let _released = self.0.lock();
        None
    }
}

#[test]
fn pages_that_hang_leave_threads_for_everything_else() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(80).enable_all().build().unwrap();
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let free = runtime.block_on(async {
        let pages = Stuck(Arc::clone(&lock));
        let limit = Duration::from_millis(200);
        let world = World::start(FRONTS[1], |gate| settings(gate).pages(pages).hook_timeout(limit)).await;
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..120 {
            let address = world.address.clone();
            asked.spawn(async move {
                send(&address, Ask::navigation("/oauth2/sign_in").or_host(&address)).await.expect(200);
            });
        }
        asked.join_all().await;
        tokio::time::timeout(Duration::from_secs(2), tokio::task::spawn_blocking(|| ())).await
    });
    drop(held);
    free.expect("no thread is left").unwrap();
}
