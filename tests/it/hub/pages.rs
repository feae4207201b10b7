//! The HTML pages and the redirect to the client.

use huggate::hub::Client;
use reqwest::header;

use super::{CALLBACK, World, error, location, parameter, ticket};

#[tokio::test]
async fn a_user_signs_in_with_the_pages_alone() {
    let world = World::start().await;
    let query = format!(
        "/oauth/authorize?client_id=app&redirect_uri={CALLBACK}&response_type=code&scope=openid&state=a%20b+%7B%7d"
    );
    let picker = world.get(&query).await;
    assert_eq!(picker.headers()["x-frame-options"], "DENY");
    let picker = picker.text().await.unwrap();
    assert!(picker.contains("not huggingface.co"));
    assert!(picker.contains("name=\"username\" value=\"ada\""));
    assert!(picker.contains("An &lt;App&gt;") && !picker.contains("<App>"));
    let chosen = world.post("/oauth/authorize", &[("ticket", &ticket(&picker)), ("username", "ada")]).await;
    let cookie = chosen.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(location(&chosen), query);
    let page = world.http.get(world.url(&query)).header(header::COOKIE, cookie).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("id=\"authorize\"") && page.contains("id=\"deny\""));
    assert!(page.contains("data-org=\"acme\"> Acme"), "not checked: {page}");
    let acme = world.hub.users()[0].orgs[0].id.clone();
    let ticket = ticket(&page);
    let form =
        [("ticket", ticket.as_str()), ("username", "ada"), ("org", acme.as_str()), ("decision", "authorize")];
    let back = location(&world.post("/oauth/authorize", &form).await);
    assert!(back.starts_with(&format!("{CALLBACK}?code=")), "{back}");
    assert!(back.ends_with("&state=a%20b+%7B%7d"), "the state is returned byte for byte: {back}");
    // The next request is redirected without a page.
    let silent = world.authorize("ada", "app", "scope=openid&state=x").await;
    assert_eq!(parameter(&location(&silent), "state").unwrap(), "x");
    // A scope without consent shows the page again.
    assert_eq!(world.authorize("ada", "app", "scope=openid+email").await.status(), 200);
}

#[tokio::test]
async fn a_declined_consent_redirects_with_access_denied() {
    let world = World::start().await;
    let page = world.authorize("ben", "app", "state=st").await.text().await.unwrap();
    let form = [("ticket", ticket(&page)), ("username", "ben".into()), ("decision", "deny".into())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let back = location(&world.post("/oauth/authorize", &form).await);
    assert_eq!(
        back,
        format!("{CALLBACK}?error=access_denied&error_description=The+user+denied+the+request&state=st")
    );
}

#[tokio::test]
async fn another_user_can_sign_in_in_the_same_browser() {
    let world = World::start().await;
    let page = world.authorize("ben", "app", "state=1").await.text().await.unwrap();
    let ticket = ticket(&page);
    let switched = world.post("/oauth/authorize", &[("ticket", &ticket), ("decision", "switch")]).await;
    assert!(switched.headers()[header::SET_COOKIE].to_str().unwrap().starts_with("hub_user=;"));
    let resumed = world.get(&location(&switched)).await.text().await.unwrap();
    assert!(resumed.contains("Choose an account"));
    let out = world.get("/logout").await;
    assert!(out.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn three_hundred_organisations_fit_on_the_consent_page() {
    let world = World::start().await;
    let page = world.authorize("eve", "app", "").await.text().await.unwrap();
    assert_eq!(page.matches("<label><input type=\"checkbox\" name=\"org\"").count(), 300);
    assert!(!page.contains("checked") && !page.contains("<script"));
}

#[tokio::test]
async fn a_form_without_its_ticket_or_from_another_site_is_rejected() {
    let world = World::start().await;
    let form = [("ticket", "guess"), ("username", "ada"), ("decision", "authorize")];
    assert_eq!(world.post("/oauth/authorize", &form).await.status(), 400);
    let page = world.authorize("ben", "app", "").await.text().await.unwrap();
    let ticket = ticket(&page);
    let form = [("ticket", ticket.as_str()), ("username", "ben"), ("decision", "authorize")];
    let request = world.http.post(world.url("/oauth/authorize")).form(&form);
    let foreign =
        request.try_clone().unwrap().header(header::ORIGIN, "http://evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let own = request.header(header::ORIGIN, world.hub.issuer()).send().await.unwrap();
    assert_eq!(own.status(), 303);
}

#[tokio::test]
async fn an_unknown_client_or_redirect_uri_shows_a_page() {
    let world = World::start().await;
    for query in [
        "client_id=nobody&redirect_uri=http://localhost/cb&response_type=code",
        "client_id=app&redirect_uri=http://localhost/other&response_type=code",
        "client_id=app&response_type=code",
        "client_id=app&client_id=app&redirect_uri=http://localhost/cb&response_type=code",
    ] {
        let response = world.get(&format!("/oauth/authorize?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert!(!response.headers().contains_key(header::LOCATION));
    }
    // Loopback redirect URIs may have any port.
    let query = "client_id=app&redirect_uri=http://localhost:7777/cb&response_type=code";
    assert_eq!(world.get(&format!("/oauth/authorize?{query}")).await.status(), 200);
}

#[tokio::test]
async fn other_errors_are_reported_to_the_client() {
    let world = World::start().await;
    world.hub.register(Client::public("small", "Small", &[CALLBACK]).scopes(vec!["openid".to_owned()]));
    for (query, expected) in [
        ("client_id=app&response_type=token", "unsupported_response_type"),
        (
            "client_id=app&response_type=code&code_challenge=abc&code_challenge_method=plain",
            "invalid_request",
        ),
        ("client_id=app&response_type=code&code_challenge=abc", "invalid_request"),
        ("client_id=spa&response_type=code", "invalid_request"),
        ("client_id=app&response_type=code&scope=openid+nonsense", "invalid_scope"),
    ] {
        let response = world.get(&format!("/oauth/authorize?redirect_uri={CALLBACK}&state=1&{query}")).await;
        let back = location(&response);
        assert_eq!(parameter(&back, "error").unwrap(), expected, "{query}");
        assert_eq!(parameter(&back, "state").unwrap(), "1");
    }
    let back = location(&world.authorize("ada", "small", "scope=openid+email").await);
    assert_eq!(parameter(&back, "error").unwrap(), "invalid_scope");
}

#[tokio::test]
async fn a_required_organisation_shows_the_page_with_a_checked_box() {
    let world = World::start().await;
    let [acme, labs] = [0, 1].map(|index| world.hub.users()[0].orgs[index].id.clone());
    world.hub.consent("ada", "app", &["example-labs"]);
    assert_eq!(world.authorize("ada", "app", &format!("orgIds={labs}")).await.status(), 303);
    let page = world.authorize("ada", "app", &format!("orgIds={labs},{acme}&scope=openid")).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("data-org=\"acme\" checked disabled"), "{page}");
    let ticket = ticket(&page);
    let form = [("ticket", ticket.as_str()), ("username", "ada"), ("decision", "authorize")];
    let code = parameter(&location(&world.post("/oauth/authorize", &form).await), "code").unwrap();
    let info = world.userinfo(&world.redeem(&code).await.json().await.unwrap()).await;
    assert_eq!(info["orgs"][0]["roleInOrg"], "admin");
    // Granted before: no page, unless the hub is configured to always ask.
    assert_eq!(world.authorize("ada", "app", &format!("orgIds={acme}&scope=openid")).await.status(), 303);
    world.hub.behave(|behaviour| behaviour.always_ask_orgs = true);
    assert_eq!(world.authorize("ada", "app", &format!("orgIds={acme}&scope=openid")).await.status(), 200);
    // A user who is not a member sees a warning.
    let page = world.authorize("dan", "app", &format!("orgIds={acme}")).await.text().await.unwrap();
    assert!(page.contains("id=\"not-a-member\""));
}

#[tokio::test]
async fn a_user_leaves_an_organisation_and_disconnects_an_application() {
    let world = World::start().await;
    let tokens = world.sign_in("ada", "openid", &["acme"]).await;
    world.hub.edit_user("ada", |ada| ada.orgs.retain(|org| org.slug != "acme"));
    assert_eq!(world.userinfo(&tokens).await["orgs"].as_array().unwrap().len(), 1);
    let cookie = (header::COOKIE, "hub_user=ada");
    let page = world.http.get(world.url("/settings/connected-applications")).header(cookie.0, cookie.1);
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("data-client=\"app\""));
    let form = [("ticket", ticket(&page)), ("client_id", "app".to_owned())];
    let request = world.http.post(world.url("/settings/connected-applications")).form(&form);
    assert_eq!(request.header("cookie", "hub_user=ada").send().await.unwrap().status(), 303);
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(world.bearer("/oauth/userinfo", token).await.status(), 401);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(error(world.token(&refresh).await).await.1, "invalid_grant");
    assert_eq!(world.authorize("ada", "app", "").await.status(), 200, "the consent page is shown again");
}
