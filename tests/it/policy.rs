//! Access rules: each key of `allow` and `deny`, and the texts of refusals.

use huggate::hub::Membership;
use huggate::{Role, Route, Rule};

use crate::world::{Ask, FRONTS, World};

fn route(path: &str) -> Route {
    Route::path(path)
}

/// The id of acme at the hub.
fn acme(world: &World) -> String {
    let ada = world.hub.users().into_iter().find(|person| person.username == "ada").unwrap();
    ada.orgs[0].id.clone()
}

/// The people in these tests.
const EVERYBODY: [&str; 8] = ["ada", "ben", "cleo", "dan", "finn", "gita", "hugo", "ivy"];

/// Asserts that each route admits exactly the people listed next to it.
async fn admits(table: Vec<(Route, Vec<&str>)>) {
    let world = World::start(FRONTS[0], |gate| {
        let gate = gate.allow_anyone();
        table.iter().enumerate().fold(gate, |gate, (index, (template, _))| {
            let path = route(&format!("/{index}")).path;
            let mut route = template.clone();
            route.path = path;
            gate.route(route)
        })
    })
    .await;
    for user in EVERYBODY {
        let mut browser = world.signed_in(user).await;
        for (index, (route, expected)) in table.iter().enumerate() {
            let before = world.app.calls();
            let answer = browser.step(&format!("/{index}")).await;
            let may = expected.contains(&user);
            assert_eq!(
                answer.status,
                if may { 200 } else { 403 },
                "{user}: {:?} {:?}",
                route.access,
                route.deny
            );
            assert_eq!(world.app.calls(), before + u64::from(may));
            if !may {
                answer.expect_page(403, "This account has no access");
            }
        }
    }
}

fn allow(rule: Rule) -> Route {
    route("/").allow(vec![rule])
}

fn deny(rule: Rule) -> Route {
    route("/").deny(vec![rule])
}

#[tokio::test]
async fn each_allow_condition_admits_only_the_people_it_describes() {
    // Attack: a group option silently ignored after a refactoring, so that everybody gets
    // in (CVE-2021-21411). People who are not listed get 403.
    let group = |role| Rule::org("acme").with_resource_group("gpu-team").with_role(role);
    let table = [
        (Rule::user("ada"), vec!["ada"]),
        (Rule::user("ADA"), vec![]),
        (Rule::org("acme"), vec!["ada", "ben", "finn", "hugo"]),
        (Rule::org("ACME"), vec![]),
        (Rule::org("acm"), vec![]),
        (Rule::org("old-guild"), vec![]),
        (Rule::org("acme").with_role(Role::Read), vec!["ada", "ben", "finn"]),
        (Rule::org("acme").with_role(Role::Write), vec!["ada"]),
        (Rule::org("acme").with_role(Role::Admin), vec!["ada"]),
        (Rule::org("acme").with_role(Role::parse("ml-ops")), vec!["hugo"]),
        (Rule::org("acme").with_role(Role::parse("ML-OPS")), vec![]),
        (Rule::org("acme").with_role(Role::NoAccess), vec![]),
        (Rule::org("acme").with_resource_group("gpu-team"), vec!["gita"]),
        (Rule::org("acme").with_resource_group("other"), vec![]),
        (Rule::org("acme").with_resource_group("GPU-team"), vec![]),
        (group(Role::Write), vec!["gita"]),
        (group(Role::Admin), vec![]),
        (Rule::email("ada@example.org"), vec!["ada"]),
        (Rule::email("finn@acme.example"), vec![]),
        (Rule::email_domain("acme.example"), vec![]),
        (Rule::email_domain("example.org"), vec!["ada", "ben", "cleo", "dan", "gita", "hugo", "ivy"]),
        (Rule::email_domain("ample.org"), vec![]),
        (Rule::email_domain(".example.org"), vec!["ada", "ben", "cleo", "dan", "gita", "hugo", "ivy"]),
        (Rule::email_domain("org"), vec![]),
        (Rule::pro(true), vec!["ada"]),
        (Rule::pro(false), vec!["ben", "cleo", "dan", "finn", "gita", "hugo", "ivy"]),
        (Rule::org("acme").and(Rule::user("ben")), vec!["ben"]),
        (Rule::org("acme").and(Rule::user("dan")), vec![]),
    ];
    admits(table.into_iter().map(|(rule, expected)| (allow(rule), expected)).collect()).await;
}

#[tokio::test]
async fn a_rule_with_an_id_matches_only_that_id() {
    let world = World::of_acme(FRONTS[0]).await;
    let (org, people) = (acme(&world), world.hub.users());
    let id = |name: &str| people.iter().find(|person| person.username == name).unwrap().id.clone();
    admits(vec![
        (allow(Rule::org(org)), vec!["ada", "ben", "finn", "hugo"]),
        (allow(Rule::user(id("dan"))), vec!["dan"]),
    ])
    .await;
    // A username that equals another person's id does not match.
    let world = World::start(FRONTS[0], |gate| gate.allow(Rule::user(id("ada")))).await;
    let stolen = id("ada");
    world.hub.edit_user("dan", |dan| dan.username = stolen.clone());
    world.browser().sign_in(&stolen).await.expect(403);
}

#[tokio::test]
async fn each_deny_condition_refuses_matches_and_unknown_results() {
    let table = [
        (Rule::user("ada"), vec!["ada"]),
        (Rule::user("ADA"), vec!["ada"]),
        (Rule::user("zed"), vec![]),
        (Rule::org("acme"), vec!["ada", "ben", "cleo", "finn", "hugo"]),
        (Rule::org("ACME"), vec!["ada", "ben", "cleo", "finn", "hugo"]),
        (Rule::org("old-guild"), vec!["ivy"]),
        (Rule::org("acme").with_role(Role::Admin), vec!["ada", "cleo"]),
        (Rule::org("acme").with_role(Role::Read), vec!["ada", "ben", "cleo", "finn"]),
        (Rule::org("acme").with_role(Role::parse("ml-ops")), vec!["cleo", "hugo"]),
        (Rule::pro(true), vec!["ada"]),
        (Rule::pro(false), vec!["ben", "cleo", "dan", "finn", "gita", "hugo", "ivy"]),
        (Rule::org("acme").and(Rule::pro(true)), vec!["ada"]),
        (Rule::email("ada@example.org"), vec!["ada", "finn"]),
        (Rule::email_domain("example.org"), EVERYBODY.to_vec()),
        (Rule::org("acme").with_resource_group("gpu-team"), vec!["cleo", "gita"]),
        (Rule::org("acme").with_resource_group("GPU-team"), vec!["cleo", "gita"]),
        (Rule::org("acme").with_resource_group("gpu-team").with_role(Role::Admin), vec!["cleo"]),
    ];
    let others =
        |kept_out: Vec<&str>| EVERYBODY.into_iter().filter(|name| !kept_out.contains(name)).collect();
    admits(table.into_iter().map(|(rule, kept_out)| (deny(rule), others(kept_out))).collect()).await;
}

#[tokio::test]
async fn deny_overrides_allow_on_every_route() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut board = route("/board/**");
            board.deny = vec![Rule::user("ben")];
            gate.allow(Rule::org("acme"))
                .deny(Rule::user("hugo"))
                .route(board)
                .route(route("/ops/**").allow(vec![Rule::user("dan"), Rule::user("hugo")]))
                .route(route("/public/**").without_sign_in())
        })
        .await;
        for (user, path, expected) in [
            ("ada", "/", 200),
            ("ada", "/board/x", 200),
            ("ada", "/ops/x", 403),
            ("ben", "/", 200),
            ("ben", "/board/x", 403),
            ("ben", "/public/x", 200),
            ("dan", "/", 403),
            ("dan", "/ops/x", 200),
            ("dan", "/public/x", 200),
            ("hugo", "/", 403),
            ("hugo", "/ops/x", 403),
            ("hugo", "/public/x", 403),
        ] {
            let mut browser = world.browser();
            browser.sign_in(user).await;
            assert_eq!(browser.fetch(path).await.status, expected, "{user} at {path}");
        }
    }
}

#[tokio::test]
async fn an_empty_allow_list_admits_nobody() {
    for front in FRONTS {
        let world =
            World::start(front, |gate| gate.allow_anyone().route(route("/closed").allow(Vec::new()))).await;
        let mut ada = world.signed_in("ada").await;
        ada.open("/closed").await.expect(403);
        ada.open("/").await.expect(200);
    }
}

#[tokio::test]
async fn missing_information_does_not_satisfy_an_allow() {
    for front in FRONTS {
        // The organisation was not granted.
        let world = World::of_acme(front).await;
        world.browser().sign_in_showing("ada", &[]).await.expect(403);
        // The provider returns no list of organisations.
        world.behave(|hub| hub.no_orgs = true);
        world.browser().sign_in("ada").await.expect(403);
        world.behave(|hub| {
            hub.no_orgs = false;
            hub.edit_userinfo = Some(huggate::hub::Edit::new(|answer| {
                for org in answer["orgs"].as_array_mut().unwrap() {
                    org.as_object_mut()
                        .unwrap()
                        .insert("securityRestrictions".into(), serde_json::json!(["new"]));
                }
            }));
        });
        world.browser().sign_in("ada").await.expect(403);
    }
}

#[tokio::test]
async fn a_refusal_names_the_rule_and_how_to_share_an_organisation() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let id = acme(&world);
        let mut ada = world.browser();
        let page = ada.sign_in_showing("ada", &[]).await.expect_page(403, "This account has no access");
        for words in [
            "It is open to a member of acme.",
            "ada",
            &format!("org={id}"),
            "/settings/connected-applications",
        ] {
            assert!(page.text().contains(words), "{words} is not in {}", page.text());
        }
        let told = ada.fetch("/").await.expect(403).json();
        assert_eq!(told["error"], "access_denied");
        assert_eq!(told["organisation_not_granted"], "acme");
        let grant = told["grant_url"].as_str().unwrap();
        // The link works: the consent page is shown again.
        world.behave(|hub| hub.always_ask_orgs = true);
        let start = ada.step(grant).await.expect(302);
        assert!(start.location().contains(&format!("orgIds={id}")), "{}", start.location());
    }
}

#[tokio::test]
async fn a_refusal_page_escapes_html() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.hub.edit_user("dan", |dan| {
            dan.username = "<script>alert(1)</script>".to_owned();
            dan.orgs = vec![Membership::new("\"><script>", "read")];
        });
        let mut dan = world.browser();
        dan.sign_in("<script>alert(1)</script>")
            .await
            .expect_page(403, "&lt;script&gt;alert(1)&lt;/script&gt;");
    }
}

#[tokio::test]
async fn another_person_can_sign_in_after_a_refusal() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut browser = world.browser();
        let refused = browser.sign_in("dan").await.expect_page(403, "Sign in with another account");
        assert!(refused.text().contains("href=\"/oauth2/sign_out?rd=%2F\""));
        browser.open("/oauth2/sign_out?rd=%2F").await.expect(200);
        assert_eq!(browser.sign_in("ada").await.expect(200).echo().username(), Some("ada"));
    }
}

#[tokio::test]
async fn a_refused_request_does_not_reach_the_app() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut dan = world.browser();
        dan.sign_in("dan").await.expect(403);
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
            dan.ask(Ask::new(method, "/x").body("x")).await.expect(403);
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn routes_are_written_in_a_line() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme"))
                .route(Route::public("/open"))
                .route(Route::path("/both/**").allow(Rule::user("ben")).allow([Rule::user("ada")]))
                .route(Route::path("/all/**").allow_anyone().deny(Rule::user("ada")))
                .route(Route::path("/read/**").methods([http::Method::GET]).without_sign_in())
        })
        .await;
        world.send(Ask::get("/open")).await.expect(200);
        world.send(Ask::get("/read/x")).await.expect(200);
        world.send(Ask::get("/read/x").method("POST")).await.expect(401);
        let mut ada = world.signed_in("ada").await;
        ada.open("/both/x").await.expect(200);
        ada.open("/all/x").await.expect(403);
        world.signed_in("ben").await.open("/both/x").await.expect(200);
    }
}
