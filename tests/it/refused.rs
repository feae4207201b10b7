//! The 403 page and JSON: the requirement, what is missing, and what to do.

use huggate::hub::Edit;
use huggate::{Role, Route, Rule};
use serde_json::{Value, json};

use crate::world::{Browser, FRONTS, World};

fn route(path: &str) -> Route {
    Route::path(path)
}

const DOCUMENTED: &str = include_str!("../../docs/reference/refusals.md");

/// The id of acme at the hub.
fn acme(world: &World) -> String {
    let ada = world.hub.users().into_iter().find(|person| person.username == "ada").unwrap();
    ada.orgs[0].id.clone()
}

/// The page and the JSON of a refusal at `path`.
async fn refused(browser: &mut Browser<'_>, path: &str) -> (String, Value) {
    let page = browser.step(path).await.expect_page(403, "This account has no access").text().to_owned();
    let told = browser.fetch(path).await.expect(403).json();
    assert_eq!(told["error"], "access_denied");
    let description = told["error_description"].as_str().unwrap();
    assert!(description.contains(" may not enter. "), "{description}");
    // Both have the same content, and neither reveals accounts or e-mail addresses of a rule.
    for text in [&page, description] {
        assert!(!text.contains("zed") && !text.contains("elsewhere.example"), "{text}");
    }
    assert!(told["sign_in_url"].as_str().unwrap().contains("/oauth2/start?rd="), "{told}");
    // Every field and reason is documented.
    let documented = |name: &str| DOCUMENTED.contains(&format!("`{name}`"));
    let fields = told.as_object().unwrap().keys();
    let list = told.get("open_to").or(told.get("closed_to")).unwrap().as_array().unwrap();
    let missing = list.iter().flat_map(|demand| demand["missing"].as_array().unwrap());
    let reasons = missing.map(|obstacle| obstacle["reason"].as_str().unwrap());
    for name in fields.map(String::as_str).chain(reasons) {
        assert!(documented(name), "{name} is not in docs/reference/refusals.md");
    }
    (page, told)
}

/// A user, a rule that does not admit them, what is missing, and the words of the page.
type Case = (&'static str, Rule, Value, &'static str);

fn cases() -> Vec<Case> {
    let group = |name: &str| Rule::org("acme").with_resource_group(name);
    let role = |role: &str| Rule::org("acme").with_role(Role::parse(role));
    vec![
        (
            "dan",
            Rule::org("acme"),
            json!([{"reason": "not_a_member", "organisation": "acme"}]),
            "It is open to a member of acme.</p>\n<p>You are not in acme, as far as this app can see.</p>",
        ),
        (
            "ben",
            role("admin"),
            json!([{"reason": "role_too_low", "organisation": "acme", "role": "read", "needed_role": "admin"}]),
            "with the role admin or above.</p>\n<p>Your role in acme is read, and at least admin is needed. An admin of acme can change it.</p>",
        ),
        (
            "hugo",
            role("read"),
            json!([{"reason": "custom_role", "organisation": "acme", "role": "ml-ops", "needed_role": "read"}]),
            "Your role in acme is the custom role ml-ops, which is not ranked above or below others; read is needed.",
        ),
        (
            "ada",
            role("ml-ops"),
            json!([{"reason": "other_role", "organisation": "acme", "role": "admin", "needed_role": "ml-ops"}]),
            "Your role in acme is admin, and ml-ops is needed.",
        ),
        (
            "gita",
            Rule::org("acme"),
            json!([{"reason": "no_access", "organisation": "acme", "role": "no_access"}]),
            "Your role in acme is no_access, which gives access only through your resource groups.",
        ),
        (
            "gita",
            group("gpu-team").with_role(Role::Admin),
            json!([{
                "reason": "role_too_low", "organisation": "acme", "resource_group": "gpu-team",
                "role": "write", "needed_role": "admin",
            }]),
            "Your role in gpu-team of acme is write, and at least admin is needed.",
        ),
        (
            "gita",
            group("tpu-team"),
            json!([{"reason": "not_in_group", "organisation": "acme", "resource_group": "tpu-team"}]),
            "You are in acme, but not in its resource group tpu-team.",
        ),
        (
            "cleo",
            Rule::org("acme"),
            json!([{"reason": "restricted", "organisation": "acme"}]),
            "acme currently restricts your membership: its single sign-on, a second factor or another of its security rules is not satisfied.",
        ),
        (
            "finn",
            Rule::email_domain("acme.example"),
            json!([{"reason": "email_not_verified"}]),
            "Your e-mail address at Hugging Face is not verified.",
        ),
        (
            "joerg",
            Rule::email_domain("acme.example"),
            json!([{"reason": "email_not_shared"}]),
            "Your Hugging Face account does not share an e-mail address with this app.",
        ),
        (
            "ada",
            Rule::email("zed@elsewhere.example"),
            json!([{"reason": "other_email"}]),
            "Your Hugging Face account has a different e-mail address.",
        ),
        ("ben", Rule::pro(true), json!([{"reason": "pro_needed"}]), "Your account has no PRO subscription."),
        (
            "ada",
            Rule::pro(false),
            json!([{"reason": "pro_excluded"}]),
            "Your account has a PRO subscription.",
        ),
        (
            "ada",
            Rule::org("Acme"),
            json!([{"reason": "unclear_name"}]),
            "A rule of this app says Acme, but the name on Hugging Face is acme",
        ),
        // Nothing can be done about another account, so nothing is listed as missing.
        ("ben", Rule::user("zed"), json!([]), "It is open to a listed account.</p>\n<section"),
        (
            "dan",
            Rule::org("acme").and(Rule::user("zed")),
            json!([]),
            "<p>It is open to a member of acme, a listed account.</p>\n<section",
        ),
        (
            "ben",
            role("write").and(Rule::pro(true)),
            json!([
                {"reason": "role_too_low", "organisation": "acme", "role": "read", "needed_role": "write"},
                {"reason": "pro_needed"},
            ]),
            "An admin of acme can change it. Your account has no PRO subscription.",
        ),
    ]
}

#[tokio::test]
async fn pages_and_json_say_what_is_missing() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            cases().into_iter().enumerate().fold(gate.allow_anyone(), |gate, (index, (_, rule, _, _))| {
                gate.route(route(&format!("/{index}")).allow(vec![rule]))
            })
        })
        .await;
        world.hub.edit_user("joerg", |joerg| joerg.email = None);
        for user in ["ada", "ben", "cleo", "dan", "finn", "gita", "hugo", "joerg"] {
            let mut browser = world.signed_in(user).await;
            let own = cases().into_iter().enumerate().filter(|(_, case)| case.0 == user);
            for (index, (_, rule, missing, words)) in own {
                let (page, told) = refused(&mut browser, &format!("/{index}")).await;
                assert_eq!(told["username"], user);
                assert_eq!(
                    told["open_to"],
                    json!([{"who": format!("{rule:#}"), "missing": missing}]),
                    "{rule}"
                );
                assert!(page.contains(words), "{user}, {rule}: {words:?} is not in {page}");
            }
        }
        assert_eq!(world.app.calls(), 8, "one request after each sign-in");
    }
}

#[tokio::test]
async fn an_organisation_without_consent_can_be_shared_in_two_ways() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let (id, hub) = (acme(&world), world.hub.issuer().to_owned());
        let settings = format!("{hub}/settings/connected-applications");
        let mut ada = world.browser();
        ada.sign_in_showing("ada", &[]).await.expect(403);
        let (page, told) = refused(&mut ada, "/board").await;
        assert_eq!(told["open_to"][0]["missing"], json!([{"reason": "not_granted", "organisation": "acme"}]));
        assert_eq!(
            (&told["organisation_not_granted"], &told["settings_url"]),
            (&json!("acme"), &json!(settings))
        );
        for words in [
            "You are in acme, but you have not shared your role there with this app.",
            "Share <bdi>acme</bdi> with this app",
            "only asks which organisations to share",
            &format!("href=\"/oauth2/start?rd=%2Fboard&amp;org={id}\""),
            &format!("href=\"{settings}\""),
        ] {
            assert!(page.contains(words), "{words} is not in {page}");
        }
        // The link requests acme, and the sign-in succeeds.
        let start = ada.step(told["grant_url"].as_str().unwrap()).await.expect(302);
        assert!(start.location().contains(&format!("orgIds={id}")), "{}", start.location());
        world.hub.consent("ada", crate::world::CLIENT, &["acme"]);
        ada.open(told["grant_url"].as_str().unwrap()).await.expect(200);
    }
}

#[tokio::test]
async fn an_unlisted_organisation_is_requested_if_its_id_is_known() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let id = acme(&world);
        let mut dan = world.signed_in("dan").await;
        // acme's id is unknown; disconnecting the app is the remaining way.
        let (page, told) = refused(&mut dan, "/").await;
        assert!(
            page.contains("Are you a member of <bdi>acme</bdi>?") && page.contains("To be asked again, open"),
            "{page}"
        );
        assert!(!page.contains("org=") && told.get("grant_url").is_none(), "{told}");
        assert_eq!(told["organisation_not_granted"], "acme");
        // The id is known as soon as a member has signed in.
        world.signed_in("ben").await;
        let (page, told) = refused(&mut dan, "/").await;
        assert!(page.contains("Sign in again and share <bdi>acme</bdi>"), "{page}");
        assert!(told["grant_url"].as_str().unwrap().ends_with(&format!("&org={id}")), "{told}");
        // If every sign-in requests organisations, an ordinary one suffices.
        let world =
            World::start(front, |gate| gate.allow(Rule::org("acme")).ask_for_orgs([id.clone()])).await;
        let mut dan = world.signed_in("dan").await;
        let (page, told) = refused(&mut dan, "/").await;
        assert!(page.contains("href=\"/oauth2/start?rd=%2F\"") && !page.contains("org="), "{page}");
        let start = dan.step(told["grant_url"].as_str().unwrap()).await.expect(302);
        assert!(start.location().contains(&format!("orgIds={id}")), "{}", start.location());
        // A rule can contain the id itself.
        let world = World::start(front, |gate| gate.allow(Rule::org(id.clone()))).await;
        let (_, told) = refused(&mut world.signed_in("dan").await, "/").await;
        assert!(told["grant_url"].as_str().unwrap().ends_with(&format!("&org={id}")), "{told}");
    }
}

#[tokio::test]
async fn an_organisation_is_named_even_if_the_rule_has_its_id() {
    for front in FRONTS {
        let hub = World::of_acme(front).await;
        let id = acme(&hub);
        let world =
            World::start(front, |gate| gate.allow(Rule::org(id.clone()).with_role(Role::Admin))).await;
        let (page, told) = refused(&mut world.signed_in("ben").await, "/").await;
        for words in ["It is open to a member of acme with the role admin", "Your role in acme is read"] {
            assert!(page.contains(words), "{page}");
        }
        assert!(!page.contains(&id) && !told.to_string().contains(&id), "{page}");
        assert_eq!(told["open_to"][0]["missing"][0]["organisation"], "acme");
    }
}

#[tokio::test]
async fn a_restricted_member_is_sent_to_the_organisation() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let (id, hub) = (acme(&world), world.hub.issuer().to_owned());
        let (page, told) = refused(&mut world.signed_in("cleo").await, "/x").await;
        for words in [
            "What <bdi>acme</bdi> requires",
            &format!("href=\"/oauth2/start?rd=%2Fx&amp;org={id}\""),
            &format!("href=\"{hub}/acme\""),
        ] {
            assert!(page.contains(words), "{words} is not in {page}");
        }
        assert_eq!(told["organisation_restricting"], "acme");
        assert_eq!(told["organisation_url"], format!("{hub}/acme"));
        assert!(told["grant_url"].as_str().unwrap().ends_with(&format!("&org={id}")), "{told}");
        assert_eq!(told.get("organisation_not_granted"), None);
        // Without the restriction, a sign-in suffices.
        world.hub.edit_user("cleo", |cleo| {
            cleo.orgs[0].security_restrictions.clear();
            cleo.orgs[0].pending_sso = false;
        });
        world.browser().sign_in("cleo").await.expect(200);
    }
}

#[tokio::test]
async fn a_provider_without_organisations_is_reported() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.behave(|hub| hub.no_orgs = true);
        let (page, told) = refused(&mut world.signed_in("ada").await, "/").await;
        assert_eq!(told["open_to"][0]["missing"], json!([{"reason": "organisations_not_told"}]));
        assert!(page.contains("did not share with this app which organisations you are in"), "{page}");
    }
}

#[tokio::test]
async fn a_deny_rule_is_explained() {
    for front in FRONTS {
        let closed = |path: &str, rule: Rule| route(path).deny(vec![rule]);
        let world = World::start(front, |gate| {
            gate.allow_anyone()
                .route(closed("/account", Rule::user("ben")))
                .route(closed("/org", Rule::org("acme")))
                .route(closed("/email", Rule::email_domain("acme.example")))
                .route(closed("/case", Rule::user("BEN")))
        })
        .await;
        let mut ben = world.signed_in("ben").await;
        let (page, told) = refused(&mut ben, "/account").await;
        assert_eq!(told["closed_to"], json!([{"who": "a listed account", "missing": []}]));
        assert!(page.contains("<p>It is closed to a listed account.</p>\n<section"), "{page}");
        let (_, told) = refused(&mut ben, "/org").await;
        assert_eq!(told["closed_to"], json!([{"who": "a member of acme", "missing": []}]));
        let (page, told) = refused(&mut ben, "/case").await;
        assert_eq!(told["closed_to"], json!([{"who": "a listed account", "missing": []}]));
        assert!(
            page.contains("closed to a listed account, and it is not known whether that includes you."),
            "{page}"
        );
        let (page, told) = refused(&mut world.signed_in("finn").await, "/email").await;
        assert_eq!(told["closed_to"][0]["missing"], json!([{"reason": "email_not_verified"}]));
        assert!(page.contains("it is not known whether that includes you.</p>\n<p>Your e-mail"), "{page}");
        // Sharing the membership would not help against a deny rule.
        let (page, told) = refused(&mut world.signed_in("cleo").await, "/org").await;
        assert_eq!(
            told["closed_to"][0]["missing"],
            json!([{"reason": "restricted", "organisation": "acme"}])
        );
        assert!(!page.contains("org=") && told.get("grant_url").is_none(), "{page}");
    }
}

#[tokio::test]
async fn alternatives_are_listed_and_the_most_promising_is_offered() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("labs"))
                .allow(Rule::org("acme").with_role(Role::Write))
                .allow(Rule::user("zed"))
                .allow(Rule::user("zoe"))
        })
        .await;
        let mut ben = world.browser();
        ben.sign_in_showing("ben", &[]).await.expect(403);
        let (page, told) = refused(&mut ben, "/").await;
        for item in [
            "<p>It is open to:</p>\n<ul>\n<li>a member of labs<br><span class=\"quiet\">You are not in labs, as far as this app can see.</span></li>",
            "<li>a member of acme with the role write or above<br><span class=\"quiet\">You are in acme, but you have not shared your role there with this app.</span></li>",
            "<li>a listed account</li>\n</ul>",
        ] {
            assert!(page.contains(item), "{item} is not in {page}");
        }
        assert_eq!(told["open_to"].as_array().unwrap().len(), 3);
        // acme, where ben is a known member, is preferred to labs.
        assert_eq!(told["organisation_not_granted"], "acme");
        assert!(page.contains("Share <bdi>acme</bdi> with this app"), "{page}");
    }
}

#[tokio::test]
async fn changes_take_effect_after_the_offered_sign_in() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme").with_role(Role::Write))).await;
        let mut ben = world.signed_in("ben").await;
        let (page, told) = refused(&mut ben, "/x").await;
        assert!(page.contains("Has that changed? <a href=\"/oauth2/start?rd=%2Fx\">"), "{page}");
        world.hub.edit_user("ben", |ben| ben.orgs[0].role = "write".to_owned());
        ben.open(told["sign_in_url"].as_str().unwrap()).await.expect(200);
        assert_eq!(ben.url.path(), "/x");
    }
}

#[tokio::test]
async fn a_hostile_role_name_is_escaped() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme").with_role(Role::Admin))).await;
        world.behave(|hub| {
            hub.edit_userinfo = Some(Edit::new(|answer| {
                answer["orgs"][0]["roleInOrg"] = json!("<b>\"'>");
            }));
        });
        let (page, _) = refused(&mut world.signed_in("ben").await, "/").await;
        assert!(page.contains("Your role in acme is the custom role &lt;b&gt;&quot;&#39;&gt;"), "{page}");
        assert!(!page.contains("<b>"), "{page}");
    }
}
