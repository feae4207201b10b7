//! What our cookies and heads take, of what servers in front accept.

use huggate::Rule;
use huggate::hub::{Edit, Membership};

use super::{COOKIES, HEAD, fits, in_memory, noise};
use crate::world::{FRONTS, World};

/// The slugs of so many organisations of ada's, beside acme.
fn join(world: &World, count: usize) -> Vec<String> {
    let slugs: Vec<String> = (0..count).map(|n| format!("team-{}", noise(9, n as u64 + 1))).collect();
    world.hub.edit_user("ada", |ada| {
        ada.orgs.extend(slugs.iter().map(|slug| Membership::new(slug, "contributor")));
    });
    slugs.into_iter().chain(["acme".to_owned()]).collect()
}

#[tokio::test]
async fn every_answer_fits_for_a_member_of_sixty_organisations() {
    for front in FRONTS {
        for https in [false, true] {
            let change = |gate: huggate::GateBuilder| {
                gate.allow(Rule::org("acme")).scope("openid profile email read-memberships")
            };
            let world = match https {
                true => World::at(front, "https://app.example.com", change).await,
                false => World::start(front, change).await,
            };
            let slugs = join(&world, 60);
            let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
            let mut ada = world.browser();
            ada.be_at_hub("ada", &slugs);
            // Ten tabs under way, too.
            let mut callbacks = Vec::new();
            for tab in 0..10 {
                let start = ada.step(&format!("/tab/{tab}")).await.expect(302);
                callbacks.push(ada.step(start.location()).await.location().to_owned());
            }
            for callback in callbacks {
                let answer = ada.step(&callback).await.expect(302);
                fits(&answer, &ada);
            }
            assert_eq!(ada.cookies().iter().filter(|(name, _)| name.ends_with("-1")).count(), 0);
            let me = ada.fetch("/oauth2/userinfo").await.expect(200).json();
            assert!(me["groups"].as_array().unwrap().iter().any(|group| group == "acme:admin"), "{me}");
            // Renewal, a second sign-in, sign-out.
            world.advance(2 * 3600);
            let renewed = ada.step("/").await.expect(200);
            let set = renewed.cookie(ada.session_name()).unwrap().len();
            assert!(set < 3_200, "{set} bytes");
            assert!(ada.cookie_line().len() < COOKIES);
            for path in ["/oauth2/start", "/oauth2/sign_out?rd=%2Fx", "/oauth2/userinfo", "/oauth2/jwks.json"]
            {
                let answer = ada.step(path).await;
                fits(&answer, &ada);
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_fits_keeps_every_organisation() {
    let world = World::start(FRONTS[0], |gate| gate.allow(Rule::org("acme"))).await;
    let slugs = join(&world, 60);
    let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
    let mut ada = world.browser();
    ada.sign_in_showing("ada", &slugs).await.expect(200);
    let me = ada.fetch("/oauth2/userinfo").await.expect(200).json();
    let groups = me["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &me["groups_truncated"]), (122, &serde_json::json!(false)));
}

#[tokio::test]
async fn a_session_that_does_not_fit_one_cookie_leaves_out_what_no_rule_names() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme"))).await;
        world.behave(|hub| {
            let token = noise(1_400, 1);
            hub.edit_token = Some(Edit::new(move |answer| {
                answer.insert("refresh_token".to_owned(), token.clone().into());
            }));
        });
        let slugs = join(&world, 60);
        let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
        let mut ada = world.browser();
        let page = ada.sign_in_showing("ada", &slugs).await.expect(200);
        let groups = page.echo().header("x-forwarded-groups").unwrap().to_owned();
        assert!(groups.split(',').any(|group| group == "acme:admin"), "{groups}");
        let me = ada.fetch("/oauth2/userinfo").await.json();
        assert_eq!(me["groups_truncated"], true);
        let kept = me["groups"].as_array().unwrap().len();
        assert!((20..120).contains(&kept), "{kept}");
        assert!(ada.cookie("huggate-1").is_none() && ada.session().unwrap().len() <= 3_000);
    }
}

#[tokio::test]
async fn what_rules_name_is_never_left_out() {
    let world = World::start(FRONTS[0], |gate| {
        let gate = gate.allow(Rule::org("acme"));
        (0..60).fold(gate, |gate, n| gate.allow(Rule::org(format!("team-{}", noise(9, n + 1)))))
    })
    .await;
    world.behave(|hub| {
        let token = noise(1_800, 1);
        hub.edit_token = Some(Edit::new(move |answer| {
            answer.insert("refresh_token".to_owned(), token.clone().into());
        }));
    });
    let slugs = join(&world, 60);
    let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
    let mut ada = world.browser();
    ada.sign_in_showing("ada", &slugs).await.expect(200);
    let me = ada.fetch("/oauth2/userinfo").await.json();
    assert_eq!((me["groups"].as_array().unwrap().len(), &me["groups_truncated"]), (122, &false.into()));
    // It takes two cookies, which still stay below the limit of a request.
    assert!(ada.cookie("huggate-1").is_some());
    assert!(ada.cookie_line().len() < COOKIES, "{}", ada.cookie_line().len());
    // Signing out removes both.
    ada.open("/oauth2/sign_out").await.expect(200);
    assert_eq!(ada.cookies().len(), 0, "{:?}", ada.cookies());
}

#[tokio::test]
async fn a_session_that_fits_no_cookies_ends_on_a_page_and_a_store_takes_it() {
    let token = || {
        Some(Edit::new(move |answer| {
            answer.insert("access_token".to_owned(), noise(4_096, 1).into());
        }))
    };
    let rules =
        |gate: huggate::GateBuilder| (0..60).fold(gate, |gate, n| gate.allow(Rule::org(noise(60, n + 1))));
    for store in [false, true] {
        let world = World::start(FRONTS[0], |gate| {
            let gate = rules(gate);
            if store { in_memory(gate) } else { gate }
        })
        .await;
        let slugs: Vec<String> = (0..60).map(|n| noise(60, n + 1)).collect();
        world.hub.edit_user("ada", |ada| {
            ada.orgs.extend(slugs.iter().map(|slug| Membership::new(slug, "read")));
        });
        let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
        world.behave(|hub| hub.edit_token = token());
        let mut ada = world.browser();
        let answer = ada.sign_in_showing("ada", &slugs).await;
        if store {
            // The stand-in does not know the token that was made longer.
            assert!(!answer.text().contains("too large"), "{}", answer.text());
        } else {
            assert!(answer.status.is_server_error() && !ada.has_session(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_length_of_the_session_does_not_tell_whether_a_name_repeats_the_token() {
    // CRIME: the person chooses the name that stands beside the tokens.
    let world = World::start(FRONTS[0], |gate| gate.allow(Rule::org("acme"))).await;
    let secret = noise(400, 1);
    let length = async |name: String| {
        world.hub.edit_user("ada", |ada| ada.name = name);
        let token = secret.clone();
        world.behave(|hub| {
            hub.edit_token = Some(Edit::new(move |answer| {
                answer.insert("refresh_token".to_owned(), token.clone().into());
            }));
        });
        let ada = world.signed_in("ada").await;
        ada.session().unwrap().len()
    };
    let (right, wrong) = (length(noise(150, 1)).await, length(noise(150, 2)).await);
    // Letters are coded in different lengths; a repeated token would save a hundred bytes.
    assert!(right.abs_diff(wrong) <= 40, "{right} and {wrong}");
}

#[tokio::test]
async fn a_callback_with_a_long_address_goes_on_by_a_page() {
    // The address does not fit the head.
    let world = World::start(FRONTS[0], |gate| gate.allow(Rule::org("acme"))).await;
    let mut ada = world.browser();
    ada.be_at_hub("ada", &["acme"]);
    let page = super::explore(8_000, 1);
    let start = ada.step(&page).await.expect(302);
    assert!(start.head_size() < HEAD);
    let callback = ada.step(start.location()).await.location().to_owned();
    let answer = ada.step(&callback).await.expect_page(200, "One moment");
    assert!(answer.head_size() < HEAD);
    assert!(!answer.text().contains("<script"));
    assert_eq!(answer.goes_on_to().as_deref(), Some(page.as_str()));
    // A program follows the link.
    assert!(answer.text().contains(&format!("href=\"{}\"", page.replace('&', "&amp;"))));
}
