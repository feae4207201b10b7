//! Explanations agree with the gate's decisions, for arbitrary rules, people and
//! requests.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::gate::{GateBuilder, Grant};
use crate::identity::{AppClaims, Email, Org, ProviderSession, ResourceGroup, Role, Shown, Standing, Tokens};
use crate::keys::SecretString;
use crate::policy::{Access, Route, Rule};
use crate::session::{NewSession, SignInOrigin};

const IDS: [&str; 2] = ["62f264b9f3c90f4b65140001", "62f264b9f3c90f4b65140002"];

/// A gate for `app.example`.
fn gate(access: Access, deny: Vec<Rule>, routes: Vec<Route>) -> Gate {
    let builder = Gate::builder()
        .public_url("https://app.example")
        .client("id", "secret")
        .secret("5e".repeat(32))
        .clock(Clock::manual(1_790_000_000));
    let builder = match access {
        Access::Anyone => builder.allow_anyone(),
        Access::Rules(rules) => rules.into_iter().fold(builder, GateBuilder::allow),
    };
    let builder = deny.into_iter().fold(builder, GateBuilder::deny);
    let builder = routes.into_iter().fold(builder, GateBuilder::route);
    let builder = builder.bearer(crate::authn::BearerSettings::default());
    // The provider is not contacted.
    Gate::new(builder.settings().unwrap(), Clock::manual(1_790_000_000)).unwrap()
}

fn path(text: &str) -> Route {
    Route::path(text)
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec!["no_access", "read", "contributor", "write", "admin", "ml-ops", "Ml-Ops"])
        .prop_map(Role::parse)
}

fn rule() -> impl Strategy<Value = Rule> {
    let name = prop::sample::select(vec!["ada", "Ada", "ben", IDS[0], IDS[1]]);
    let org = prop::sample::select(vec!["acme", "Acme", "other", IDS[0], IDS[1]]);
    let org =
        (org, prop::option::of(role()), prop::option::of(prop::sample::select(vec!["gpu", "GPU", IDS[0]])))
            .prop_map(|(org, role, group)| {
                let rule = Rule::org(org);
                let rule = role.into_iter().fold(rule, Rule::with_role);
                group.into_iter().fold(rule, Rule::with_resource_group)
            });
    let one = prop_oneof![
        2 => name.prop_map(Rule::user),
        4 => org,
        1 => prop::sample::select(vec!["ada@a.example", "ben@b.example"]).prop_map(Rule::email),
        1 => prop::sample::select(vec!["a.example", ".example", "example"]).prop_map(Rule::email_domain),
        1 => any::<bool>().prop_map(Rule::pro),
    ];
    prop::collection::vec(one, 1..3).prop_map(|rules| rules.into_iter().reduce(Rule::and).unwrap())
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![1 => Just(Access::Anyone), 4 => prop::collection::vec(rule(), 1..4).prop_map(Access::Rules)]
}

fn route() -> impl Strategy<Value = Route> {
    let access = prop_oneof![
        Just(RouteAccess::Public),
        Just(RouteAccess::Inherited),
        access().prop_map(RouteAccess::Own)
    ];
    let deny = prop::collection::vec(rule(), 0..2);
    let methods = prop::sample::subsequence(vec![Method::GET, Method::POST, Method::OPTIONS], 0..3);
    let host = prop::option::weighted(0.3, prop::sample::select(vec!["a.example", "app.example"]));
    let paths = prop::sample::select(vec!["/a", "/a/**", "/a/b", "/b/**", "/**"]);
    (paths, host, methods, access, deny, any::<bool>()).prop_map(
        |(text, host, methods, access, deny, preflight)| {
            let mut route = path(text).deny(deny);
            (route.host, route.methods, route.access) = (host.map(str::to_owned), methods, access);
            route.preflight = preflight;
            route
        },
    )
}

fn person() -> impl Strategy<Value = Person> {
    let standing = prop_oneof![
        4 => role().prop_map(Standing::Member),
        1 => Just(Standing::NotGranted),
        1 => Just(Standing::Restricted),
    ];
    let group = (prop::sample::select(vec!["gpu", "cpu"]), role()).prop_map(|(name, role)| ResourceGroup {
        id: IDS[0].into(),
        name: name.into(),
        role,
    });
    let org = (0..2_usize, prop::sample::select(vec!["acme", "other"]), standing, prop::option::of(group));
    let orgs = prop::collection::vec(org, 0..3).prop_map(|orgs| {
        orgs.into_iter()
            .map(|(id, slug, standing, group)| Org {
                id: IDS[id].into(),
                slug: slug.into(),
                standing,
                resource_groups: group.into_iter().collect(),
                groups_shown: true,
            })
            .collect()
    });
    let email = (prop::sample::select(vec!["ada@a.example", "x@b.example", "a@b@a.example"]), any::<bool>())
        .prop_map(|(address, verified)| Email { address: address.into(), verified });
    let name = prop::sample::select(vec!["ada", "ben"]);
    let known = prop::bool::weighted(0.9);
    (0..2_usize, name, orgs, known, prop::option::of(email), any::<bool>()).prop_map(
        |(id, username, orgs, orgs_known, email, pro)| Person {
            sub: IDS[id].into(),
            username: username.into(),
            name: None,
            email,
            picture: None,
            pro,
            orgs,
            orgs_known,
            orgs_cut: false,
            shown: Shown::ALL,
            dropped: None,
        },
    )
}

fn inquiry() -> impl Strategy<Value = (Method, &'static str, bool)> {
    let address = prop::sample::select(vec![
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/c",
        "/b",
        "/A",
        "/c",
        "/a/../b",
        "/%61",
        "/a%2fb",
        "//b",
        "/b/..;/a",
        "/c/./d",
        "/oauth2",
        "/oauth2/start",
        "/x/../oauth2/start",
        "/a?/b",
        "https://a.example/a",
        "https://A.example:443/b",
        "https://a.example:8443/a/b",
        "http://other.example/a",
        "https://app.example:8443/a",
        "https://a..example/a",
        "https://u@a.example/a",
        "*",
    ]);
    let method = prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::OPTIONS]);
    (method, address, prop::bool::weighted(0.3))
}

/// The gate's actual decision: the outcome, the route of an allowed request, and whether
/// it had an identity.
async fn done(
    gate: &Gate,
    inquiry: &SampleRequest,
    cookie: Option<&HeaderValue>,
) -> (Outcome, Option<usize>, bool) {
    let mut parts = inquiry.parts(&gate.inner.oauth2.urls.public_url);
    parts.headers.extend(cookie.map(|cookie| (COOKIE, cookie.clone())));
    let passed: Mutex<Option<Grant>> = Mutex::new(None);
    let app = |request: Request<Full<Bytes>>| {
        *passed.lock().unwrap() = request.extensions().get::<Grant>().cloned();
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    };
    let Ok(response) = gate.handle(Request::from_parts(parts, Full::<Bytes>::default()), app).await;
    if let Some(grant) = passed.into_inner().unwrap() {
        return (Outcome::Allow, grant.route(), grant.user().is_some());
    }
    let outcome = match response.extensions().get::<Refusal>() {
        None => Outcome::Endpoint,
        Some(Refusal::SignIn) => Outcome::SignIn,
        Some(Refusal::Forbidden(_)) => Outcome::Refuse,
        Some(Refusal::NoHost | Refusal::NoPath | Refusal::AmbiguousPath) => Outcome::BadRequest,
        Some(other) => panic!("{other:?}"),
    };
    (outcome, None, false)
}

/// A session cookie of `person`.
async fn cookie(gate: &Gate, person: Person) -> HeaderValue {
    let tokens = Tokens { access: SecretString::new("hf_oauth_x"), refresh: None, expires: None };
    let origin = SignInOrigin { browser: [0; 8], bindings: Vec::new(), began: 0, session: None };
    let provider_session = ProviderSession::default();
    let new = NewSession { person, tokens, claims: AppClaims::default(), provider_session };
    let lines = gate.inner.oauth2.sessions.begin(new, &origin, (&HeaderMap::new(), None)).await.unwrap();
    let pairs: Vec<_> = lines.iter().map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
    HeaderValue::from_str(&pairs.join("; ")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_explanation_agrees_with_the_decision(
        access in access(),
        deny in prop::collection::vec(rule(), 0..2),
        routes in prop::collection::vec(route(), 0..4),
        person in person(),
        inquiries in prop::collection::vec(inquiry(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gate = gate(access, deny, routes);
        runtime.block_on(async {
            let cookie = cookie(&gate, person.clone()).await;
            let inspected = gate.inspect(&format!("Cookie: {}", cookie.to_str().unwrap())).await;
            let Inspected::Session(session) = inspected else { panic!("{inspected:?}") };
            let visitor = TestSubject { person };
            for (method, address, preflight) in inquiries {
                let inquiry = SampleRequest::new(method, address).unwrap();
                let inquiry = if preflight { inquiry.preflight() } else { inquiry };
                let nobody = gate.explain(&inquiry, Who::Nobody);
                let somebody = gate.explain(&inquiry, Who::Session(&session));
                prop_assert_eq!(&somebody, &gate.explain(&inquiry, Who::TestSubject(&visitor)));
                for (explained, cookie) in [(nobody, None), (somebody, Some(&cookie))] {
                    let (outcome, route, signed_in) = done(&gate, &inquiry, cookie).await;
                    let passes = matches!(explained.outcome, Outcome::Public | Outcome::Allow);
                    let said = if passes { Outcome::Allow } else { explained.outcome };
                    prop_assert_eq!(said, outcome, "{:#?}", explained);
                    if passes {
                        prop_assert_eq!(explained.route, route, "{:#?}", explained);
                        // A request that is not public passes only with an identity.
                        prop_assert!(signed_in || explained.outcome == Outcome::Public, "{:#?}", explained);
                    }
                    check(&explained)?;
                }
            }
            Ok(())
        })?;
    }
}

/// Checks that the entries lead to the outcome, and the reasons of each entry to its
/// result.
fn check(explained: &Explanation) -> Result<(), TestCaseError> {
    for entry in &explained.entries {
        prop_assert!(!entry.because.is_empty(), "{:#?}", entry);
        let unknown = entry.because.iter().any(|reason| reason.starts_with("not known: "));
        prop_assert!(entry.matches != Match::Unknown || unknown, "{:#?}", entry);
        prop_assert!(entry.matches != Match::Yes || !unknown, "{:#?}", entry);
    }
    let (denies, allows): (Vec<&Entry>, Vec<&Entry>) =
        explained.entries.iter().partition(|entry| entry.key.contains(".deny["));
    let denied = denies.iter().any(|entry| entry.matches != Match::No);
    let allowed = allows.iter().any(|entry| entry.matches == Match::Yes);
    match explained.outcome {
        Outcome::Refuse => prop_assert!(denied != (!allows.is_empty() && !allowed), "{:#?}", explained),
        Outcome::Allow => prop_assert!(!denied && (allowed || allows.is_empty()), "{:#?}", explained),
        Outcome::Public => prop_assert!(!denied && allows.is_empty(), "{:#?}", explained),
        Outcome::SignIn | Outcome::BadRequest | Outcome::Endpoint => {
            prop_assert!(explained.entries.is_empty(), "{:#?}", explained);
        }
    }
    // Only if the readings differ, the explanation says so.
    let first = explained.readings.first().map(|reading| reading.leads);
    if explained.readings.iter().all(|reading| Some(reading.leads) == first) {
        prop_assert!(!explained.why.contains("in different ways"), "{:#?}", explained);
    }
    Ok(())
}

fn explain(gate: &Gate, address: &str, who: Who<'_>) -> Explanation {
    gate.explain(&SampleRequest::new(Method::GET, address).unwrap(), who)
}

#[test]
fn a_path_that_differs_only_by_case_lists_the_route_it_may_match() {
    let closed = path("/admin/**").allow(vec![Rule::user("ada")]);
    let gate = gate(Access::Anyone, Vec::new(), vec![closed]);
    let explanation = explain(&gate, "/Admin/x", Who::Nobody);
    assert_eq!(explanation.outcome, Outcome::BadRequest);
    let readings: Vec<_> =
        explanation.readings.iter().map(|reading| (&*reading.path, reading.leads)).collect();
    assert_eq!(readings, [("/Admin/x", Destination::Everywhere), ("/admin/x", Destination::Route(0))]);
}

#[test]
fn every_condition_result_is_explained_in_a_sentence() {
    let org = |slug: &str, standing| Org {
        id: format!("65a0000000000000000000{:02x}", slug.len()).into(),
        slug: slug.into(),
        standing,
        resource_groups: vec![ResourceGroup { id: "g".into(), name: "gpu".into(), role: Role::Read }],
        groups_shown: true,
    };
    let ada = TestSubject {
        person: Person {
            orgs: vec![
                org("acme", Standing::Member(Role::Read)),
                org("nimbus", Standing::Member(Role::parse("ml-ops"))),
                org("groups", Standing::Member(Role::NoAccess)),
                org("hidden", Standing::NotGranted),
                org("sso", Standing::Restricted),
            ],
            email: Some(Email { address: "ada@a.example".into(), verified: false }),
            ..TestSubject::named("ada").unwrap().person
        },
    };
    let group = |name| Rule::org("acme").with_resource_group(name);
    for (rule, expected) in [
        (Rule::user("ada"), "yes: ada is this account"),
        (Rule::user("ben"), "no: ada is another account"),
        (Rule::user("ADA"), "unknown: not known: ada differs from ADA only by case"),
        (Rule::user(IDS[0]), "unknown: not known: the rule contains an id, and the id of ada was not given"),
        (Rule::org("acme"), "yes: acme: a member with the role read"),
        (Rule::org("other"), "no: other: not a member"),
        (Rule::org("Acme"), "unknown: not known: acme differs from Acme only by case"),
        (
            Rule::org("acme").with_role(Role::Admin),
            "no: acme: a member, but the role is read and admin is needed",
        ),
        (
            Rule::org("nimbus").with_role(Role::Read),
            "no: nimbus: a member, but the role is ml-ops, which has no rank, and read is needed",
        ),
        (
            Rule::org("acme").with_role(Role::parse("ml-ops")),
            "no: acme: a member, but the role is read and exactly ml-ops is needed",
        ),
        (
            Rule::org("groups"),
            "no: groups: a member with the role no_access, which gives access only through resource groups",
        ),
        (
            Rule::org("hidden"),
            "unknown: not known: hidden was not granted to the app, so its role and restrictions are not visible",
        ),
        (
            Rule::org("sso"),
            "unknown: not known: sso currently restricts the membership (single sign-on, a second factor, …)",
        ),
        (group("gpu"), "yes: acme: in gpu with the role read"),
        (group("GPU"), "unknown: not known: gpu differs from GPU only by case"),
        (group("cpu"), "no: acme: a member, but not of cpu"),
        (group("gpu").with_role(Role::Write), "no: acme: in gpu, but the role is read and write is needed"),
        (
            Rule::email("ada@a.example"),
            "unknown: not known: the e-mail address ada@a.example is not verified",
        ),
        (Rule::pro(true), "no: not a PRO account"),
        (Rule::pro(false), "yes: not a PRO account"),
        (
            Rule::user("ada").and(Rule::pro(true)).and(Rule::org("hidden")),
            "no: not a PRO account; not known: hidden was not granted to the app, so its role and restrictions are not visible",
        ),
    ] {
        let gate = gate(Access::Rules(vec![rule]), Vec::new(), Vec::new());
        let explanation = explain(&gate, "/", Who::TestSubject(&ada));
        let entry = &explanation.entries[0];
        let matches = format!("{:?}", entry.matches).to_lowercase();
        assert_eq!(format!("{matches}: {}", entry.because.join("; ")), expected, "{}", entry.rule);
    }
}

#[test]
fn an_id_or_role_that_was_not_given_is_unknown_if_a_rule_depends_on_it() {
    let acme = "65a000000000000000000001";
    let member = |org: &str| TestSubject::named("ada").unwrap().in_org(org).unwrap();
    for (who, rule, expected) in [
        (member("acme"), Rule::org("acme"), "yes: acme: a member"),
        (
            member("acme"),
            Rule::org("acme").with_role(Role::Read),
            "unknown: not known: acme: a member, but the role was not given and read is needed",
        ),
        (
            member("acme:admin"),
            Rule::org(acme),
            "unknown: not known: the rule contains an id, and the id of acme was not given",
        ),
        (member(&format!("acme={acme}:admin")), Rule::org(acme), "yes: acme: a member with the role admin"),
        (
            member(acme),
            Rule::org("acme"),
            "unknown: not known: the rule contains the name acme, and the name of 65a000000000000000000001 was not given",
        ),
        (
            TestSubject::named(IDS[0]).unwrap(),
            Rule::user(IDS[0]),
            "yes: 62f264b9f3c90f4b65140001 is this account",
        ),
        (
            TestSubject::named("ada").unwrap().with_id(IDS[0]).unwrap(),
            Rule::user(IDS[1]),
            "no: ada is another account",
        ),
        (
            TestSubject::named("ada").unwrap().in_group("acme/gpu").unwrap(),
            Rule::org("acme"),
            "no: acme: a member with the role no_access, which gives access only through resource groups",
        ),
        (
            TestSubject::named("ada").unwrap().in_group("acme/gpu").unwrap(),
            Rule::org("acme").with_resource_group("gpu").with_role(Role::Read),
            "unknown: not known: acme: in gpu, but the role was not given and read is needed",
        ),
        (
            member("acme:read").in_group("acme/gpu:write").unwrap(),
            Rule::org("acme").with_resource_group("gpu").with_role(Role::Write),
            "yes: acme: in gpu with the role write",
        ),
        (
            TestSubject::named("ada").unwrap(),
            Rule::email("a@b.example"),
            "unknown: not known: there is no e-mail address",
        ),
        (
            TestSubject::named("ada").unwrap().with_email("a@b.example").unwrap(),
            Rule::email_domain("b.example"),
            "yes: the e-mail address is a@b.example",
        ),
        (TestSubject::named("ada").unwrap().with_pro(true), Rule::pro(true), "yes: a PRO account"),
    ] {
        let gate = gate(Access::Rules(vec![rule]), Vec::new(), Vec::new());
        let explanation = explain(&gate, "/", Who::TestSubject(&who));
        let entry = &explanation.entries[0];
        let matches = format!("{:?}", entry.matches).to_lowercase();
        assert_eq!(format!("{matches}: {}", entry.because.join("; ")), expected, "{} for {who}", entry.rule);
    }
}

#[test]
fn invalid_descriptions_of_a_test_subject_are_rejected() {
    let ada = || TestSubject::named("ada").unwrap();
    for (made, why) in [
        (TestSubject::named("ada@a.example"), "is not a username or an id; an address goes under `email`"),
        (TestSubject::named("a b"), "is not a username or an id, as in huggingface.co/ada"),
        (ada().with_id("x"), "is not an account's id, which is 24 hex digits"),
        (ada().in_org("acme:"), "ends without the role that should follow the colon"),
        (ada().in_org("acme:Admin"), "has no role after the colon; did you mean \"admin\"?"),
        (ada().in_org("acme").unwrap().in_org("acme:read"), "names an organisation a second time"),
        (
            ada().in_group("acme"),
            "is not a resource group, as in \"acme/gpu-team\" or \"acme/gpu-team:write\"",
        ),
        (ada().with_email("ada"), "is not an e-mail address; write it like \"ada@example.com\""),
    ] {
        assert_eq!(made.unwrap_err().to_string(), why);
    }
    assert!(ada().in_org("acme=x").unwrap_err().to_string().starts_with("is not an organisation"));
}

#[test]
fn every_decision_is_explained_in_a_sentence() {
    let routes = || {
        vec![
            path("/public/**").without_sign_in(),
            path("/api/**").preflight(),
            path("/machines/**").allow(vec![Rule::user("ada")]),
        ]
    };
    let mut routes = routes();
    routes[2].bearer = BearerUse::Only;
    let gate = gate(Access::Rules(vec![Rule::org("acme"), Rule::user("ben")]), vec![Rule::pro(true)], routes);
    let ada = TestSubject::named("ada").unwrap().in_org("acme").unwrap();
    let pro = ada.clone().with_pro(true);
    let dan = TestSubject::named("dan").unwrap();
    for (address, who, outcome, why) in [
        ("/public/x", Who::Nobody, Outcome::Public, "route[0] lets in everybody, signed in or not"),
        ("/", Who::Nobody, Outcome::SignIn, "nobody is signed in, and the route is not public"),
        ("/", Who::TestSubject(&ada), Outcome::Allow, "access.allow[0] lets them in"),
        ("/", Who::TestSubject(&dan), Outcome::Refuse, "no entry of access.allow lets them in"),
        (
            "/public/x",
            Who::TestSubject(&pro),
            Outcome::Refuse,
            "access.deny[0] matches, and a deny overrides every allow",
        ),
        (
            "/machines/x",
            Who::Nobody,
            Outcome::SignIn,
            "route[2] accepts only tokens of API clients: 401, without a sign-in",
        ),
        (
            "/oauth2/start",
            Who::Nobody,
            Outcome::Endpoint,
            "huggate answers this endpoint itself, and no rule is evaluated",
        ),
        ("/oauth2/x", Who::Nobody, Outcome::Endpoint, "huggate has no endpoint of this name (404)"),
        (
            "/public/..;/x",
            Who::Nobody,
            Outcome::BadRequest,
            "servers interpret the path in different ways, which lead to different decisions",
        ),
        (
            "https://a..b/",
            Who::Nobody,
            Outcome::BadRequest,
            "it does not name exactly one host, or uses a port that is not configured",
        ),
        ("*", Who::Nobody, Outcome::BadRequest, "the target is not a path"),
    ] {
        let explanation = explain(&gate, address, who);
        assert_eq!((explanation.outcome, explanation.why.as_str()), (outcome, why), "{address}");
    }
    let preflight = SampleRequest::new(Method::PUT, "/api/x").unwrap().preflight();
    let explanation = gate.explain(&preflight, Who::Nobody);
    assert_eq!((explanation.method, explanation.outcome), (Method::OPTIONS, Outcome::Public));
    assert_eq!(
        explanation.why,
        "it is a CORS preflight for PUT, which route[1] lets pass without an identity"
    );
    for (address, why) in [
        (
            "admin",
            "is neither a path, as in \"/admin\", nor an address, as in \"https://app.example.com/admin\"",
        ),
        (
            "ftp://a.example/",
            "is neither a path, as in \"/admin\", nor an address, as in \"https://app.example.com/admin\"",
        ),
    ] {
        assert_eq!(SampleRequest::new(Method::GET, address).unwrap_err().to_string(), why);
    }
    // Encoded as browsers encode a typed URL.
    assert_eq!(explain(&gate, "/café au lait?x=ü#top", Who::Nobody).path, "/caf%C3%A9%20au%20lait");
    assert!(!explain(&gate, "https://b.example/", Who::Nobody).host_is_known);
}

#[tokio::test]
async fn inspecting_a_cookie_reports_its_person_and_whether_it_is_valid() {
    let gate = gate(Access::Anyone, Vec::new(), Vec::new());
    let ada = TestSubject::named("ada").unwrap().with_id(IDS[0]).unwrap().person;
    let line = cookie(&gate, ada).await;
    let line = line.to_str().unwrap();
    let (name, value) = line.split_once('=').unwrap();
    assert_eq!(name, "__Host-huggate");
    for text in [
        line.to_owned(),
        value.to_owned(),
        format!("{value}\n"),
        format!("Cookie: theme=dark; {line}; x=y"),
        format!("cookie: {line}\r\n"),
    ] {
        let Inspected::Session(session) = gate.inspect(&text).await else { panic!("{text}") };
        assert_eq!(session.user.username(), "ada");
        assert_eq!((session.began, session.seen), (1_790_000_000, 1_790_000_000));
        assert!(session.in_force && !session.check_is_due);
        assert_eq!(explain(&gate, "/", Who::Session(&session)).outcome, Outcome::Allow);
    }
    for (text, none) in [("", true), ("theme=dark", true), ("garbage", false), (&value[1..], false)] {
        let inspected = gate.inspect(text).await;
        assert!(
            if none {
                matches!(inspected, Inspected::NoCookie)
            } else {
                matches!(inspected, Inspected::DoesNotOpen)
            },
            "{text}: {inspected:?}"
        );
    }
    // A session that has ended identifies nobody.
    let Inspected::Session(mut session) = gate.inspect(line).await else { panic!("{line}") };
    session.in_force = false;
    assert_eq!(explain(&gate, "/", Who::Session(&session)).outcome, Outcome::SignIn);
}
