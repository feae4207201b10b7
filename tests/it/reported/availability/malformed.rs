//! Documents of the provider with members of an unexpected type: what is optional is absent,
//! and what cannot be read grants nothing and opens no `deny`.

use huggate::authn::BearerSettings;
use huggate::hub::{Edit, EditToken, Endpoint, Fault, Object};
use huggate::{GateBuilder, Role, Rule};
use serde_json::{Value, json};

use crate::world::{Answer, Ask, FRONTS, Log, World};

/// How a person reaches the app: with a session, or with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Session,
    Token,
}

const BOTH: [By; 2] = [By::Session, By::Token];

async fn world(change: impl FnOnce(GateBuilder) -> GateBuilder) -> World {
    World::start(FRONTS[2], |gate| change(gate.bearer(BearerSettings::default()))).await
}

/// Makes the provider's answers about people differ from the usual ones.
fn edit(world: &World, by: By, edit: impl Fn(&mut Object) + Send + Sync + 'static) {
    let edit = Some(Edit::new(edit));
    world.behave(|hub| match by {
        By::Session => hub.edit_userinfo = edit,
        By::Token => hub.edit_whoami = edit,
    });
}

/// Ada's request, after a new sign-in or with her token.
async fn ada(world: &World, by: By) -> Answer {
    match by {
        By::Session => world.browser().sign_in("ada").await,
        By::Token => {
            let token = world.hub.token_of("ada").unwrap();
            let answer = world.send(Ask::get("/").with("authorization", &format!("Bearer {token}"))).await;
            world.advance(61);
            answer
        }
    }
}

/// The member of userinfo, and that of whoami with the same meaning.
fn named(by: By, userinfo: &str, whoami: &str) -> String {
    match by {
        By::Session => userinfo.to_owned(),
        By::Token => whoami.to_owned(),
    }
}

/// An organisation with these further members.
fn org(by: By, id: &str, slug: &str, more: &Value) -> Value {
    let mut org = match by {
        By::Session => json!({"sub": id, "preferred_username": slug}),
        By::Token => json!({"id": id, "name": slug, "type": "org"}),
    };
    org.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    org
}

/// Replaces the organisations.
fn orgs(world: &World, by: By, list: Value) {
    edit(world, by, move |answer| drop(answer.insert("orgs".to_owned(), list.clone())));
}

const ACME: &str = "65a000000000000000000001";
const EVIL: &str = "65a0000000000000000000ee";

#[tokio::test]
async fn an_optional_member_of_a_wrong_type_is_absent() {
    for by in BOTH {
        let world = world(|gate| gate.allow(Rule::org("acme"))).await;
        for (userinfo, whoami, value) in [
            ("isPro", "isPro", json!("true")),
            ("isPro", "isPro", json!([])),
            ("name", "fullname", json!(7)),
            ("name", "fullname", json!({"first": "Ada"})),
            ("picture", "avatarUrl", json!([])),
            ("email", "email", json!(false)),
            ("email_verified", "emailVerified", json!("true")),
            ("website", "billingMode", json!(7)),
        ] {
            let (name, told) = (named(by, userinfo, whoami), value.clone());
            edit(&world, by, move |answer| drop(answer.insert(name.clone(), told.clone())));
            let answer = ada(&world, by).await;
            assert_eq!(answer.status, 200, "{by:?} {userinfo} = {value}: {answer:?}");
            let echo = answer.echo();
            assert_eq!(echo.username(), Some("ada"), "{userinfo}");
            if userinfo.starts_with("email") {
                assert_eq!(echo.header("x-forwarded-email"), None, "{userinfo}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_whose_verification_cannot_be_read_is_not_verified() {
    for by in BOTH {
        let world = world(|gate| {
            gate.allow(Rule::email_domain("example.org")).scope("openid profile email read-memberships")
        })
        .await;
        let name = named(by, "email_verified", "emailVerified");
        edit(&world, by, |_| {});
        ada(&world, by).await.expect(200);
        for value in [json!("true"), json!(1), json!(["true"]), Value::Null] {
            let name = name.clone();
            edit(&world, by, move |answer| drop(answer.insert(name.clone(), value.clone())));
            ada(&world, by).await.expect(403);
        }
    }
}

#[tokio::test]
async fn a_malformed_organisation_spoils_no_other_one() {
    for by in BOTH {
        let world = world(|gate| gate.allow(Rule::org("acme"))).await;
        let good = org(by, ACME, "acme", &json!({"roleInOrg": "read"}));
        let id = named(by, "sub", "id");
        for bad in [
            json!(7),
            json!("acme"),
            json!([]),
            Value::Null,
            json!({}),
            json!({ id.clone(): 7 }),
            org(by, EVIL, "evil", &json!({"roleInOrg": 7})),
            org(by, EVIL, "evil", &json!({"securityRestrictions": "sso"})),
            org(by, EVIL, "evil", &json!({"pendingSSO": "no", "missingMFA": {}})),
            org(by, EVIL, "evil", &json!({"resourceGroups": [7, {"name": 7}], "roleInOrg": "read"})),
            org(by, EVIL, "evil", &json!({"resourceGroups": "gpu", "roleInOrg": "read"})),
        ] {
            orgs(&world, by, json!([bad, good]));
            let answer = ada(&world, by).await;
            assert_eq!(answer.status, 200, "{by:?} {bad}: {answer:?}");
            let groups = answer.echo().header("x-forwarded-groups").map(str::to_owned);
            let groups = groups.unwrap();
            assert!(groups.starts_with("acme,acme:read") || groups.ends_with("acme,acme:read"), "{groups}");
        }
    }
}

/// Memberships in acme that cannot be judged.
fn unreadable(by: By) -> Vec<(&'static str, Value)> {
    let acme = |more: Value| org(by, ACME, "acme", &more);
    let (id, slug) = (named(by, "sub", "id"), named(by, "preferred_username", "name"));
    let without = |name: &str, value: Value| {
        let mut org = acme(json!({"roleInOrg": "admin"}));
        org[name] = value;
        org
    };
    vec![
        ("no object", json!([7])),
        ("no list", json!({"acme": "admin"})),
        ("null", json!([null])),
        ("a slug that is no string", json!([without(&slug, json!(7))])),
        ("no slug", json!([without(&slug, Value::Null)])),
        ("an id that is no string", json!([without(&id, json!(["x"]))])),
        ("a role that is no string", json!([acme(json!({"roleInOrg": 7}))])),
        ("a role with a line break", json!([acme(json!({"roleInOrg": "admin\nadmin"}))])),
        (
            "restrictions that are no list",
            json!([acme(json!({"roleInOrg": "admin", "securityRestrictions": "sso"}))]),
        ),
        (
            "restrictions that are a flag",
            json!([acme(json!({"roleInOrg": "admin", "securityRestrictions": false}))]),
        ),
        ("pendingSSO that is no flag", json!([acme(json!({"roleInOrg": "admin", "pendingSSO": "false"}))])),
        ("missingMFA that is no flag", json!([acme(json!({"roleInOrg": "admin", "missingMFA": 0}))])),
        ("two roles", json!([acme(json!({"roleInOrg": "admin"})), acme(json!({"roleInOrg": "read"}))])),
        (
            "two ids",
            json!([
                acme(json!({"roleInOrg": "admin"})),
                org(by, EVIL, "acme", &json!({"roleInOrg": "admin"}))
            ]),
        ),
        (
            "two slugs",
            json!([
                org(by, ACME, "other", &json!({"roleInOrg": "admin"})),
                acme(json!({"roleInOrg": "admin"}))
            ]),
        ),
        (
            "restricted and not",
            json!([
                acme(json!({"roleInOrg": "admin", "pendingSSO": true})),
                acme(json!({"roleInOrg": "admin"}))
            ]),
        ),
    ]
}

#[tokio::test]
async fn a_membership_that_cannot_be_read_satisfies_no_allow_and_passes_no_deny() {
    for by in BOTH {
        for rule in [Rule::org("acme"), Rule::org("acme").with_role(Role::Admin)] {
            let open = world(|gate| gate.allow(rule.clone())).await;
            let closed = world(|gate| gate.allow_anyone().deny(rule.clone())).await;
            for (what, list) in unreadable(by) {
                for world in [&open, &closed] {
                    orgs(world, by, list.clone());
                    let answer = ada(world, by).await;
                    assert_eq!(answer.status, 403, "{by:?} {what}, {rule}: {answer:?}");
                }
            }
            // Without the malformed entry the `deny` lets in, and a real membership is refused.
            orgs(&closed, by, json!([org(by, EVIL, "evil", &json!({"roleInOrg": "admin"}))]));
            ada(&closed, by).await.expect(200);
            orgs(&closed, by, json!([org(by, ACME, "acme", &json!({"roleInOrg": "admin"}))]));
            ada(&closed, by).await.expect(403);
            orgs(&open, by, json!([org(by, ACME, "acme", &json!({"roleInOrg": "admin"}))]));
            ada(&open, by).await.expect(200);
        }
    }
}

#[tokio::test]
async fn the_same_entry_twice_is_one_membership() {
    for by in BOTH {
        let world = world(|gate| gate.allow(Rule::org("acme").with_role(Role::Admin))).await;
        let acme = org(by, ACME, "acme", &json!({"roleInOrg": "admin"}));
        orgs(&world, by, json!([acme, acme]));
        let echo = ada(&world, by).await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-groups"), Some("acme,acme:admin"));
    }
}

#[tokio::test]
async fn a_resource_group_that_cannot_be_read_satisfies_no_allow_and_passes_no_deny() {
    for by in BOTH {
        let id = named(by, "sub", "id");
        let rule = || Rule::org("acme").with_resource_group("gpu");
        let open = world(|gate| gate.allow(rule())).await;
        let closed = world(|gate| gate.allow_anyone().deny(rule())).await;
        for groups in [
            json!("gpu"),
            json!([7]),
            json!([{ id.clone(): "66b000000000000000000001", "name": "gpu" }]),
            json!([{ id.clone(): "66b000000000000000000001", "name": "gpu", "role": 7 }]),
            json!([{ id.clone(): "66b000000000000000000001", "name": 7, "role": "admin" }]),
            json!([{ id.clone(): 7, "name": "gpu", "role": "admin" }]),
        ] {
            let list = org(by, ACME, "acme", &json!({"roleInOrg": "read", "resourceGroups": groups}));
            for world in [&open, &closed] {
                orgs(world, by, json!([list]));
                let answer = ada(world, by).await;
                assert_eq!(answer.status, 403, "{by:?} {groups}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_membership_past_the_longest_list_passes_no_deny() {
    let many = |last: &str| {
        let org = |n: usize, slug: &str| json!({"sub": format!("65a0{n:020x}"), "preferred_username": slug, "roleInOrg": "read"});
        let mut list: Vec<Value> = (0..2_000).map(|n| org(n, &format!("organisation-{n}"))).collect();
        list.push(org(2_000, last));
        Value::from(list)
    };
    let world = world(|gate| gate.allow_anyone().deny(Rule::org("acme"))).await;
    orgs(&world, By::Session, many("acme"));
    ada(&world, By::Session).await.expect(403);
}

#[tokio::test]
async fn a_username_that_cannot_be_read_is_no_name_of_a_rule() {
    for (value, status) in [(json!(7), 403), (json!(["ada"]), 403), (json!("ada"), 403), (json!("eve"), 200)]
    {
        let world = world(|gate| gate.allow_anyone().deny(Rule::user("ada"))).await;
        let told = value.clone();
        edit(&world, By::Session, move |answer| {
            drop(answer.insert("preferred_username".to_owned(), told.clone()))
        });
        let answer = ada(&world, By::Session).await;
        assert_eq!(answer.status, status, "{value}: {answer:?}");
    }
    // The app gets the id in its place.
    let world = world(GateBuilder::allow_anyone).await;
    edit(&world, By::Session, |answer| drop(answer.insert("preferred_username".to_owned(), json!(7))));
    let echo = ada(&world, By::Session).await.expect(200).echo();
    assert_eq!(echo.username(), echo.header("x-forwarded-user"));
}

#[tokio::test]
async fn a_required_member_that_cannot_be_read_fails_with_its_name() {
    for value in [json!(7), json!([]), Value::Null, json!("")] {
        let world = world(|gate| gate.allow(Rule::org("acme"))).await;
        let log = Log::start();
        let told = value.clone();
        edit(&world, By::Session, move |answer| drop(answer.insert("sub".to_owned(), told.clone())));
        let page = ada(&world, By::Session).await.expect(502);
        assert!(page.text().contains("userinfo has no valid sub"), "{value}: {}", page.text());
        for name in ["id", "name", "type"] {
            let told = value.clone();
            edit(&world, By::Token, move |answer| drop(answer.insert(name.to_owned(), told.clone())));
            let answer = ada(&world, By::Token).await;
            // Whatever it is, it is no answer about the token.
            let expected = if name == "type" && value == "" { 401 } else { 503 };
            assert_eq!(answer.status, expected, "{name} = {value}: {answer:?}");
        }
        drop(log);
    }
}

#[tokio::test]
async fn the_log_names_what_was_ignored_and_no_value() {
    for by in BOTH {
        let world = world(|gate| gate.allow(Rule::org("acme"))).await;
        let log = Log::start();
        let bad = org(by, EVIL, "evil", &json!({"roleInOrg": ["personal"]}));
        let good = org(by, ACME, "acme", &json!({"roleInOrg": "read"}));
        let (name, list) = (named(by, "name", "fullname"), json!([bad, good]));
        let told = name.clone();
        edit(&world, by, move |answer| {
            answer.insert(told.clone(), json!({"personal": "Ada"}));
            answer.insert("orgs".to_owned(), list.clone());
        });
        ada(&world, by).await.expect(200);
        let text = log.text();
        let line = text.lines().find(|line| line.contains("unexpected type")).expect("a line in the log");
        assert!(line.contains(&format!("{name}, orgs[].roleInOrg")), "{line}");
        assert!(!line.contains("personal") && !line.contains("evil"), "{line}");
    }
}

#[tokio::test]
async fn a_token_whose_role_cannot_be_read_is_valid_like_a_fine_grained_one() {
    let world = world(|gate| gate.allow(Rule::org("acme"))).await;
    edit(&world, By::Token, |answer| {
        answer.insert("auth".to_owned(), json!({"type": "access_token", "accessToken": {"role": 7}}));
    });
    let answer = ada(&world, By::Token).await.expect(200);
    assert_eq!(answer.echo().username(), Some("ada"));
    edit(&world, By::Token, |answer| drop(answer.insert("auth".to_owned(), json!({"type": 7}))));
    ada(&world, By::Token).await.expect(503);
}

#[tokio::test]
async fn claims_of_an_id_token_that_nobody_reads_may_have_any_type() {
    let world = world(|gate| gate.allow(Rule::org("acme"))).await;
    world.behave(|hub| {
        hub.edit_id_token = Some(EditToken::new(|_, claims| {
            for name in ["name", "email", "picture", "auth_time", "acr", "amr", "preferred_username", "isPro"]
            {
                claims.insert(name.to_owned(), json!([7]));
            }
        }));
    });
    ada(&world, By::Session).await.expect(200);
    // A claim that a check needs is never skipped.
    for name in ["azp", "nbf", "at_hash", "nonce"] {
        world.behave(|hub| {
            hub.edit_id_token =
                Some(EditToken::new(move |_, claims| drop(claims.insert(name.to_owned(), json!([7])))));
        });
        let page = ada(&world, By::Session).await.expect(502);
        assert!(page.text().contains("wrong type"), "{name}: {}", page.text());
    }
}

#[tokio::test]
async fn optional_members_of_a_token_response_may_have_any_type() {
    for (name, value) in [
        ("expires_in", json!("28800")),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1.5)),
        ("expires_in", json!([])),
        ("scope", json!(["openid", 7])),
        ("scope", json!(7)),
        ("refresh_token", json!(7)),
        ("refresh_token", json!({})),
    ] {
        let world = world(|gate| gate.allow(Rule::org("acme"))).await;
        let told = value.clone();
        world.behave(|hub| {
            hub.edit_token =
                Some(Edit::new(move |answer| drop(answer.insert(name.to_owned(), told.clone()))));
        });
        let answer = ada(&world, By::Session).await;
        assert_eq!(answer.status, 200, "{name} = {value}: {answer:?}");
    }
}

#[tokio::test]
async fn a_refused_refresh_ends_the_session_whatever_its_description_is() {
    for description in [Value::Null, json!(7), json!(["x"])] {
        let world = world(|gate| gate.allow(Rule::org("acme"))).await;
        let mut ada = world.signed_in("ada").await;
        world.advance(8 * 3600);
        let body = json!({"error": "invalid_grant", "error_description": description}).to_string();
        let content_type = "application/json".to_owned();
        world.behave(|hub| hub.fail(Endpoint::Token, Fault::Answer { status: 400, content_type, body }));
        ada.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn optional_members_of_the_metadata_may_have_any_type() {
    for (name, value) in [
        ("authorization_response_iss_parameter_supported", json!("yes")),
        ("token_endpoint_auth_methods_supported", json!("client_secret_basic")),
        ("token_endpoint_auth_methods_supported", json!(["client_secret_post", 7, null])),
        ("scopes_supported", json!(7)),
        ("registration_endpoint", json!(7)),
        ("end_session_endpoint", json!({})),
    ] {
        let world = World::without_provider(FRONTS[2], |gate| gate.allow(Rule::org("acme"))).await;
        let mut world = world;
        world.bring_provider_back().await;
        let told = value.clone();
        world.behave(|hub| {
            hub.edit_discovery =
                Some(Edit::new(move |answer| drop(answer.insert(name.to_owned(), told.clone()))));
        });
        crate::world::skip(std::time::Duration::from_secs(3)).await;
        let answer = ada(&world, By::Session).await;
        assert_eq!(answer.status, 200, "{name} = {value}: {answer:?}");
    }
}

#[tokio::test]
async fn one_malformed_key_spoils_no_other_one() {
    let world = world(|gate| gate.allow(Rule::org("acme"))).await;
    let keys = Ask::get("/oauth/jwks");
    let hub = world.hub.issuer().strip_prefix("http://").unwrap().to_owned();
    let mut set = crate::world::send(&hub, keys.or_host(&hub)).await.json();
    let good = set["keys"][0].clone();
    let mut bad: Vec<Value> = vec![
        json!({"kty": "made-up", "kid": "1"}),
        json!({"kty": 7}),
        json!({"kty": "RSA", "n": 7, "e": "AQAB"}),
        json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-999", "x": "AQAB", "y": "AQAB"}),
        json!({"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}),
        json!(7),
        Value::Null,
    ];
    // More than the keys that are kept.
    bad.extend((0..40).map(|n| json!({"kty": "made-up", "kid": format!("made-up-{n}")})));
    bad.push(good);
    set["keys"] = bad.into();
    let (content_type, body) = ("application/json".to_owned(), set.to_string());
    world.behave(|hub| hub.fail(Endpoint::Jwks, Fault::Answer { status: 200, content_type, body }));
    ada(&world, By::Session).await.expect(200);
}
